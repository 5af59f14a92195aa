//! `-m`: what is known of each connection, as text and as JSON.

use crate::common::*;
use crate::stories::{CLIENT, DNS, SERVER, WEB, web, web_and_dns};

const WEB_TEXT: &str = "\
Number of data packets in side 0:  1
Number of data packets in side 1:  2
Total number of data packets:      3

Number of bytes in side 0:         7
Number of bytes in side 1:         7
Total number of bytes:             14

Number of messages in side 0:      1
Number of messages in side 1:      1
Total number of messages:          2

Protocol:                          TCP
Side 0:                            10.0.0.2:40000
Side 1:                            10.0.0.1:80
First packet:                      1563783090.564270 (2019-07-22 08:11:30), packet 1 of input 1
Last packet:                       1563783093.000200 (2019-07-22 08:11:33), packet 9 of input 1
Duration in seconds:               2.435930
Began:                             SYN seen
Ended:                             FIN

Packets in side 0:                 5
Packets in side 1:                 4
Retransmitted in side 0:           0
Retransmitted in side 1:           0
Out of order in side 0:            0
Out of order in side 1:            0
Overlapping in side 0:             0
Overlapping in side 1:             0
Conflicting in side 0:             0
Conflicting in side 1:             0
Keep-alive in side 0:              0
Keep-alive in side 1:              0
Missing bytes in side 0:           0
Missing bytes in side 1:           0
Gaps in side 0:                    0
Gaps in side 1:                    0
Bytes before start in side 0:      0
Bytes before start in side 1:      0
Bytes too late in side 0:          0
Bytes too late in side 1:          0
";

const WEB_JSON: &str = r#"{
	"total": {"bytes":"14","packets":"3","messages":"2"},
	"side_0":{"bytes":"7","packets":"1","messages":"1"},
	"side_1":{"bytes":"7","packets":"2","messages":"1"},
	"protocol":"TCP",
	"side_0_end":"10.0.0.2:40000",
	"side_1_end":"10.0.0.1:80",
	"first_packet":{"time":"1563783090.564270","packet":"1","file":"1"},
	"last_packet":{"time":"1563783093.000200","packet":"9","file":"1"},
	"duration":"2.435930",
	"began":"SYN seen",
	"ended":"FIN",
	"side_0_packets":{"packets":"5","retransmitted":"0","out_of_order":"0","overlapping":"0","conflicting":"0","keep_alive":"0","missing":"0","gaps":"0","before_start":"0","late":"0"},
	"side_1_packets":{"packets":"4","retransmitted":"0","out_of_order":"0","overlapping":"0","conflicting":"0","keep_alive":"0","missing":"0","gaps":"0","before_start":"0","late":"0"}
}
"#;

#[test]
fn the_text_is_the_classic_one_and_what_else_is_known() {
    let files = Place::with(web().pcap()).out("-m");
    assert_eq!(files.len(), 2);
    assert_eq!(files[&format!("{WEB}-metadata.txt")], WEB_TEXT);
    assert_eq!(files[&format!("{WEB}.txt")], "GET /\r\n200 OK\n");
}

#[test]
fn the_json_begins_as_the_classic_one() {
    let place = Place::with(web().pcap());
    let files = place.out("-m -j");
    assert_eq!(files.len(), 2);
    assert_eq!(files[&format!("{WEB}-metadata.json")], WEB_JSON);
    assert_eq!(place.out("-jm -d")[&format!("{WEB}-metadata.json")], WEB_JSON);
    serde_json::from_str::<serde_json::Value>(WEB_JSON).expect("it is JSON");
}

#[test]
fn there_is_one_file_a_connection_with_separate_sides_too() {
    let files = Place::with(web_and_dns().pcap()).out("-s --write-metadata");
    let metadata: Vec<_> = files.keys().filter(|name| name.contains("metadata")).collect();
    let expected = [format!("{WEB}-metadata.txt"), format!("{DNS}-metadata.txt")];
    assert_eq!(metadata, expected.iter().collect::<Vec<_>>());
    assert_eq!(files.len(), 6);
}

#[test]
fn every_count_is_told() {
    let (c, s) = (CLIENT, SERVER);
    let frames = [
        tcp(c, s, SYN, 1000, 0, ""),
        tcp(s, c, SYN | ACK, 5000, 1001, ""),
        tcp(c, s, ACK, 1001, 5001, ""),
        tcp(c, s, ACK, 1001, 5001, "abcdef"),
        tcp(c, s, ACK, 1001, 5001, "abcdef"), // retransmitted
        tcp(c, s, ACK, 1005, 5001, "efgh"),   // overlapping
        tcp(c, s, ACK, 1012, 5001, "lmn"),
        tcp(c, s, ACK, 1012, 5001, "LMN"), // conflicting, and retransmitted
        tcp(c, s, ACK, 1009, 5001, "ijk"), // out of order
        tcp(c, s, ACK, 1014, 5001, "n"),   // keep-alive
        tcp(s, c, ACK, 5001, 1015, "xy"),
        tcp(s, c, ACK, 5006, 1015, "z"), // 3 bytes are missing before it
    ];
    let expected = "\
Number of data packets in side 0:  4
Number of data packets in side 1:  2
Total number of data packets:      6

Number of bytes in side 0:         14
Number of bytes in side 1:         3
Total number of bytes:             17

Number of messages in side 0:      1
Number of messages in side 1:      1
Total number of messages:          2

Protocol:                          TCP
Side 0:                            10.0.0.2:40000
Side 1:                            10.0.0.1:80
First packet:                      1563783090.000000 (2019-07-22 17:11:30), packet 1 of input 1
Last packet:                       1563783090.000011 (2019-07-22 17:11:30), packet 12 of input 1
Duration in seconds:               0.000011
Began:                             SYN seen
Ended:                             input ended

Packets in side 0:                 9
Packets in side 1:                 3
Retransmitted in side 0:           2
Retransmitted in side 1:           0
Out of order in side 0:            1
Out of order in side 1:            0
Overlapping in side 0:             1
Overlapping in side 1:             0
Conflicting in side 0:             1
Conflicting in side 1:             0
Keep-alive in side 0:              1
Keep-alive in side 1:              0
Missing bytes in side 0:           0
Missing bytes in side 1:           3
Gaps in side 0:                    0
Gaps in side 1:                    1
Bytes before start in side 0:      0
Bytes before start in side 1:      0
Bytes too late in side 0:          0
Bytes too late in side 1:          0
";
    let place = Place::with(Capture::all(frames, 1_563_783_090).pcap()).in_zone("Asia/Tokyo");
    let files = place.out("-m");
    assert_eq!(files["20190722171130-TCP-10.0.0.2.40000-10.0.0.1.80-metadata.txt"], expected);
}

/// The lines `Began` and `Ended` of the metadata of each connection, by name.
fn lives(capture: &Capture, options: &str) -> Vec<[String; 2]> {
    let files = Place::with(capture.pcap()).out(&format!("-m {options}"));
    let metadata = files.iter().filter(|(name, _)| name.ends_with("-metadata.txt"));
    metadata
        .map(|(_, text)| {
            ["Began:", "Ended:"].map(|label| {
                let line = text.lines().find(|line| line.starts_with(label)).expect("a line");
                line[label.len()..].trim_start().to_owned()
            })
        })
        .collect()
}

#[test]
fn it_says_how_a_connection_began_and_ended() {
    let (c, s) = (CLIENT, SERVER);
    let mut web = web();
    assert_eq!(lives(&web, ""), [["SYN seen", "FIN"]]);
    web.packets.remove(7);
    assert_eq!(lives(&web, ""), [["SYN seen", "input ended"]]);
    let reset = Capture::new()
        .at("9.0", tcp(c, s, ACK, 1, 1, "x"))
        .at("9.1", tcp(s, c, RST | ACK, 1, 2, ""));
    assert_eq!(lives(&reset, ""), [["mid-stream", "RST"]]);
    let quiet = Capture::new()
        .at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "x"))
        .at("99.0", udp("10.0.0.1:1", "10.0.0.2:2", "y"));
    assert_eq!(lives(&quiet, ""), [["first packet", "input ended"]]);
    assert_eq!(
        lives(&quiet, "--idle-timeout 60"),
        [["first packet", "idle"], ["first packet", "input ended"]]
    );
    assert_eq!(lives(&quiet, "--idle-timeout 90"), [["first packet", "input ended"]]);
}

#[test]
fn ends_without_ports_and_ipv6_ends_show_as_such() {
    let place = Place::with(
        Capture::new()
            .at("9.5", other(107, "10.0.0.1", "10.0.0.2", "payload"))
            .at("9.6", udp("[2001:db8::1]:53", "[::1]:5353", "x"))
            .pcap(),
    );
    let files = place.out("-m");
    let none = &files["19700101000009-A-N-10.0.0.1.0-10.0.0.2.0-metadata.txt"];
    assert!(none.contains("\nProtocol:                          A/N\n"), "{none}");
    assert!(none.contains("\nSide 0:                            10.0.0.1\n"), "{none}");
    let six = &files["19700101000009-UDP-2001_db8__1.53-__1.5353-metadata.txt"];
    assert!(six.contains("\nSide 0:                            [2001:db8::1]:53\n"), "{six}");
    assert!(six.contains("\nSide 1:                            [::1]:5353\n"), "{six}");
    let json = &place.out("-mj")["19700101000009-A-N-10.0.0.1.0-10.0.0.2.0-metadata.json"];
    let json: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    assert_eq!(json["protocol"], "A/N");
}

#[test]
fn nanoseconds_and_negative_durations_are_told_in_full() {
    let capture = Capture::new()
        .at("9.000000005", udp("10.0.0.1:1", "10.0.0.2:2", "x"))
        .at("7.500000000", udp("10.0.0.1:1", "10.0.0.2:2", "y"));
    let files = Place::with(capture.pcap_nanos()).out("-m");
    let text = files.values().find(|text| text.contains("Duration")).expect("the metadata");
    assert!(text.contains(
        "First packet:                      9.000000005 (1970-01-01 00:00:09), packet 1"
    ));
    assert!(text.contains(
        "Last packet:                       7.500000000 (1970-01-01 00:00:07), packet 2"
    ));
    assert!(text.contains("Duration in seconds:               -1.500000005\n"), "{text}");
}

#[test]
fn packets_of_several_inputs_are_told_apart() {
    let mut first = web();
    let second = Capture { packets: first.packets.split_off(5) };
    let place = Place::new().put("a", first.pcap()).put("b", second.pcap());
    place.run("-q -r a b -o out -m").says_nothing();
    let text = &place.files("out")[&format!("{WEB}-metadata.txt")];
    assert!(text.contains("(2019-07-22 08:11:30), packet 1 of input 1\n"), "{text}");
    assert!(text.contains("(2019-07-22 08:11:33), packet 4 of input 2\n"), "{text}");
    place.run("-q -r a b -o out -m -j").says_nothing();
    let json = &place.files("out")[&format!("{WEB}-metadata.json")];
    let last = r#""last_packet":{"time":"1563783093.000200","packet":"4","file":"2"}"#;
    assert!(json.contains(last), "{json}");
}
