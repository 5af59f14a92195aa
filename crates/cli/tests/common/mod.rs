//! Captures made by hand, and the program run on them; networks made for a test, and the program capturing there.
//!
//! A test reads like the trace that it is: packets with their times, then what must come out. Nothing
//! here uses the project's own code to make or to read packets.

mod capture;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod capturing;
mod frame;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod netns;
mod place;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod running;

pub(crate) use capture::{Capture, Ng};
#[cfg(all(target_os = "linux", feature = "libpcap"))]
pub(crate) use capturing::Capturing;
pub(crate) use frame::*;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
pub(crate) use netns::{Detour, LEFT, Namespace, Pair, RIGHT, has};
pub(crate) use place::{Outcome, Place, latin1, lines, skipped};
#[cfg(all(target_os = "linux", feature = "libpcap"))]
pub(crate) use running::{PATIENCE, Running, wait_until};
