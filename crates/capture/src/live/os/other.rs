//! Systems that are no Unix.

use pcap::{Active, Capture};
use std::io;
use std::time::Duration;

/// Waits for a moment: what could be waited on differs too much.
pub(in crate::live) fn wait(_: &Capture<Active>, time: Duration) -> io::Result<()> {
    std::thread::sleep(time.min(Duration::from_millis(10)));
    Ok(())
}
