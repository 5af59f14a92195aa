//! What happens to packets on their way into a capture: some are lost, come late, come twice, or were
//! cut anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use crate::frame::{FIN, Packet, SYN, Segment};
use crate::random::Random;
use crate::writer::{Recorder, Writer};

/// How often, each in percent of the packets.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    /// Missing in the capture alone: the peer has them and acknowledges them.
    pub(crate) lost: f64,
    /// Come later.
    pub(crate) moved: f64,
    /// Come in their place and once more later.
    pub(crate) repeated: f64,
    /// By so many packets of the capture those come later, at most; at least 1.
    pub(crate) places: u32,
    /// Come as two segments that have some bytes in common.
    pub(crate) overlapping: f64,
}

/// A frame that waits for its place: until so many packets came, then in the order of coming here.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: u64,
    order: u64,
    frame: Vec<u8>,
    payload: usize,
}

/// Writes packets as such a way leaves them. Times are those of the capture: they do not step back.
pub(crate) struct Disorder<W> {
    writer: Writer<W>,
    rates: Rates,
    random: Random,
    /// Packets that came.
    came: u64,
    held: BinaryHeap<Reverse<Held>>,
    orders: u64,
    now: u64,
    frame: Vec<u8>,
}

impl<W: Write> Disorder<W> {
    pub(crate) fn new(writer: Writer<W>, rates: Rates, seed: u64) -> Self {
        // Other numbers than those that made the packets.
        let random = Random::new(!seed);
        let (held, frame) = (BinaryHeap::new(), Vec::new());
        Self { writer, rates, random, came: 0, held, orders: 0, now: 0, frame }
    }

    /// Writes what still waits.
    pub(crate) fn finish(mut self) -> io::Result<Writer<W>> {
        self.release(u64::MAX)?;
        Ok(self.writer)
    }

    fn pass(&mut self, segment: &Segment<'_>) -> io::Result<()> {
        self.came += 1;
        if !self.random.chance(self.rates.lost) {
            let mut frame = std::mem::take(&mut self.frame);
            frame.clear();
            segment.build(&mut frame);
            if self.random.chance(self.rates.repeated) {
                self.hold(&frame, segment.payload.len());
            }
            if self.random.chance(self.rates.moved) {
                self.hold(&frame, segment.payload.len());
            } else {
                self.writer.frame(self.now, &frame, segment.payload.len())?;
            }
            self.frame = frame;
        }
        self.release(self.came)
    }

    fn hold(&mut self, frame: &[u8], payload: usize) {
        let due = self.came + 1 + u64::from(self.random.below(self.rates.places));
        self.orders += 1;
        self.held.push(Reverse(Held { due, order: self.orders, frame: frame.to_vec(), payload }));
    }

    /// Writes what was to wait for packet number `came`.
    fn release(&mut self, came: u64) -> io::Result<()> {
        while self.held.peek().is_some_and(|Reverse(first)| first.due <= came) {
            let Some(Reverse(held)) = self.held.pop() else { break };
            self.writer.frame(self.now, &held.frame, held.payload)?;
        }
        Ok(())
    }
}

impl<W: Write> Recorder for Disorder<W> {
    fn record(&mut self, micros: u64, segment: &Segment<'_>) -> io::Result<()> {
        self.now = micros;
        let length = segment.payload.len() as u32;
        let cut = segment.flags & (SYN | FIN) == 0 && length > 2;
        if !cut || !self.random.chance(self.rates.overlapping) {
            return self.pass(segment);
        }
        // 0 < from < to < length: each half has bytes of its own, and some are in both.
        let from = 1 + self.random.below(length - 2);
        let to = from + 1 + self.random.below(length - from - 1);
        self.pass(&Segment { payload: &segment.payload[..to as usize], ..*segment })?;
        self.pass(&Segment {
            sequence: segment.sequence.wrapping_add(from),
            payload: &segment.payload[from as usize..],
            ..*segment
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;
    use crate::frame::End;
    use crate::mix::{Bodies, Mix};
    use crate::testing::{each_frame, each_segment, made};

    const NONE: Rates =
        Rates { lost: 0.0, moved: 0.0, repeated: 0.0, places: 12, overlapping: 0.0 };

    fn mix(connections: u32) -> Mix {
        let bodies = Bodies::Around(20_000);
        Mix { connections, bodies, binary: false, at_once: 20, seed: 3 }
    }

    fn messy(rates: Rates) -> Vec<u8> {
        messy_of(200, rates)
    }

    fn messy_of(connections: u32, rates: Rates) -> Vec<u8> {
        let mut out = Vec::new();
        let mut disorder = Disorder::new(Writer::new(&mut out).unwrap(), rates, 3);
        mix(connections).write(&mut disorder).unwrap();
        disorder.finish().unwrap().finish().unwrap();
        out
    }

    fn frames(capture: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut last = 0;
        each_frame(capture, |micros, frame| {
            assert!(micros >= last, "time steps back");
            last = micros;
            frames.push(frame.to_vec());
        });
        frames
    }

    /// Where each frame of `capture` stands. No two frames of a clean capture are the same: they
    /// differ in the identification, at least.
    fn places(capture: &[u8]) -> HashMap<Vec<u8>, Vec<usize>> {
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, frame) in frames(capture).into_iter().enumerate() {
            places.entry(frame).or_default().push(place);
        }
        places
    }

    #[test]
    fn without_rates_nothing_happens() {
        assert!(messy(NONE) == made(|writer| mix(200).write(writer)).0);
    }

    #[test]
    fn the_lost_are_gone_and_all_others_stay() {
        let (clean, lossy) = (frames(&messy(NONE)), frames(&messy(Rates { lost: 1.0, ..NONE })));
        let lost = clean.len() - lossy.len();
        assert!((clean.len() / 200..clean.len() / 50).contains(&lost), "{lost}");
        let mut rest = clean.iter();
        assert!(lossy.iter().all(|kept| rest.any(|frame| frame == kept)), "the order changed");
    }

    #[test]
    fn the_moved_come_a_few_places_later() {
        let clean = places(&messy(NONE));
        let moved = places(&messy(Rates { moved: 2.0, ..NONE }));
        assert_eq!(clean.len(), moved.len());
        let late = clean.iter().filter(|(frame, place)| moved[*frame][0] > place[0]);
        assert!((clean.len() / 100..clean.len() / 25).contains(&late.count()));
        // Packets may come between that were moved themselves.
        assert!(clean.iter().all(|(frame, place)| moved[frame][0].abs_diff(place[0]) <= 24));
    }

    #[test]
    fn the_repeated_come_twice() {
        let repeated = places(&messy(Rates { repeated: 1.0, ..NONE }));
        let twice = repeated.values().filter(|places| places.len() == 2).count();
        assert!(repeated.values().all(|places| places.len() <= 2));
        assert!((repeated.len() / 200..repeated.len() / 50).contains(&twice), "{twice}");
    }

    type Streams = HashMap<(End, End), BTreeMap<u32, u8>>;

    /// The bytes of each direction by sequence number, and how many segments have some bytes that were
    /// new, and some that were not.
    fn streams(capture: &[u8]) -> (Streams, usize) {
        let (mut all, mut overlaps) = (Streams::new(), 0);
        each_segment(capture, |_, from, to, tcp| {
            let direction = all.entry((from, to)).or_default();
            let before = direction.len();
            for (i, byte) in tcp.payload().iter().enumerate() {
                let at = tcp.sequence_number().wrapping_add(i as u32);
                assert!(direction.insert(at, *byte).is_none_or(|known| known == *byte));
            }
            let new = direction.len() - before;
            overlaps += usize::from(new > 0 && new < tcp.payload().len());
        });
        (all, overlaps)
    }

    #[test]
    fn the_overlapping_have_the_same_bytes() {
        let (clean, none) = streams(&messy_of(15, NONE));
        let (cut, overlaps) = streams(&messy_of(15, Rates { overlapping: 50.0, ..NONE }));
        assert_eq!(none, 0);
        assert!(clean == cut);
        assert!(overlaps > 30, "{overlaps}");
    }

    #[test]
    fn the_same_seed_gives_the_same_disorder() {
        let rates = Rates { lost: 1.0, moved: 2.0, repeated: 1.0, places: 12, overlapping: 0.5 };
        assert!(messy(rates) == messy(rates));
    }
}
