//! Several shards: all of a run's, or those of one worker.

mod ways;

use crate::arrival::shard_of;
use crate::batch::Buffers;
use crate::lives::Lives;
use crate::parcel::Parcel;
use crate::shard::{Opened, Shard};
use crate::{Arrival, Batch, Books, Census, Config, SHARDS, Sink, Source, Totals};
use prefetch_index::prefetch_index;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use wire::{Frame, LinkType, Timestamp};

/// So many datagrams ahead, what one needs is fetched.
const AHEAD: usize = 4;

/// Every `of`-th of the shards, from the `part`-th on.
///
/// All of them together hold a run's connections, whatever their number; a thread can have one of them
/// to itself.
#[derive(Debug)]
pub struct Shards<H> {
    lives: Lives<H>,
    /// Does time end connections?
    timed: bool,
    /// Packets that came here.
    assigned: u64,
    /// Where each of all shards is among these; beyond them, if it is another thread's.
    places: [u8; SHARDS],
    shards: Vec<Shard<H>>,
    config: Config,
}

impl<H: Copy> Shards<H> {
    /// All shards.
    pub fn all(config: Config) -> Self {
        Self::part(config, 0, 1)
    }

    /// Those whose numbers leave `part` when they are divided by `of`.
    pub fn part(config: Config, part: usize, of: usize) -> Self {
        let (of, timed) = (of.max(1), config.timeouts.is_some());
        let shards = (part..SHARDS).step_by(of).map(|_| Shard::new(config)).collect();
        let place = |number: usize| if number % of == part { (number / of) as u8 } else { u8::MAX };
        let places = std::array::from_fn(place);
        Self { lives: Lives::default(), timed, assigned: 0, places, shards, config }
    }

    /// A frame that begins with these bytes may come soon: what it needs to open a connection is fetched. It is a guess;
    /// nothing hangs on it but time.
    #[inline(never)]
    pub fn foresee(&self, bytes: &[u8]) {
        let frame = Frame { link: LinkType::ETHERNET, bytes, wire_len: 0 };
        if let Some(plain) = wire::decode_plain(&frame) {
            let arrival = Arrival::new(Source::default(), 0, 0, &plain.datagram());
            if let Some(shard) = self.shards.get(usize::from(self.places[arrival.shard()])) {
                shard.fetch(&arrival.label);
            }
        }
    }

    /// Takes in a batch of datagrams, whose shards must all be among these.
    ///
    /// # Errors
    /// The sink's own. What comes after the datagram that it could not take is left out.
    pub fn handle_batch<B: AsRef<[u8]>, S: Sink<Handle = H>>(
        &mut self,
        batch: &Batch<B>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let (parcels, buffers) = (batch.parcels(), batch.buffers());
        for (i, parcel) in parcels.iter().enumerate() {
            self.fetch(parcels, i, &buffers);
            self.handle_parcel(parcel, buffers.of(parcel), sink)?;
        }
        Ok(())
    }

    /// Fetches what parcels of a batch need that come after the one at `i`.
    #[inline(always)]
    fn fetch(&self, parcels: &[Parcel], i: usize, buffers: &Buffers<'_>) {
        prefetch_index(parcels, i + 2 * AHEAD);
        if let Some(later) = parcels.get(i + AHEAD)
            && let Some(shard) = self.shards.get(self.place(later.label.hash))
        {
            // Most others find their connection among the recent ones.
            if later.head.is_bare_syn() {
                shard.fetch(&later.label);
            } else if !later.is_tcp() {
                shard.fetch_message(&later.label);
                later.fetch(buffers.of(later));
            }
        }
        if let Some(next) = parcels.get(i + AHEAD / 2)
            && !next.is_tcp()
            && let Some(shard) = self.shards.get(self.place(next.label.hash))
        {
            shard.fetch_entry(&next.label);
        }
    }

    /// It is `now`, and no packet may come for long: ends the connections that were silent for too long, and
    /// lets those that hold bytes give up what they wait for. Does nothing where
    /// [nobody tells the time](crate::Timeouts::quiet).
    ///
    /// # Errors
    /// The sink's own.
    pub fn handle_timeout<S: Sink<Handle = H>>(
        &mut self,
        now: Timestamp,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Self { shards, lives, .. } = self;
        shards.iter_mut().try_for_each(|shard| shard.handle_timeout(lives, now, sink))
    }

    /// Where the shard of a datagram is among these.
    #[inline(always)]
    fn place(&self, hash: u64) -> usize {
        let place = usize::from(self.places[shard_of(hash)]);
        debug_assert!(place < self.shards.len(), "this shard is another thread's");
        place
    }

    /// The input has ended: closes all connections, in the order of their first packets.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish<S: Sink<Handle = H>>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let Self { shards, lives, .. } = self;
        let mut open: Vec<_> = shards.iter().map(|shard| shard.open_connections(lives)).collect();
        let mut queue: BinaryHeap<Reverse<(Opened, usize)>> = BinaryHeap::new();
        for (i, shard) in shards.iter().enumerate() {
            queue.extend(shard.next_opened(lives, &open[i]).map(|opened| Reverse((opened, i))));
        }
        while let Some(mut first) = queue.peek_mut() {
            let Reverse((_, i)) = *first;
            let (shard, open) = (&mut shards[i], &mut open[i]);
            shard.finish_next(lives, open, sink)?;
            match shard.next_opened(lives, open) {
                Some(opened) => *first = Reverse((opened, i)),
                None => drop(PeekMut::pop(first)),
            }
        }
        shards.iter_mut().for_each(Shard::forget_all);
        *lives = Lives::default();
        Ok(())
    }

    /// Connections held now, those that linger included.
    pub fn connections(&self) -> usize {
        self.shards.iter().map(Shard::connections).sum()
    }

    /// Looks at every connection, which takes 50 ns for each that sleeps: for now and then.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        self.shards.iter().for_each(|shard| census += &shard.census(&self.lives));
        census
    }

    /// Adds what became of the packets that came here, and the sums over the connections.
    pub fn add_to(&self, books: &mut Books, totals: &mut Totals) {
        books.count_assigned(self.assigned);
        for shard in &self.shards {
            *books += shard.books();
            *totals += shard.totals();
        }
    }
}
