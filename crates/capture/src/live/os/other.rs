//! Systems that have less.

use pcap::{Active, Capture};
use std::io;

/// Waits for a moment: what could be waited on differs too much.
#[cfg(not(unix))]
pub(in crate::live) fn wait(_: &Capture<Active>, time: std::time::Duration) -> io::Result<()> {
    std::thread::sleep(time.min(std::time::Duration::from_millis(10)));
    Ok(())
}

/// Several captures of one interface would each have all packets.
pub(in crate::live) fn share_out(_: &[&Capture<Active>]) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux shares packets out among rings"))
}

/// An interface that goes away and comes again is not told apart.
pub(in crate::live) fn index(_: &Capture<Active>, _: &str) -> io::Result<i32> {
    Ok(0)
}

/// libpcap says itself where it is not.
pub(in crate::live) fn is_up(_: &Capture<Active>, _: &str) -> io::Result<bool> {
    Ok(true)
}

/// Packets that an interface has lost, as libpcap counts them.
pub(in crate::live) struct InterfaceDrops;

impl InterfaceDrops {
    pub(in crate::live) fn of(_: &str) -> Self {
        Self
    }

    /// How many were lost since the capture began.
    pub(in crate::live) fn count(&mut self, by_libpcap: u64) -> u64 {
        by_libpcap
    }
}
