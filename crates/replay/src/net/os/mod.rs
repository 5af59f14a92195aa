//! What only the operating system tells of a socket.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::unsent;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::unsent;
