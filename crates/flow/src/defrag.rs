//! IP defragmentation (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! One defragmenter serves all shards: the fragments of a datagram name no port, so nobody can know
//! their shard before the datagram is whole. The first captured byte wins where fragments overlap.
//! RFC 5722 has hosts discard such IPv6 datagrams; what an attacker sent is worth seeing here, and
//! the overlap is counted.

use crate::pieces::{PIECE_OVERHEAD, Pieces};
use crate::{Overlap, Source};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use wire::{Fragment, Payload, Timestamp};

/// The largest fragmentable part: IPv4's total length and IPv6's payload length have 16 bits.
const MAX_DATAGRAM: u32 = 65535;

/// How long fragments wait for the rest, in seconds, by the time stamps of the datagram's own
/// fragments: Linux waits 30 s for IPv4 (`ip_frag_time`), RFC 8200 section 4.5 has 60 s for IPv6.
/// Identifications are reused after that (IPv4 has only 65536 of them).
const PATIENCE_V4: i128 = 30;
const PATIENCE_V6: i128 = 60;

/// What a datagram in waiting costs beside its pieces.
const DATAGRAM_OVERHEAD: usize = 256;

/// Which datagram a fragment belongs to. IPv6 leaves the protocol out: its fragments may name
/// different next headers, and the first one's counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
}

/// The fragments of one datagram so far.
#[derive(Debug)]
struct Waiting {
    /// Tells this datagram from an earlier one with the same key in the queue by age.
    serial: u64,
    began: Timestamp,
    /// Captured frames.
    frames: u64,
    protocol: u8,
    pieces: Pieces<()>,
    /// Where the datagram ends, once its last fragment came.
    end: Option<u32>,
    /// From where on bytes were cut by the snap length.
    snapped_at: u32,
}

impl Waiting {
    fn new(serial: u64, began: Timestamp, protocol: u8) -> Self {
        let pieces = Pieces::default();
        Self { serial, began, frames: 0, protocol, pieces, end: None, snapped_at: u32::MAX }
    }

    fn cost(&self) -> usize {
        DATAGRAM_OVERHEAD + self.pieces.cost()
    }

    /// Does a fragment that ends at `end` agree with where the datagram ends?
    fn has_room(&self, end: u32, more: bool) -> bool {
        match self.end {
            Some(known) => end <= known && (more || end == known),
            None => more || u64::from(end) >= self.pieces.end(),
        }
    }

    /// The end, when everything before it is there.
    fn is_whole(&self) -> Option<u32> {
        self.end.filter(|&end| self.pieces.bytes() as u64 == u64::from(end))
    }
}

/// A datagram put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Whole {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: u8,
    /// How many captured frames it was made of.
    pub(crate) frames: u64,
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It waits for others.
    Waits,
    /// It was the last one missing; [`Defragmenter::payload`] has the bytes.
    Completes(Whole),
    /// It reaches beyond what a datagram can hold, or beyond its datagram's end.
    OutOfRange,
}

/// Fragments of datagrams that are not whole yet.
#[derive(Debug)]
pub(crate) struct Defragmenter {
    waiting: HashMap<Key, Waiting, foldhash::fast::RandomState>,
    /// Keys by age; an entry whose serial is not the datagram's is stale.
    by_age: VecDeque<(Key, u64)>,
    serial: u64,
    cost: usize,
    max_cost: usize,
    /// The last datagram put together, and how much of it was captured without a hole.
    whole: Vec<u8>,
    captured: usize,
    /// Frames of datagrams that were given up, not yet asked for by [`Self::take_given_up`].
    given_up: u64,
    limit_reached: u64,
    overlaps: u64,
}

impl Defragmenter {
    /// One that holds at most `max_cost` bytes, bookkeeping included.
    pub(crate) fn new(max_cost: usize) -> Self {
        Self {
            waiting: HashMap::default(),
            by_age: VecDeque::new(),
            serial: 0,
            cost: 0,
            max_cost,
            whole: Vec::new(),
            captured: 0,
            given_up: 0,
            limit_reached: 0,
            overlaps: 0,
        }
    }

    /// Frames of datagrams that were given up since the last call.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// How often the limit was reached.
    pub(crate) fn limit_reached(&self) -> u64 {
        self.limit_reached
    }

    /// Fragments whose bytes differ from those that came before for the same place.
    pub(crate) fn conflicts(&self) -> u64 {
        self.overlaps
    }

    /// Frames that still wait: what the end of the input gives up.
    pub(crate) fn give_up_all(&mut self) {
        self.given_up += self.waiting.drain().map(|(_, w)| w.frames).sum::<u64>();
        self.by_age.clear();
        self.cost = 0;
    }

    /// Takes a fragment in. `source` gives its time.
    pub(crate) fn handle(&mut self, source: Source, fragment: &Fragment<'_>) -> Outcome {
        let len = fragment.payload.len;
        let Some(end) = fragment.offset.checked_add(len).filter(|&end| end <= MAX_DATAGRAM) else {
            return Outcome::OutOfRange;
        };
        let v6 = fragment.src.is_ipv6();
        let key = Key {
            src: fragment.src,
            dst: fragment.dst,
            id: fragment.id,
            protocol: if v6 { 0 } else { fragment.protocol },
        };
        self.forget_if_stale(&key, source.time, if v6 { PATIENCE_V6 } else { PATIENCE_V4 });
        if !self.waiting.contains_key(&key) {
            self.serial += 1;
            self.by_age.push_back((key, self.serial));
            self.cost += DATAGRAM_OVERHEAD;
            let new = Waiting::new(self.serial, source.time, fragment.protocol);
            self.waiting.insert(key, new);
        }
        let Some(datagram) = self.waiting.get_mut(&key) else { return Outcome::OutOfRange };
        if !datagram.has_room(end, fragment.more) {
            self.drop_if_empty(&key);
            return Outcome::OutOfRange;
        }
        let before = datagram.cost();
        datagram.frames += 1;
        if !fragment.more {
            datagram.end = Some(end);
        }
        if fragment.offset == 0 {
            datagram.protocol = fragment.protocol;
        }
        if fragment.payload.missing() > 0 {
            let cut = fragment.offset + fragment.payload.bytes.len() as u32;
            datagram.snapped_at = datagram.snapped_at.min(cut);
        }
        let conflict = insert(&mut datagram.pieces, fragment);
        self.overlaps += u64::from(conflict);
        self.cost = self.cost + datagram.cost() - before;
        match datagram.is_whole() {
            Some(_) => self.complete(&key),
            None => {
                self.hold_limit();
                Outcome::Waits
            }
        }
    }

    /// Puts a datagram together that is whole.
    fn complete(&mut self, key: &Key) -> Outcome {
        let Some(datagram) = self.remove(key) else { return Outcome::Waits };
        self.whole.clear();
        for (_, piece) in datagram.pieces.iter() {
            self.whole.extend_from_slice(&piece.bytes);
        }
        self.captured = self.whole.len().min(datagram.snapped_at as usize);
        let Waiting { protocol, frames, .. } = datagram;
        Outcome::Completes(Whole { src: key.src, dst: key.dst, protocol, frames })
    }

    /// The payload of the last datagram that was completed.
    pub(crate) fn payload(&self) -> Payload<'_> {
        let len = Payload::whole(&self.whole).len;
        Payload { bytes: &self.whole[..self.captured], len }
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let datagram = self.waiting.remove(key)?;
        self.cost -= datagram.cost();
        // Stale entries leave the queue when they get to its front, or here when they are the most.
        if self.by_age.len() > 64 && self.by_age.len() > 2 * self.waiting.len() {
            let waiting = &self.waiting;
            self.by_age.retain(|(k, serial)| waiting.get(k).is_some_and(|w| w.serial == *serial));
        }
        Some(datagram)
    }

    fn drop_if_empty(&mut self, key: &Key) {
        if self.waiting.get(key).is_some_and(|w| w.frames == 0) {
            self.remove(key);
        }
    }

    fn forget_if_stale(&mut self, key: &Key, now: Timestamp, patience: i128) {
        let stale = |w: &Waiting| now.nanos_since(w.began) > patience * 1_000_000_000;
        if self.waiting.get(key).is_some_and(stale) {
            self.given_up += self.remove(key).map_or(0, |w| w.frames);
        }
    }

    /// Gives up the oldest datagrams until the rest fits.
    fn hold_limit(&mut self) {
        while self.cost > self.max_cost {
            let Some((key, serial)) = self.by_age.pop_front() else { break };
            if self.waiting.get(&key).is_some_and(|w| w.serial == serial) {
                self.given_up += self.remove(&key).map_or(0, |w| w.frames);
                self.limit_reached += 1;
            }
        }
    }
}

/// Inserts a fragment's bytes, zeros in place of those that the snap length cut (they are never read:
/// the datagram ends for us where the first of them stands). Did bytes differ?
fn insert(pieces: &mut Pieces<()>, fragment: &Fragment<'_>) -> bool {
    let at = u64::from(fragment.offset);
    let captured = fragment.payload.bytes;
    let conflict = !captured.is_empty() && pieces.insert(at, captured, (), Overlap::First).conflict;
    let missing = fragment.payload.missing() as usize;
    if missing > 0 {
        pieces.insert(at + captured.len() as u64, &vec![0; missing], (), Overlap::First);
    }
    conflict
}

const _: () = assert!(DATAGRAM_OVERHEAD > PIECE_OVERHEAD);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Source {
        Source { time: Timestamp::new(secs, 0), number: 1, file: 1 }
    }

    fn fragment(id: u32, offset: u32, more: bool, bytes: &[u8]) -> Fragment<'_> {
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        Fragment { src, dst, id, protocol: 17, offset, more, payload: Payload::whole(bytes) }
    }

    fn v6<'a>(fragment: Fragment<'a>, protocol: u8) -> Fragment<'a> {
        let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        Fragment { src, dst, protocol, ..fragment }
    }

    /// Handles a fragment and returns the datagram that it completes, with its frames.
    fn complete(d: &mut Defragmenter, source: Source, f: &Fragment<'_>) -> Option<(Vec<u8>, u64)> {
        match d.handle(source, f) {
            Outcome::Completes(whole) => Some((d.payload().bytes.to_vec(), whole.frames)),
            _ => None,
        }
    }

    #[test]
    fn fragments_in_any_order_make_the_datagram() {
        let mut d = Defragmenter::new(1 << 20);
        assert_eq!(d.handle(at(0), &fragment(7, 16, false, b"end")), Outcome::Waits);
        assert_eq!(d.handle(at(0), &fragment(7, 8, true, b"89abcdef")), Outcome::Waits);
        assert_eq!(d.handle(at(0), &fragment(8, 0, true, b"another.")), Outcome::Waits);
        let got = complete(&mut d, at(1), &fragment(7, 0, true, b"01234567"));
        assert_eq!(got, Some((b"0123456789abcdefend".to_vec(), 3)));
        d.give_up_all();
        assert_eq!(d.take_given_up(), 1);
    }

    #[test]
    fn repeated_and_overlapping_fragments_keep_the_first_bytes() {
        let mut d = Defragmenter::new(1 << 20);
        d.handle(at(0), &fragment(1, 0, true, b"AAAAAAAA"));
        d.handle(at(0), &fragment(1, 0, true, b"AAAAAAAA"));
        assert_eq!(d.conflicts(), 0);
        let got = complete(&mut d, at(0), &fragment(1, 0, false, b"BBBBBBBBCC"));
        assert_eq!(got, Some((b"AAAAAAAACC".to_vec(), 3)));
        assert_eq!(d.conflicts(), 1);
    }

    #[test]
    fn nothing_reaches_beyond_65535_bytes_or_the_last_fragment() {
        let mut d = Defragmenter::new(1 << 20);
        assert_eq!(d.handle(at(0), &fragment(1, 65528, false, b"01234567")), Outcome::OutOfRange);
        assert_eq!(d.handle(at(0), &fragment(1, 65528, false, b"0123456")), Outcome::Waits);
        let mut d = Defragmenter::new(1 << 20);
        assert_eq!(d.handle(at(0), &fragment(1, 8, false, b"89")), Outcome::Waits);
        assert_eq!(d.handle(at(0), &fragment(1, 16, true, b"01234567")), Outcome::OutOfRange);
        assert_eq!(d.handle(at(0), &fragment(1, 8, false, b"8")), Outcome::OutOfRange);
        assert!(complete(&mut d, at(0), &fragment(1, 0, true, b"01234567")).is_some());
    }

    #[test]
    fn an_identification_is_reused_after_its_time() {
        let mut d = Defragmenter::new(1 << 20);
        d.handle(at(0), &fragment(1, 0, true, b"old bits"));
        assert_eq!(d.handle(at(31), &fragment(1, 8, false, b"tail")), Outcome::Waits);
        assert_eq!(d.take_given_up(), 1);
        let got = complete(&mut d, at(31), &fragment(1, 0, true, b"new bits"));
        assert_eq!(got, Some((b"new bitstail".to_vec(), 2)));
    }

    #[test]
    fn time_that_steps_back_ends_nothing() {
        let mut d = Defragmenter::new(1 << 20);
        d.handle(at(1_000_000), &fragment(1, 0, true, b"01234567"));
        assert!(complete(&mut d, at(5), &fragment(1, 8, false, b"x")).is_some());
    }

    #[test]
    fn the_first_fragments_next_header_counts_in_ipv6() {
        let mut d = Defragmenter::new(1 << 20);
        d.handle(at(0), &v6(fragment(1 << 20, 8, false, b"tail"), 59));
        let Outcome::Completes(whole) =
            d.handle(at(0), &v6(fragment(1 << 20, 0, true, b"01234567"), 17))
        else {
            panic!("both fragments are there");
        };
        assert_eq!((whole.protocol, d.payload().bytes), (17, &b"01234567tail"[..]));
    }

    #[test]
    fn a_snapped_fragment_ends_what_was_captured_of_the_datagram() {
        let mut d = Defragmenter::new(1 << 20);
        let mut first = fragment(1, 0, true, b"0123");
        first.payload.len = 8;
        d.handle(at(0), &first);
        assert!(complete(&mut d, at(0), &fragment(1, 8, false, b"tail")).is_some());
        assert_eq!(d.payload(), Payload { bytes: b"0123", len: 12 });
    }

    #[test]
    fn the_oldest_datagrams_make_room() {
        let mut d = Defragmenter::new(4 * (DATAGRAM_OVERHEAD + PIECE_OVERHEAD + 8));
        for id in 0..10 {
            d.handle(at(0), &fragment(id, 0, true, b"01234567"));
        }
        assert_eq!((d.waiting.len(), d.limit_reached(), d.take_given_up()), (4, 6, 6));
        assert_eq!(d.handle(at(0), &fragment(5, 8, false, b"x")), Outcome::Waits);
        assert!(complete(&mut d, at(0), &fragment(9, 8, false, b"x")).is_some());
    }

    #[test]
    fn the_queue_by_age_does_not_grow_with_datagrams_that_are_done() {
        let mut d = Defragmenter::new(1 << 20);
        for id in 0..10_000 {
            d.handle(at(0), &fragment(id, 0, true, b"01234567"));
            assert!(complete(&mut d, at(0), &fragment(id, 8, false, b"x")).is_some());
        }
        assert!(d.by_age.len() <= 65);
        assert_eq!(d.cost, 0);
    }

    proptest! {
        #[test]
        fn every_cut_order_and_repetition_gives_the_datagram_back(
            payload in prop::collection::vec(any::<u8>(), 1..400),
            cuts in prop::collection::btree_set(1u32..50, 0..8),
            order in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let len = payload.len() as u32;
            let mut edges: Vec<u32> = cuts.iter().map(|c| c * 8).filter(|&c| c < len).collect();
            edges.insert(0, 0);
            edges.push(len);
            let mut parts: Vec<(u32, u32)> = edges.windows(2).map(|w| (w[0], w[1])).collect();
            let again = parts[order.index(parts.len())];
            parts.push(again);
            let mut random = seed;
            for i in (1..parts.len()).rev() {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                parts.swap(i, (random >> 33) as usize % (i + 1));
            }
            let mut d = Defragmenter::new(1 << 20);
            let mut got = Vec::new();
            for (from, to) in parts {
                let f = fragment(3, from, to != len, &payload[from as usize..to as usize]);
                got.extend(complete(&mut d, at(0), &f).map(|(bytes, _)| bytes));
            }
            prop_assert!(!got.is_empty());
            prop_assert!(got.iter().all(|bytes| *bytes == payload));
        }
    }
}
