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
