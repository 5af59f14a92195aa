//! Raw output: the bytes and nothing else.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, WEB, WEB_SWAPPED, web, web_and_dns};

#[test]
fn both_sides_stand_in_one_file_in_the_order_of_delivery() {
    let place = Place::with(web().pcap());
    assert_eq!(place.only(""), (format!("{WEB}.txt"), "GET /\r\n200 OK\n".into()));
}

#[test]
fn each_side_has_a_file_with_s() {
    let files = Place::with(web().pcap()).out("-s");
    assert_eq!(files.len(), 2);
    assert_eq!(files[&format!("{WEB}.txt")], "GET /\r\n");
    assert_eq!(files[&format!("{WEB_SWAPPED}.txt")], "200 OK\n");
}

#[test]
fn a_side_that_says_nothing_has_no_file() {
    let mut capture = web();
    capture.packets.drain(4..6);
    capture.packets.truncate(4);
    let files = Place::with(capture.pcap()).out("-s");
    assert_eq!(files.into_keys().collect::<Vec<_>>(), [format!("{WEB}.txt")]);
}

#[test]
fn segments_come_out_in_order_and_once() {
    let (c, s) = (CLIENT, SERVER);
    let frames = [
        tcp(c, s, SYN, u32::MAX - 2, 0, ""),
        tcp(s, c, SYN | ACK, 7, u32::MAX - 1, ""),
        // The sequence numbers wrap inside of the fourth byte.
        tcp(c, s, ACK, 2, 8, "efg"),
        tcp(c, s, ACK, u32::MAX - 1, 8, "abcd"),
        tcp(c, s, ACK, u32::MAX, 8, "bcde"),
        tcp(c, s, ACK, 5, 8, "h"),
    ];
    let place = Place::with(Capture::all(frames, 9).pcap());
    assert_eq!(place.only("").1, "abcdefgh");
}

#[test]
fn every_byte_value_passes_unchanged() {
    let all: Vec<u8> = (0..=255).collect();
    let place = Place::with(Capture::new().at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", &all)).pcap());
    assert_eq!(place.only("").1, latin1(&all));
    assert_eq!(place.shown(""), latin1(&all));
}

#[test]
fn padding_of_short_frames_is_no_data() {
    // 28 bytes of headers and 1 of data in a frame of 60 bytes.
    let place = Place::with(Capture::new().at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "x")).pcap());
    assert_eq!(place.only("").1, "x");
}

#[test]
fn an_empty_datagram_writes_nothing() {
    let frames = [udp("10.0.0.1:1", "10.0.0.2:2", ""), udp("10.0.0.1:1", "10.0.0.2:2", "")];
    let place = Place::with(Capture::all(frames, 9).pcap());
    assert!(place.out("").is_empty());
    assert!(place.out("-d").is_empty());
    assert!(place.out("-j").is_empty());
    let files = place.out("-m");
    assert_eq!(files.len(), 1, "metadata is for every connection");
    let text = files.into_values().next().expect("there is one");
    assert!(text.starts_with("Number of data packets in side 0:  0\n"), "{text}");
    assert!(text.contains("\nPackets in side 0:                 2\n"), "{text}");
}

#[test]
fn the_chunk_of_a_protocol_without_ports_is_the_whole_payload() {
    let ping = b"\x08\0\x12\x34\0\x07\0\x01ping";
    let place =
        Place::with(Capture::new().at("9.0", other(1, "10.0.0.1", "10.0.0.2", ping)).pcap());
    assert_eq!(place.only("").1, latin1(ping));
    let sctp = b"\x0b\x59\x0b\x5a\0\0\0\0\0\0\0\0rest of it";
    let place =
        Place::with(Capture::new().at("9.0", other(132, "10.0.0.1", "10.0.0.2", sctp)).pcap());
    assert_eq!(place.only("").1, latin1(sctp));
}

#[test]
fn fragments_are_one_chunk() {
    let (from, to) = ("10.0.0.1:1", "10.0.0.2:2");
    let datagram = udp_datagram(from, to, "the first part, and the rest");
    let part = |place: u16, bytes: &[u8]| {
        ethernet(&ipv4(17, end(from).ip(), end(to).ip(), 77, place, bytes))
    };
    // The last part comes first. 0x2000 says that more follow; offsets count in eights.
    let frames = [part(2, &datagram[16..]), part(0x2000, &datagram[..16])];
    let place = Place::with(Capture::all(frames, 9).pcap());
    let (_, json) = place.only("-j");
    assert_eq!(json.lines().count(), 1);
    assert!(json.contains(r#""size":"28","data":"the first part, and the rest""#), "{json}");
    assert!(json.contains(r#""packet":"2","offset":"0""#), "{json}");
}

#[test]
fn every_connection_has_its_own_file() {
    let files = Place::with(web_and_dns().pcap()).out("");
    let files: Vec<_> = files.into_iter().collect();
    let expected = [
        (format!("{WEB}.txt"), "GET /\r\n200 OK\n".to_owned()),
        (format!("{}.txt", crate::stories::DNS), "who?me".to_owned()),
    ];
    assert_eq!(files, expected);
}
