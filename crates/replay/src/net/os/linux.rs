//! Linux.
#![allow(unsafe_code, reason = "no crate asks for the bytes in a send queue")]

use rustix::ioctl::{Getter, ioctl};
use std::os::fd::AsFd;
use tokio::net::TcpStream;

/// `SIOCOUTQ`, which is `TIOCOUTQ`: see tcp(7).
const SIOCOUTQ: rustix::ioctl::Opcode = libc::TIOCOUTQ as _;

/// Bytes that were written to a stream and that its peer has not acknowledged; 0 where the system does not tell.
pub(crate) fn unsent(stream: &TcpStream) -> usize {
    // SAFETY: the request writes one int, which is what the getter has room for.
    let unsent = unsafe {
        let request = Getter::<SIOCOUTQ, libc::c_int>::new();
        ioctl(stream.as_fd(), request)
    };
    unsent.ok().and_then(|unsent| usize::try_from(unsent).ok()).unwrap_or(0)
}
