//! Linux, beyond what every Unix has.
#![allow(unsafe_code, reason = "no crate has these socket options; each use says why it is sound")]

use pcap::{Active, Capture};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Packets that an interface has lost. libpcap counts them too, but opens these files anew each time: where they are
/// not seen any more, since the interface or the root of the file system has changed, its count is nonsense.
pub(in crate::live) struct InterfaceDrops {
    files: Vec<File>,
    /// What was lost before, and what was since.
    before: u64,
    since: u64,
}

impl InterfaceDrops {
    pub(in crate::live) fn of(name: &str) -> Self {
        // As libpcap: what the hardware could not take, and what the driver had no room for.
        let open = |what| File::open(format!("/sys/class/net/{name}/statistics/{what}")).ok();
        let files = ["rx_missed_errors", "rx_fifo_errors"].into_iter().filter_map(open).collect();
        let mut this = Self { files, before: 0, since: 0 };
        this.before = this.read().unwrap_or(0);
        this
    }

    /// How many were lost since the capture began. `_by_libpcap` is what libpcap says.
    pub(in crate::live) fn count(&mut self, _by_libpcap: u64) -> u64 {
        // Once it is away, nothing more is lost.
        let now = self.read().and_then(|now| now.checked_sub(self.before));
        self.since = self.since.max(now.unwrap_or(0));
        self.since
    }

    fn read(&self) -> Option<u64> {
        let count = |file: &File| {
            let mut text = [0; 24];
            let len = file.read_at(&mut text, 0).ok()?;
            std::str::from_utf8(&text[..len]).ok()?.trim().parse::<u64>().ok()
        };
        self.files.iter().map(count).sum()
    }
}

/// The number of the interface that has a name now.
pub(in crate::live) fn index(capture: &Capture<Active>, name: &str) -> io::Result<libc::c_int> {
    let request = ask(capture, name, libc::SIOCGIFINDEX)?;
    // SAFETY: this is what the request was for.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// Is an interface administratively up? libpcap waits for one that is not, until it is again; a socket of it can
/// be asked also where there are no other files any more.
pub(in crate::live) fn is_up(capture: &Capture<Active>, name: &str) -> io::Result<bool> {
    let request = ask(capture, name, libc::SIOCGIFFLAGS)?;
    // SAFETY: this is what the request was for.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(i32::from(flags) & libc::IFF_UP != 0)
}

/// Asks the kernel something about an interface.
fn ask(capture: &Capture<Active>, name: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
    // SAFETY: it consists of integers, arrays of them and pointers, for all of which zero bytes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let Some(room) = request.ifr_name.get_mut(..name.len()).filter(|_| name.len() < libc::IFNAMSIZ)
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    room.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
    // SAFETY: the capture keeps its descriptor open while it is borrowed; the name ends with a zero byte; and the
    // kernel writes into the request, which is ours, alone.
    let asked = unsafe { libc::ioctl(capture.as_raw_fd(), what, &raw mut request) };
    if asked == 0 { Ok(request) } else { Err(io::Error::last_os_error()) }
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
