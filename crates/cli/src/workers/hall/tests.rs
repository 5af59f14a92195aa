//! Crews that write down what comes, or wait for what other threads do.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, yield_now};
use std::time::Duration;

/// What happens at a message.
type Hook = Arc<dyn Fn(u32) -> Result<(), Halted> + Send + Sync>;

/// Writes down what comes.
#[derive(Default)]
struct Scribe {
    log: Vec<u32>,
    hook: Option<Hook>,
    flushed: Option<Sender<usize>>,
}

impl Crew for Scribe {
    type Message = u32;
    type Left = Vec<u32>;

    fn handle(&mut self, message: u32) -> Result<(), Halted> {
        self.log.push(message);
        self.hook.as_ref().map_or(Ok(()), |hook| hook(message))
    }

    fn flush(&mut self) {
        self.flushed.iter().for_each(|flushed| flushed.send(self.log.len()).unwrap());
    }

    fn finish(self) -> Vec<u32> {
        self.log
    }
}

fn scribes(count: usize) -> Vec<Scribe> {
    (0..count).map(|_| Scribe::default()).collect()
}

/// Those at whose messages something happens.
fn hooked(
    count: usize,
    hook: impl Fn(u32) -> Result<(), Halted> + Send + Sync + 'static,
) -> Vec<Scribe> {
    let hook: Hook = Arc::new(hook);
    let scribe = || Scribe { hook: Some(hook.clone()), ..Scribe::default() };
    (0..count).map(|_| scribe()).collect()
}

/// Waits for something that another thread does, and fails where it does not.
fn wait_for(told: &Mutex<Receiver<()>>) {
    told.lock().unwrap().recv_timeout(Duration::from_secs(20)).expect("another thread does it");
}

/// Waits until something is so.
fn until(hall: &Hall<Scribe>, is_so: impl Fn(&Desks<Scribe>) -> bool) {
    while !is_so(&hall.lock()) {
        yield_now();
    }
}

/// One thread is busy with a message, and another one has nothing to do.
fn busy_and_idle<'s>(
    threads: &'s Scope<'s, '_>,
    hall: &'s Hall<Scribe>,
    number: usize,
    message: u32,
) {
    threads.spawn(|| hall.work_only(0));
    hall.put(number, message).unwrap();
    hall.wake();
    until(hall, |desks| desks.desks[number].crew.is_none());
    threads.spawn(|| hall.work_only(1));
    until(hall, |desks| desks.idle == 1);
}

/// Whose a message is: all are the last one's, or now this one's and now that one's.
fn whose(message: u32, count: usize, for_one: bool) -> usize {
    let mixed = message.wrapping_mul(0x9e37_79b9) >> 16;
    if for_one { count - 1 } else { mixed as usize % count }
}

/// Puts up to nine messages as long as more are wanted; whether there are more.
fn read_some(hall: &Hall<Scribe>, next: &mut u32, most: u32, whose: impl Fn(u32) -> usize) -> bool {
    for _ in 0..9 {
        let put = if *next == most { Err(Halted) } else { hall.put(whose(*next), *next) };
        match put {
            Ok(Demand::Usual | Demand::Urgent) => *next += 1,
            Ok(Demand::Satisfied) => {
                *next += 1;
                return true;
            }
            Err(Halted) => {
                hall.close();
                return false;
            }
        }
    }
    true
}

const MANY: u32 = 20_000;

#[test]
fn by_turns_each_handles_what_comes_for_it_in_order() {
    for (count, for_one) in [(1, true), (2, false), (2, true), (5, false), (5, true)] {
        let hall = Hall::new(scribes(count), 1);
        let (mut next, mut most) = (0, 0);
        let read = || {
            assert!(hall.lock().reading == Reading::Somebody, "one at a time");
            let more = read_some(&hall, &mut next, MANY, |n| whose(n, count, for_one));
            let desks = hall.lock();
            most = desks.desks.iter().map(|desk| desk.waiting.len()).max().unwrap().max(most);
            more
        };
        hall.work_by_turns(read).unwrap();
        assert!(most <= WAITING, "{most}");
        for (own, log) in hall.take_left().into_iter().enumerate() {
            assert!(log.into_iter().eq((0..MANY).filter(|&n| whose(n, count, for_one) == own)));
        }
    }
}

/// What was read at once may be more than there is room for: then who reads waits, too.
#[test]
fn by_turns_desks_are_bounded_whatever_is_read_at_once() {
    let hall = Hall::new(scribes(2), 1);
    let (mut next, mut most) = (0, 0);
    let read = || {
        for _ in 0..5 * WAITING {
            hall.put(whose(next, 2, true), next).unwrap();
            most = hall.lock().desks[1].waiting.len().max(most);
            next += 1;
        }
        let more = next < MANY;
        if !more {
            hall.close();
        }
        more
    };
    hall.work_by_turns(read).unwrap();
    assert!(most <= WAITING_BY_TURNS, "{most}");
    assert!(hall.take_left()[1].iter().copied().eq(0..next));
}

#[test]
fn whoever_only_reads_waits_for_room() {
    let (count, ways_in) = (3, 4);
    let hall = Hall::new(scribes(count), ways_in);
    scope(|threads| {
        for way_in in 0..ways_in as u32 {
            let hall = &hall;
            threads.spawn(move || {
                for n in (way_in..MANY).step_by(ways_in) {
                    let number = whose(n, count, false);
                    hall.put(number, n).unwrap();
                    assert!(hall.lock().desks[number].waiting.len() <= WAITING);
                }
                hall.wake();
                hall.close();
            });
        }
        for own in 0..count {
            let hall = &hall;
            threads.spawn(move || hall.work_only(own));
        }
    });
    for (own, mut log) in hall.take_left().into_iter().enumerate() {
        for way_in in 0..ways_in as u32 {
            assert!(log.iter().filter(|&n| n % 4 == way_in).is_sorted());
        }
        log.sort_unstable();
        assert!(log.into_iter().eq((0..MANY).filter(|&n| whose(n, count, false) == own)));
    }
}

#[test]
fn a_thread_without_work_of_its_own_helps() {
    let hall = Hall::new(scribes(3), 1);
    scope(|threads| {
        threads.spawn(|| hall.work_only(0));
        for n in 0..MANY {
            hall.put(whose(n, 3, false), n).unwrap();
        }
        hall.close();
    });
    assert_eq!(hall.take_left().iter().map(Vec::len).sum::<usize>(), MANY as usize);
}

/// A thread has helped, and goes on with its own work: what is left there is another one's.
#[test]
fn what_is_left_of_a_crew_that_is_put_back_is_taken_by_another_thread() {
    let (go_on, told) = channel();
    let (helped, seen) = channel();
    let told = Mutex::new(told);
    let crews = hooked(2, move |message| {
        match message {
            1 | 3 => wait_for(&told),
            2 => helped.send(()).unwrap(),
            _ => {}
        }
        Ok(())
    });
    let hall = Hall::new(crews, 1);
    scope(|threads| {
        busy_and_idle(threads, &hall, 1, 1);
        hall.put(1, 2).unwrap();
        hall.put(0, 3).unwrap();
        go_on.send(()).unwrap();
        let done = seen.recv_timeout(Duration::from_secs(20));
        go_on.send(()).unwrap();
        hall.close();
        done.expect("the other thread handles it");
    });
}

#[test]
fn whoever_is_idle_works_or_reads_when_a_turn_is_over() {
    let (reads, told) = channel();
    let told = Mutex::new(told);
    // The first message is handled until somebody reads again.
    let crews = hooked(2, move |message| {
        if message == 0 {
            wait_for(&told);
        }
        Ok(())
    });
    let hall = Hall::new(crews, 1);
    let mut turn = 0;
    let read = || {
        turn += 1;
        if turn == 1 {
            until(&hall, |desks| desks.idle == 1);
            hall.put(0, 0).unwrap();
            return true;
        }
        reads.send(()).unwrap();
        hall.close();
        false
    };
    hall.work_by_turns(read).unwrap();
    assert_eq!((turn, hall.take_left()), (2, vec![vec![0], vec![]]));
}

#[test]
fn whoever_is_idle_reads_as_soon_as_there_is_room() {
    let (is_idle, seen) = channel();
    let (reads, told) = channel();
    let (seen, told) = (Mutex::new(seen), Mutex::new(told));
    let last = (WAITING - READ_BELOW) as u32 - 1;
    let crews = hooked(2, move |message| {
        match message {
            0 => wait_for(&seen),
            _ if message == last => wait_for(&told),
            _ => {}
        }
        Ok(())
    });
    let hall = Hall::new(crews, 1);
    let mut turn = 0;
    let read = || {
        turn += 1;
        if turn == 1 {
            for n in 0..WAITING as u32 {
                hall.put(0, n).unwrap();
            }
            return true;
        }
        reads.send(()).unwrap();
        hall.close();
        false
    };
    scope(|threads| {
        threads.spawn(|| {
            let works = |desks: &Desks<Scribe>| {
                desks.reading == Reading::Nobody && desks.desks[0].waiting.len() == WAITING - 1
            };
            until(&hall, |desks| desks.idle == 1 && works(desks));
            is_idle.send(()).unwrap();
        });
        hall.work_by_turns(read).unwrap();
    });
    assert_eq!(turn, 2);
}

/// Little wakes nobody up, but whoever puts it there must not wait before.
#[test]
fn whoever_waits_for_room_wakes_others_up_for_a_little() {
    let (done, told) = channel();
    let (done, told) = (Mutex::new(done), Mutex::new(told));
    let crews = hooked(2, move |message| {
        match message {
            0 => wait_for(&told),
            1 => done.lock().unwrap().send(()).unwrap(),
            _ => {}
        }
        Ok(())
    });
    let hall = Hall::new(crews, 1);
    scope(|threads| {
        busy_and_idle(threads, &hall, 0, 0);
        hall.put(1, 1).unwrap();
        // The first crew is busy until the second has done that.
        for n in 2..3 * WAITING as u32 {
            hall.put(0, n).unwrap();
        }
        hall.close();
    });
}

#[test]
fn where_one_fails_no_more_is_read_and_all_come_to_their_end() {
    let crews = hooked(3, |message| if message == 100 { Err(Halted) } else { Ok(()) });
    let (hall, mut next) = (Hall::new(crews, 1), 0);
    hall.work_by_turns(|| read_some(&hall, &mut next, MANY, |n| whose(n, 3, false))).unwrap();
    assert_eq!(hall.take_left().len(), 3);
    assert!((100..MANY).contains(&next), "{next}");
    assert_eq!(hall.put(0, 0), Err(Halted));
}

#[test]
fn nobody_waits_for_a_thread_that_has_panicked() {
    for reader in [false, true] {
        let crews = hooked(3, move |message| {
            assert!(reader || message != 100, "as asked for");
            Ok(())
        });
        let (hall, mut next) = (Hall::new(crews, 1), 0);
        let read = || {
            assert!(!reader || next < 100, "as asked for");
            read_some(&hall, &mut next, u32::MAX, |n| whose(n, 3, false))
        };
        let worked = catch_unwind(AssertUnwindSafe(|| hall.work_by_turns(read)));
        assert!(worked.is_err());
        assert_eq!(hall.put(0, 0), Err(Halted));
    }
}

#[test]
fn whoever_waits_for_room_is_told_that_there_will_be_none() {
    let hall = Hall::new(scribes(1), 1);
    scope(|threads| {
        let puts = threads.spawn(|| (0..MANY).try_for_each(|n| hall.put(0, n).map(drop)));
        until(&hall, |desks| desks.waiting > 0);
        hall.break_up();
        assert_eq!(puts.join().unwrap(), Err(Halted));
    });
}

/// Where others read, it may be long until the next message.
#[test]
fn what_others_could_use_is_passed_on_when_nothing_is_left_to_do() {
    let (flushed, told) = channel();
    let crew = Scribe { flushed: Some(flushed), ..Scribe::default() };
    let hall = Hall::new([crew], 1);
    scope(|threads| {
        threads.spawn(|| hall.work_only(0));
        for n in 0..3 {
            hall.put(0, n).unwrap();
            hall.wake();
            assert_eq!(told.recv().unwrap(), n as usize + 1);
        }
        hall.close();
    });
}
