//! From frames to datagrams: decoding and defragmentation, before anything is known of connections.

use crate::msdu::{Msdus, Outcome};
use crate::shard::Arrival;
use crate::unpacker::Unpacker;
use crate::{Books, Config, Limit, Reason, Source, Totals};
use wire::{Decoded, Dropped, Frame, Layer, LinkFragment};

/// Turns frames into datagrams for the shards. There is one of it in a run: fragments name no port, so
/// they cannot be shared out before they are whole.
#[derive(Debug)]
pub struct Intake {
    unpacker: Unpacker,
    msdus: Msdus,
}

impl Intake {
    /// One that holds at most as many bytes of fragments as `config` allows.
    pub fn new(config: &Config) -> Self {
        Self { unpacker: Unpacker::new(config.limits.fragments), msdus: Msdus::default() }
    }

    /// A frame was read that is not to be looked into.
    pub fn set_aside(&mut self, reason: Reason) {
        self.unpacker.accounts.books.count_read(1);
        self.unpacker.accounts.books.count_set_aside(reason, 1);
    }

    /// Decodes a frame. What comes out first, if anything, goes to the [shard](Arrival::shard) it names;
    /// then [`Self::next_arrival`] is to be asked for more.
    pub fn handle<'a>(&'a mut self, source: Source, frame: &Frame<'a>) -> Option<Arrival<'a>> {
        self.unpacker.begin();
        match wire::decode(frame) {
            Ok(Decoded::Datagram(datagram)) => Some(self.unpacker.arrival(source, 1, &datagram)),
            Ok(Decoded::LinkFragment(fragment)) => self.handle_link_fragment(source, &fragment),
            other => self.unpacker.unpack(source, 1, other, None),
        }
    }

    /// What else comes out of the frame that was given to [`Self::handle`]. To be asked until there is
    /// nothing.
    ///
    /// These are the other datagrams in an A-MSDU, and the captured runs of a datagram into which the snap
    /// length cut holes.
    #[inline]
    pub fn next_arrival(&mut self) -> Option<Arrival<'_>> {
        self.unpacker.further.next()
    }

    /// Why the last frame that was given to [`Self::handle`], or a part of it, could not be decoded.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.unpacker.accounts.dropped.take()
    }

    /// The input has ended: fragments that still wait are set aside.
    pub fn finish(&mut self) {
        self.msdus.give_up_all();
        self.unpacker.accounts.give_up(self.msdus.take_given_up());
        self.unpacker.finish();
    }

    /// What became of the frames that did not go on to a shard, and how many were read.
    pub fn books(&self) -> &Books {
        &self.unpacker.accounts.books
    }

    /// Adds what is known here to the sums of the shards.
    pub fn add_to(&self, totals: &mut Totals) {
        let (defragmenter, msdus) = (&self.unpacker.defragmenter, &self.msdus);
        totals.limits[Limit::Fragments as usize] +=
            defragmenter.limit_reached() + msdus.limit_reached();
        totals.fragment_conflicts += defragmenter.conflicts() + msdus.conflicts();
    }

    fn handle_link_fragment<'a>(
        &'a mut self,
        source: Source,
        fragment: &LinkFragment<'_>,
    ) -> Option<Arrival<'a>> {
        let outcome = self.msdus.handle(source, fragment);
        let accounts = &mut self.unpacker.accounts;
        accounts.give_up(self.msdus.take_given_up());
        match outcome {
            Outcome::Completes { frames, aggregate } => {
                let whole = self.msdus.whole();
                let decoded = wire::decode_msdu(whole.payload(), aggregate);
                self.unpacker.unpack(source, frames, decoded, Some(whole))
            }
            Outcome::Waits => None,
            Outcome::OutOfRange => {
                let why = "a fragment contradicts the others of its frame";
                accounts.set_aside(Dropped::Malformed { layer: Layer::Link, why }, 1);
                None
            }
        }
    }
}
