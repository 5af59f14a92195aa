//! What can be played, as it is listed.

use super::{Talk, example};
use crate::common::{Place, lines};

#[test]
fn connections_of_a_capture_are_listed() {
    let outcome =
        Place::new().run(&format!("replay --utc -r {} --list", example("dns.pcap"))).ends(0);
    assert_eq!(outcome.err, "");
    let expected = lines(&[
        "number  protocol      turns        side 0        side 1    missing  connection",
        "     1  UDP               2            56            60          0  20261123153743-UDP-192.0.2.10.41335-192.0.2.20.53",
        "     2  UDP               2            56            72          0  20261123153743-UDP-192.0.2.10.45774-192.0.2.20.53",
        "     3  UDP               2            52            72          0  20261123153743-UDP-192.0.2.10.37583-192.0.2.20.53",
        "     4  UDP               2            52            64          0  20261123153743-UDP-192.0.2.10.38114-192.0.2.20.53",
        "     5  UDP               2            60            48          0  20261123153743-UDP-192.0.2.10.37081-192.0.2.20.53",
        "     6  UDP               2            56          2245          0  20261123153743-UDP-192.0.2.10.38916-192.0.2.20.53",
        "     7  TCP               2            58            62          0  20261123153743-TCP-192.0.2.10.46085-192.0.2.20.53",
    ]);
    assert_eq!(outcome.out, expected);
}

#[test]
fn numbers_are_those_of_all_connections() {
    let line = format!("replay --utc -r {} --list --report json --tcp", example("dns.pcap"));
    let outcome = Place::new().run(&line).ends(0);
    let listed: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let expected = serde_json::json!({
        "number": 7, "connection": "20261123153743-TCP-192.0.2.10.46085-192.0.2.20.53",
        "protocol": "TCP", "turns": 2, "bytes": [58, 62], "missing": 0,
    });
    assert_eq!(listed, expected);
    let outcome = Place::new().run(&format!("replay -r {} --list", example("redis-ipv6.pcap")));
    assert_eq!(
        outcome.err,
        "pcap2conn: 2 connections are neither TCP nor UDP, and are not played\n"
    );
    assert!(
        outcome.ends(0).out.contains("\n     3  TCP              22          4155          4167 ")
    );
}

#[test]
fn missing_bytes_are_counted() {
    let talk = Talk::new().server("abc").client("12").lose(0, 3).client("678").closed();
    let outcome = Place::with(talk.pcap()).run("replay --utc -r a.pcap --list").ends(0);
    let line = format!(
        "     1  TCP               2             5             3          3  {}",
        super::recorded::NAME
    );
    assert_eq!(outcome.out.lines().nth(1), Some(&*line));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let line = format!("$P replay -r {} --list | head -n 1", example("dns.pcap"));
    let outcome = Place::new().shell(&line).ends(0);
    assert_eq!((outcome.out.lines().count(), &*outcome.err), (1, ""));
}
