//! What fragments made: bytes with holes, where the snap length cut some of the fragments.

use wire::Payload;

/// The bytes of a datagram or a frame that came in fragments.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    /// Zeros where nothing was captured.
    bytes: Vec<u8>,
    /// What was captured, in order, nothing adjacent.
    captured: Vec<(u32, u32)>,
}

impl Assembled {
    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.captured.clear();
    }

    /// Adds captured bytes, at or behind the end of what is there.
    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) {
        self.extend_to(at);
        self.bytes.extend_from_slice(bytes);
        cover(&mut self.captured, at, at + bytes.len() as u32);
    }

    /// It goes on to `len` bytes in all, of which nothing further was captured.
    pub(crate) fn extend_to(&mut self, len: u32) {
        self.bytes.resize(len as usize, 0);
    }

    /// All bytes, with zeros in place of those that were not captured.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it, captured up to the first byte that was not.
    pub(crate) fn payload(&self) -> Payload<'_> {
        let captured = match self.captured.first() {
            Some(&(0, end)) => end as usize,
            _ => 0,
        };
        Payload { bytes: &self.bytes[..captured], len: Payload::whole(&self.bytes).len }
    }

    /// The captured runs of `part`, which lies in [`Self::payload`], behind its first hole: where in
    /// `part` each begins, and its bytes with the hole behind them.
    pub(crate) fn later_runs(&self, part: Payload<'_>) -> Vec<(u32, Payload<'_>)> {
        // A part stands where its bytes stand.
        let start = part.bytes.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr());
        let Some(start) = start.and_then(|start| u32::try_from(start).ok()) else {
            return Vec::new();
        };
        let end = start.saturating_add(part.len);
        let within = |&(from, to): &(u32, u32)| (from.max(start), to.min(end));
        let runs = self.captured.iter().map(within).filter(|&(from, to)| start < from && from < to);
        let runs: Vec<_> = runs.collect();
        let nexts = runs.iter().skip(1).map(|&(from, _)| from).chain([end]);
        let run = |(&(from, to), next): (&(u32, u32), u32)| {
            let bytes = self.bytes.get(from as usize..to as usize).unwrap_or_default();
            (from - start, Payload { bytes, len: next - from })
        };
        runs.iter().zip(nexts).map(run).collect()
    }
}

/// Adds `from..to` to ranges that are in order and not adjacent.
pub(crate) fn cover(ranges: &mut Vec<(u32, u32)>, from: u32, to: u32) {
    if from == to {
        return;
    }
    let first = ranges.partition_point(|&(_, end)| end < from);
    let last = ranges.partition_point(|&(start, _)| start <= to);
    let touched = &ranges[first..last];
    let from = touched.first().map_or(from, |&(start, _)| start.min(from));
    let to = touched.last().map_or(to, |&(_, end)| end.max(to));
    ranges.splice(first..last, [(from, to)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_in_any_order() {
        let mut ranges = Vec::new();
        for (from, to) in [(8, 16), (32, 40), (24, 24), (16, 24), (0, 4), (2, 8), (50, 60)] {
            cover(&mut ranges, from, to);
        }
        assert_eq!(ranges, [(0, 24), (32, 40), (50, 60)]);
        cover(&mut ranges, 10, 55);
        assert_eq!(ranges, [(0, 60)]);
    }

    /// "abcd", 4 bytes missing, "ijkl", 2 missing, "op", 4 missing.
    fn with_holes() -> Assembled {
        let mut whole = Assembled::default();
        for (at, bytes) in [(0, "ab"), (2, "cd"), (8, "ijkl"), (14, "op")] {
            whole.put(at, bytes.as_bytes());
        }
        whole.extend_to(20);
        whole
    }

    #[test]
    fn what_was_captured_before_the_first_hole_is_the_payload() {
        let mut whole = with_holes();
        assert_eq!(whole.payload(), Payload { bytes: b"abcd", len: 20 });
        assert_eq!(whole.bytes(), b"abcd\0\0\0\0ijkl\0\0op\0\0\0\0");
        whole.clear();
        whole.put(4, b"efgh");
        assert_eq!(whole.payload(), Payload { bytes: b"", len: 8 });
        whole.clear();
        whole.put(0, b"whole");
        assert_eq!(whole.payload(), Payload::whole(b"whole"));
    }

    #[test]
    fn each_run_behind_a_hole_has_the_hole_behind_it() {
        let whole = with_holes();
        let part = |start: usize, len| Payload { bytes: &whole.payload().bytes[start..], len };
        let run = |bytes: &'static str, len| Payload { bytes: bytes.as_bytes(), len };
        assert_eq!(whole.later_runs(part(0, 20)), [(8, run("ijkl", 6)), (14, run("op", 6))]);
        assert_eq!(whole.later_runs(part(3, 12)), [(5, run("ijkl", 6)), (11, run("o", 1))]);
        assert_eq!(whole.later_runs(part(4, 16)), [(4, run("ijkl", 6)), (10, run("op", 6))]);
        assert_eq!(whole.later_runs(part(1, 7)), []);
    }
}
