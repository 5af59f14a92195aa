//! What differs by operating system.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::wait;

#[cfg(not(unix))]
mod other;
#[cfg(not(unix))]
pub(super) use other::wait;
