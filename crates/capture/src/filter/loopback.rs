//! Loopback frames of other systems.

/// The first four bytes of a loopback frame as libpcap compiles them into its programs.
///
/// They hold the capturing system's number for the address family, in that system's byte order for
/// `LINKTYPE_NULL`, and IPv6 has another number on each system; libpcap, not knowing the file, takes
/// those of the system it runs on. So the frame's are translated.
#[derive(Clone, Debug)]
pub(super) struct Families {
    ipv4: [u8; 4],
    ipv6: [u8; 4],
    /// A copy of the frame with the bytes exchanged.
    frame: Vec<u8>,
}

impl Families {
    /// With the values that libpcap compares a big-endian load with.
    pub(super) fn new(ipv4: u32, ipv6: u32) -> Self {
        Self { ipv4: ipv4.to_be_bytes(), ipv6: ipv6.to_be_bytes(), frame: Vec::new() }
    }

    /// The frame with the family exchanged; `None` where it stays as it is.
    pub(super) fn translate(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        let (&family, rest) = bytes.split_first_chunk::<4>()?;
        let family = match (u32::from_le_bytes(family), u32::from_be_bytes(family)) {
            (2, _) | (_, 2) => self.ipv4,
            // Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
            (10 | 23 | 24 | 28 | 30, _) | (_, 10 | 23 | 24 | 28 | 30) => self.ipv6,
            _ => return None,
        };
        self.frame.clear();
        self.frame.extend_from_slice(&family);
        self.frame.extend_from_slice(rest);
        Some(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_families_of_every_system_become_libpcaps() {
        let mut families = Families::new(0x0200_0000, 0x0a00_0000);
        for (family, want) in [
            (b"\x02\0\0\0", b"\x02\0\0\0"),
            (b"\0\0\0\x02", b"\x02\0\0\0"),
            (b"\x1e\0\0\0", b"\x0a\0\0\0"),
            (b"\0\0\0\x18", b"\x0a\0\0\0"),
            (b"\x1c\0\0\0", b"\x0a\0\0\0"),
            (b"\x17\0\0\0", b"\x0a\0\0\0"),
        ] {
            let frame = [&family[..], b"rest"].concat();
            let translated = families.translate(&frame).unwrap();
            assert_eq!(translated, [&want[..], b"rest"].concat());
        }
        assert_eq!(families.translate(b"\x07\0\0\0rest"), None);
        assert_eq!(families.translate(b"\x02\0\0"), None);
    }
}
