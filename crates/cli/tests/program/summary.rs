//! The summary: words for people, JSON for programs.

use crate::common::*;
use crate::stories::{lossy, web, web_and_dns};

/// Everything that happens in one run: two connections, a gap, a packet that is not IP, one that is
/// broken.
fn eventful() -> Place {
    let mut broken = ethernet(&udp_packet("10.0.0.1:1", "10.0.0.2:2", "x"));
    broken[14] = 0x41; // An IPv4 header of 4 bytes.
    let capture = lossy().at("1563783094.0", arp()).at("1563783094.1", broken);
    let dns = Capture::new().at("1563783095.0", udp("10.0.0.2:5353", "10.0.0.9:53", "who?"));
    Place::with(capture.pcap()).put("b.pcapng", dns.pcapng())
}

#[test]
fn the_text_tells_what_happened_and_how_long_it_took() {
    let said = eventful().run("-r a.pcap b.pcapng -o out").ends(0).err;
    let (before, timing) = said.split_at(said.rfind("Time:").expect("the last line"));
    let expected = "\
Connections:                       2
  TCP:                             1
  UDP:                             1
Bytes:                             15
Chunks:                            4
Messages:                          3
Missing bytes:                     6
Gaps:                              1
Packets read:                      10 = 8 assigned + 2 set aside
  not IP:                          1
  malformed:                       1
";
    assert_eq!(before, expected);
    assert!(timing.starts_with("Time:                              0."), "{timing}");
    assert!(timing.ends_with(" MB/s\n") && timing.contains(" packets/s, "), "{timing}");
}

#[test]
fn the_json_has_every_count() {
    let place = eventful();
    place.run("-q -r a.pcap b.pcapng -o out --summary-json summary.json").says_nothing();
    let text = std::fs::read_to_string(place.path("summary.json")).expect("it was written");
    let (before, timing) = text.split_once(",\n\t\"timing\":{").expect("timing comes last");
    let expected = r#"{
	"connections":{"total":2,"by_protocol":{"TCP":1,"UDP":1}},
	"bytes":15,
	"chunks":4,
	"messages":3,
	"missing":6,
	"gaps":1,
	"retransmitted":0,
	"out_of_order":0,
	"overlapping":0,
	"conflicting":0,
	"keep_alive":0,
	"before_start":0,
	"late":0,
	"packets":{"read":10,"assigned":8,"set_aside":2},
	"set_aside":{"filtered":0,"filter undefined":0,"unknown link type":0,"unknown interface":0,"not IP":1,"encrypted":0,"cut inside a header":0,"malformed":1,"nested too deep":0,"incomplete datagram":0,"implausible":0},
	"limits":{"connections":0,"buffered per direction":0,"buffered":0,"fragments":0,"remembered after their end":0,"connections with the same ends":0,"far ahead":0},
	"fragment_conflicts":0,
	"inputs":[
		{"file":1,"path":"a.pcap","packets":9,"bytes":708,"status":"complete"},
		{"file":2,"path":"b.pcapng","packets":1,"bytes":140,"status":"complete"}
	]"#;
    let length = |name: &str| std::fs::metadata(place.path(name)).expect("an input").len();
    assert_eq!((length("a.pcap"), length("b.pcapng")), (708, 140), "as the summary must say");
    assert_eq!(before, expected);
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let keys: Vec<_> = json["timing"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["bytes_per_second", "packets_per_second", "seconds"], "{timing}");
    assert!(text.ends_with("}\n}\n"), "{timing}");
}

#[test]
fn it_is_the_same_with_files_console_and_dry_run() {
    let place = Place::with(web_and_dns().pcap());
    let mut all = Vec::new();
    for options in ["-o out", "-c", "-c -j -m", "--dry-run", "-o out -s -d", "--workers 8"] {
        place.run(&format!("-q -r a.pcap --summary-json s {options}")).ends(0);
        let text = std::fs::read_to_string(place.path("s")).expect("it was written");
        all.push(text.split("\"timing\"").next().map(str::to_owned));
    }
    all.dedup();
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn damage_is_told_in_one_place_with_its_reason() {
    let mut bytes = web_and_dns().pcap();
    bytes.truncate(bytes.len() - 3);
    let place = Place::with(&bytes);
    let said = place.run("-r a.pcap --dry-run --summary-json s").ends(3).err;
    let line = said.lines().find(|line| line.starts_with("Input 1:")).expect("a line");
    assert!(line.starts_with("Input 1:                           a.pcap: at byte "), "{line}");
    assert_eq!(line.matches("a.pcap").count(), 1, "{line}");
    let json = std::fs::read_to_string(place.path("s")).expect("it was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let status = json["inputs"][0]["status"].as_str().expect("a string");
    assert!(status.starts_with("at byte 861, packet 12: the file ends here"), "{status}");
    assert_eq!(json["inputs"][0]["packets"], 11);
}

#[test]
fn an_input_that_cannot_be_read_stands_in_it_too() {
    let place = Place::with(web_and_dns().pcap());
    let json = place.summary("-r a.pcap nosuch");
    assert_eq!(json["inputs"][0]["status"], "complete");
    assert_eq!(json["inputs"][1]["path"], "nosuch");
    assert_eq!(json["inputs"][1]["status"], "no such file; check the name");
    assert_eq!(json["packets"]["read"], 12);
}

#[cfg(target_os = "linux")]
#[test]
fn it_cannot_be_written_where_nothing_can() {
    let place = Place::with(web_and_dns().pcap());
    let outcome = place.run("-q -r a.pcap -o out --summary-json /dev/full").ends(1);
    assert!(outcome.err.starts_with("pcap2conn: cannot write /dev/full: "), "{outcome:?}");
    assert_eq!(place.names("out").len(), 2, "the connections were written before");
}

#[test]
fn the_json_can_go_to_standard_output() {
    let place = Place::with(web().pcap());
    let outcome = place.run("-q -r a.pcap --dry-run --summary-json -").ends(0);
    let json: serde_json::Value =
        serde_json::from_str(&outcome.out).expect("JSON and nothing else");
    assert_eq!(json["connections"]["total"], 1);
    assert!(!place.path("-").exists());
}

#[test]
fn a_path_that_cannot_be_written_is_said_before_anything_is_read() {
    let place = Place::with(web().pcap());
    for path in ["nowhere/s.json", "."] {
        let outcome = place.run(&format!("-q -r a.pcap -o out --summary-json {path}")).ends(1);
        let words = format!("pcap2conn: cannot write {path}: ");
        assert!(outcome.err.starts_with(&words), "{outcome:?}");
        assert!(!place.path("out").exists());
    }
}

#[test]
fn the_summary_may_go_to_the_folder_that_the_run_creates() {
    let place = Place::with(web().pcap());
    place.run("-q -r a.pcap -o new/out --summary-json new/out/summary.json").says_nothing();
    place.run("-q -r a.pcap -o other/out --summary-json other/summary.json").says_nothing();
    assert!(place.names("new/out").contains(&"summary.json".to_owned()));
    assert_eq!(place.names("other"), ["out/", "summary.json"]);
    let outcome = place.run("-q -r a.pcap --dry-run -o third --summary-json third/s.json").ends(1);
    assert!(outcome.err.contains("there is no such folder"), "{outcome:?}");
}
