//! Frames that were cut, broken or made up: nothing panics, and nothing is found that is not there.

mod packets;

use packets::{Packet, carried, packet};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{
    Decoded, Dropped, Ends, Frame, LinkType, MAX_HEADERS, Payload, decode, decode_msdu,
    decode_reassembled,
};

/// Every link type that is read, and one that is not.
fn link_types() -> impl Iterator<Item = LinkType> {
    let known = (0..=u16::MAX).map(LinkType).filter(|link| link.is_known());
    known.chain([LinkType(147)])
}

/// The payload of what is one packet or a part of one.
fn payload_of<'a>(decoded: &Decoded<'a>) -> Payload<'a> {
    match decoded {
        Decoded::Datagram(datagram) => datagram.body.payload(),
        Decoded::Fragment(fragment) => fragment.payload,
        Decoded::LinkFragment(fragment) => fragment.payload,
        Decoded::Aggregate(_) => panic!("several packets"),
    }
}

/// What was found lies inside the frame and is no longer than it was.
fn check(bytes: &[u8], wire_len: u32, result: &Result<Decoded<'_>, Dropped>) {
    match result {
        Ok(Decoded::Aggregate(aggregate)) => {
            let subframes: Vec<_> = aggregate.subframes().collect();
            assert!(subframes.len() <= bytes.len() / 14 + 1, "each has a header, or is the last");
            subframes.iter().for_each(|subframe| check(bytes, wire_len, subframe));
        }
        Ok(decoded) => {
            let payload = payload_of(decoded);
            assert!(payload.len as usize >= payload.bytes.len());
            assert!(payload.len as usize <= bytes.len().max(wire_len as usize));
            let (outer, inner) = (bytes.as_ptr_range(), payload.bytes.as_ptr_range());
            assert!(
                payload.bytes.is_empty() || outer.start <= inner.start && inner.end <= outer.end
            );
        }
        Err(Dropped::Truncated { needed, found, .. }) => {
            assert!(found < needed);
            assert!(*found as usize <= bytes.len() && bytes.len() < wire_len as usize);
        }
        Err(_) => {}
    }
}

/// Decodes, and goes on where a fragment ends, as if it were a whole datagram.
fn decode_and_check(link: LinkType, bytes: &[u8], wire_len: u32) {
    let result = decode(&Frame { link, bytes, wire_len });
    check(bytes, wire_len, &result);
    go_on(&result);
}

fn go_on(result: &Result<Decoded<'_>, Dropped>) {
    let (payload, result) = match result {
        // Over IPv4 a fragment's payload never is a fragment; over IPv6 each takes 8 bytes.
        Ok(Decoded::Fragment(f)) => {
            (f.payload, decode_reassembled(f.ends, f.protocol, f.payload, MAX_HEADERS))
        }
        Ok(Decoded::LinkFragment(f)) => {
            (f.payload, decode_msdu(f.payload, f.aggregate, MAX_HEADERS))
        }
        Ok(Decoded::Aggregate(aggregate)) => return aggregate.subframes().for_each(|s| go_on(&s)),
        Ok(Decoded::Datagram(_)) | Err(_) => return,
    };
    assert!(!matches!(result, Ok(Decoded::LinkFragment(_))), "a fragment in a fragment");
    check(payload.bytes, payload.len, &result);
    go_on(&result);
}

/// 802.11 frames with several packets each: `packet`, ARP, and `packet` again.
fn aggregates(packet: &Packet) -> Vec<(LinkType, Vec<u8>)> {
    let ethertype = if packet.is_v6() { [0x86, 0xdd] } else { [0x08, 0x00] };
    let snap = |ethertype: &[u8]| [&[0xaa, 0xaa, 3, 0, 0, 0][..], ethertype].concat();
    let packet = [snap(&ethertype), packet.bytes()].concat();
    let arp = [snap(&[0x08, 0x06]), vec![1; 29]].concat();
    let mut body = Vec::new();
    for msdu in [&packet, &arp, &packet] {
        body.resize(body.len().next_multiple_of(4), 0xee);
        body.extend([2; 12]);
        body.extend(u16::try_from(msdu.len()).expect("a short packet").to_be_bytes());
        body.extend(msdu);
    }
    let wlan = [&[0x88, 0x02][..], &[0; 22], &[0x80, 0], &body].concat();
    let radiotap = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wlan].concat();
    vec![(LinkType::IEEE802_11, wlan), (LinkType::IEEE802_11_RADIOTAP, radiotap)]
}

/// The same as what is the first fragment of all of it.
fn link_fragments(packet: &Packet) -> Vec<(LinkType, Vec<u8>)> {
    let mut frames = aggregates(packet);
    frames[0].1[1] |= 0x04;
    frames[1].1[9] |= 0x04;
    frames
}

/// What a frame with several packets holds.
fn subframes(link: LinkType, bytes: &[u8], wire_len: u32) -> Vec<Result<Decoded<'_>, Dropped>> {
    match decode(&Frame { link, bytes, wire_len }) {
        Ok(Decoded::Aggregate(aggregate)) => aggregate.subframes().collect(),
        Ok(other) => panic!("several packets, not {other:?}"),
        Err(dropped) => vec![Err(dropped)],
    }
}

proptest! {
    #[test]
    fn a_snapped_frame_gives_what_is_left_or_says_what_was_cut(packet in packet()) {
        for (link, bytes) in carried(&packet) {
            let wire_len = bytes.len() as u32;
            let whole = decode(&Frame { link, bytes: &bytes, wire_len }).expect("a good frame");
            let whole = payload_of(&whole);
            for captured in 0..bytes.len() {
                let bytes = &bytes[..captured];
                let result = decode(&Frame { link, bytes, wire_len });
                check(bytes, wire_len, &result);
                match result {
                    Ok(decoded) => {
                        let payload = payload_of(&decoded);
                        prop_assert_eq!(payload.len, whole.len);
                        prop_assert!(whole.bytes.starts_with(payload.bytes));
                        prop_assert_eq!(payload.missing(), wire_len - captured as u32);
                    }
                    Err(Dropped::Truncated { .. }) => {}
                    Err(other) => prop_assert!(false, "link type {}, {}: {}", link, captured, other),
                }
            }
        }
    }

    #[test]
    fn a_snapped_aggregate_gives_what_is_left_of_each_packet(packet in packet()) {
        for (link, bytes) in aggregates(&packet) {
            let wire_len = bytes.len() as u32;
            let whole = subframes(link, &bytes, wire_len);
            prop_assert_eq!(whole.len(), 3);
            prop_assert_eq!(&whole[0], &whole[2]);
            prop_assert_eq!(whole[1], Err(Dropped::NotIp));
            for captured in 0..bytes.len() {
                let bytes = &bytes[..captured];
                let got = subframes(link, bytes, wire_len);
                for (n, (got, whole)) in got.iter().zip(&whole).enumerate() {
                    match (got, whole) {
                        (Ok(got), Ok(whole)) => {
                            let (got, whole) = (payload_of(got), payload_of(whole));
                            prop_assert_eq!(got.len, whole.len);
                            prop_assert!(whole.bytes.starts_with(got.bytes));
                        }
                        (Err(Dropped::Truncated { .. }), _) => {}
                        (got, whole) => prop_assert_eq!(got, whole, "{} of {}", n, captured),
                    }
                }
                prop_assert!(got.len() <= 3);
                let cut = matches!(got.last(), Some(Err(Dropped::Truncated { .. })));
                prop_assert!(got.len() == 3 || cut, "{} of 3 at {}", got.len(), captured);
            }
        }
    }

    #[test]
    fn a_frame_that_ended_early_on_the_wire_is_survived(packet in packet()) {
        for (link, bytes) in [carried(&packet), aggregates(&packet), link_fragments(&packet)].concat() {
            for sent in 0..bytes.len() {
                decode_and_check(link, &bytes[..sent], sent as u32);
            }
        }
    }

    #[test]
    fn broken_frames_are_survived(
        packet in packet(),
        damage in vec((0..120usize, any::<u8>()), 1..6),
        beyond in 0..100u32,
    ) {
        let frames = [carried(&packet), aggregates(&packet), link_fragments(&packet)].concat();
        for (link, mut bytes) in frames {
            for &(at, value) in &damage {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            decode_and_check(link, &bytes, bytes.len() as u32 + beyond);
        }
    }

    #[test]
    fn noise_is_survived(bytes in vec(any::<u8>(), 0..200), wire_len in 0..300u32) {
        for link in link_types() {
            decode_and_check(link, &bytes, wire_len.max(bytes.len() as u32));
        }
    }

    #[test]
    fn headers_of_few_values_are_survived(
        // Values that headers are made of, so that noise gets deep.
        bytes in vec(prop_oneof![
            Just(0u8), Just(1), Just(2), Just(3), Just(4), Just(6), Just(8), Just(9), Just(17),
            Just(0x11), Just(0x21), Just(0x45), Just(0x60), Just(0x81), Just(0x88), Just(0x64),
            Just(0xaa), Just(43), Just(44), Just(51), Just(60), any::<u8>(),
        ], 0..120),
    ) {
        for link in link_types() {
            decode_and_check(link, &bytes, bytes.len() as u32);
        }
    }

    #[test]
    fn any_reassembled_payload_is_survived(
        bytes in vec(any::<u8>(), 0..100),
        len in 0..200u32,
        protocol in any::<u8>(),
        v6 in any::<bool>(),
    ) {
        let (v4, v6_ends) = (Ends::V4 { src: 0, dst: 0 }, Ends::V6 { src: [0; 2], dst: [0; 2] });
        let ends = if v6 { v6_ends } else { v4 };
        let result = decode_reassembled(ends, protocol, Payload { bytes: &bytes, len }, MAX_HEADERS);
        check(&bytes, len.max(bytes.len() as u32), &result);
    }

    #[test]
    fn any_reassembled_msdu_is_survived(
        bytes in vec(prop_oneof![Just(0u8), Just(3), Just(0xaa), any::<u8>()], 0..100),
        len in 0..200u32,
        aggregate in any::<bool>(),
    ) {
        let result = decode_msdu(Payload { bytes: &bytes, len }, aggregate, MAX_HEADERS);
        check(&bytes, len.max(bytes.len() as u32), &result);
    }
}
