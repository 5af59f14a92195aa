//! Where threads find something to do.
//!
//! There are as many crews as threads that work, and each thread has a crew of its own, so that what a crew needs is in
//! the cache of its thread. A crew is at its desk, where what comes for it waits, or with the thread that works for it
//! just now: its own, or one that has nothing else to do.

use super::{Demand, Halted};
use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, scope};

/// Those for whom threads work.
pub(super) trait Crew: Send {
    /// What comes for it, to be handled in order.
    type Message: Send;
    /// What it leaves at its end.
    type Left: Send;

    /// Handles what came. An error is that nobody need send anything more.
    fn handle(&mut self, message: Self::Message) -> Result<(), Halted>;

    /// It may be long until the next message: nothing is held back that others could use.
    fn flush(&mut self);

    /// Nothing more comes.
    fn finish(self) -> Self::Left;
}

/// Batches that wait for a crew: enough to bridge its writing a file, few enough that the blocks which
/// they keep are a few MiB.
const WAITING: usize = 16;

/// Nobody begins to read while more than this wait for somebody: what is read in a turn would not find room.
const READ_BELOW: usize = WAITING - 4;

/// So many on a desk, or twice as many on all, are enough to wake up a thread for, if threads have often had nothing to
/// do: to wake one up for each took two workers 10 % more of a dry run. Where they seldom have, one is enough.
const ENOUGH: usize = 8;

/// Where all of them meet.
pub(super) struct Hall<C: Crew> {
    desks: Mutex<Desks<C>>,
    /// There is something to do, or nothing more will be.
    work: Condvar,
    /// A crew has less to do than before.
    room: Condvar,
    halted: AtomicBool,
}

/// What waits for the crews.
struct Desks<C: Crew> {
    desks: Vec<Desk<C>>,
    /// Ways in that are still open.
    ways_in: usize,
    reading: Reading,
    /// Threads that have nothing to do.
    idle: usize,
    /// For so many messages one of them is woken up: from 1 to [`ENOUGH`].
    enough: usize,
    /// Ways in that wait for room.
    waiting: usize,
    /// A thread has panicked, or could not be started.
    broken: bool,
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// Threads that do nothing else.
    Others,
    /// Nobody just now: whichever thread has nothing to do for its own crew may.
    Nobody,
    /// One of the threads that work.
    Somebody,
    /// Nobody ever again.
    Over,
}

struct Desk<C: Crew> {
    waiting: VecDeque<C::Message>,
    /// The crew, while nobody works for it.
    crew: Option<Box<C>>,
    /// What it left.
    left: Option<C::Left>,
}

/// Something to do for a crew: its next message, or its end.
struct Job<C: Crew> {
    number: usize,
    crew: Box<C>,
    message: Option<C::Message>,
}

/// What a thread does next.
enum Next<C: Crew> {
    Work(Job<C>),
    Read,
    Wait,
}

impl<C: Crew> Desk<C> {
    /// Is there something to do that nobody does?
    fn has_job(&self) -> bool {
        self.crew.is_some() && !self.waiting.is_empty()
    }
}

impl<C: Crew> Desks<C> {
    /// Will nothing more be to do?
    fn is_done(&self) -> bool {
        self.broken || self.ways_in == 0 && self.desks.iter().all(|desk| desk.left.is_some())
    }

    /// What the thread with a crew of its own does next: what this crew has to do, or it reads, or what others have.
    fn next(&mut self, own: usize) -> Next<C> {
        let may_read = self.reading == Reading::Nobody
            && self.desks.iter().all(|desk| desk.waiting.len() <= READ_BELOW);
        let has_own = self.desks.get(own).is_some_and(Desk::has_job);
        if may_read && !has_own {
            self.reading = Reading::Somebody;
            return Next::Read;
        }
        self.job(own, has_own).map_or(Next::Wait, Next::Work)
    }

    /// What is to be done for a thread's own crew, or else for the one for which the most waits.
    fn job(&mut self, own: usize, has_own: bool) -> Option<Job<C>> {
        let number = if has_own {
            own
        } else {
            let free = self.desks.iter().enumerate().filter(|(_, desk)| desk.crew.is_some());
            free.max_by_key(|(_, desk)| desk.waiting.len())?.0
        };
        let desk = self.desks.get_mut(number)?;
        if desk.waiting.is_empty() && self.ways_in > 0 {
            return None;
        }
        let message = desk.waiting.pop_front();
        Some(Job { number, crew: desk.crew.take()?, message })
    }
}

impl<C: Crew> Hall<C> {
    /// One for these crews, with so many ways in.
    pub(super) fn new(crews: impl IntoIterator<Item = C>, ways_in: usize) -> Self {
        let desk = |crew| Desk { waiting: VecDeque::new(), crew: Some(Box::new(crew)), left: None };
        let desks = Desks {
            desks: crews.into_iter().map(desk).collect(),
            ways_in,
            reading: Reading::Others,
            idle: 0,
            enough: ENOUGH,
            waiting: 0,
            broken: false,
        };
        Self {
            desks: Mutex::new(desks),
            work: Condvar::new(),
            room: Condvar::new(),
            halted: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desks<C>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message on a desk; what else is wanted. Where there is no room, who is patient waits for it. A little wakes
    /// nobody up: whoever puts nothing more for a while says so by [`Self::wake`].
    pub(super) fn put(
        &self,
        number: usize,
        message: C::Message,
        patient: bool,
    ) -> Result<Demand, Halted> {
        let mut desks = self.lock();
        while patient && desks.desks[number].waiting.len() >= WAITING && !desks.broken {
            // There may be a little on other desks.
            self.wake_for(&desks, 0);
            desks.waiting += 1;
            desks = self.room.wait(desks).unwrap_or_else(PoisonError::into_inner);
            desks.waiting -= 1;
        }
        if desks.broken || self.halted.load(Ordering::Relaxed) {
            return Err(Halted);
        }
        let desk = &mut desks.desks[number];
        desk.waiting.push_back(message);
        let (here, is_free) = (desk.waiting.len(), desk.crew.is_some());
        if is_free && desks.idle > 0 {
            let everywhere: usize = desks.desks.iter().map(|desk| desk.waiting.len()).sum();
            if here >= desks.enough || everywhere >= 2 * desks.enough {
                self.work.notify_one();
            }
        }
        Ok(match here >= WAITING {
            true => Demand::Satisfied,
            false if desks.idle > 0 => Demand::Urgent,
            false => Demand::Usual,
        })
    }

    /// It may be long until more comes: whoever is idle begins with the little that waits.
    pub(super) fn wake(&self) {
        self.wake_for(&self.lock(), 0);
    }

    /// Wakes up a thread for each crew that has something to do, and for so much else.
    fn wake_for(&self, desks: &Desks<C>, more: usize) {
        let work = desks.desks.iter().filter(|desk| desk.has_job()).count();
        (0..desks.idle.min(work + more)).for_each(|_| self.work.notify_one());
    }

    /// Nothing more comes by one of the ways in.
    pub(super) fn close(&self) {
        let mut desks = self.lock();
        desks.ways_in -= 1;
        if desks.ways_in == 0 {
            self.work.notify_all();
        }
    }

    /// Something cannot go on: nobody waits for it.
    pub(super) fn break_up(&self) {
        self.lock().broken = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Lets a thread for each crew work until nothing more is to do; this one is the first of them. They read, too: `read`
    /// reads something, and says whether there is more; it [closes](Self::close) its way in at the end.
    pub(super) fn work_by_turns(&self, read: impl FnMut() -> bool + Send) -> io::Result<()> {
        let (count, read) = (self.let_read(), Mutex::new(read));
        scope(|threads| {
            let mut others = Vec::new();
            for own in 1..count {
                let (thread, read) = (Builder::new().name(format!("worker {own}")), &read);
                match thread.spawn_scoped(threads, move || self.work(own, read)) {
                    Ok(thread) => others.push(thread),
                    Err(error) => {
                        // The others need not go on.
                        self.break_up();
                        return Err(error);
                    }
                }
            }
            self.work(0, &read);
            for thread in others {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
            Ok(())
        })
    }

    /// From now on, threads that work are asked to read; how many crews there are.
    fn let_read(&self) -> usize {
        let mut desks = self.lock();
        desks.reading = Reading::Nobody;
        desks.desks.len()
    }

    /// Works, in the thread with a crew of its own, until nothing more is to do. Others read.
    pub(super) fn work_only(&self, own: usize) {
        self.work(own, &Mutex::new(|| false));
    }

    /// The same, and reads, where this is for those that work. One thread at a time is asked to.
    fn work(&self, own: usize, read: &Mutex<impl FnMut() -> bool>) {
        let _guard = Guard(self);
        let mut desks = self.lock();
        while !desks.is_done() {
            match desks.next(own) {
                Next::Work(job) => {
                    self.tell_of_room(&desks, job.number);
                    drop(desks);
                    self.work_on(job);
                    desks = self.lock();
                }
                Next::Read => {
                    drop(desks);
                    let more = read.lock().unwrap_or_else(PoisonError::into_inner)();
                    desks = self.lock();
                    desks.reading = if more { Reading::Nobody } else { Reading::Over };
                    if desks.idle == 0 {
                        desks.enough = 1;
                    }
                    // Whoever is idle may work now, or read.
                    self.wake_for(&desks, usize::from(more));
                }
                Next::Wait => {
                    desks.enough = ENOUGH.min(2 * desks.enough);
                    desks.idle += 1;
                    desks = self.work.wait(desks).unwrap_or_else(PoisonError::into_inner);
                    desks.idle -= 1;
                }
            }
        }
    }

    /// A message was taken from a desk: whoever waits for that is told.
    fn tell_of_room(&self, desks: &Desks<C>, number: usize) {
        let left = desks.desks[number].waiting.len();
        if desks.waiting > 0 && left + 1 >= WAITING {
            self.room.notify_all();
        }
        if desks.idle > 0 && left == READ_BELOW && desks.reading == Reading::Nobody {
            self.work.notify_one();
        }
    }

    fn work_on(&self, job: Job<C>) {
        let Job { number, mut crew, message } = job;
        match message {
            Some(message) => {
                if crew.handle(message).is_err() {
                    self.halted.store(true, Ordering::Relaxed);
                }
                self.put_back(number, crew);
            }
            None => self.leave(number, crew.finish()),
        }
    }

    /// Puts a crew back to its desk.
    fn put_back(&self, number: usize, mut crew: Box<C>) {
        let mut desks = self.lock();
        if desks.reading == Reading::Others && desks.desks[number].waiting.is_empty() {
            drop(desks);
            crew.flush();
            desks = self.lock();
        }
        let desk = &mut desks.desks[number];
        desk.crew = Some(crew);
        if !desk.waiting.is_empty() && desks.idle > 0 {
            self.work.notify_one();
        }
    }

    /// A crew has come to its end.
    fn leave(&self, number: usize, left: C::Left) {
        let mut desks = self.lock();
        desks.desks[number].left = Some(left);
        if desks.is_done() {
            self.work.notify_all();
        }
    }

    /// What the crews left.
    pub(super) fn take_left(&self) -> Vec<C::Left> {
        self.lock().desks.iter_mut().filter_map(|desk| desk.left.take()).collect()
    }
}

/// Lets nobody wait for a thread that has panicked.
struct Guard<'a, C: Crew>(&'a Hall<C>);

impl<C: Crew> Drop for Guard<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::{Sender, channel};

    /// Writes down what comes.
    #[derive(Default)]
    struct Scribe {
        log: Vec<u32>,
        /// What is worse than any other message.
        fails: Option<u32>,
        panics: Option<u32>,
        flushed: Option<Sender<usize>>,
    }

    impl Crew for Scribe {
        type Message = u32;
        type Left = Vec<u32>;

        fn handle(&mut self, message: u32) -> Result<(), Halted> {
            assert_ne!(self.panics, Some(message), "as asked for");
            self.log.push(message);
            if self.fails == Some(message) { Err(Halted) } else { Ok(()) }
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

    /// Whose a message is: all are the last one's, or now this one's and now that one's.
    fn whose(message: u32, count: usize, for_one: bool) -> usize {
        let mixed = message.wrapping_mul(0x9e37_79b9) >> 16;
        if for_one { count - 1 } else { mixed as usize % count }
    }

    /// Puts up to so many messages as long as more are wanted; whether there are more.
    fn read_some(
        hall: &Hall<Scribe>,
        next: &mut u32,
        most: u32,
        whose: impl Fn(u32) -> usize,
    ) -> bool {
        for _ in 0..9 {
            if *next == most {
                hall.close();
                return false;
            }
            let put = hall.put(whose(*next), *next, false);
            *next += 1;
            match put {
                Ok(Demand::Usual | Demand::Urgent) => {}
                Ok(Demand::Satisfied) => return true,
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
            let (mut next, mut most, reads) = (0, 0, AtomicBool::new(false));
            let read = || {
                assert!(!reads.swap(true, Ordering::Relaxed), "one at a time");
                let more = read_some(&hall, &mut next, MANY, |n| whose(n, count, for_one));
                let desks = hall.lock();
                most = desks.desks.iter().map(|desk| desk.waiting.len()).max().unwrap().max(most);
                reads.store(false, Ordering::Relaxed);
                more
            };
            hall.work_by_turns(read).unwrap();
            assert!(most <= WAITING, "{most}");
            for (own, log) in hall.take_left().into_iter().enumerate() {
                assert!(log.into_iter().eq((0..MANY).filter(|&n| whose(n, count, for_one) == own)));
            }
        }
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
                        hall.put(number, n, true).unwrap();
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
    fn where_one_fails_no_more_is_read_and_all_come_to_their_end() {
        let mut crews = scribes(3);
        crews[whose(100, 3, false)].fails = Some(100);
        let (hall, mut next) = (Hall::new(crews, 1), 0);
        let read = || read_some(&hall, &mut next, MANY, |n| whose(n, 3, false));
        hall.work_by_turns(read).unwrap();
        assert_eq!(hall.take_left().len(), 3);
        assert!((100..MANY).contains(&next), "{next}");
        assert_eq!(hall.put(0, 0, true), Err(Halted));
    }

    #[test]
    fn nobody_waits_for_a_thread_that_has_panicked() {
        for reader in [false, true] {
            let mut crews = scribes(3);
            if !reader {
                crews[whose(100, 3, false)].panics = Some(100);
            }
            let (hall, mut next) = (Hall::new(crews, 1), 0);
            let read = || {
                assert!(!reader || next < 100, "as asked for");
                read_some(&hall, &mut next, u32::MAX, |n| whose(n, 3, false))
            };
            let worked = catch_unwind(AssertUnwindSafe(|| hall.work_by_turns(read)));
            assert!(worked.is_err());
            assert_eq!(hall.put(0, 0, true), Err(Halted));
        }
    }

    #[test]
    fn whoever_waits_for_room_is_told_that_there_will_be_none() {
        let hall = Hall::new(scribes(1), 1);
        scope(|threads| {
            let puts = threads.spawn(|| (0..MANY).try_for_each(|n| hall.put(0, n, true).map(drop)));
            while hall.lock().waiting == 0 {
                std::thread::yield_now();
            }
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
                hall.put(0, n, true).unwrap();
                hall.wake();
                assert_eq!(told.recv().unwrap(), n as usize + 1);
            }
            hall.close();
        });
    }
}
