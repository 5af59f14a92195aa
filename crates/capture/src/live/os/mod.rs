//! What differs by operating system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::share_out;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::wait;

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(super) use other::share_out;
#[cfg(not(unix))]
pub(super) use other::wait;
