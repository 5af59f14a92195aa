//! Is what the peer sends what it sent in the recording?

use crate::outcome::{Difference, Unlike};
use crate::pattern::{Decision, Pattern, Walk};
use crate::script::{Carry, Hear, Piece, Script};
use regex_automata::Anchored;
use std::ops::Range;

/// What a pattern may look at while it is not decided how much of it matches; and so much of a turn is kept for what
/// comes back.
const MAX_HELD: usize = 1 << 20;

/// So many bytes are shown before the first that differs, and so many from there on.
const SHOWN_BEFORE: usize = 16;
const SHOWN_AFTER: usize = 48;

/// How far the peer is in its turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    /// Which piece of the turn is next.
    piece: usize,
    /// What of it has come: bytes, or ends of a turn.
    come: u64,
    /// Bytes of the turn that came.
    taken: u64,
    /// The last of them.
    latest: Vec<u8>,
    /// The pattern that is on its way.
    walk: Option<Box<Walk>>,
    /// Where in the turn the first byte stood that was another one, though it may be.
    differs: Option<u64>,
    /// What came of a turn that has something which comes back in what we say.
    kept: Vec<u8>,
}

/// What is known of the peer's turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// More must come.
    More,
    /// It is whole.
    Whole,
    /// It is another one.
    Differs(Difference),
}

/// What is known of a piece of it.
enum Fits {
    /// So many bytes are taken, and the piece is whole if it says so.
    Taken(usize, bool),
    /// After so many bytes something else was needed.
    Not(usize, Unlike, Range<usize>),
}

impl Hearing {
    /// Bytes of the turn that came.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Where in the turn the first byte stood that was another one, though it may be.
    pub(crate) fn differs(&self) -> Option<u64> {
        self.differs
    }

    /// Takes what belongs to the turn from the front of what the peer sent: how many bytes, and how it stands
    /// then. `slots` keep what comes back in what we say.
    pub(crate) fn take(
        &mut self,
        script: &Script,
        hear: &Hear,
        bytes: &[u8],
        slots: &mut [Vec<u8>],
    ) -> (usize, Heard) {
        let mut at = 0;
        while let Some(piece) = hear.pieces.get(self.piece) {
            let rest = bytes.get(at..).unwrap_or_default();
            // A pattern that matches nothing needs none.
            if rest.is_empty() {
                return (at, Heard::More);
            }
            match self.fit(piece, script.recording().bytes(), rest) {
                Fits::Taken(len, whole) => {
                    self.accept(hear, rest.get(..len).unwrap_or_default(), slots);
                    at += len;
                    if whole {
                        self.next_piece();
                    } else if !matches!(piece, Piece::Pattern(..)) {
                        continue;
                    } else {
                        return (at, Heard::More);
                    }
                }
                Fits::Not(len, unlike, expected) => {
                    self.accept(hear, rest.get(..len).unwrap_or_default(), slots);
                    let received = rest.get(len..).unwrap_or_default();
                    let expected = script.recording().bytes().get(expected).unwrap_or_default();
                    return (at + len, Heard::Differs(self.difference(unlike, expected, received)));
                }
            }
        }
        (at, Heard::Whole)
    }

    /// No more bytes come, or none did for a while: where a pattern at the end of the turn could go on, it has
    /// ended. `bytes` are those that it holds.
    pub(crate) fn rest(
        &mut self,
        hear: &Hear,
        bytes: &[u8],
        slots: &mut [Vec<u8>],
    ) -> (usize, Heard) {
        let Some(Piece::Pattern(pattern, _)) = hear.pieces.get(self.piece) else {
            return (0, Heard::More);
        };
        let walk = self.walk.get_or_insert_with(|| Box::new(Walk::new(pattern, Anchored::Yes)));
        let is_last = self.piece + 1 == hear.pieces.len();
        let Decision::Matches(len) = walk.end() else { return (0, Heard::More) };
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        if !is_last || len < bytes.len() {
            return (0, Heard::More);
        }
        self.accept(hear, bytes, slots);
        self.next_piece();
        (len, Heard::Whole)
    }

    /// Does the turn wait for a pattern at its end that could go on?
    pub(crate) fn may_rest(&mut self, hear: &Hear) -> bool {
        let Some(Piece::Pattern(pattern, _)) = hear.pieces.get(self.piece) else { return false };
        let walk = self.walk.get_or_insert_with(|| Box::new(Walk::new(pattern, Anchored::Yes)));
        self.piece + 1 == hear.pieces.len() && walk.is_whole()
    }

    fn fit(&mut self, piece: &Piece, known: &[u8], bytes: &[u8]) -> Fits {
        match piece {
            Piece::Exact(range) => {
                let (expected, same) = self.compare(known, range, bytes);
                match same < expected.len().min(bytes.len()) {
                    true => Fits::Not(same, Unlike::Bytes, self.ahead(range, same)),
                    false => self.counted(same, range.len() as u64),
                }
            }
            Piece::Loose(range) => {
                let (expected, same) = self.compare(known, range, bytes);
                let len = expected.len().min(bytes.len());
                if same < len {
                    self.differs.get_or_insert(self.taken + same as u64);
                }
                self.counted(len, range.len() as u64)
            }
            Piece::Any(len) => {
                let left = usize::try_from(len - self.come).unwrap_or(usize::MAX);
                self.counted(left.min(bytes.len()), *len)
            }
            Piece::Ends(pattern, ends) => self.find_ends(pattern, *ends, bytes),
            Piece::Pattern(pattern, range) => self.match_pattern(pattern, range, bytes),
        }
    }

    /// What of the piece is still to come, and how many of the bytes are the same.
    fn compare<'a>(
        &self,
        known: &'a [u8],
        range: &Range<usize>,
        bytes: &[u8],
    ) -> (&'a [u8], usize) {
        let expected = known.get(self.ahead(range, 0)).unwrap_or_default();
        let same = expected.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        (expected, same)
    }

    /// The part of a piece that comes after so many more bytes.
    fn ahead(&self, range: &Range<usize>, more: usize) -> Range<usize> {
        let come = usize::try_from(self.come).unwrap_or(usize::MAX).saturating_add(more);
        range.start.saturating_add(come).min(range.end)..range.end
    }

    fn counted(&mut self, len: usize, of: u64) -> Fits {
        self.come += len as u64;
        Fits::Taken(len, self.come >= of)
    }

    fn find_ends(&mut self, pattern: &Pattern, ends: u64, bytes: &[u8]) -> Fits {
        let walk = self.walk.get_or_insert_with(|| Box::new(Walk::new(pattern, Anchored::No)));
        for (len, &byte) in (1..).zip(bytes) {
            self.come += u64::from(walk.ends_at(byte));
            if self.come >= ends {
                return Fits::Taken(len, true);
            }
        }
        Fits::Taken(bytes.len(), false)
    }

    /// Bytes are taken when it is decided how many of them match.
    fn match_pattern(&mut self, pattern: &Pattern, range: &Range<usize>, bytes: &[u8]) -> Fits {
        let walk = self.walk.get_or_insert_with(|| Box::new(Walk::new(pattern, Anchored::Yes)));
        let seen = usize::try_from(walk.walked()).unwrap_or(usize::MAX);
        for &byte in bytes.get(seen..).unwrap_or_default() {
            match walk.step(byte) {
                Decision::Open => {}
                Decision::Matches(len) => {
                    return Fits::Taken(usize::try_from(len).unwrap_or(usize::MAX), true);
                }
                Decision::Fails => {
                    return Fits::Not(0, Unlike::Pattern(pattern.text().into()), range.clone());
                }
            }
        }
        if bytes.len() > MAX_HELD {
            return Fits::Not(0, Unlike::Pattern(pattern.text().into()), range.clone());
        }
        Fits::Taken(0, false)
    }

    fn next_piece(&mut self) {
        self.piece += 1;
        self.come = 0;
        self.walk = None;
    }

    /// Bytes of the turn have come.
    pub(crate) fn accept(&mut self, hear: &Hear, bytes: &[u8], slots: &mut [Vec<u8>]) {
        for catch in &hear.catches {
            let place = catch.offset..catch.offset.saturating_add(catch.len as u64);
            if let Some(part) = crate::rules::overlap(place, self.taken, bytes.len() as u64)
                && let Some(part) = bytes.get(part.start as usize..part.end as usize)
                && let Some(slot) = slots.get_mut(catch.slot)
            {
                slot.extend_from_slice(part);
            }
        }
        if !hear.carries.is_empty() {
            let room = MAX_HELD.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        let last = bytes.get(bytes.len().saturating_sub(SHOWN_BEFORE)..).unwrap_or_default();
        self.latest.extend_from_slice(last);
        self.latest.drain(..self.latest.len().saturating_sub(SHOWN_BEFORE));
    }

    /// The turn is over: what of it comes back in what we say.
    pub(crate) fn carry(&self, hear: &Hear, slots: &mut [Vec<u8>]) {
        let of_one_pattern = |a: &Carry, b: &Carry| a.pattern == b.pattern;
        for carries in hear.carries.chunk_by(of_one_pattern) {
            let Some(first) = carries.first() else { continue };
            // Both are in the order of matches.
            let mut wanted = carries.iter().peekable();
            for (nth, group) in first.pattern.groups(&self.kept).enumerate() {
                let Some(carry) = wanted.next_if(|carry| carry.nth == nth) else {
                    match wanted.peek() {
                        Some(_) => continue,
                        None => break,
                    }
                };
                if let Some(bytes) = group.and_then(|group| self.kept.get(group))
                    && let Some(slot) = slots.get_mut(carry.slot)
                {
                    *slot = bytes.to_vec();
                }
            }
        }
    }

    /// What differs here.
    fn difference(&self, unlike: Unlike, expected: &[u8], received: &[u8]) -> Difference {
        let shown = |bytes: &[u8]| bytes.iter().take(SHOWN_AFTER).copied().collect();
        Difference {
            unlike,
            in_turn: self.taken,
            before: self.latest.clone(),
            expected: shown(expected),
            received: shown(received),
        }
    }

    /// A datagram ended, or went on, where the recorded one did not.
    pub(crate) fn other_length(&self, hear: &Hear, script: &Script, beyond: &[u8]) -> Difference {
        let known = script.recording().bytes();
        let expected = match hear.pieces.get(self.piece) {
            Some(Piece::Exact(range) | Piece::Loose(range)) => known.get(self.ahead(range, 0)),
            Some(Piece::Pattern(_, range)) => known.get(range.clone()),
            _ => None,
        };
        self.difference(Unlike::Length, expected.unwrap_or_default(), beyond)
    }
}
