//! IP defragmentation (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! One defragmenter serves all shards: the fragments of a datagram name no port, so nobody can know
//! their shard before the datagram is whole. The first captured byte wins where fragments overlap.
//! RFC 5722 has hosts discard such IPv6 datagrams; what an attacker sent is worth seeing here, and
//! the overlap is counted.

use crate::assembled::{Assembled, cover};
use crate::pieces::{PIECE_OVERHEAD, Pieces};
use crate::{Overlap, Source};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use wire::{Ends, Fragment, Timestamp, VlanIds};

/// The largest fragmentable part: IPv4's total length and IPv6's payload length have 16 bits.
const MAX_DATAGRAM: u32 = 65535;

/// How long fragments wait for the rest, in seconds, by the time stamps of the datagram's own
/// fragments: Linux waits 30 s for IPv4 (`ip_frag_time`), RFC 8200 section 4.5 has 60 s for IPv6.
/// Identifications are reused after that (IPv4 has only 65536 of them).
const PATIENCE_V4: u64 = 30;
const PATIENCE_V6: u64 = 60;

/// How many completed datagrams are kept, and their bytes together. Mirror ports repeat a frame within
/// a few frames.
const DONE_KEPT: usize = 64;
const DONE_BYTES: usize = 1 << 20;

/// What a datagram in waiting costs beside its pieces.
const DATAGRAM_OVERHEAD: usize = 256;

/// Which datagram a fragment belongs to. IPv6 leaves the protocol out: its fragments may name
/// different next headers, and the first one's counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    ends: Ends,
    id: u32,
    protocol: u8,
    vlans: VlanIds,
}

/// The fragments of one datagram so far.
#[derive(Debug)]
struct Waiting {
    /// Tells this datagram from an earlier one with the same key in the queue by age.
    serial: u64,
    began: Timestamp,
    /// Captured frames. None is counted for a fragment in an A-MSDU that something else counts.
    frames: u64,
    protocol: u8,
    /// What was captured.
    pieces: Pieces<()>,
    /// What was on the wire, in order, nothing adjacent: more than was captured where the snap length
    /// cut fragments.
    wire: Vec<(u32, u32)>,
    /// Where the datagram ends, once its last fragment came.
    end: Option<u32>,
    /// All of it repeats a datagram that was completed: it may be the capture's repetition of some of
    /// its fragments, or the beginning of another datagram that says the same.
    echo: bool,
}

impl Waiting {
    fn new(serial: u64, began: Timestamp, protocol: u8, echo: bool) -> Self {
        let (pieces, wire) = (Pieces::default(), Vec::new());
        Self { serial, began, frames: 0, protocol, pieces, wire, end: None, echo }
    }

    fn cost(&self) -> usize {
        DATAGRAM_OVERHEAD + self.pieces.cost() + self.wire.capacity() * size_of::<(u32, u32)>()
    }

    /// Does a fragment that ends at `end` agree with where the datagram ends?
    fn has_room(&self, end: u32, more: bool) -> bool {
        match self.end {
            Some(known) => end <= known && (more || end == known),
            None => more || self.wire.last().is_none_or(|&(_, last)| end >= last),
        }
    }

    /// Takes a fragment in, which has room. Do its bytes differ from those that came before?
    fn add(&mut self, fragment: &Fragment<'_>, end: u32, frames: u64) -> bool {
        self.frames += frames;
        if !fragment.more {
            self.end = Some(end);
        }
        if fragment.offset == 0 {
            self.protocol = fragment.protocol;
        }
        cover(&mut self.wire, fragment.offset, end);
        let (at, bytes) = (u64::from(fragment.offset), fragment.payload.bytes);
        !bytes.is_empty() && self.pieces.insert(at, bytes, (), Overlap::First).conflict
    }

    /// The end, when everything before it was on the wire.
    fn is_whole(&self) -> Option<u32> {
        self.end.filter(|&end| end == 0 || self.wire == [(0, end)])
    }
}

/// A datagram that was completed, kept for a while to know repetitions of its fragments.
#[derive(Debug)]
struct Done {
    key: Key,
    time: Timestamp,
    bytes: Box<[u8]>,
}

impl Done {
    /// Does a fragment say what this datagram says there?
    fn repeats(&self, fragment: &Fragment<'_>) -> bool {
        let at = fragment.offset as usize;
        self.bytes.get(at..).is_some_and(|bytes| bytes.starts_with(fragment.payload.bytes))
    }
}

/// A datagram put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Whole {
    pub(crate) ends: Ends,
    pub(crate) protocol: u8,
    pub(crate) vlans: VlanIds,
    /// How many captured frames it was made of.
    pub(crate) frames: u64,
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It waits for others.
    Waits,
    /// It was the last one missing; [`Defragmenter::whole`] has the bytes.
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
    /// How long fragments wait, in nanoseconds, for IPv4 and IPv6.
    patience: [i128; 2],
    /// The last datagram put together.
    whole: Assembled,
    /// The last datagrams completed, the newest at the end.
    done: VecDeque<Done>,
    done_bytes: usize,
    /// Frames of datagrams that were given up, not yet asked for by [`Self::take_given_up`].
    given_up: u64,
    limit_reached: u64,
    overlaps: u64,
}

impl Defragmenter {
    /// One that holds at most `max_cost` bytes, bookkeeping included, each for `wait` where that is said.
    pub(crate) fn new(max_cost: usize, wait: Option<Duration>) -> Self {
        let usual = [PATIENCE_V4, PATIENCE_V6].map(Duration::from_secs);
        let patience = usual.map(|usual| wait.unwrap_or(usual).as_nanos());
        let patience = patience.map(|nanos| i128::try_from(nanos).unwrap_or(i128::MAX));
        Self {
            waiting: HashMap::default(),
            by_age: VecDeque::new(),
            serial: 0,
            cost: 0,
            max_cost,
            patience,
            whole: Assembled::default(),
            done: VecDeque::new(),
            done_bytes: 0,
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

    /// Takes a fragment in. `source` gives its time; it was brought by `frames` that nothing else counts.
    pub(crate) fn handle(
        &mut self,
        source: Source,
        fragment: &Fragment<'_>,
        frames: u64,
    ) -> Outcome {
        let len = fragment.payload.len;
        let Some(end) = fragment.offset.checked_add(len).filter(|&end| end <= MAX_DATAGRAM) else {
            return Outcome::OutOfRange;
        };
        let v6 = fragment.ends.is_v6();
        let key = Key {
            ends: fragment.ends,
            id: fragment.id,
            protocol: if v6 { 0 } else { fragment.protocol },
            vlans: fragment.vlans,
        };
        let patience = self.patience[usize::from(v6)];
        self.forget_if_stale(&key, source.time, patience);
        let echo = self.is_echo(&key, source.time, patience, fragment);
        if !echo && self.waiting.get(&key).is_some_and(|datagram| datagram.echo) {
            // What waits are repetitions of an earlier datagram, and this is another one's: without
            // this, bytes of two datagrams would make one.
            self.given_up += self.remove(&key).map_or(0, |w| w.frames);
        }
        let is_new = !self.waiting.contains_key(&key);
        if is_new {
            self.serial += 1;
            self.by_age.push_back((key, self.serial));
            self.cost += DATAGRAM_OVERHEAD;
            let new = Waiting::new(self.serial, source.time, fragment.protocol, echo);
            self.waiting.insert(key, new);
        }
        let Some(datagram) = self.waiting.get_mut(&key) else { return Outcome::OutOfRange };
        if !datagram.has_room(end, fragment.more) {
            if is_new {
                self.remove(&key);
            }
            return Outcome::OutOfRange;
        }
        let before = datagram.cost();
        self.overlaps += u64::from(datagram.add(fragment, end, frames));
        self.cost = self.cost + datagram.cost() - before;
        match datagram.is_whole() {
            Some(len) => self.complete(&key, len, source.time),
            None => {
                self.hold_limit();
                Outcome::Waits
            }
        }
    }

    /// Does a fragment repeat a datagram with the same key that was completed not long ago?
    fn is_echo(&self, key: &Key, now: Timestamp, patience: i128, fragment: &Fragment<'_>) -> bool {
        let done = self.done.iter().rev().find(|done| done.key == *key);
        done.is_some_and(|done| now.nanos_since(done.time) <= patience && done.repeats(fragment))
    }

    /// Puts a datagram of `len` bytes together.
    fn complete(&mut self, key: &Key, len: u32, time: Timestamp) -> Outcome {
        let Some(datagram) = self.remove(key) else { return Outcome::Waits };
        self.whole.clear();
        for (at, piece) in datagram.pieces.iter() {
            self.whole.put(at as u32, &piece.bytes);
        }
        self.whole.extend_to(len);
        self.remember(*key, time);
        let Waiting { protocol, frames, .. } = datagram;
        let Key { ends, vlans, .. } = *key;
        Outcome::Completes(Whole { ends, protocol, vlans, frames })
    }

    /// Keeps the datagram that was completed.
    fn remember(&mut self, key: Key, time: Timestamp) {
        let bytes: Box<[u8]> = self.whole.bytes().into();
        self.done_bytes += bytes.len();
        self.done.push_back(Done { key, time, bytes });
        while self.done.len() > DONE_KEPT || self.done_bytes > DONE_BYTES {
            let Some(oldest) = self.done.pop_front() else { break };
            self.done_bytes -= oldest.bytes.len();
        }
    }

    /// The fragmentable part of the last datagram that was completed.
    pub(crate) fn whole(&self) -> &Assembled {
        &self.whole
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

    fn forget_if_stale(&mut self, key: &Key, now: Timestamp, patience: i128) {
        let stale = |w: &Waiting| now.nanos_since(w.began) > patience;
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

const _: () = assert!(DATAGRAM_OVERHEAD > PIECE_OVERHEAD);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::Payload;

    fn at(secs: i64) -> Source {
        Source::new(Timestamp::new(secs, 0), 1, 1)
    }

    fn fragment(id: u32, offset: u32, more: bool, bytes: &[u8]) -> Fragment<'_> {
        let ends = Ends::V4 { src: 0x0a00_0001, dst: 0x0a00_0002 };
        Fragment {
            ends,
            id,
            protocol: 17,
            offset,
            more,
            vlans: VlanIds::NONE,
            payload: Payload::whole(bytes),
        }
    }

    fn v6<'a>(fragment: Fragment<'a>, protocol: u8) -> Fragment<'a> {
        let ends = Ends::V6 { src: [1, 1], dst: [1, 2] };
        Fragment { ends, protocol, ..fragment }
    }

    /// What becomes of a fragment that a frame of its own brings.
    fn give(d: &mut Defragmenter, source: Source, f: &Fragment<'_>) -> Outcome {
        d.handle(source, f, 1)
    }

    /// Handles a fragment and returns the datagram that it completes, with its frames.
    fn complete(d: &mut Defragmenter, source: Source, f: &Fragment<'_>) -> Option<(Vec<u8>, u64)> {
        match d.handle(source, f, 1) {
            Outcome::Completes(whole) => Some((d.whole().payload().bytes.to_vec(), whole.frames)),
            _ => None,
        }
    }

    #[test]
    fn fragments_in_any_order_make_the_datagram() {
        let mut d = Defragmenter::new(1 << 20, None);
        assert_eq!(give(&mut d, at(0), &fragment(7, 16, false, b"end")), Outcome::Waits);
        assert_eq!(give(&mut d, at(0), &fragment(7, 8, true, b"89abcdef")), Outcome::Waits);
        assert_eq!(give(&mut d, at(0), &fragment(8, 0, true, b"another.")), Outcome::Waits);
        let got = complete(&mut d, at(1), &fragment(7, 0, true, b"01234567"));
        assert_eq!(got, Some((b"0123456789abcdefend".to_vec(), 3)));
        d.give_up_all();
        assert_eq!(d.take_given_up(), 1);
    }

    #[test]
    fn repeated_and_overlapping_fragments_keep_the_first_bytes() {
        let mut d = Defragmenter::new(1 << 20, None);
        give(&mut d, at(0), &fragment(1, 0, true, b"AAAAAAAA"));
        give(&mut d, at(0), &fragment(1, 0, true, b"AAAAAAAA"));
        assert_eq!(d.conflicts(), 0);
        let got = complete(&mut d, at(0), &fragment(1, 0, false, b"BBBBBBBBCC"));
        assert_eq!(got, Some((b"AAAAAAAACC".to_vec(), 3)));
        assert_eq!(d.conflicts(), 1);
    }

    #[test]
    fn nothing_reaches_beyond_65535_bytes_or_the_last_fragment() {
        let mut d = Defragmenter::new(1 << 20, None);
        assert_eq!(
            give(&mut d, at(0), &fragment(1, 65528, false, b"01234567")),
            Outcome::OutOfRange
        );
        assert_eq!(give(&mut d, at(0), &fragment(1, 65528, false, b"0123456")), Outcome::Waits);
        let mut d = Defragmenter::new(1 << 20, None);
        assert_eq!(give(&mut d, at(0), &fragment(1, 8, false, b"89")), Outcome::Waits);
        assert_eq!(give(&mut d, at(0), &fragment(1, 16, true, b"01234567")), Outcome::OutOfRange);
        assert_eq!(give(&mut d, at(0), &fragment(1, 8, false, b"8")), Outcome::OutOfRange);
        assert!(complete(&mut d, at(0), &fragment(1, 0, true, b"01234567")).is_some());
    }

    #[test]
    fn an_identification_is_reused_after_its_time() {
        let mut d = Defragmenter::new(1 << 20, None);
        give(&mut d, at(0), &fragment(1, 0, true, b"old bits"));
        assert_eq!(give(&mut d, at(31), &fragment(1, 8, false, b"tail")), Outcome::Waits);
        assert_eq!(d.take_given_up(), 1);
        let got = complete(&mut d, at(31), &fragment(1, 0, true, b"new bits"));
        assert_eq!(got, Some((b"new bitstail".to_vec(), 2)));
    }

    #[test]
    fn time_that_steps_back_ends_nothing() {
        let mut d = Defragmenter::new(1 << 20, None);
        give(&mut d, at(1_000_000), &fragment(1, 0, true, b"01234567"));
        assert!(complete(&mut d, at(5), &fragment(1, 8, false, b"x")).is_some());
    }

    #[test]
    fn the_first_fragments_next_header_counts_in_ipv6() {
        let mut d = Defragmenter::new(1 << 20, None);
        give(&mut d, at(0), &v6(fragment(1 << 20, 8, false, b"tail"), 59));
        let Outcome::Completes(whole) =
            give(&mut d, at(0), &v6(fragment(1 << 20, 0, true, b"01234567"), 17))
        else {
            panic!("both fragments are there");
        };
        assert_eq!((whole.protocol, d.whole().payload().bytes), (17, &b"01234567tail"[..]));
    }

    #[test]
    fn a_snapped_fragment_ends_what_was_captured_of_the_datagram() {
        let mut d = Defragmenter::new(1 << 20, None);
        let mut first = fragment(1, 0, true, b"0123");
        first.payload.len = 8;
        give(&mut d, at(0), &first);
        assert!(complete(&mut d, at(0), &fragment(1, 8, false, b"tail")).is_some());
        assert_eq!(d.whole().payload(), Payload { bytes: b"0123", len: 12 });
    }

    #[test]
    fn a_whole_copy_of_a_snapped_fragment_counts() {
        let mut d = Defragmenter::new(1 << 20, None);
        let mut first = fragment(1, 0, true, b"0123");
        first.payload.len = 8;
        give(&mut d, at(0), &first);
        give(&mut d, at(0), &fragment(1, 0, true, b"01234567"));
        let got = complete(&mut d, at(0), &fragment(1, 8, false, b"tail"));
        assert_eq!(got, Some((b"01234567tail".to_vec(), 3)));
        assert_eq!(d.conflicts(), 0);
    }

    #[test]
    fn repetitions_of_one_datagram_get_into_no_other() {
        // A mirror port shows each fragment twice, and the identification is used again at once.
        let mut d = Defragmenter::new(1 << 20, None);
        let mut got = Vec::new();
        for (head, tail) in [(b"11111111", b"1 1"), (b"22222222", b"2 2")] {
            for _ in 0..2 {
                got.extend(complete(&mut d, at(0), &fragment(1, 0, true, head)));
            }
            for _ in 0..2 {
                got.extend(complete(&mut d, at(0), &fragment(1, 8, false, tail)));
            }
        }
        let whole = |text: &str| (text.as_bytes().to_vec(), 3);
        assert_eq!(got, [whole("111111111 1"), whole("222222222 2")]);
        d.give_up_all();
        assert_eq!(d.take_given_up(), 2, "the second copies of both ends");
    }

    #[test]
    fn a_datagram_that_comes_twice_as_a_whole_is_two() {
        let mut d = Defragmenter::new(1 << 20, None);
        for _ in 0..2 {
            assert!(complete(&mut d, at(0), &fragment(1, 0, true, b"01234567")).is_none());
            assert!(complete(&mut d, at(0), &fragment(1, 8, false, b"tail")).is_some());
        }
    }

    #[test]
    fn what_is_kept_of_completed_datagrams_is_bounded() {
        let mut d = Defragmenter::new(1 << 24, None);
        let large = vec![7; 65528];
        for id in 0..100 {
            give(&mut d, at(0), &fragment(id, 0, true, &large));
            assert!(complete(&mut d, at(0), &fragment(id, 65528, false, b"x")).is_some());
        }
        assert!(d.done_bytes <= DONE_BYTES && d.done.len() < 20);
    }

    #[test]
    fn the_oldest_datagrams_make_room() {
        // Four datagrams of one piece each, and their ranges.
        let mut d = Defragmenter::new(4 * (DATAGRAM_OVERHEAD + PIECE_OVERHEAD + 8 + 32), None);
        for id in 0..10 {
            give(&mut d, at(0), &fragment(id, 0, true, b"01234567"));
        }
        assert_eq!((d.waiting.len(), d.limit_reached(), d.take_given_up()), (4, 6, 6));
        assert_eq!(give(&mut d, at(0), &fragment(5, 8, false, b"x")), Outcome::Waits);
        assert!(complete(&mut d, at(0), &fragment(9, 8, false, b"x")).is_some());
    }

    #[test]
    fn the_queue_by_age_does_not_grow_with_datagrams_that_are_done() {
        let mut d = Defragmenter::new(1 << 20, None);
        for id in 0..10_000 {
            give(&mut d, at(0), &fragment(id, 0, true, b"01234567"));
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
            let mut d = Defragmenter::new(1 << 20, None);
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
