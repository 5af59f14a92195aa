//! From frames to datagrams: decoding and defragmentation, before anything is known of connections.

use crate::defrag::{Defragmenter, Outcome};
use crate::shard::Arrival;
use crate::{Books, Config, Limit, Reason, Source, Totals};
use wire::{Body, Datagram, Decoded, Dropped, Fragment, Frame, Layer, Payload, Segment, TcpFlags};

/// Turns frames into datagrams for the shards. There is one of it in a run: fragments name no port, so
/// they cannot be shared out before they are whole.
#[derive(Debug)]
pub struct Intake {
    defragmenter: Defragmenter,
    books: Books,
    dropped: Option<Dropped>,
    /// What is still to be given out of a datagram with holes.
    rest: Option<Rest>,
}

/// The captured runs of a datagram behind its first hole: the snap length cut some of its fragments.
#[derive(Debug)]
struct Rest {
    source: Source,
    serial: u64,
    /// The datagram without its payload.
    datagram: Datagram<'static>,
    /// Where the payload begins in the IP payload, and its length.
    start: u32,
    len: u32,
    /// The runs that were not given yet, from the payload's beginning, the next one at the end.
    runs: Vec<(u32, u32)>,
}

impl Intake {
    /// One that holds at most as many bytes of fragments as `config` allows.
    pub fn new(config: &Config) -> Self {
        let defragmenter = Defragmenter::new(config.limits.fragments);
        Self { defragmenter, books: Books::default(), dropped: None, rest: None }
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
        self.rest = None;
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

    /// The next run of the datagram that [`Self::handle`] gave, where the snap length cut holes into
    /// it. To be asked until there is none.
    pub fn next_run(&mut self) -> Option<Arrival<'_>> {
        let rest = self.rest.as_mut()?;
        let (from, to) = rest.runs.pop()?;
        let next = rest.runs.last().map_or(rest.len, |&(next, _)| next);
        let at = (rest.start + from) as usize;
        let bytes = &self.defragmenter.whole()[at..at + (to - from) as usize];
        let payload = Payload { bytes, len: next - from };
        let body = match rest.datagram.body {
            Body::Message(_) => Body::Message(payload),
            Body::Tcp(segment) => {
                let last = if rest.runs.is_empty() { segment.flags.0 } else { 0 };
                let flags = TcpFlags(last & TcpFlags::FIN.0);
                let syn = u32::from(segment.flags.has(TcpFlags::SYN));
                let seq = segment.seq.wrapping_add(from + syn);
                Body::Tcp(Segment { seq, flags, payload, ..segment })
            }
        };
        let datagram = Datagram { body, ..rest.datagram };
        Some(Arrival::new(rest.source, rest.serial, 0, &datagram))
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
        let payload = self.defragmenter.payload();
        let dropped = match wire::decode_reassembled(whole.src, whole.dst, whole.protocol, payload)
        {
            Ok(Decoded::Datagram(mut datagram)) => {
                let serial = self.books.read();
                self.rest = rest(&self.defragmenter, source, serial, &mut datagram);
                return Some(Arrival::new(source, serial, whole.frames, &datagram));
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

/// Shortens the payload of a datagram that was put together to its first hole; what lies behind it, if
/// anything was captured there.
fn rest(
    defragmenter: &Defragmenter,
    source: Source,
    serial: u64,
    datagram: &mut Datagram<'_>,
) -> Option<Rest> {
    let payload = datagram.body.payload();
    if payload.missing() == 0 {
        return None;
    }
    // The payload is a part of the whole, and stands where its bytes stand.
    let start = payload.bytes.as_ptr().addr().checked_sub(defragmenter.whole().as_ptr().addr())?;
    let start = u32::try_from(start).ok()?;
    let mut runs = defragmenter.later_runs(start, payload.len);
    runs.reverse();
    let &(next, _) = runs.last()?;
    let empty = Payload { bytes: &[], len: 0 };
    let (template, first) = match datagram.body {
        Body::Message(_) => (Body::Message(empty), Body::Message(Payload { len: next, ..payload })),
        Body::Tcp(segment) => {
            let flags = TcpFlags(segment.flags.0 & !TcpFlags::FIN.0);
            let first = Segment { flags, payload: Payload { len: next, ..payload }, ..segment };
            (Body::Tcp(Segment { payload: empty, ..segment }), Body::Tcp(first))
        }
    };
    let Datagram { src, dst, protocol, src_port, dst_port, .. } = *datagram;
    datagram.body = first;
    let datagram = Datagram { src, dst, protocol, src_port, dst_port, body: template };
    Some(Rest { source, serial, datagram, start, len: payload.len, runs })
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
