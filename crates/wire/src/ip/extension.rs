//! IPv6 extension headers, and the authentication header over IPv4.
//!
//! Walked: hop-by-hop options, routing, destination options (RFC 8200, section 4), the
//! authentication header (RFC 4302) and shim6 (RFC 5533). Mobility, HIP and ESP are transports: what
//! follows their header is theirs, or encrypted. Numbers 253 and 254 are for experiments and may be
//! either; as over IPv4 they count as transports.

use super::{Place, fragment};
use crate::bytes::{be16, be32};
use crate::depth::Depth;
use crate::{Decoded, Dropped, Ends, Layer, Payload, protocol, transport};

pub(super) const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
pub(super) const AUTHENTICATION: u8 = 51;
pub(super) const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const SHIM6: u8 = 140;

/// Offsets in extension headers (RFC 8200, section 4).
mod field {
    pub(super) const NEXT_HEADER: usize = 0;
    /// In units of 8 bytes, the first not counted; AH's in units of 4, the first two not counted.
    pub(super) const LENGTH: usize = 1;
    /// Of the fragment header: the offset in units of 8 bytes, two reserved bits, and "more".
    pub(super) const OFFSET_MORE: usize = 2;
    pub(super) const ID: usize = 4;
    /// Of the fragment header, and of the shortest of the others.
    pub(super) const SIZE: usize = 8;
}

/// Walks the headers behind IPv6's fixed one to the transport or to a fragment.
#[inline]
pub(super) fn chain<'a>(
    ends: Ends,
    next: u8,
    payload: Payload<'a>,
    depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    match next {
        protocol::TCP | protocol::UDP => transport::decode(ends, next, payload),
        _ => walk(ends, next, payload, depth),
    }
}

#[inline(never)]
fn walk<'a>(
    ends: Ends,
    mut next: u8,
    mut payload: Payload<'a>,
    mut depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    loop {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | SHIM6 => {
                let header = payload.peek::<{ field::SIZE }>(Layer::Extension)?;
                let size = (u32::from(header[field::LENGTH]) + 1) * 8;
                payload = payload.after(size, Layer::Extension)?;
                next = header[field::NEXT_HEADER];
            }
            AUTHENTICATION => (next, payload) = authentication(payload)?,
            FRAGMENT => {
                let (header, rest) = payload.header::<{ field::SIZE }>(Layer::Extension)?;
                let place = be16::<{ field::OFFSET_MORE }, _>(header);
                let (offset, more) = (u32::from(place & 0xfff8), place & 1 != 0);
                next = header[field::NEXT_HEADER];
                // An atomic fragment is a datagram of its own (RFC 6946): not to be put together
                // with others of its identification.
                if offset != 0 || more {
                    let id = be32::<{ field::ID }, _>(header);
                    let place = Place { layer: Layer::Extension, id, offset, more };
                    return fragment(ends, next, place, rest);
                }
                payload = rest;
            }
            _ => return transport::decode(ends, next, payload),
        }
        depth = depth.deeper()?;
    }
}

/// Walks the authentication headers of an IPv4 packet, where no other header is an extension.
#[cold]
pub(super) fn authenticated<'a>(
    ends: Ends,
    mut payload: Payload<'a>,
    mut depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    let mut next = AUTHENTICATION;
    while next == AUTHENTICATION {
        (next, payload) = authentication(payload)?;
        depth = depth.deeper()?;
    }
    transport::decode(ends, next, payload)
}

/// What an authentication header names, and what follows it (RFC 4302, section 2).
fn authentication(payload: Payload<'_>) -> Result<(u8, Payload<'_>), Dropped> {
    let header = payload.peek::<{ field::SIZE }>(Layer::Extension)?;
    let size = (u32::from(header[field::LENGTH]) + 2) * 4;
    Ok((header[field::NEXT_HEADER], payload.after(size, Layer::Extension)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Datagram, Fragment, MAX_HEADERS};

    /// ::1 -> ::
    const ENDS: Ends = Ends::V6 { src: [0, 1], dst: [0, 0] };

    /// Ports 7 -> 9, "!".
    const UDP: [u8; 9] = [0, 7, 0, 9, 0, 9, 0, 0, b'!'];

    fn datagram(next: u8, bytes: &[u8]) -> Result<Datagram<'_>, Dropped> {
        match chain(ENDS, next, Payload::whole(bytes), Depth::FULL)? {
            Decoded::Datagram(datagram) => Ok(datagram),
            other => panic!("a whole datagram, not {other:?}"),
        }
    }

    fn fragment_of(bytes: &[u8]) -> Result<Fragment<'_>, Dropped> {
        match chain(ENDS, FRAGMENT, Payload::whole(bytes), Depth::FULL)? {
            Decoded::Fragment(fragment) => Ok(fragment),
            other => panic!("a fragment, not {other:?}"),
        }
    }

    #[test]
    fn a_chain_of_all_that_are_walked() {
        let mut bytes = vec![43, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop: padding
        bytes.extend([60, 2, 4, 0, 0, 0, 0, 0]); // routing, 24 bytes
        bytes.extend([0xfe; 16]);
        bytes.extend([140, 0, 1, 4, 0, 0, 0, 0]); // destination options
        bytes.extend([51, 0, 0, 0, 0, 0, 0, 0]); // shim6
        bytes.extend([44, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1]); // AH of 12 bytes
        bytes.extend([17, 0, 0, 0, 1, 2, 3, 4]); // an atomic fragment
        bytes.extend(UDP);
        let got = datagram(HOP_BY_HOP, &bytes).unwrap();
        assert_eq!((got.protocol, got.src_port, got.dst_port), (17, 7, 9));
        assert_eq!(got.body, Body::Message(Payload::whole(b"!")));
    }

    #[test]
    fn mobility_hip_esp_and_no_next_header_are_messages_of_their_own() {
        for next in [135, 139, 50, 59] {
            let bytes = [next, 0, 60, 0, 0, 0, 0, 0, 1];
            let got = datagram(next, &bytes).unwrap();
            assert_eq!((got.protocol, got.src_port, got.dst_port), (next, 0, 0));
            assert_eq!(got.body, Body::Message(Payload::whole(&bytes)));
        }
    }

    #[test]
    fn a_fragment_names_the_header_that_follows() {
        let bytes = [60, 0, 0x05, 0xa9, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8];
        let got = fragment_of(&bytes).unwrap();
        assert_eq!(got.ends, ENDS);
        assert_eq!((got.id, got.protocol), (0xdead_beef, 60));
        assert_eq!((got.offset, got.more), (0x5a8, true));
        assert_eq!(got.payload, Payload::whole(&bytes[8..]));
    }

    #[test]
    fn a_fragment_whose_end_cannot_be() {
        let odd = [17, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3];
        assert!(matches!(
            fragment_of(&odd),
            Err(Dropped::Malformed { layer: Layer::Extension, why }) if why.contains("multiple of 8")
        ));
        let far = [17, 0, 0xff, 0xf8, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
        assert!(matches!(
            fragment_of(&far),
            Err(Dropped::Malformed { layer: Layer::Extension, why }) if why.contains("65535")
        ));
    }

    #[test]
    fn headers_longer_than_what_carries_them() {
        let malformed =
            Err(Dropped::Malformed { layer: Layer::Extension, why: "the packet ends inside it" });
        assert_eq!(datagram(ROUTING, &[17, 1, 0, 0, 0, 0, 0, 0]), malformed);
        assert_eq!(datagram(AUTHENTICATION, &[17, 1, 0, 0, 0, 0, 0, 0]), malformed);
        assert_eq!(datagram(FRAGMENT, &[17, 0, 0, 0]), malformed);
        let cut = Payload { bytes: &[17, 1, 0, 0, 0, 0, 0, 0], len: 40 };
        let truncated = Dropped::Truncated { layer: Layer::Extension, needed: 16, found: 8 };
        assert_eq!(chain(ENDS, ROUTING, cut, Depth::FULL), Err(truncated));
    }

    #[test]
    fn a_chain_has_an_end() {
        let chain_of = |n: usize| {
            let mut bytes = [60, 0, 1, 4, 0, 0, 0, 0].repeat(n);
            bytes[(n - 1) * 8] = 17;
            bytes.extend(UDP);
            bytes
        };
        assert!(datagram(60, &chain_of(MAX_HEADERS)).is_ok());
        assert_eq!(datagram(60, &chain_of(MAX_HEADERS + 1)), Err(Dropped::TooDeep));
    }
}
