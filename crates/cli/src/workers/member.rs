//! A crew as one of several: what it is sent, and what it shows of itself to other threads.

use super::hall;
use super::{Counted, Crew, Halted, Left, Tick};
use capture::Block;
use flow::Batch;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// What a crew is sent.
pub(super) enum Message {
    /// Datagrams, by the way in with a number.
    Batch(Batch<Block>, usize),
    Tick(Tick),
}

/// What a crew shows of itself.
#[derive(Default)]
pub(super) struct Seen {
    connections: AtomicUsize,
    counted: Mutex<Counted>,
}

impl Seen {
    /// Connections held, those that linger included.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Adds what was counted last.
    pub(super) fn add_to(&self, sum: &mut Counted) {
        *sum += &self.counted.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

/// One of several crews.
pub(super) struct Member {
    crew: Crew,
    number: usize,
    /// What all show.
    seen: Arc<[Seen]>,
    /// Where batches go back to, by the way in.
    returns: Arc<[Sender<Batch<Block>>]>,
}

impl Member {
    pub(super) fn new(
        crew: Crew,
        number: usize,
        seen: Arc<[Seen]>,
        returns: Arc<[Sender<Batch<Block>>]>,
    ) -> Self {
        Self { crew, number, seen, returns }
    }

    fn handle_batch(&mut self, mut batch: Batch<Block>, way_in: usize) -> Result<(), Halted> {
        let done = self.crew.handle(&batch);
        batch.clear();
        // Where nobody takes it back, the run is over.
        let _ = self.returns.get(way_in).map(|returns| returns.send(batch));
        done
    }

    fn tell_time(&mut self, tick: Tick) -> Result<(), Halted> {
        let told = self.crew.tell_time(tick);
        if tick.count {
            let counted = &self.seen[self.number].counted;
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.clone_from(self.crew.counted());
        }
        told
    }
}

impl hall::Crew for Member {
    type Message = Message;
    type Left = Left;

    fn handle(&mut self, message: Message) -> Result<(), Halted> {
        let done = match message {
            Message::Batch(batch, way_in) => self.handle_batch(batch, way_in),
            Message::Tick(tick) => self.tell_time(tick),
        };
        let connections = self.crew.connections();
        self.seen[self.number].connections.store(connections, Ordering::Relaxed);
        done
    }

    fn flush(&mut self) {
        // What this fails with is kept by the crew.
        let _ = self.crew.flush();
    }

    fn finish(self) -> Left {
        self.crew.finish()
    }
}
