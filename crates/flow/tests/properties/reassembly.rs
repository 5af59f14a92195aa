//! Whatever the network and the tap do to a conversation, its bytes come out.
//!
//! What the rules promise, and under which conditions:
//! - Packets change places within a window of 32 packets of the connection. That is: from the first
//!   acknowledgement that covers a byte to the byte's first copy there are at most 32 packets, and from
//!   the first data of a direction without a SYN to its lowest byte fewer than 32.
//! - A direction without a SYN carries less than 64 KiB in its first 32 packets, or begins in order.
//! - Bytes that come again are the same.
//! - With loss: no segment that carries data has one byte, as that may be a keep-alive probe.

use crate::capture::{Capture, Expected, bytes, capture};
use crate::common::{A, B};
use proptest::prelude::*;

fn came_out(capture: &Capture) -> Result<[Expected; 2], TestCaseError> {
    let got = capture.talk.run();
    prop_assert_eq!(got.connections.len(), 1, "one connection");
    let only = got.only();
    for end in [A, B] {
        let fin = capture.has_fin(end).then_some(true);
        prop_assert_eq!(only.ends_with_fin(end), fin, "end {} told its FIN last", end);
    }
    Ok([A, B].map(|end| Expected { bytes: only.bytes(end), gaps: only.gaps(end) }))
}

proptest! {
    #[test]
    fn every_byte_comes_out_once_and_in_order(capture in capture(false)) {
        prop_assume!(!capture.talk.packets.is_empty());
        let got = came_out(&capture)?;
        for end in [A, B] {
            if capture.captured[end] {
                let all = Expected { bytes: bytes(end, 0, capture.sent[end]), gaps: vec![] };
                prop_assert_eq!(&got[end], &all, "end {}", end);
            }
            prop_assert_eq!(&got[end], &capture.expected(end), "end {}", end);
        }
    }

    #[test]
    fn what_is_lost_is_said_exactly_and_the_rest_is_right(capture in capture(true)) {
        prop_assume!(!capture.talk.packets.is_empty());
        let got = came_out(&capture)?;
        for end in [A, B] {
            prop_assert_eq!(&got[end], &capture.expected(end), "end {}", end);
        }
    }
}
