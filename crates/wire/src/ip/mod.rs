//! IP of both versions, down to the transport.

mod extension;
pub(crate) mod v4;
pub(crate) mod v6;

use crate::depth::Depth;
use crate::{Decoded, Dropped, Ends, Fragment, Layer, Payload, VlanIds};

/// IP of the version that its first byte names, where the link layer said nothing of it.
pub(crate) fn by_version<'a>(payload: Payload<'a>, depth: Depth) -> Result<Decoded<'a>, Dropped> {
    match payload.peek::<1>(Layer::Link)?[0] >> 4 {
        4 => v4::decode(payload, depth),
        6 => v6::decode(payload, depth),
        _ => Err(Dropped::NotIp),
    }
}

/// What follows an IP header that is in no fragment, or what fragments were put together to.
pub(crate) fn continued<'a>(
    ends: Ends,
    protocol: u8,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match ends {
        Ends::V4 { .. } => v4::continued(ends, protocol, payload, depth),
        Ends::V6 { .. } => extension::chain(ends, protocol, payload, depth),
    }
}

/// Where a fragment stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    layer: Layer,
    id: u32,
    /// In bytes.
    offset: u32,
    more: bool,
}

/// A fragment whose lengths can be those of one.
///
/// All but the last end at a multiple of 8 (RFC 791, section 3.2; RFC 8200, section 4.5, which has
/// them discarded otherwise), and none reaches past what a datagram's length field can say.
#[cold]
fn fragment<'a>(
    ends: Ends,
    protocol: u8,
    place: Place,
    payload: Payload<'a>,
) -> Result<Decoded<'a>, Dropped> {
    let Place { layer, id, offset, more } = place;
    if more && !payload.len.is_multiple_of(8) {
        let why = "a fragment before the last one ends at no multiple of 8";
        return Err(Dropped::Malformed { layer, why });
    }
    if offset.saturating_add(payload.len) > u32::from(u16::MAX) {
        return Err(Dropped::Malformed { layer, why: "a fragment ends past 65535 bytes" });
    }
    let vlans = VlanIds::NONE;
    Ok(Decoded::Fragment(Fragment { ends, id, protocol, offset, more, vlans, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_decides_and_neither_is_not_ip() {
        let v4 = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let got = by_version(Payload::whole(&v4), Depth::FULL);
        assert!(matches!(got, Ok(Decoded::Datagram(d)) if d.protocol == 253 && !d.ends.is_v6()));

        let mut v6 = [0; 40];
        (v6[0], v6[6]) = (0x60, 59);
        let got = by_version(Payload::whole(&v6), Depth::FULL);
        assert!(matches!(got, Ok(Decoded::Datagram(d)) if d.protocol == 59 && d.ends.is_v6()));

        assert_eq!(by_version(Payload::whole(&[0x50; 40]), Depth::FULL), Err(Dropped::NotIp));
    }

    #[test]
    fn nothing_at_all_has_no_version() {
        let cut = Dropped::Truncated { layer: Layer::Link, needed: 1, found: 0 };
        assert_eq!(by_version(Payload { bytes: &[], len: 60 }, Depth::FULL), Err(cut));
        let got = by_version(Payload::whole(&[]), Depth::FULL);
        assert!(matches!(got, Err(Dropped::Malformed { layer: Layer::Link, .. })));
    }
}
