//! Counts of what one side of a connection sent.

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
