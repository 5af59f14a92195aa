//! What is counted of each connection while it lives.
//!
//! Millions of connections may be held, and nearly all of them have nothing but packets and bytes to
//! count; the other counters are allocated when the first of them is needed.

use crate::SideStats;

/// What is counted rarely. The discriminants are indexes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    Missing,
    Gaps,
    Retransmitted,
    OutOfOrder,
    Overlapping,
    Conflicting,
    KeepAlive,
    BeforeStart,
    Late,
}

const COUNTERS: usize = Counter::Late as usize + 1;

/// What is counted of every connection, of one end.
#[derive(Clone, Copy, Default, Debug)]
struct Common {
    packets: u64,
    chunks: u64,
    bytes: u64,
    messages: u64,
}

/// The counts of one connection, by end of the flow key (not by side: which end is side 0 may change).
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    common: [Common; 2],
    rare: Option<Box<[[u64; COUNTERS]; 2]>>,
    /// Who sent the last chunk.
    speaker: Option<u8>,
}

impl Ledger {
    /// Adds `n` to a counter of `end`.
    pub(crate) fn add(&mut self, end: usize, counter: Counter, n: u64) {
        if n > 0 {
            self.rare.get_or_insert_default()[end][counter as usize] += n;
        }
    }

    /// `frames` captured packets from `end`.
    pub(crate) fn add_packets(&mut self, end: usize, frames: u64) {
        self.common[end].packets += frames;
    }

    /// A chunk of `len` bytes from `end`.
    pub(crate) fn add_chunk(&mut self, end: usize, len: usize) {
        let common = &mut self.common[end];
        common.chunks += 1;
        common.bytes += len as u64;
        if self.speaker != Some(end as u8) {
            self.speaker = Some(end as u8);
            common.messages += 1;
        }
    }

    /// Where the next byte of `end` stands in its stream.
    pub(crate) fn offset(&self, end: usize) -> u64 {
        self.common[end].bytes + self.rare(end, Counter::Missing)
    }

    /// `frames` of the packets from `end` turned out to belong to no connection.
    pub(crate) fn take_packets(&mut self, end: usize, frames: u64) {
        self.common[end].packets = self.common[end].packets.saturating_sub(frames);
    }

    /// Was anything delivered or given up?
    pub(crate) fn has_output(&self) -> bool {
        self.speaker.is_some() || [0, 1].iter().any(|&end| self.rare(end, Counter::Gaps) > 0)
    }

    fn rare(&self, end: usize, counter: Counter) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare[end][counter as usize])
    }

    /// All counts of `end`.
    pub(crate) fn stats(&self, end: usize) -> SideStats {
        let Common { packets, chunks, bytes, messages } = self.common[end];
        let rare = |counter| self.rare(end, counter);
        SideStats {
            packets,
            chunks,
            bytes,
            messages,
            missing: rare(Counter::Missing),
            gaps: rare(Counter::Gaps),
            retransmitted: rare(Counter::Retransmitted),
            out_of_order: rare(Counter::OutOfOrder),
            overlapping: rare(Counter::Overlapping),
            conflicting: rare(Counter::Conflicting),
            keep_alive: rare(Counter::KeepAlive),
            before_start: rare(Counter::BeforeStart),
            late: rare(Counter::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_unbroken_run_of_chunks() {
        let mut ledger = Ledger::default();
        for end in [0, 0, 1, 0, 1, 1] {
            ledger.add_chunk(end, 10);
        }
        let (a, b) = (ledger.stats(0), ledger.stats(1));
        assert_eq!((a.chunks, a.bytes, a.messages), (3, 30, 2));
        assert_eq!((b.chunks, b.bytes, b.messages), (3, 30, 2));
    }

    #[test]
    fn missing_bytes_count_in_offsets() {
        let mut ledger = Ledger::default();
        assert!(!ledger.has_output());
        ledger.add(1, Counter::Missing, 100);
        ledger.add(1, Counter::Gaps, 1);
        ledger.add_chunk(1, 5);
        assert_eq!((ledger.offset(0), ledger.offset(1)), (0, 105));
        assert!(ledger.has_output());
    }

    #[test]
    fn counting_nothing_allocates_nothing() {
        let mut ledger = Ledger::default();
        ledger.add(0, Counter::Late, 0);
        assert!(ledger.rare.is_none());
    }
}
