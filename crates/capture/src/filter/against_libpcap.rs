//! The filter against libpcap's own machine and reader.

use super::compiler::dlt;
use super::*;
use crate::testing::PcapFile;
use ::pcap::{Capture, Linktype};
use proptest::prelude::*;
use std::collections::HashMap;

/// Expressions of every kind that libpcap compiles: tests, header lengths, indirect loads, scratch
/// memory, arithmetic, chains.
const EXPRESSIONS: [&str; 26] = [
    "",
    "ip",
    "ip6",
    "tcp",
    "udp port 53",
    "tcp port 80 or tcp port 443",
    "tcp dst portrange 1000-40000",
    "host 10.0.0.1",
    "src net 10.0.0.0/8 and not dst host 10.0.0.2",
    "ip6 host 2001:db8::1",
    "icmp or icmp6 or igmp",
    "sctp",
    "ip proto 47",
    "ip6 proto 17",
    "ip protochain 6",
    "ip6 protochain 6",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 240) >> 2) != 0",
    "ip[6:2] & 0x1fff = 0 and ip[8] > 5",
    "len * 2 / 3 % 7 = 4 or len ^ 3 < 40",
    "ip[0] * len - 5 > ip[8] / (ip[9] - 6)",
    "ip[-ip[0]:1] = 1 or ip[1] << ip[2] >= 0x1000",
    "greater 60",
    "less 60",
    "len = 61 or len >= 1000",
];

/// Link types with frames that look like them: a prefix in front of an IP packet.
fn prefixes() -> Vec<(LinkType, Vec<u8>, Vec<u8>)> {
    let ethernet = |kind: &[u8]| [&[2; 12][..], kind].concat();
    let sll = |kind: &[u8]| [&[0; 14][..], kind].concat();
    let sll2 = |kind: &[u8]| [kind, &[0; 18]].concat();
    vec![
        (LinkType::ETHERNET, ethernet(b"\x08\0"), ethernet(b"\x86\xdd")),
        (LinkType::LINUX_SLL, sll(b"\x08\0"), sll(b"\x86\xdd")),
        (LinkType::LINUX_SLL2, sll2(b"\x08\0"), sll2(b"\x86\xdd")),
        (LinkType::RAW, vec![], vec![]),
        (LinkType::DLT_RAW, vec![], vec![]),
        (LinkType::DLT_RAW_OPENBSD, vec![], vec![]),
        (LinkType::PPP, b"\xff\x03\0\x21".to_vec(), b"\xff\x03\0\x57".to_vec()),
        (
            LinkType::PPP_ETHER,
            b"\x11\0\0\x01\0\0\0\x21".to_vec(),
            b"\x11\0\0\x01\0\0\0\x57".to_vec(),
        ),
        (LinkType::IPV4, vec![], vec![]),
        (LinkType::NFLOG, vec![], vec![]),
    ]
}

/// An IP header that is right in the fields filters look at, then anything.
fn packet() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let protocol = prop::sample::select(vec![1_u8, 2, 6, 17, 47, 51, 58, 60, 132]);
    let port = prop::sample::select(vec![53_u16, 80, 443, 1000, 40000, 40001]);
    let fragment = prop::sample::select(vec![0_u16, 0x2000, 5]);
    let rest = prop::collection::vec(any::<u8>(), 0..80);
    (any::<bool>(), protocol, port, fragment, 5_u8..8, rest).prop_map(
        |(six, protocol, port, fragment, words, rest)| {
            let mut bytes = if six {
                let mut header = [vec![0x60, 0, 0, 0, 0, 40, protocol, 64], vec![0; 32]].concat();
                header[8..24].copy_from_slice(b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
                header
            } else {
                let mut header = vec![0x40 | words, 0, 0, 200, 0, 0, 0, 0, 6, protocol, 0, 0];
                header[6..8].copy_from_slice(&fragment.to_be_bytes());
                header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
                header.resize(usize::from(words) * 4, 1);
                header
            };
            bytes.extend(port.to_be_bytes());
            bytes.extend(rest);
            (six, bytes)
        },
    )
}

proptest! {
    #[test]
    fn our_machine_agrees_with_libpcaps((six, packet) in packet(), cut in 0_usize..200) {
        for (link, ipv4, ipv6) in prefixes() {
            let mut frame = [if six { ipv6 } else { ipv4 }, packet.clone()].concat();
            frame.truncate(cut.max(frame.len().saturating_sub(cut)));
            for expression in EXPRESSIONS {
                let theirs = THEIRS.with(|programs| {
                    let mut programs = programs.borrow_mut();
                    let program = programs.entry((link, expression)).or_insert_with(|| {
                        Capture::dead(Linktype(dlt(link))).unwrap().compile(expression, true)
                    });
                    match program {
                        Ok(program) if program.filter(&frame) => Verdict::Match,
                        Ok(_) => Verdict::NoMatch,
                        Err(::pcap::Error::PcapError(message)) if message.contains("rejects all") => {
                            Verdict::NoMatch
                        }
                        Err(_) => Verdict::Undefined,
                    }
                });
                let ours = OURS.with(|filters| {
                    let mut filters = filters.borrow_mut();
                    let filter = filters.entry(expression).or_insert_with(|| Filter::new(expression));
                    filter.matches(link, &frame, frame.len() as u32)
                });
                prop_assert_eq!(ours, theirs, "{} on {:?} {:02x?}", expression, link, frame);
            }
        }
    }
}

type Theirs = HashMap<(LinkType, &'static str), Result<::pcap::BpfProgram, ::pcap::Error>>;

thread_local! {
    // Compiling costs far more than running.
    static THEIRS: std::cell::RefCell<Theirs> = std::cell::RefCell::default();
    static OURS: std::cell::RefCell<HashMap<&'static str, Filter>> = std::cell::RefCell::default();
}

/// The numbers of the packets that libpcap, reading the file itself, chooses.
fn chosen_by_libpcap(file: &PcapFile, expression: &str) -> Vec<u32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    std::fs::write(&path, file.bytes()).unwrap();
    let mut capture = Capture::from_file(&path).unwrap();
    capture.filter(expression, true).unwrap();
    let mut chosen = Vec::new();
    while let Ok(packet) = capture.next_packet() {
        chosen.push(packet.header.ts.tv_sec as u32);
    }
    chosen
}

/// The same by our reader and filter. Each packet's second is its number.
fn chosen_by_us(file: &PcapFile, expression: &str) -> Vec<u32> {
    let mut reader = crate::testing::reader(file.bytes());
    let mut filter = Filter::new(expression);
    let mut chosen = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        let link = packet.link.unwrap();
        if filter.matches(link, packet.bytes, packet.wire_len) == Verdict::Match {
            chosen.push(packet.time.secs() as u32);
        }
    }
    chosen
}

#[test]
fn snapped_packets_are_judged_by_their_length_on_the_wire() {
    let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
    for (number, (captured, wire)) in
        [(60, 60), (96, 1500), (96, 999), (96, 1000), (60, 65000)].into_iter().enumerate()
    {
        file.packet(number as u32, 0, &vec![0; captured], wire);
    }
    for (expression, want) in [
        ("greater 1000", vec![1, 3, 4]),
        ("less 999", vec![0, 2]),
        ("len = 1000", vec![3]),
        ("len - 500 > 600", vec![0, 1, 4]),
    ] {
        assert_eq!(chosen_by_us(&file, expression), want, "{expression}");
        assert_eq!(chosen_by_libpcap(&file, expression), want, "{expression}");
    }
}

/// Loopback frames as macOS and the BSDs write them, by a machine of either byte order.
#[test]
fn loopback_frames_of_other_systems_are_understood_as_libpcap_reads_them() {
    for (big, link) in [(false, 0), (true, 0), (false, 108), (true, 108)] {
        let mut file = PcapFile::new(0xa1b2_c3d4, big, link);
        for (number, family) in [2_u32, 24, 28, 30].into_iter().enumerate() {
            let order = big || link == 108;
            let family = if order { family.to_be_bytes() } else { family.to_le_bytes() };
            let version = if number == 0 { 0x45 } else { 0x60 };
            let frame = [&family[..], &[version, 0, 0, 0, 0, 0, 6, 6], &[6; 60]].concat();
            file.packet(number as u32, 0, &frame, frame.len() as u32);
        }
        for (expression, want) in
            [("ip", vec![0]), ("ip6", vec![1, 2, 3]), ("tcp", vec![0, 1, 2, 3]), ("udp", vec![])]
        {
            let context = format!("{expression}, link type {link}, big-endian {big}");
            assert_eq!(chosen_by_us(&file, expression), want, "{context}");
            assert_eq!(chosen_by_libpcap(&file, expression), want, "{context}");
        }
    }
}

#[test]
fn what_cannot_be_compiled_is_told_in_libpcaps_words() {
    let message = |expression, link| Filter::new(expression).check(link).unwrap_err().to_string();
    assert_eq!(
        message("tcp prt 80", LinkType::ETHERNET),
        "filter 'tcp prt 80' for link type 1: can't parse filter expression: syntax error"
    );
    assert_eq!(
        message("tcp and udp", LinkType::ETHERNET),
        "filter 'tcp and udp' for link type 1: expression rejects all packets"
    );
    assert!(message("vlan 5", LinkType::RAW).contains("for link type 101: no VLAN support"));
    assert!(message("tcp\n\0", LinkType::RAW).starts_with("filter 'tcp\\n\\u{0}' for link type"));
    assert_eq!(Filter::new("tcp port 80").check(LinkType::ETHERNET), Ok(()));
}

#[test]
fn a_later_link_type_may_never_match_or_be_undefined() {
    let mut filter = Filter::new("vlan 5 or ip host 10.0.0.1");
    assert_eq!(filter.check(LinkType::ETHERNET), Ok(()));
    assert_eq!(filter.matches(LinkType::ETHERNET, &[0; 60], 60), Verdict::NoMatch);
    assert_eq!(filter.matches(LinkType::RAW, &[0; 60], 60), Verdict::Undefined);
    assert_eq!(filter.matches(LinkType(60_000), &[0; 60], 60), Verdict::Undefined);
    let mut filter = Filter::new("ip");
    assert_eq!(filter.matches(LinkType::IPV4, &[0x45; 60], 60), Verdict::Match);
    assert_eq!(filter.matches(LinkType::IPV6, &[0x45; 60], 60), Verdict::NoMatch);
    assert!(filter.check(LinkType::IPV6).is_err());
}
