//! What the classic program wrote for a few captures, where that lies beside the project: the same
//! names and the same bytes, but for the differences that README.md lists.

use crate::books::{captures, corpus};
use crate::common::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The classic program's files for one capture in one mode, and the capture.
fn classic(what: &str, mode: &str) -> Option<(PathBuf, BTreeMap<String, String>)> {
    let captures = corpus()?;
    let name = match what {
        "tcp" => "one_tcp_stream.pcap",
        "ipv6" => "one_ipv6_http_stream.pcap",
        "udp" => "udp.pcap",
        "igmp" => "IgmpPackets.pcap",
        "gap" => "unidirectional_tcp_stream_with_missing_packet.pcap",
        _ => panic!("no such capture"),
    };
    let capture = find(&captures, name)?;
    let folder = captures.parent()?.join("classic-output").join(what).join(mode);
    if !folder.is_dir() {
        skipped(format!("no classic output at ../shared/classic-output/{what}/{mode}"));
        return None;
    }
    let entries = std::fs::read_dir(&folder).expect("the folder can be read");
    let files = entries.map(|entry| {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, latin1(&std::fs::read(&path).expect("a file")))
    });
    Some((capture, files.collect()))
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut found = captures(folder);
    found.retain(|path| path.file_name().is_some_and(|its| its == name));
    if found.is_empty() {
        skipped(format!("no capture {name} in ../shared/corpus"));
    }
    found.pop()
}

/// Ours for the same capture.
fn ours(capture: &Path, options: &[&str]) -> BTreeMap<String, String> {
    let place = Place::new();
    let mut arguments = vec!["-q", "-o", "out", "-r", capture.to_str().expect("a plain name")];
    arguments.extend(options);
    place.run_with(&arguments, b"").says_nothing();
    place.files("out")
}

fn assert_same(what: &str, mode: &str, options: &[&str]) {
    let Some((capture, theirs)) = classic(what, mode) else { return };
    let ours = ours(&capture, options);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what} {mode}");
    for (name, bytes) in &theirs {
        assert!(ours[name] == *bytes, "{what} {mode} {name}");
    }
}

#[test]
fn raw_files_are_the_same() {
    assert_same("tcp", "raw", &[]);
    assert_same("ipv6", "raw", &[]);
    assert_same("udp", "raw", &[]);
}

#[test]
fn separate_sides_are_the_same() {
    assert_same("tcp", "sides", &["-s"]);
    assert_same("ipv6", "sides", &["-s"]);
    assert_same("udp", "sides", &["-s"]);
}

#[test]
fn chunk_headers_are_the_same() {
    assert_same("tcp", "headers", &["-d"]);
    assert_same("ipv6", "headers", &["-d"]);
    assert_same("udp", "headers", &["-d"]);
}

/// The classic program takes an IPv6 extension header for the protocol. All else is the same.
#[test]
fn protocols_without_ports_are_the_same_but_behind_extension_headers() {
    for (mode, options) in [("raw", &[][..]), ("sides", &["-s"]), ("headers", &["-d"])] {
        let Some((capture, mut theirs)) = classic("igmp", mode) else { return };
        let mut ours = ours(&capture, options);
        let ends = "fe80__9c09_b416_768_ff42.0-ff02__16.0.txt";
        assert!(theirs.remove(&format!("20100210023149-HOPOPT-{ends}")).is_some());
        assert!(ours.remove(&format!("20100210023149-IPV6-ICMP-{ends}")).is_some());
        assert!(ours == theirs, "{mode}");
    }
}

#[test]
fn gaps_are_the_same_when_marked() {
    assert_same("gap", "raw", &["--gap", "marker"]);
    assert_same("gap", "sides", &["-s", "--gap", "marker"]);
}

/// Metadata text: the classic ten lines are ours, and line ends differ.
#[test]
fn metadata_begins_with_the_classic_lines() {
    for what in ["tcp", "ipv6", "udp"] {
        let Some((capture, theirs)) = classic(what, "meta") else { continue };
        let ours = ours(&capture, &["-m"]);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what}");
        for (name, text) in theirs.iter().filter(|(name, _)| name.ends_with("-metadata.txt")) {
            let text = text.replace("\r\n", "\n");
            let text = text.trim_end_matches('\n');
            assert!(ours[name].starts_with(text), "{what} {name}\n{text}\n{}", ours[name]);
        }
    }
}

/// JSON lines: the same chunks of the same sides, with the same escapes.
#[test]
fn json_lines_have_the_classic_values() {
    for what in ["tcp", "ipv6", "udp"] {
        let Some((capture, theirs)) = classic(what, "json") else { continue };
        let ours = ours(&capture, &["-j", "-m"]);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what}");
        for (name, text) in &theirs {
            if name.ends_with("-metadata.json") {
                let text = text.replace("\r\n", "\n");
                let text = text.trim_end_matches(['\n', '}']);
                assert!(ours[name].starts_with(text), "{what} {name}\n{text}\n{}", ours[name]);
                continue;
            }
            let both = text.lines().zip(ours[name].lines());
            assert_eq!(text.lines().count(), ours[name].lines().count(), "{what} {name}");
            for (theirs, ours) in both {
                let side = |line: &str| line[..line.find("\"time\"").expect("a time")].to_owned();
                assert_eq!(side(ours), side(theirs), "{what} {name}");
                let theirs = &theirs[theirs.find("\"size\"").expect("a size")..];
                let theirs = theirs.trim_end_matches('}');
                assert!(ours.contains(theirs), "{what} {name}\n{theirs}\n{ours}");
            }
        }
    }
}
