//! Bytes that arrived out of order, each at its place, no two at the same.
//!
//! Both the TCP reassembly and the IP defragmentation keep what cannot be used yet in one of these.
//! It is an ordered map from position to bytes: inserting costs O(log n) plus the pieces that the new
//! bytes overlap, whatever the order in which an attacker sends them.

use crate::Overlap;
use std::collections::BTreeMap;

/// What one piece costs beside its bytes: the map's node, the allocation's header, the metadata.
/// Counted so that a flood of one-byte pieces meets the same limit as a flood of bytes.
pub(crate) const PIECE_OVERHEAD: usize = 128;

/// Bytes from one packet, with what the owner wants to know of that packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece<M> {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) meta: M,
}

/// What became of bytes that were inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inserted {
    /// Bytes whose place was free.
    pub(crate) fresh: usize,
    /// Bytes whose place was taken.
    pub(crate) covered: usize,
    /// Did some of the covered bytes differ?
    pub(crate) conflict: bool,
}

/// Pieces by position, without overlaps.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<M> {
    map: BTreeMap<u64, Piece<M>>,
    bytes: usize,
}

impl<M> Default for Pieces<M> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), bytes: 0 }
    }
}

impl<M: Copy> Pieces<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes held and what it costs to hold them.
    pub(crate) fn cost(&self) -> usize {
        self.bytes + self.map.len() * PIECE_OVERHEAD
    }

    /// The lowest piece and its position.
    pub(crate) fn first(&self) -> Option<(u64, &Piece<M>)> {
        self.map.first_key_value().map(|(&at, piece)| (at, piece))
    }

    /// Takes the lowest piece out.
    pub(crate) fn pop_first(&mut self) -> Option<(u64, Piece<M>)> {
        let (at, piece) = self.map.pop_first()?;
        self.bytes -= piece.bytes.len();
        Some((at, piece))
    }

    /// All pieces in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Piece<M>)> {
        self.map.iter().map(|(&at, piece)| (at, piece))
    }

    /// Takes out every piece that begins in `from..to` and for which `which` holds; how many.
    pub(crate) fn remove_where(
        &mut self,
        from: u64,
        to: u64,
        mut which: impl FnMut(&Piece<M>) -> bool,
    ) -> usize {
        let found: Vec<u64> =
            self.map.range(from..to).filter(|(_, p)| which(p)).map(|(&at, _)| at).collect();
        for at in &found {
            if let Some(piece) = self.map.remove(at) {
                self.bytes -= piece.bytes.len();
            }
        }
        found.len()
    }

    /// Throws away everything below `to`; how many bytes that were.
    pub(crate) fn drop_below(&mut self, to: u64) -> usize {
        let mut dropped = 0;
        while let Some((at, piece)) = self.first() {
            if at >= to {
                break;
            }
            let below = piece.bytes.len().min((to - at) as usize);
            dropped += below;
            if let Some((_, piece)) = self.pop_first() {
                self.put(to, &piece.bytes[below..], piece.meta);
            }
        }
        dropped
    }

    /// Inserts `bytes` at `at`. Where a place is taken, `overlap` says whose bytes stay.
    pub(crate) fn insert(&mut self, at: u64, bytes: &[u8], meta: M, overlap: Overlap) -> Inserted {
        let end = at + bytes.len() as u64;
        let mut result = Inserted::default();
        let mut taken = Vec::new();
        for (from, piece) in self.overlapping(at, end) {
            let to = from + piece.bytes.len() as u64;
            let (low, high) = (from.max(at), to.min(end));
            let new = &bytes[(low - at) as usize..(high - at) as usize];
            let held = &piece.bytes[(low - from) as usize..(high - from) as usize];
            result.covered += new.len();
            result.conflict |= new != held;
            taken.push((from, to));
        }
        result.fresh = bytes.len() - result.covered;
        match overlap {
            _ if taken.is_empty() => self.put(at, bytes, meta),
            Overlap::First if result.fresh == 0 => {}
            Overlap::First => self.fill_between(at, bytes, meta, &taken),
            Overlap::Last => self.replace(at, bytes, meta, &taken),
        }
        result
    }

    /// The pieces that overlap `at..end`, in order.
    fn overlapping(&self, at: u64, end: u64) -> impl Iterator<Item = (u64, &Piece<M>)> {
        let before = self.map.range(..at).next_back();
        let before = before.filter(|&(&from, piece)| from + piece.bytes.len() as u64 > at);
        before.into_iter().chain(self.map.range(at..end)).map(|(&from, piece)| (from, piece))
    }

    /// Puts only those bytes whose place is free.
    fn fill_between(&mut self, at: u64, bytes: &[u8], meta: M, taken: &[(u64, u64)]) {
        let end = at + bytes.len() as u64;
        let mut free_from = at;
        for &(from, to) in taken.iter().chain([&(end, end)]) {
            if free_from < from {
                self.put(free_from, &bytes[(free_from - at) as usize..(from - at) as usize], meta);
            }
            free_from = free_from.max(to);
        }
    }

    /// Puts all the bytes and cuts what stood there.
    fn replace(&mut self, at: u64, bytes: &[u8], meta: M, taken: &[(u64, u64)]) {
        let end = at + bytes.len() as u64;
        for &(from, to) in taken {
            let Some(old) = self.map.remove(&from) else { continue };
            self.bytes -= old.bytes.len();
            if from < at {
                self.put(from, &old.bytes[..(at - from) as usize], old.meta);
            }
            if to > end {
                self.put(end, &old.bytes[(end - from) as usize..], old.meta);
            }
        }
        self.put(at, bytes, meta);
    }

    fn put(&mut self, at: u64, bytes: &[u8], meta: M) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        self.map.insert(at, Piece { bytes: bytes.into(), meta });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &Pieces<u8>) -> Vec<(u64, String)> {
        pieces
            .iter()
            .map(|(at, p)| (at, format!("{}{}", String::from_utf8_lossy(&p.bytes), p.meta)))
            .collect()
    }

    fn with(parts: &[(u64, &str, u8)]) -> Pieces<u8> {
        let mut pieces = Pieces::default();
        for &(at, bytes, meta) in parts {
            pieces.insert(at, bytes.as_bytes(), meta, Overlap::First);
        }
        pieces
    }

    #[test]
    fn the_first_bytes_stay_and_the_new_ones_fill_what_is_free() {
        let mut pieces = with(&[(10, "abc", 1), (16, "xyz", 2)]);
        let got = pieces.insert(8, b"12abC678xyz9", 3, Overlap::First);
        assert_eq!(got, Inserted { fresh: 6, covered: 6, conflict: true });
        let want = [(8, "123"), (10, "abc1"), (13, "6783"), (16, "xyz2"), (19, "93")];
        assert_eq!(shown(&pieces), want.map(|(at, s)| (at, s.to_string())));
        assert_eq!(pieces.bytes(), 12);
    }

    #[test]
    fn the_last_bytes_cut_what_stood_there() {
        let mut pieces = with(&[(0, "abcdefgh", 1)]);
        let got = pieces.insert(2, b"CD", 2, Overlap::Last);
        assert_eq!(got, Inserted { fresh: 0, covered: 2, conflict: true });
        let want = [(0, "ab1"), (2, "CD2"), (4, "efgh1")].map(|(a, s)| (a, s.to_string()));
        assert_eq!(shown(&pieces), want);
        assert_eq!(pieces.bytes(), 8);
    }

    #[test]
    fn what_lies_below_a_position_can_be_dropped() {
        let mut pieces = with(&[(0, "abc", 1), (3, "defg", 2), (9, "z", 3)]);
        assert_eq!(pieces.drop_below(5), 5);
        assert_eq!(shown(&pieces), [(5, "fg2".to_string()), (9, "z3".to_string())]);
        assert_eq!((pieces.bytes(), pieces.cost()), (3, 3 + 2 * PIECE_OVERHEAD));
    }

    proptest! {
        /// Whatever is inserted, the pieces hold what an array of bytes would hold.
        #[test]
        fn it_is_an_array_with_holes(
            steps in prop::collection::vec((0u64..60, prop::collection::vec(0u8..4, 1..12)), 1..40),
            last: bool,
        ) {
            let overlap = if last { Overlap::Last } else { Overlap::First };
            let mut array = [None; 80];
            let mut pieces = Pieces::default();
            for (i, (at, bytes)) in steps.iter().enumerate() {
                let slots = &mut array[*at as usize..*at as usize + bytes.len()];
                let mut want = Inserted::default();
                for (slot, &byte) in slots.iter_mut().zip(bytes) {
                    match *slot {
                        None => { want.fresh += 1; *slot = Some((byte, i)); }
                        Some((old, _)) => {
                            want.covered += 1;
                            want.conflict |= old != byte;
                            if last { *slot = Some((byte, i)); }
                        }
                    }
                }
                prop_assert_eq!(pieces.insert(*at, bytes, i, overlap), want);
            }
            let mut got = [None; 80];
            let mut total = 0;
            for (at, piece) in pieces.iter() {
                for (k, &byte) in piece.bytes.iter().enumerate() {
                    prop_assert!(got[at as usize + k].is_none());
                    got[at as usize + k] = Some((byte, piece.meta));
                    total += 1;
                }
            }
            prop_assert_eq!(got, array);
            prop_assert_eq!(total, pieces.bytes());
        }
    }
}
