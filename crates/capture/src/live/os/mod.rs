//! What differs by operating system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::{InterfaceDrops, index, is_up, share_out};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::wait;

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(unix))]
pub(super) use other::wait;
#[cfg(not(target_os = "linux"))]
pub(super) use other::{InterfaceDrops, index, is_up, share_out};
