//! 802.11 defragmentation (IEEE 802.11-2020, 10.5).
//!
//! A station sends the fragments of an MSDU in order, each as often as it takes until it is
//! acknowledged, and sends nothing else with that sequence number in between. So there are gaps and
//! repetitions, but fragments never overlap.

use crate::Source;
use crate::assembled::Assembled;
use std::collections::{BTreeMap, HashMap, VecDeque};
use wire::{LinkFragment, MAX_MPDU, Payload, Timestamp};

/// A fragment's number has four bits.
const FRAGMENTS: usize = 16;

/// How long fragments wait for the rest, in nanoseconds, by the time stamps of the MSDU's own fragments.
/// The standard's default (`dot11MaxReceiveLifetime`) is 512 time units, half a second; Linux waits for
/// 2 s. A sequence number is used again after 4096 frames, which takes a busy station that long.
const PATIENCE: i128 = 2_000_000_000;

/// How many MSDUs may wait, at most [`MAX_MPDU`] bytes each: 12 MiB. A station must be able to hold three,
/// a capture sees all stations, and MSDUs of which fragments were missed wait until they are the oldest.
const WAITING: usize = 1024;

/// How many completed MSDUs are remembered: fragments that were not acknowledged are repeated at once.
const DONE: usize = 64;

/// Which MSDU a fragment belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    transmitter: [u8; 6],
    receiver: [u8; 6],
    tid: Option<u8>,
    sequence: u16,
}

/// The body of a fragment.
#[derive(Debug)]
struct Part {
    bytes: Box<[u8]>,
    /// On the wire.
    len: u32,
}

impl Part {
    /// Does a fragment say the same, as far as both were captured?
    fn says(&self, payload: &Payload<'_>) -> bool {
        self.len == payload.len && self.bytes.iter().zip(payload.bytes).all(|(a, b)| a == b)
    }
}

/// The fragments of one MSDU so far.
#[derive(Debug)]
struct Waiting {
    /// The order in which they began.
    serial: u64,
    began: Timestamp,
    /// Captured frames.
    frames: u64,
    /// Is it an A-MSDU?
    aggregate: bool,
    parts: [Option<Part>; FRAGMENTS],
    /// The number of the last fragment, once that came.
    last: Option<usize>,
}

impl Waiting {
    fn new(serial: u64, began: Timestamp) -> Self {
        let parts = [const { None }; FRAGMENTS];
        Self { serial, began, frames: 0, aggregate: false, parts, last: None }
    }

    /// Bytes on the wire.
    fn len(&self) -> u32 {
        self.parts.iter().flatten().map(|part| part.len).sum()
    }

    /// Does a fragment whose number is free agree with the others?
    fn has_room(&self, fragment: &LinkFragment<'_>, number: usize) -> bool {
        let in_order = match self.last {
            Some(last) => number < last && fragment.more,
            None if fragment.more => number < FRAGMENTS - 1,
            None => self.parts[number..].iter().all(Option::is_none),
        };
        in_order && self.len().saturating_add(fragment.payload.len) <= MAX_MPDU
    }

    /// Takes a fragment in, which has room.
    fn add(&mut self, fragment: &LinkFragment<'_>, number: usize) {
        let LinkFragment { payload, aggregate, more, .. } = *fragment;
        self.frames += 1;
        self.parts[number] = Some(Part { bytes: payload.bytes.into(), len: payload.len });
        if number == 0 {
            self.aggregate = aggregate;
        }
        if !more {
            self.last = Some(number);
        }
    }

    /// Are all fragments there?
    fn is_whole(&self) -> bool {
        self.last.is_some_and(|last| self.parts[..=last].iter().all(Option::is_some))
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing came of it yet.
    Waits,
    /// It was the last one missing; [`Msdus::whole`] has the bytes.
    Completes {
        /// How many captured frames the MSDU was made of.
        frames: u64,
        /// Is it an A-MSDU?
        aggregate: bool,
    },
    /// It contradicts the others, or makes more than a frame can be.
    OutOfRange,
}

/// Fragments of MSDUs that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Msdus {
    waiting: HashMap<Key, Waiting, foldhash::fast::RandomState>,
    /// By age.
    queue: BTreeMap<u64, Key>,
    serial: u64,
    /// The last MSDU put together.
    whole: Assembled,
    /// The last ones completed, and when.
    done: VecDeque<(Key, Timestamp)>,
    /// Frames that were given up, not yet asked for by [`Self::take_given_up`].
    given_up: u64,
    limit_reached: u64,
    conflicts: u64,
}

impl Msdus {
    /// Frames of MSDUs that were given up since the last call.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// How often the oldest MSDU had to make room.
    pub(crate) fn limit_reached(&self) -> u64 {
        self.limit_reached
    }

    /// Fragments whose bytes differ from those that came before for the same place.
    pub(crate) fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// Frames that still wait: what the end of the input gives up.
    pub(crate) fn give_up_all(&mut self) {
        self.given_up += self.waiting.drain().map(|(_, waiting)| waiting.frames).sum::<u64>();
        self.queue.clear();
    }

    /// The last MSDU that was completed.
    pub(crate) fn whole(&self) -> &Assembled {
        &self.whole
    }

    /// Takes a fragment in. `source` gives its time.
    pub(crate) fn handle(&mut self, source: Source, fragment: &LinkFragment<'_>) -> Outcome {
        let &LinkFragment { transmitter, receiver, tid, sequence, payload, .. } = fragment;
        let key = Key { transmitter, receiver, tid, sequence };
        let number = usize::from(fragment.number) % FRAGMENTS;
        if self.waiting.get(&key).is_some_and(|old| is_over(old, source.time, number, &payload)) {
            self.give_up(&key);
        }
        if !self.waiting.contains_key(&key) {
            if number > 0 && self.was_completed(&key, source.time) {
                // The receiver's acknowledgement of the last fragment got lost.
                self.given_up += 1;
                return Outcome::Waits;
            }
            self.begin(key, source.time);
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { return Outcome::OutOfRange };
        if let Some(part) = &waiting.parts[number] {
            waiting.frames += 1;
            self.conflicts += u64::from(!part.says(&payload));
            return Outcome::Waits;
        }
        if !waiting.has_room(fragment, number) {
            if waiting.frames == 0 {
                self.remove(&key);
            }
            return Outcome::OutOfRange;
        }
        waiting.add(fragment, number);
        if waiting.is_whole() { self.complete(key, source.time) } else { Outcome::Waits }
    }

    /// Begins an MSDU, for which the oldest one may have to make room.
    fn begin(&mut self, key: Key, time: Timestamp) {
        if self.waiting.len() >= WAITING
            && let Some((_, &oldest)) = self.queue.first_key_value()
        {
            self.give_up(&oldest);
            self.limit_reached += 1;
        }
        self.serial += 1;
        self.queue.insert(self.serial, key);
        self.waiting.insert(key, Waiting::new(self.serial, time));
    }

    /// Puts an MSDU together.
    fn complete(&mut self, key: Key, time: Timestamp) -> Outcome {
        let Some(Waiting { frames, aggregate, parts, .. }) = self.remove(&key) else {
            return Outcome::Waits;
        };
        self.whole.clear();
        let mut at = 0;
        for part in parts.iter().flatten() {
            self.whole.put(at, &part.bytes);
            at += part.len;
        }
        self.whole.extend_to(at);
        if self.done.len() >= DONE {
            self.done.pop_front();
        }
        self.done.push_back((key, time));
        Outcome::Completes { frames, aggregate }
    }

    /// Was an MSDU with this key completed not long ago?
    fn was_completed(&self, key: &Key, now: Timestamp) -> bool {
        let done = self.done.iter().rev().find(|(done, _)| done == key);
        done.is_some_and(|&(_, time)| now.nanos_since(time) <= PATIENCE)
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.queue.remove(&waiting.serial);
        Some(waiting)
    }

    fn give_up(&mut self, key: &Key) {
        self.given_up += self.remove(key).map_or(0, |waiting| waiting.frames);
    }
}

/// Does a fragment with the key of `old` belong to another MSDU?
///
/// It does when it comes too late, and when it begins otherwise: what is repeated is the same.
fn is_over(old: &Waiting, now: Timestamp, number: usize, payload: &Payload<'_>) -> bool {
    let begins_anew = number == 0 && old.parts[0].as_ref().is_some_and(|part| !part.says(payload));
    begins_anew || now.nanos_since(old.began) > PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Source {
        let nanos = (millis % 1000 * 1_000_000) as u32;
        Source::new(Timestamp::new(millis / 1000, nanos), 1, 1)
    }

    fn fragment(sequence: u16, number: u8, more: bool, bytes: &[u8]) -> LinkFragment<'_> {
        LinkFragment {
            transmitter: [2, 0, 0, 0, 0, 1],
            receiver: [2, 0, 0, 0, 0, 9],
            tid: Some(0),
            sequence,
            number,
            more,
            aggregate: false,
            payload: Payload::whole(bytes),
        }
    }

    /// Handles a fragment and returns what it completes, with its frames.
    fn complete(m: &mut Msdus, source: Source, f: &LinkFragment<'_>) -> Option<(Vec<u8>, u64)> {
        match m.handle(source, f) {
            Outcome::Completes { frames, .. } => Some((m.whole().payload().bytes.to_vec(), frames)),
            _ => None,
        }
    }

    fn whole(text: &str, frames: u64) -> Option<(Vec<u8>, u64)> {
        Some((text.into(), frames))
    }

    #[test]
    fn fragments_in_any_order_make_the_msdu() {
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let mut m = Msdus::default();
            let parts = ["a", "", "bcd"].map(str::as_bytes);
            let [first, second, third] =
                order.map(|n| fragment(7, n, n < 2, parts[usize::from(n)]));
            assert_eq!(m.handle(at(0), &first), Outcome::Waits);
            assert_eq!(m.handle(at(0), &fragment(8, 0, true, b"another")), Outcome::Waits);
            assert_eq!(m.handle(at(0), &second), Outcome::Waits);
            assert_eq!(complete(&mut m, at(1), &third), whole("abcd", 3));
            m.give_up_all();
            assert_eq!((m.take_given_up(), m.queue.len()), (1, 0));
        }
    }

    #[test]
    fn what_tells_msdus_apart() {
        let first = fragment(7, 0, true, b"first");
        let others = [
            LinkFragment { transmitter: [4; 6], ..first },
            LinkFragment { receiver: [4; 6], ..first },
            LinkFragment { tid: Some(1), ..first },
            LinkFragment { tid: None, ..first },
            LinkFragment { sequence: 8, ..first },
        ];
        let mut m = Msdus::default();
        m.handle(at(0), &first);
        for other in others {
            let last = LinkFragment { number: 1, more: false, ..other };
            assert_eq!(m.handle(at(0), &last), Outcome::Waits);
        }
        assert_eq!(
            complete(&mut m, at(0), &fragment(7, 1, false, b" last")),
            whole("first last", 2)
        );
    }

    #[test]
    fn repetitions_count_as_frames_and_change_nothing() {
        let mut m = Msdus::default();
        m.handle(at(0), &fragment(7, 0, true, b"ab"));
        m.handle(at(0), &fragment(7, 0, true, b"ab"));
        m.handle(at(0), &fragment(7, 1, true, b"cd"));
        assert_eq!(m.conflicts(), 0);
        m.handle(at(0), &fragment(7, 1, true, b"CD"));
        assert_eq!(m.conflicts(), 1);
        assert_eq!(complete(&mut m, at(0), &fragment(7, 2, false, b"ef")), whole("abcdef", 5));
        // The last one was not acknowledged.
        assert_eq!(m.handle(at(0), &fragment(7, 2, false, b"ef")), Outcome::Waits);
        assert_eq!((m.take_given_up(), m.waiting.len()), (1, 0));
        // After its time it is another's.
        assert_eq!(m.handle(at(2001), &fragment(7, 2, false, b"ij")), Outcome::Waits);
        assert_eq!((m.take_given_up(), m.waiting.len()), (0, 1));
    }

    #[test]
    fn a_sequence_number_is_used_again_after_its_time() {
        let mut m = Msdus::default();
        m.handle(at(0), &fragment(7, 0, true, b"old"));
        assert_eq!(m.handle(at(2001), &fragment(7, 1, false, b" end")), Outcome::Waits);
        assert_eq!(m.take_given_up(), 1);
        assert_eq!(complete(&mut m, at(3000), &fragment(7, 0, true, b"new")), whole("new end", 2));
    }

    #[test]
    fn time_that_steps_back_ends_nothing() {
        let mut m = Msdus::default();
        m.handle(at(1_000_000_000), &fragment(7, 0, true, b"a"));
        assert_eq!(complete(&mut m, at(5), &fragment(7, 1, false, b"b")), whole("ab", 2));
    }

    #[test]
    fn another_beginning_is_another_msdu() {
        let mut m = Msdus::default();
        m.handle(at(0), &fragment(7, 0, true, b"old"));
        m.handle(at(0), &fragment(7, 1, true, b"old"));
        assert_eq!(m.handle(at(1), &fragment(7, 0, true, b"new")), Outcome::Waits);
        assert_eq!(m.take_given_up(), 2);
        assert_eq!(complete(&mut m, at(1), &fragment(7, 1, false, b"end")), whole("newend", 2));
    }

    #[test]
    fn fragments_that_contradict_one_another_are_out_of_range() {
        let mut m = Msdus::default();
        assert_eq!(m.handle(at(0), &fragment(7, 15, true, b"x")), Outcome::OutOfRange);
        assert!(m.waiting.is_empty() && m.queue.is_empty());
        m.handle(at(0), &fragment(7, 2, true, b"c"));
        assert_eq!(m.handle(at(0), &fragment(7, 1, false, b"b")), Outcome::OutOfRange);
        m.handle(at(0), &fragment(7, 3, false, b"d"));
        assert_eq!(m.handle(at(0), &fragment(7, 4, true, b"e")), Outcome::OutOfRange);
        assert_eq!(m.handle(at(0), &fragment(7, 1, false, b"b")), Outcome::OutOfRange);
        m.handle(at(0), &fragment(7, 1, true, b"b"));
        assert_eq!(complete(&mut m, at(0), &fragment(7, 0, true, b"a")), whole("abcd", 4));
    }

    #[test]
    fn sixteen_fragments_and_no_more_bytes_than_a_frame_has() {
        let mut m = Msdus::default();
        let most = vec![7; MAX_MPDU as usize - 15];
        for number in 0..15 {
            assert_eq!(m.handle(at(0), &fragment(7, number, true, b"x")), Outcome::Waits);
        }
        let long = vec![7; most.len() + 1];
        assert_eq!(m.handle(at(0), &fragment(7, 15, false, &long)), Outcome::OutOfRange);
        let got = complete(&mut m, at(0), &fragment(7, 15, false, &most));
        assert_eq!(got.map(|(bytes, frames)| (bytes.len(), frames)), Some((MAX_MPDU as usize, 16)));
    }

    #[test]
    fn the_first_fragment_says_whether_it_is_an_a_msdu() {
        for aggregate in [false, true] {
            let mut m = Msdus::default();
            m.handle(at(0), &fragment(7, 1, false, b"b"));
            let first = LinkFragment { aggregate, ..fragment(7, 0, true, b"a") };
            assert_eq!(m.handle(at(0), &first), Outcome::Completes { frames: 2, aggregate });
        }
    }

    #[test]
    fn a_snapped_fragment_leaves_a_hole() {
        let mut m = Msdus::default();
        let mut first = fragment(7, 0, true, b"ab");
        first.payload.len = 4;
        m.handle(at(0), &first);
        assert_eq!(complete(&mut m, at(0), &fragment(7, 1, false, b"ef")), whole("ab", 2));
        let payload = m.whole().payload();
        assert_eq!(payload, Payload { bytes: b"ab", len: 6 });
        assert_eq!(m.whole().later_runs(payload), [(4, Payload::whole(b"ef"))]);
    }

    #[test]
    fn the_oldest_msdu_makes_room() {
        let mut m = Msdus::default();
        for n in 0..WAITING as u16 + 3 {
            m.handle(at(0), &fragment(n, 0, true, b"x"));
        }
        assert_eq!((m.waiting.len(), m.queue.len()), (WAITING, WAITING));
        assert_eq!((m.limit_reached(), m.take_given_up()), (3, 3));
        assert!(complete(&mut m, at(0), &fragment(2, 1, false, b"y")).is_none());
        assert!(complete(&mut m, at(0), &fragment(4, 1, false, b"y")).is_some());
    }

    #[test]
    fn what_is_kept_of_completed_msdus_is_bounded() {
        let mut m = Msdus::default();
        for n in 0..1000 {
            m.handle(at(0), &fragment(n, 0, true, b"x"));
            assert!(complete(&mut m, at(0), &fragment(n, 1, false, b"y")).is_some());
        }
        assert_eq!((m.done.len(), m.queue.len(), m.waiting.len()), (DONE, 0, 0));
    }
}
