//! Checked readers: the one place where header bytes are taken off the front of a payload.
//!
//! A [`Payload`] has two lengths, of what was captured and of what was on the wire. Taking a header
//! tells the two ways of failing apart: the capture ends inside the header
//! ([`Dropped::Truncated`]), or the packet itself does ([`Dropped::Malformed`]).
//!
//! Fixed headers come out as arrays, and [`be16`] and [`be32`] check their offsets when they are
//! compiled, so that no reader can panic.

use crate::{Dropped, Frame, Layer, Payload};

/// Why a header that its carrier has no room for is malformed.
const ENDS_INSIDE: &str = "the packet ends inside it";

/// The big-endian 16 bits at `AT`.
#[inline(always)]
pub(crate) fn be16<const AT: usize, const N: usize>(header: &[u8; N]) -> u16 {
    const { assert!(AT + 2 <= N, "the field lies inside the header") };
    u16::from_be_bytes([header[AT], header[AT + 1]])
}

/// The big-endian 32 bits at `AT`.
#[inline(always)]
pub(crate) fn be32<const AT: usize, const N: usize>(header: &[u8; N]) -> u32 {
    const { assert!(AT + 4 <= N, "the field lies inside the header") };
    u32::from_be_bytes([header[AT], header[AT + 1], header[AT + 2], header[AT + 3]])
}

/// The big-endian 64 bits at `AT`.
#[inline(always)]
pub(crate) fn be64<const AT: usize, const N: usize>(header: &[u8; N]) -> u64 {
    const { assert!(AT + 8 <= N, "the field lies inside the header") };
    u64::from_be_bytes(std::array::from_fn(|i| header[AT + i]))
}

/// The `LEN` bytes at `AT`.
#[inline(always)]
pub(crate) fn array<const AT: usize, const LEN: usize, const N: usize>(
    header: &[u8; N],
) -> [u8; LEN] {
    const { assert!(AT + LEN <= N, "the field lies inside the header") };
    std::array::from_fn(|i| header[AT + i])
}

impl<'a> Payload<'a> {
    /// All of a frame. A wire length below the captured one is a writer's mistake and is not
    /// believed.
    #[inline(always)]
    pub(crate) fn of_frame(frame: &Frame<'a>) -> Self {
        Self { bytes: frame.bytes, len: frame.wire_len }.consistent()
    }

    /// The same with `len` at least as large as the number of bytes, which every reader here relies
    /// on. Bytes past 4 GiB are left out.
    #[inline(always)]
    pub(crate) fn consistent(self) -> Self {
        match u32::try_from(self.bytes.len()) {
            Ok(captured) => Self { bytes: self.bytes, len: self.len.max(captured) },
            Err(_) => {
                let bytes = self.bytes.get(..u32::MAX as usize).unwrap_or_default();
                Self { bytes, len: u32::MAX }
            }
        }
    }

    /// The `N` bytes at the front, left where they are.
    #[inline(always)]
    pub(crate) fn peek<const N: usize>(self, layer: Layer) -> Result<&'a [u8; N], Dropped> {
        match self.bytes.first_chunk::<N>() {
            Some(header) => Ok(header),
            None => Err(cut(self.bytes.len(), self.len, layer, N as u32)),
        }
    }

    /// The `N` bytes at the front, and what follows them.
    #[inline(always)]
    pub(crate) fn header<const N: usize>(
        self,
        layer: Layer,
    ) -> Result<(&'a [u8; N], Self), Dropped> {
        match self.bytes.split_first_chunk::<N>() {
            Some((header, bytes)) => {
                Ok((header, Self { bytes, len: self.len.saturating_sub(N as u32) }))
            }
            None => Err(cut(self.bytes.len(), self.len, layer, N as u32)),
        }
    }

    /// What follows a header of `needed` bytes.
    #[inline(always)]
    pub(crate) fn after(self, needed: u32, layer: Layer) -> Result<Self, Dropped> {
        match self.bytes.get(needed as usize..) {
            Some(bytes) => Ok(Self { bytes, len: self.len.saturating_sub(needed) }),
            None => Err(cut(self.bytes.len(), self.len, layer, needed)),
        }
    }

    /// At most the first `len` bytes: the rest is padding, or belongs to no layer above.
    #[inline(always)]
    pub(crate) fn trim(self, len: u32) -> Self {
        let bytes = self.bytes.get(..len as usize).unwrap_or(self.bytes);
        Self { bytes, len: self.len.min(len) }
    }
}

/// Why `needed` bytes could not be had of `len`, of which `captured` are there.
///
/// It takes numbers, not a [`Payload`]: that would be spilled to the stack on the way that needs no
/// reason.
#[cold]
#[inline(never)]
fn cut(captured: usize, len: u32, layer: Layer, needed: u32) -> Dropped {
    if needed > len {
        return Dropped::Malformed { layer, why: ENDS_INSIDE };
    }
    // Fewer than `needed`, or there would have been enough.
    Dropped::Truncated { layer, needed, found: captured as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkType;

    const SNAPPED: Payload<'static> = Payload { bytes: &[1, 2, 3, 4], len: 10 };

    #[test]
    fn fields_are_read_in_network_order() {
        let header = [0x11, 0x22, 0x33, 0x44, 0x55];
        assert_eq!(be16::<3, _>(&header), 0x4455);
        assert_eq!(be32::<1, _>(&header), 0x2233_4455);
        assert_eq!(array::<2, 2, _>(&header), [0x33, 0x44]);
    }

    #[test]
    fn a_header_is_taken_off_both_lengths() {
        let (header, rest) = SNAPPED.header::<3>(Layer::Link).unwrap();
        assert_eq!((header, rest), (&[1, 2, 3], Payload { bytes: &[4], len: 7 }));
        assert_eq!(SNAPPED.after(4, Layer::Link), Ok(Payload { bytes: &[], len: 6 }));
        assert_eq!(SNAPPED.peek::<1>(Layer::Link), Ok(&[1]));
    }

    #[test]
    fn a_cut_capture_and_a_short_packet_are_told_apart() {
        let truncated = Dropped::Truncated { layer: Layer::Udp, needed: 8, found: 4 };
        let malformed = Dropped::Malformed { layer: Layer::Udp, why: ENDS_INSIDE };
        assert_eq!(SNAPPED.header::<8>(Layer::Udp).unwrap_err(), truncated);
        assert_eq!(SNAPPED.after(8, Layer::Udp).unwrap_err(), truncated);
        assert_eq!(SNAPPED.header::<11>(Layer::Udp).unwrap_err(), malformed);
        assert_eq!(SNAPPED.peek::<11>(Layer::Udp).unwrap_err(), malformed);
    }

    #[test]
    fn trimming_never_lengthens() {
        assert_eq!(SNAPPED.trim(2), Payload { bytes: &[1, 2], len: 2 });
        assert_eq!(SNAPPED.trim(7), Payload { bytes: &[1, 2, 3, 4], len: 7 });
        assert_eq!(SNAPPED.trim(20), SNAPPED);
    }

    #[test]
    fn a_wire_length_below_the_captured_one_is_not_believed() {
        let frame = Frame { link: LinkType::RAW, bytes: &[1, 2, 3], wire_len: 1 };
        assert_eq!(Payload::of_frame(&frame), Payload { bytes: &[1, 2, 3], len: 3 });
    }
}
