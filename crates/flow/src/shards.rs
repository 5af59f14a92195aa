//! Several shards: all of a run's, or those of one worker.

use crate::arrival::Label;
use crate::batch::Buffers;
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
    shards: Vec<Shard<H>>,
    /// Where each of all shards is among these; beyond them, if it is another thread's.
    places: [u8; SHARDS],
    /// Packets that came here.
    assigned: u64,
}

impl<H: Copy> Shards<H> {
    /// All shards.
    pub fn all(config: Config) -> Self {
        Self::part(config, 0, 1)
    }

    /// Those whose numbers leave `part` when they are divided by `of`.
    pub fn part(config: Config, part: usize, of: usize) -> Self {
        let of = of.max(1);
        let shards = (part..SHARDS).step_by(of).map(|_| Shard::new(config)).collect();
        let place = |number: usize| if number % of == part { (number / of) as u8 } else { u8::MAX };
        Self { shards, places: std::array::from_fn(place), assigned: 0 }
    }

    /// Takes in a datagram, whose shard must be one of these: others are not touched.
    ///
    /// # Errors
    /// The sink's own.
    #[inline(always)]
    pub fn handle<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let place = self.place(&arrival.label);
        let Some(shard) = self.shards.get_mut(place) else { return Ok(()) };
        self.assigned += u64::from(arrival.label.frames);
        shard.handle(arrival, sink)
    }

    /// Takes in a segment if it goes the way that nearly all go. `false`, and nothing changed, where it does not, which
    /// [`Self::handle`] is for, as for other datagrams: whoever makes the datagram anew for that has less to keep at hand for all others.
    ///
    /// # Errors
    /// The sink's own.
    #[inline(always)]
    pub fn handle_usual<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<bool, S::Error> {
        let place = self.place(&arrival.label);
        let Some(shard) = self.shards.get_mut(place) else { return Ok(false) };
        let frames = u64::from(arrival.label.frames);
        // (Counted in one place, behind this, it took 20 instructions more, and before it 40.)
        match shard.handle_usual(arrival, sink) {
            Ok(taken) => {
                self.assigned += frames * u64::from(taken);
                Ok(taken)
            }
            Err(error) => {
                self.assigned += frames;
                Err(error)
            }
        }
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
            let place = self.place(&parcel.label);
            if let Some(shard) = self.shards.get_mut(place) {
                self.assigned += u64::from(parcel.label.frames);
                shard.handle_parcel(parcel, buffers.of(parcel), sink)?;
            }
        }
        Ok(())
    }

    /// Fetches what parcels of a batch need that come after the one at `i`.
    #[inline(always)]
    fn fetch(&self, parcels: &[Parcel], i: usize, buffers: &Buffers<'_>) {
        prefetch_index(parcels, i + 2 * AHEAD);
        if let Some(later) = parcels.get(i + AHEAD)
            && let Some(shard) = self.shards.get(self.place(&later.label))
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
            && let Some(shard) = self.shards.get(self.place(&next.label))
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
        self.shards.iter_mut().try_for_each(|shard| shard.handle_timeout(now, sink))
    }

    /// Where the shard of a datagram is among these.
    #[inline(always)]
    fn place(&self, label: &Label) -> usize {
        let place = usize::from(self.places[label.shard()]);
        debug_assert!(place < self.shards.len(), "this shard is another thread's");
        place
    }

    /// The input has ended: closes all connections, in the order of their first packets.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish<S: Sink<Handle = H>>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let mut open: Vec<_> = self.shards.iter().map(Shard::open_connections).collect();
        let mut queue: BinaryHeap<Reverse<(Opened, usize)>> = BinaryHeap::new();
        for (i, shard) in self.shards.iter().enumerate() {
            queue.extend(shard.next_opened(&open[i]).map(|opened| Reverse((opened, i))));
        }
        while let Some(mut first) = queue.peek_mut() {
            let Reverse((_, i)) = *first;
            let (shard, open) = (&mut self.shards[i], &mut open[i]);
            shard.finish_next(open, sink)?;
            match shard.next_opened(open) {
                Some(opened) => *first = Reverse((opened, i)),
                None => drop(PeekMut::pop(first)),
            }
        }
        self.shards.iter_mut().for_each(Shard::forget_all);
        Ok(())
    }

    /// Connections held now, those that linger included.
    pub fn connections(&self) -> usize {
        self.shards.iter().map(Shard::connections).sum()
    }

    /// Looks at every connection, which takes 50 ns for each that sleeps: for now and then.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        self.shards.iter().for_each(|shard| census += &shard.census());
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
