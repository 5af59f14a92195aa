//! Linux, beyond what every Unix has.
#![allow(unsafe_code, reason = "no crate has these socket options; each use says why it is sound")]

use pcap::{Active, Capture};
use std::io;
use std::os::fd::AsRawFd;

/// Is an interface administratively up? libpcap waits for one that is not, until it is again; a socket of it can
/// be asked also where there are no other files any more.
pub(in crate::live) fn is_up(capture: &Capture<Active>, name: &str) -> io::Result<bool> {
    // SAFETY: it consists of integers, arrays of them and pointers, for all of which zero bytes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let Some(room) = request.ifr_name.get_mut(..name.len()).filter(|_| name.len() < libc::IFNAMSIZ)
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    room.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
    // SAFETY: the capture keeps its descriptor open while it is borrowed; the name ends with a zero byte; and the
    // kernel writes into the request, which is ours, alone.
    let asked = unsafe { libc::ioctl(capture.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this is what the request was for.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(i32::from(flags) & libc::IFF_UP != 0)
}

/// Lets the kernel share the packets of an interface out among these captures, by a hash of addresses and ports
/// that is the same for both directions (`PACKET_FANOUT_HASH`, packet(7)).
pub(in crate::live) fn share_out(captures: &[&Capture<Active>]) -> io::Result<()> {
    let hash = libc::PACKET_FANOUT_HASH << 16;
    let mut group = None;
    for capture in captures {
        match group {
            // A number that no other group has.
            None => {
                set_fanout(capture, hash | UNIQUE << 16)?;
                group = Some(fanout(capture)? & 0xffff);
            }
            Some(group) => set_fanout(capture, hash | group)?,
        }
    }
    Ok(())
}

/// The kernel chooses the number of the group.
const UNIQUE: libc::c_uint = libc::PACKET_FANOUT_FLAG_UNIQUEID;

const SIZE: libc::socklen_t = size_of::<libc::c_uint>() as libc::socklen_t;

fn set_fanout(capture: &Capture<Active>, value: libc::c_uint) -> io::Result<()> {
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_FANOUT);
    // SAFETY: the capture keeps its descriptor open while it is borrowed, and the option is read from an integer
    // of ours, of the size that is given.
    let set = unsafe {
        libc::setsockopt(capture.as_raw_fd(), level, option, (&raw const value).cast(), SIZE)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn fanout(capture: &Capture<Active>) -> io::Result<libc::c_uint> {
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_FANOUT);
    let (mut value, mut size): (libc::c_uint, _) = (0, SIZE);
    // SAFETY: as above; the option is written to an integer of ours, and no further than its size, which is told.
    let got = unsafe {
        libc::getsockopt(capture.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut size)
    };
    if got == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}
