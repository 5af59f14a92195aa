//! Segments so far ahead of their stream that one alone is not believed (rule 8).

use super::FAR_AHEAD;
use crate::Source;
use crate::pieces::PIECE_OVERHEAD;

/// A segment that waits for a second witness.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) at: u64,
    pub(super) bytes: Box<[u8]>,
    /// How many bytes it had on the wire.
    pub(super) len: u32,
    /// Does a FIN follow its last byte?
    pub(super) fin: bool,
    pub(super) source: Source,
    pub(super) frames: u64,
}

/// The segments of one direction that wait.
#[derive(Debug, Default)]
pub(super) struct FarAhead {
    waiting: Vec<Far>,
}

impl FarAhead {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn cost(&self) -> usize {
        self.waiting.iter().map(|far| far.bytes.len() + PIECE_OVERHEAD).sum()
    }

    /// Keeps a segment; the oldest one where there are more than `most`.
    pub(super) fn keep(&mut self, far: Far, most: usize) -> Option<Far> {
        let oldest = (self.waiting.len() >= most.max(1)).then(|| self.waiting.remove(0));
        self.waiting.push(far);
        oldest
    }

    /// Does one lie near `at` that is not the same segment again?
    pub(super) fn confirm(&self, at: u64) -> bool {
        self.waiting.iter().any(|far| far.at.abs_diff(at) <= FAR_AHEAD && far.at != at)
    }

    /// Does one lie near `at`?
    pub(super) fn is_near(&self, at: u64) -> bool {
        self.waiting.iter().any(|far| far.at.abs_diff(at) <= FAR_AHEAD)
    }

    /// Takes out those that lie near `at`.
    pub(super) fn take_near(&mut self, at: u64) -> Vec<Far> {
        self.waiting.extract_if(.., |far| far.at.abs_diff(at) <= FAR_AHEAD).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Far> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(at: u64) -> Far {
        let source = Source::default();
        Far { at, bytes: Box::from(*b"x"), len: 1, fin: false, source, frames: 1 }
    }

    #[test]
    fn a_segment_does_not_confirm_itself() {
        let mut ahead = FarAhead::default();
        assert!(ahead.keep(far(1 << 40), 8).is_none());
        assert!(!ahead.confirm(1 << 40));
        assert!(ahead.confirm((1 << 40) + FAR_AHEAD));
        assert!(!ahead.confirm((1 << 40) + FAR_AHEAD + 1));
    }

    #[test]
    fn a_flood_replaces_the_oldest() {
        let mut ahead = FarAhead::default();
        let gone: Vec<u64> =
            (0..20).filter_map(|i| ahead.keep(far(i << 32), 8)).map(|f| f.at).collect();
        assert_eq!(gone, (0..12).map(|i| i << 32).collect::<Vec<u64>>());
        let near = |ahead: &mut FarAhead| ahead.take_near(15 << 32).iter().map(|f| f.at).sum();
        assert_eq!((near(&mut ahead), near(&mut ahead)), (15 << 32, 0_u64));
        assert_eq!(ahead.take_all().len(), 7);
    }
}
