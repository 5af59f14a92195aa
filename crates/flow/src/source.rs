//! Where bytes come from.

use wire::Timestamp;

/// The packet that brought something: every byte and every decision has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// When the packet was captured.
    pub time: Timestamp,
    /// The packet's number in its file, from 1, as Wireshark counts.
    pub number: u64,
    /// The input's number, from 1, in the order of the command line.
    pub file: u32,
}
