//! Counts of what one side of a connection sent.

use std::ops::AddAssign;

/// What one side sent and what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideStats {
    /// Captured packets, fragments counted one by one.
    pub packets: u64,
    /// Chunks delivered ("data packets" of the metadata).
    pub chunks: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Unbroken runs of chunks of this side.
    pub messages: u64,
    /// Bytes that never came.
    pub missing: u64,
    /// Holes that those bytes make.
    pub gaps: u64,
    /// TCP segments all of whose bytes had come before.
    pub retransmitted: u64,
    /// TCP segments that brought new bytes from below the highest byte seen.
    pub out_of_order: u64,
    /// TCP segments some of whose bytes had come before.
    pub overlapping: u64,
    /// TCP segments with bytes that differ from those held.
    pub conflicting: u64,
    /// TCP keep-alive probes.
    pub keep_alive: u64,
    /// Bytes from before the stream's first byte, which are not written.
    pub before_start: u64,
    /// Bytes that came after they had been given up as missing, which are not written.
    pub late: u64,
}

impl AddAssign<&Self> for SideStats {
    fn add_assign(&mut self, other: &Self) {
        self.packets += other.packets;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.messages += other.messages;
        self.missing += other.missing;
        self.gaps += other.gaps;
        self.retransmitted += other.retransmitted;
        self.out_of_order += other.out_of_order;
        self.overlapping += other.overlapping;
        self.conflicting += other.conflicting;
        self.keep_alive += other.keep_alive;
        self.before_start += other.before_start;
        self.late += other.late;
    }
}
