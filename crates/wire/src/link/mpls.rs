//! MPLS label stacks (RFC 3032).

use crate::depth::Depth;
use crate::{Decoded, Dropped, Layer, Payload, ip};

/// In the third byte of an entry: no label follows.
const BOTTOM_OF_STACK: u8 = 0x01;

/// What lies under a label stack.
///
/// No field says what that is. IP is known by its version; a pseudowire of another protocol begins
/// with a control word whose first four bits are 0 or 1 for just this reason (RFC 4385, section 3).
pub(super) fn decode<'a>(
    mut payload: Payload<'a>,
    mut depth: Depth,
) -> Result<Decoded<'a>, Dropped> {
    loop {
        let (entry, rest) = payload.header::<4>(Layer::Mpls)?;
        (payload, depth) = (rest, depth.deeper()?);
        if entry[2] & BOTTOM_OF_STACK != 0 {
            return ip::by_version(payload, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_HEADERS;

    /// Label 16, not the bottom; label 17, the bottom.
    const UPPER: [u8; 4] = [0x00, 0x01, 0x00, 64];
    const BOTTOM: [u8; 4] = [0x00, 0x01, 0x11, 64];

    fn under(labels: &[u8], packet: &[u8]) -> Result<bool, Dropped> {
        let bytes = [labels, packet].concat();
        match decode(Payload::whole(&bytes), Depth::FULL)? {
            Decoded::Datagram(datagram) => Ok(!datagram.ends.is_v6()),
            other => panic!("no test has another: {other:?}"),
        }
    }

    #[test]
    fn the_version_is_behind_the_last_label() {
        use super::super::testing::{IPV4, IPV6};
        assert_eq!(under(&BOTTOM, &IPV4), Ok(true));
        assert_eq!(under(&[UPPER, UPPER, BOTTOM].concat(), &IPV6), Ok(false));
    }

    #[test]
    fn an_ethernet_pseudowire_is_not_ip() {
        assert_eq!(under(&BOTTOM, &[0; 30]), Err(Dropped::NotIp));
    }

    #[test]
    fn a_stack_without_bottom() {
        let why = "the packet ends inside it";
        let short = Err(Dropped::Malformed { layer: Layer::Mpls, why });
        assert_eq!(under(&UPPER.repeat(3), &[]), short);
        assert_eq!(under(&UPPER.repeat(MAX_HEADERS + 1), &[]), Err(Dropped::TooDeep));
    }
}
