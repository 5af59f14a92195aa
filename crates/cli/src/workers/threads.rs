//! Workers in threads, and the ways in to them.
//!
//! Files are read by the workers themselves, by turns: whoever has nothing to do for its own crew reads some blocks,
//! decodes them, and then follows its own part, while it is still in its cache. So all are busy to the end, however the
//! work is divided between reading and following, and half of what two workers read does not go from core to core. (A
//! reader beside two workers left one of two cores idle for a fifth of the time: it waited for room at one desk while
//! the other one was empty. One worker that read for both took 3 to 8 % more, where files are written.) Interfaces and
//! pipes have threads that only read, for somebody waits for them to do so.

use super::hall::Hall;
use super::member::{Member, Message, Seen};
use super::{Counted, Crew, Demand, Halted, Left, Tick};
use capture::Block;
use flow::{Arrival, Batch};
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};

/// A way in to workers. Each thread that reads has its own; those that read by turns have one together.
pub(crate) struct Threads {
    /// Which one this is.
    number: usize,
    /// What is being filled for each crew.
    batches: Vec<Batch<Block>>,
    /// Batches that were handled, to be filled again.
    returned: Receiver<Batch<Block>>,
    way_in: WayIn,
    /// What the crews show of themselves.
    seen: Arc<[Seen]>,
    /// Is it read by turns?
    by_turns: bool,
    /// What is wanted since somebody asked.
    demand: Demand,
    /// To be waited for; the first way in has them.
    threads: Vec<JoinHandle<()>>,
}

/// The hall, and whether something may come this way.
struct WayIn {
    hall: Arc<Hall<Member>>,
    open: bool,
}

impl WayIn {
    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.hall.close();
        }
    }
}

impl Drop for WayIn {
    fn drop(&mut self) {
        self.close();
    }
}

/// Workers that read by turns.
pub(crate) struct ByTurns(Arc<Hall<Member>>);

impl ByTurns {
    /// Lets them work until everything is read and followed. `read` reads for a while, and says whether there is more;
    /// it ends each [turn](super::Workers::end_turn).
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn work(&self, read: impl FnMut() -> bool + Send) -> io::Result<()> {
        self.0.work_by_turns(read)
    }
}

impl Threads {
    /// Ways in to crews, as many as asked for, at least one. Unless it is to be read by turns, each crew has a thread
    /// from now on.
    pub(super) fn start(crews: Vec<Crew>, ways_in: usize, by_turns: bool) -> io::Result<Vec<Self>> {
        let ways_in = ways_in.max(1);
        let (returns, returned): (Vec<_>, Vec<_>) = (0..ways_in).map(|_| channel()).unzip();
        let count = crews.len();
        let (seen, returns): (Arc<[Seen]>, Arc<[_]>) =
            ((0..count).map(|_| Seen::default()).collect(), returns.into());
        let members = crews.into_iter().enumerate();
        let members = members.map(|(n, crew)| Member::new(crew, n, seen.clone(), returns.clone()));
        let hall = Arc::new(Hall::new(members, ways_in));
        let way_in = |(number, returned)| Self {
            number,
            batches: (0..count).map(|_| Batch::default()).collect(),
            returned,
            way_in: WayIn { hall: hall.clone(), open: true },
            seen: seen.clone(),
            by_turns,
            demand: Demand::default(),
            threads: Vec::new(),
        };
        // Where a thread cannot be started, the others come to their end without these.
        let mut ways: Vec<Self> = returned.into_iter().enumerate().map(way_in).collect();
        for own in 0..if by_turns { 0 } else { count } {
            let (hall, thread) = (hall.clone(), Builder::new().name(format!("worker {own}")));
            let thread = thread.spawn(move || hall.work_only(own))?;
            if let Some(first) = ways.first_mut() {
                first.threads.push(thread);
            }
        }
        Ok(ways)
    }

    pub(super) fn by_turns(&self) -> Option<ByTurns> {
        self.by_turns.then(|| ByTurns(self.way_in.hall.clone()))
    }

    /// Takes in a datagram, whose bytes stand in `block` if they were not put together from fragments.
    #[inline(always)]
    pub(crate) fn take(&mut self, arrival: &Arrival<'_>, block: &Block) -> Result<(), Halted> {
        let number = arrival.shard() % self.batches.len();
        if !self.batches[number].buffer().is_some_and(|buffer| buffer.is(block)) {
            self.send(number)?;
            self.batches[number].set_buffer(block.clone());
        }
        let batch = &mut self.batches[number];
        batch.push(arrival);
        if batch.is_full() { self.send(number) } else { Ok(()) }
    }

    /// Sends a crew its batch.
    fn send(&mut self, number: usize) -> Result<(), Halted> {
        let batch = &mut self.batches[number];
        if batch.is_empty() {
            batch.clear();
            return Ok(());
        }
        let next = self.returned.try_recv().unwrap_or_default();
        let batch = std::mem::replace(batch, next);
        self.put(number, Message::Batch(batch, self.number))
    }

    fn put(&mut self, number: usize, message: Message) -> Result<(), Halted> {
        self.demand = self.way_in.hall.put(number, message)?.max(self.demand);
        Ok(())
    }

    pub(super) fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        self.send_each()?;
        let mut numbers = 0..self.batches.len();
        let told = numbers.try_for_each(|number| self.put(number, Message::Tick(tick)));
        self.way_in.hall.wake();
        told
    }

    /// Sends all that there is, for it may be long until more comes.
    pub(super) fn send_all(&mut self) -> Result<(), Halted> {
        let sent = self.send_each();
        self.way_in.hall.wake();
        sent
    }

    fn send_each(&mut self) -> Result<(), Halted> {
        (0..self.batches.len()).try_for_each(|number| self.send(number))
    }

    /// What is wanted since this was asked the last time.
    pub(super) fn take_demand(&mut self) -> Demand {
        std::mem::take(&mut self.demand)
    }

    /// A turn is over; where nothing more comes, so is this way in.
    pub(super) fn end_turn(&mut self, more: bool) {
        // Where one has halted, what that was is told by what it leaves.
        let _ = self.send_each();
        self.demand = Demand::default();
        if !more {
            self.way_in.close();
        }
    }

    /// Connections held, those that linger included.
    pub(super) fn connections(&self) -> usize {
        self.seen.iter().map(Seen::connections).sum()
    }

    /// What was counted last.
    pub(super) fn counted(&self) -> Counted {
        let mut sum = Counted::default();
        self.seen.iter().for_each(|seen| seen.add_to(&mut sum));
        sum
    }

    pub(super) fn finish(mut self) -> Vec<Left> {
        // Where one has halted, what that was is told by what it leaves.
        let _ = self.send_all();
        self.way_in.close();
        for thread in self.threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        self.way_in.hall.take_left()
    }
}
