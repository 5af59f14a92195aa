//! Unix.

use pcap::{Active, Capture};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// Waits until there are packets, or a signal came, at most for so long.
pub(in crate::live) fn wait(capture: &Capture<Active>, time: Duration) -> io::Result<()> {
    let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    let mut fds = [PollFd::new(capture, PollFlags::IN)];
    match poll(&mut fds, Some(&time)) {
        // What an error condition means is told by the next look into the ring.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
