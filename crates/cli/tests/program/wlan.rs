//! 802.11 as it is in the air: several packets in one frame, and one packet in several.

use crate::common::*;

const IEEE802_11: u32 = 105;
const RADIOTAP: u32 = 127;

const CLIENT: &str = "10.0.0.2:40000";
const SERVER: &str = "10.0.0.1:80";

/// The body of an 802.11 frame with one IPv4 packet: LLC, SNAP and the packet.
fn msdu(packet: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], packet].concat()
}

/// The body of one with several packets. All but the last are padded.
fn amsdu(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for packet in packets {
        let msdu = msdu(packet);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1]);
        body.extend(u16::try_from(msdu.len()).expect("a short packet").to_be_bytes());
        body.extend(msdu);
    }
    body
}

/// A QoS data frame from an access point: the high byte of frame control (2 is "from the distribution
/// system", 4 "more fragments"), sequence control, the low byte of QoS control (0x80 is "A-MSDU").
fn frame(flags: u8, sequence: u16, qos: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x88, flags, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 5];
    frame.extend(sequence.to_le_bytes());
    frame.extend([qos, 0]);
    frame.extend(body);
    frame
}

/// A handshake; a request in two segments, which come in one frame with an acknowledgement; the answer,
/// its segment in three frames, the second of which comes twice; and another answer in both ways.
fn conversation() -> Vec<Vec<u8>> {
    let (c, s) = (CLIENT, SERVER);
    let request = [
        tcp_packet(c, s, ACK, 1001, 5001, ""),
        tcp_packet(c, s, ACK, 1001, 5001, "GET "),
        tcp_packet(c, s, ACK, 1005, 5001, "/\r\n"),
    ];
    let answer = msdu(&tcp_packet(s, c, ACK, 5001, 1008, "200 OK, in fragments\n"));
    let both = amsdu(&[
        tcp_packet(s, c, ACK, 5022, 1008, "and "),
        tcp_packet(s, c, FIN | ACK, 5026, 1008, "so on\n"),
    ]);
    let middle = frame(6, 0x0011, 0, &answer[24..48]);
    vec![
        frame(2, 0xffe0, 0, &msdu(&tcp_packet(c, s, SYN, 1000, 0, ""))),
        frame(2, 0xfff0, 0, &msdu(&tcp_packet(s, c, SYN | ACK, 5000, 1001, ""))),
        frame(2, 0x0000, 0x80, &amsdu(&request)),
        frame(6, 0x0010, 0, &answer[..24]),
        middle.clone(),
        middle,
        frame(2, 0x0012, 0, &answer[48..]),
        frame(6, 0x0020, 0x80, &both[..70]),
        frame(2, 0x0021, 0x80, &both[70..]),
    ]
}

/// What must come of [`conversation`].
fn check(place: &Place) {
    let shown = place.shown("-j");
    let keys = ["side", "data", "packet", "offset"];
    let chunks: Vec<_> = shown
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON line"))
        .map(|chunk| keys.map(|key| chunk[key].as_str().expect("a string").to_string()))
        .collect();
    let want = [
        ["0", "GET ", "3", "0"],
        ["0", "/\r\n", "3", "4"],
        ["1", "200 OK, in fragments\n", "7", "0"],
        ["1", "and ", "9", "21"],
        ["1", "so on\n", "9", "25"],
    ];
    assert_eq!(chunks, want);
    let summary = place.summary("-r a.pcap");
    assert_eq!(summary["packets"], serde_json::json!({"read": 9, "assigned": 9, "set_aside": 0}));
}

#[test]
fn bare_frames() {
    check(&Place::with(Capture::all(conversation(), 1_563_783_090).pcap_of(IEEE802_11)));
}

#[test]
fn frames_behind_radiotap_with_a_frame_check_sequence() {
    // Version 0, 9 bytes, only flags: a frame check sequence is there. Nobody checks it.
    let radiotap = [0, 0, 9, 0, 2, 0, 0, 0, 0x10];
    let frames = conversation();
    let frames = frames.iter().map(|frame| [&radiotap[..], frame, &[0xfc; 4]].concat());
    check(&Place::with(Capture::all(frames, 1_563_783_090).pcap_of(RADIOTAP)));
}

#[test]
fn what_could_not_be_read_is_counted_once_for_each_frame() {
    let query = udp_packet(CLIENT, SERVER, "who?");
    let mut damaged = amsdu(&[query.clone(), query.clone()]);
    // The high byte of the second one's length.
    damaged[56 + 12] = 0x10;
    let frames = [
        frame(2, 0x0000, 0x80, &damaged),
        frame(2, 0x0010, 0x80, &damaged[56..]),
        frame(6, 0x0020, 0, &msdu(&query)[..24]),
        frame(0x42, 0x0030, 0x80, &damaged),
    ];
    let place = Place::with(Capture::all(frames, 1_563_783_090).pcap_of(IEEE802_11));
    let outcome = place.run("--verbose -r a.pcap -c").ends(0);
    assert_eq!(outcome.out, "who?");
    let damage = "malformed link layer header: a subframe of an A-MSDU ends past its frame";
    let said = lines(&[
        "pcap2conn: reading a.pcap as input 1",
        &format!("pcap2conn: a.pcap: packet 1: {damage}"),
        &format!("pcap2conn: a.pcap: packet 2: {damage}"),
        "pcap2conn: a.pcap: packet 4: encrypted 802.11 frame",
        "Connections:                       1",
    ]);
    assert!(outcome.err.starts_with(&said), "{}", outcome.err);
    let summary = place.summary("-r a.pcap");
    assert_eq!(summary["packets"]["assigned"], 1);
    let set_aside = &summary["set_aside"];
    let counts = ["malformed", "incomplete datagram", "encrypted"].map(|why| &set_aside[why]);
    assert_eq!(counts, [1, 1, 1]);
}
