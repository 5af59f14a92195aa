//! `-j`: one JSON object a line for each chunk.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, WEB, WEB_SWAPPED, lossy, web};

const GET: &str = r#"{"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"7","data":"GET /\r\n","data_hex":"474554202F0D0A","packet":"4","offset":"0"}"#;
const STATUS: &str = r#"{"side":"1","time":{"abs":"1563783092.400000","conn":"1.835730"},"size":"4","data":"200 ","data_hex":"32303020","packet":"5","offset":"0"}"#;
const OK: &str = r#"{"side":"1","time":{"abs":"1563783092.400001","conn":"1.835731"},"size":"3","data":"OK\n","data_hex":"4F4B0A","packet":"6","offset":"4"}"#;

#[test]
fn a_chunk_is_a_line_with_the_classic_keys_then_ours() {
    let place = Place::with(web().pcap());
    let expected = lines(&[GET, STATUS, OK]);
    assert_eq!(place.only("-j"), (format!("{WEB}.json"), expected.clone()));
    assert_eq!(place.only("--json").1, expected);
    assert_eq!(place.only("-dj").1, expected, "-j overrides -d");
}

#[test]
fn each_side_has_its_lines_with_s() {
    let files = Place::with(web().pcap()).out("-sj");
    assert_eq!(files[&format!("{WEB}.json")], lines(&[GET]));
    assert_eq!(files[&format!("{WEB_SWAPPED}.json")], lines(&[STATUS, OK]));
}

#[test]
fn pcapng_and_the_other_byte_order_say_the_same() {
    for capture in [web().pcapng(), web().pcap_big()] {
        assert_eq!(Place::with(capture).only("-j").1, lines(&[GET, STATUS, OK]));
    }
}

#[test]
fn a_gap_is_a_line_with_the_deciding_packet() {
    let place = Place::with(lossy().pcap());
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"1563783091.000000","conn":"0.435730"},"size":"1","data":"?","data_hex":"3F","packet":"4","offset":"0"}"#,
        r#"{"side":"1","time":{"abs":"1563783092.000000","conn":"1.435730"},"size":"5","data":"hello","data_hex":"68656C6C6F","packet":"5","offset":"0"}"#,
        // Nothing but the end of the input proves it: the connection's last packet decided.
        r#"{"side":"1","time":{"abs":"1563783093.000000","conn":"2.435730"},"size":"0","data":"","data_hex":"","missing":"6","packet":"7","offset":"5"}"#,
        r#"{"side":"1","time":{"abs":"1563783092.000002","conn":"1.435732"},"size":"5","data":"world","data_hex":"776F726C64","packet":"6","offset":"11"}"#,
    ]);
    for gap in ["", "--gap marker", "--gap zero"] {
        assert_eq!(place.only(&format!("-j {gap}")).1, expected, "{gap}");
    }
}

#[test]
fn the_packet_that_proves_a_gap_decides_it() {
    let (c, s) = (CLIENT, SERVER);
    let mut frames = vec![
        tcp(c, s, SYN, 1000, 0, ""),
        tcp(s, c, SYN | ACK, 5000, 1001, ""),
        tcp(s, c, ACK, 5004, 1001, "x"),
    ];
    // The client acknowledges the 3 missing bytes with packet 4; 32 packets later they are given up.
    frames.extend((0..40).map(|_| tcp(c, s, ACK, 1001, 5005, "")));
    let place = Place::with(Capture::all(frames, 9).pcap());
    let expected = lines(&[
        r#"{"side":"1","time":{"abs":"9.000035","conn":"0.000035"},"size":"0","data":"","data_hex":"","missing":"3","packet":"36","offset":"0"}"#,
        r#"{"side":"1","time":{"abs":"9.000002","conn":"0.000002"},"size":"1","data":"x","data_hex":"78","packet":"3","offset":"3"}"#,
    ]);
    assert_eq!(place.only("-j").1, expected);
}

#[test]
fn several_inputs_add_their_number_and_packets_count_per_file() {
    let mut first = web();
    let second = Capture { packets: first.packets.split_off(5) };
    let place = Place::new().put("a", first.pcap()).put("b", second.pcapng());
    place.run("-q -j -r a b -o out").says_nothing();
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"7","data":"GET /\r\n","data_hex":"474554202F0D0A","packet":"4","offset":"0","file":"1"}"#,
        r#"{"side":"1","time":{"abs":"1563783092.400000","conn":"1.835730"},"size":"4","data":"200 ","data_hex":"32303020","packet":"5","offset":"0","file":"1"}"#,
        r#"{"side":"1","time":{"abs":"1563783092.400001","conn":"1.835731"},"size":"3","data":"OK\n","data_hex":"4F4B0A","packet":"1","offset":"4","file":"2"}"#,
    ]);
    assert_eq!(place.files("out")[&format!("{WEB}.json")], expected);
    // The number is that of the command line, whatever is read first.
    place.run("-q -j -r b a -o swapped").says_nothing();
    let swapped = &place.files("swapped")[&format!("{WEB}.json")];
    let renumbered = expected
        .replace(r#""file":"1""#, r#""file":"x""#)
        .replace(r#""file":"2""#, r#""file":"1""#)
        .replace(r#""file":"x""#, r#""file":"2""#);
    assert_eq!(*swapped, renumbered);
}

#[test]
fn bytes_are_escaped_as_the_classic_program_does() {
    let data = b"\x00\x07\x08\x09\x0A\x0B\x0C\x0D\x1F !\"/\\~\x7F\x80\xE9\xFF";
    let place = Place::with(Capture::new().at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", data)).pcap());
    let expected = r#"{"side":"0","time":{"abs":"9.000000","conn":"0.000000"},"size":"19","data":"\u0000\u0007\b\t\n\u000B\f\r\u001F !\"/\\~\u007F\u0080\u00E9\u00FF","data_hex":"000708090A0B0C0D1F2021222F5C7E7F80E9FF","packet":"1","offset":"0"}"#;
    assert_eq!(place.only("-j").1, lines(&[expected]));
}

#[test]
fn every_byte_value_is_read_back_by_a_json_reader() {
    let all: Vec<u8> = (0..=255).collect();
    let place = Place::with(Capture::new().at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", &all)).pcap());
    let line: serde_json::Value = serde_json::from_str(&place.only("-j").1).expect("it is JSON");
    assert_eq!(line["data"].as_str().expect("a string"), latin1(&all));
}

#[test]
fn fine_clocks_give_nine_decimals() {
    let one = udp("10.0.0.1:1", "10.0.0.2:2", "a");
    let two = udp("10.0.0.2:2", "10.0.0.1:1", "b");
    let capture = Capture::new().at("1563783090.000000001", one).at("1563783091.5", two);
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"1563783090.000000001","conn":"0.000000000"},"size":"1","data":"a","data_hex":"61","packet":"1","offset":"0"}"#,
        r#"{"side":"1","time":{"abs":"1563783091.500000000","conn":"1.499999999"},"size":"1","data":"b","data_hex":"62","packet":"2","offset":"0"}"#,
    ]);
    assert_eq!(Place::with(capture.pcap_nanos()).only("-j").1, expected);
}

#[test]
fn each_interface_has_its_own_precision() {
    // if_tsresol (option 9): milliseconds, nanoseconds, 2^-10 s.
    let capture = Ng::new()
        .interface(1, &[(9, &[3])])
        .interface(1, &[(9, &[9])])
        .interface(1, &[(9, &[0x8a])])
        .packet(0, 9_250, &udp("10.0.0.1:1", "10.0.0.2:2", "a"))
        .packet(1, 9_250_000_001, &udp("10.0.0.1:1", "10.0.0.2:2", "b"))
        .packet(2, 9 * 1024 + 512, &udp("10.0.0.1:1", "10.0.0.2:2", "c"));
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"9.250000","conn":"0.000000"},"size":"1","data":"a","data_hex":"61","packet":"1","offset":"0"}"#,
        r#"{"side":"0","time":{"abs":"9.250000001","conn":"0.000000001"},"size":"1","data":"b","data_hex":"62","packet":"2","offset":"1"}"#,
        r#"{"side":"0","time":{"abs":"9.500000","conn":"0.250000"},"size":"1","data":"c","data_hex":"63","packet":"3","offset":"2"}"#,
    ]);
    assert_eq!(Place::with(capture.0).only("-j").1, expected);
}

#[test]
fn conn_may_be_negative_and_times_may_step_back() {
    let capture = Capture::new()
        .at("1563783090.500000", udp("10.0.0.1:1", "10.0.0.2:2", "a"))
        .at("1563783088.750001", udp("10.0.0.1:1", "10.0.0.2:2", "b"))
        .at("1563783090.400000", udp("10.0.0.1:1", "10.0.0.2:2", "c"));
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"1563783090.500000","conn":"0.000000"},"size":"1","data":"a","data_hex":"61","packet":"1","offset":"0"}"#,
        r#"{"side":"0","time":{"abs":"1563783088.750001","conn":"-1.749999"},"size":"1","data":"b","data_hex":"62","packet":"2","offset":"1"}"#,
        r#"{"side":"0","time":{"abs":"1563783090.400000","conn":"-0.100000"},"size":"1","data":"c","data_hex":"63","packet":"3","offset":"2"}"#,
    ]);
    assert_eq!(Place::with(capture.pcap()).only("-j").1, expected);
}

#[test]
fn times_beyond_the_year_9999_are_exact() {
    let frame = udp("10.0.0.1:1", "10.0.0.2:2", "z");
    let place =
        Place::with(Ng::new().interface(1, &[]).packet(0, 253_402_300_800_000_001, &frame).0);
    assert_eq!(
        place.only("-j").1,
        lines(&[
            r#"{"side":"0","time":{"abs":"253402300800.000001","conn":"0.000000"},"size":"1","data":"z","data_hex":"7A","packet":"1","offset":"0"}"#
        ])
    );
}

#[test]
fn chunks_of_a_connection_count_packets_of_the_whole_file() {
    let capture = Capture::new()
        .at("9.0", arp())
        .at("9.1", udp("10.0.0.1:1", "10.0.0.2:2", ""))
        .at("9.2", udp("10.0.0.1:1", "10.0.0.2:2", "x"));
    assert_eq!(
        Place::with(capture.pcap()).only("-j").1,
        lines(&[
            r#"{"side":"0","time":{"abs":"9.200000","conn":"0.100000"},"size":"1","data":"x","data_hex":"78","packet":"3","offset":"0"}"#
        ])
    );
}
