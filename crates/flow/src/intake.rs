//! From frames to datagrams: decoding and defragmentation, before anything is known of connections.

use crate::defrag::{Defragmenter, Outcome};
use crate::further::{Further, runs};
use crate::shard::Arrival;
use crate::{Books, Config, Limit, Reason, Source, Totals};
use wire::{Decoded, Dropped, Fragment, Frame, Layer};

/// Turns frames into datagrams for the shards. There is one of it in a run: fragments name no port, so
/// they cannot be shared out before they are whole.
#[derive(Debug)]
pub struct Intake {
    defragmenter: Defragmenter,
    books: Books,
    dropped: Option<Dropped>,
    further: Further,
}

impl Intake {
    /// One that holds at most as many bytes of fragments as `config` allows.
    pub fn new(config: &Config) -> Self {
        let defragmenter = Defragmenter::new(config.limits.fragments);
        Self { defragmenter, books: Books::default(), dropped: None, further: Further::default() }
    }

    /// A frame was read that is not to be looked into.
    pub fn set_aside(&mut self, reason: Reason) {
        self.books.count_read(1);
        self.books.count_set_aside(reason, 1);
    }

    /// Decodes a frame. What comes out, if anything, goes to the [shard](Arrival::shard) it names.
    pub fn handle<'a>(&'a mut self, source: Source, frame: &Frame<'a>) -> Option<Arrival<'a>> {
        self.books.count_read(1);
        self.dropped = None;
        self.further.clear();
        match wire::decode(frame) {
            Ok(Decoded::Datagram(datagram)) => {
                Some(Arrival::new(source, self.books.read(), 1, &datagram))
            }
            Ok(Decoded::Fragment(fragment)) => self.handle_fragment(source, &fragment),
            Ok(Decoded::Aggregate(_)) => {
                self.books.count_set_aside(Reason::Aggregated, 1);
                None
            }
            Ok(Decoded::LinkFragment(_)) => {
                self.books.count_set_aside(Reason::IncompleteDatagram, 1);
                None
            }
            Err(dropped) => {
                self.books.count_set_aside(reason(dropped), 1);
                self.dropped = Some(dropped);
                None
            }
        }
    }

    /// What else the frame that was given to [`Self::handle`] gives. To be asked until there is
    /// nothing.
    ///
    /// These are the captured runs of a datagram into which the snap length cut holes.
    #[inline]
    pub fn next_arrival(&mut self) -> Option<Arrival<'_>> {
        self.further.next()
    }

    /// Why the last frame that was given to [`Self::handle`] and set aside could not be decoded.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.take()
    }

    /// The input has ended: fragments that still wait are set aside.
    pub fn finish(&mut self) {
        self.defragmenter.give_up_all();
        let given_up = self.defragmenter.take_given_up();
        self.books.count_set_aside(Reason::IncompleteDatagram, given_up);
    }

    /// What became of the frames that did not go on to a shard, and how many were read.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Adds what is known here to the sums of the shards.
    pub fn add_to(&self, totals: &mut Totals) {
        totals.limits[Limit::Fragments as usize] += self.defragmenter.limit_reached();
        totals.fragment_conflicts += self.defragmenter.conflicts();
    }

    fn handle_fragment<'a>(
        &'a mut self,
        source: Source,
        fragment: &Fragment<'_>,
    ) -> Option<Arrival<'a>> {
        let outcome = self.defragmenter.handle(source, fragment);
        let given_up = self.defragmenter.take_given_up();
        self.books.count_set_aside(Reason::IncompleteDatagram, given_up);
        let whole = match outcome {
            Outcome::Completes(whole) => whole,
            Outcome::Waits => return None,
            Outcome::OutOfRange => {
                self.books.count_set_aside(Reason::Malformed, 1);
                let layer = if fragment.src.is_ipv4() { Layer::Ipv4 } else { Layer::Extension };
                let why = "a fragment contradicts where its datagram ends";
                self.dropped = Some(Dropped::Malformed { layer, why });
                return None;
            }
        };
        let assembled = self.defragmenter.whole();
        let decoded =
            wire::decode_reassembled(whole.src, whole.dst, whole.protocol, assembled.payload());
        let dropped = match decoded {
            Ok(Decoded::Datagram(datagram)) => {
                let arrival = Arrival::new(source, self.books.read(), whole.frames, &datagram);
                let (first, later) = runs(assembled, arrival);
                later.iter().for_each(|run| self.further.keep(run));
                return Some(first);
            }
            // Fragments of fragments: no host sends them.
            Ok(_) => Dropped::TooDeep,
            Err(dropped) => dropped,
        };
        self.books.count_set_aside(reason(dropped), whole.frames);
        self.dropped = Some(dropped);
        None
    }
}

/// The reason under which the books count it.
fn reason(dropped: Dropped) -> Reason {
    match dropped {
        Dropped::UnknownLink(_) => Reason::UnknownLink,
        Dropped::Encrypted => Reason::Encrypted,
        Dropped::Truncated { .. } => Reason::Truncated,
        Dropped::Malformed { .. } => Reason::Malformed,
        Dropped::TooDeep => Reason::TooDeep,
        _ => Reason::NotIp,
    }
}
