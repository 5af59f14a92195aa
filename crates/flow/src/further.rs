//! What a frame gives beside the datagram that comes out first.
//!
//! It waits here, copied, until it is asked for: few frames give more than one datagram, and the bytes
//! of all others are never copied.

use crate::Arrival;
use crate::arrival::Label;
use crate::assembled::Assembled;
use std::collections::VecDeque;
use wire::{Body, Payload, Segment, TcpFlags};

/// How many bytes of the buffer are kept from frame to frame: the largest datagram.
const KEPT: usize = 1 << 16;

/// Arrivals of one frame, and their payloads.
///
/// All of them together are no more than a frame holds, or than the defragmenter held for it.
#[derive(Debug, Default)]
pub(crate) struct Further {
    waiting: VecDeque<Waiting>,
    bytes: Vec<u8>,
}

/// An arrival whose payload stands in the buffer.
#[derive(Debug)]
struct Waiting {
    /// Without its payload.
    arrival: Arrival<'static>,
    at: usize,
    captured: usize,
    /// Of the payload, on the wire.
    len: u32,
}

impl Further {
    /// Forgets what was not asked for.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
        }
    }

    /// Keeps an arrival, the last one so far.
    pub(crate) fn keep(&mut self, arrival: &Arrival<'_>) {
        if self.waiting.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
        let Payload { bytes, len } = arrival.body.payload();
        let (at, captured) = (self.bytes.len(), bytes.len());
        self.bytes.extend_from_slice(bytes);
        let body = with_payload(&arrival.body, Payload { bytes: &[], len: 0 });
        let arrival = Arrival { body, label: arrival.label };
        self.waiting.push_back(Waiting { arrival, at, captured, len });
    }

    /// Keeps all but the first of what [`runs`] gave; the first.
    pub(crate) fn keep_later<'a>(
        &mut self,
        (first, later): (Arrival<'a>, Vec<Arrival<'a>>),
    ) -> Arrival<'a> {
        later.iter().for_each(|run| self.keep(run));
        first
    }

    /// The next arrival.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Arrival<'_>> {
        let Waiting { arrival, at, captured, len } = self.waiting.pop_front()?;
        let payload = Payload { bytes: &self.bytes[at..at + captured], len };
        Some(Arrival { body: with_payload(&arrival.body, payload), label: arrival.label })
    }
}

/// An arrival whose payload lies in `whole`, up to its first hole, and one for each captured run behind
/// that: the snap length cut some of the fragments.
pub(crate) fn runs<'a>(
    whole: &'a Assembled,
    arrival: Arrival<'a>,
) -> (Arrival<'a>, Vec<Arrival<'a>>) {
    let payload = arrival.body.payload();
    if payload.missing() == 0 {
        return (arrival, Vec::new());
    }
    let later = whole.later_runs(payload);
    let Some(&(next, _)) = later.first() else { return (arrival, Vec::new()) };
    let body = match arrival.body {
        Body::Message(_) => Body::Message(Payload { len: next, ..payload }),
        Body::Tcp(segment) => {
            let flags = TcpFlags(segment.flags.0 & !TcpFlags::FIN.0);
            Body::Tcp(Segment { flags, payload: Payload { len: next, ..payload }, ..segment })
        }
    };
    let last = later.len() - 1;
    let later = later.into_iter().enumerate().map(|(n, (at, run))| {
        let body = later_body(&arrival.body, at, run, n == last);
        Arrival { label: Label { frames: 0, ..arrival.label }, body }
    });
    (Arrival { body, label: arrival.label }, later.collect())
}

/// What carries the run that begins `at` bytes into the payload of `body`.
fn later_body<'a>(body: &Body<'_>, at: u32, payload: Payload<'a>, last: bool) -> Body<'a> {
    match *body {
        Body::Message(_) => Body::Message(payload),
        Body::Tcp(segment) => {
            let flags = if last { segment.flags.0 & TcpFlags::FIN.0 } else { 0 };
            let syn = u32::from(segment.flags.has(TcpFlags::SYN));
            let seq = segment.seq.wrapping_add(at + syn);
            Body::Tcp(Segment { seq, flags: TcpFlags(flags), payload, ..segment })
        }
    }
}

fn with_payload<'a>(body: &Body<'_>, payload: Payload<'a>) -> Body<'a> {
    match *body {
        Body::Message(_) => Body::Message(payload),
        Body::Tcp(segment) => Body::Tcp(Segment { payload, ..segment }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use wire::{Datagram, Ends, VlanIds};

    const PAYLOAD: Payload<'_> = Payload { bytes: b"abcd", len: 14 };

    fn arrival(body: Body<'_>) -> Arrival<'_> {
        let (ends, vlans) = (Ends::V4 { src: 1, dst: 2 }, VlanIds::NONE);
        let datagram = Datagram { ends, protocol: 6, src_port: 1, dst_port: 2, vlans, body };
        Arrival::new(Source::default(), 1, 3, &datagram)
    }

    fn segment(seq: u32, flags: TcpFlags, payload: Payload<'_>) -> Body<'_> {
        Body::Tcp(Segment { seq, ack: 9, flags, window: 7, payload })
    }

    /// "abcd", 4 bytes missing, "ij", 2 missing, "mn".
    fn whole() -> Assembled {
        let mut whole = Assembled::default();
        for (at, bytes) in [(0, "abcd"), (8, "ij"), (12, "mn")] {
            whole.put(at, bytes.as_bytes());
        }
        whole
    }

    #[test]
    fn what_waits_comes_out_in_order_with_its_bytes() {
        let mut further = Further::default();
        further.keep(&arrival(Body::Message(Payload { bytes: b"abc", len: 5 })));
        further.keep(&arrival(segment(100, TcpFlags::FIN, Payload::whole(b"defg"))));
        let got = further.next().unwrap();
        assert_eq!(got.body, Body::Message(Payload { bytes: b"abc", len: 5 }));
        assert_eq!((got.label.frames, got.label.serial), (3, 1));
        let got = further.next().unwrap();
        assert_eq!(got.body, segment(100, TcpFlags::FIN, Payload::whole(b"defg")));
        assert!(further.next().is_none());
        further.keep(&arrival(Body::Message(Payload::whole(b"hij"))));
        assert_eq!(further.next().unwrap().body, Body::Message(Payload::whole(b"hij")));
    }

    #[test]
    fn the_buffer_does_not_stay_large() {
        let mut further = Further::default();
        let large = vec![7; 3 * KEPT];
        for _ in 0..2 {
            further.keep(&arrival(Body::Message(Payload::whole(&large))));
            further.clear();
        }
        further.keep(&arrival(Body::Message(Payload::whole(b"x"))));
        assert!(further.bytes.capacity() <= KEPT);
        assert_eq!(further.waiting.len(), 1);
    }

    #[test]
    fn each_run_of_a_segment_has_its_place() {
        let whole = whole();
        let payload = whole.payload();
        assert_eq!(payload, PAYLOAD);
        let flags = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN;
        let (first, later) = runs(&whole, arrival(segment(u32::MAX, flags, payload)));
        let run = |bytes: &'static str, len| Payload { bytes: bytes.as_bytes(), len };
        let without_fin = TcpFlags::SYN | TcpFlags::ACK;
        assert_eq!(first.body, segment(u32::MAX, without_fin, run("abcd", 8)));
        let later: Vec<_> = later.iter().map(|run| (run.label.frames, run.body)).collect();
        let [ij, mn] = [(8, TcpFlags(0), run("ij", 4)), (12, TcpFlags::FIN, run("mn", 2))];
        assert_eq!(later, [ij, mn].map(|(seq, flags, run)| (0, segment(seq, flags, run))));
    }

    #[test]
    fn a_payload_without_a_hole_is_one_run() {
        let whole = whole();
        let payload = Payload { len: 4, ..whole.payload() };
        for payload in [payload, Payload { len: 7, ..payload }] {
            let (first, later) = runs(&whole, arrival(Body::Message(payload)));
            assert_eq!((first.body, later.len()), (Body::Message(payload), 0));
        }
    }
}
