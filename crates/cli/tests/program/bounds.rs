//! The limits: reaching one loses nothing silently.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, crowd};

/// How often `limit` was reached, and the whole summary.
fn reached(place: &Place, options: &str, limit: &str) -> (u64, serde_json::Value) {
    let summary = place.summary(&format!("-r a.pcap {options}"));
    let count = summary["limits"][limit].as_u64().unwrap_or_else(|| panic!("no limit {limit}"));
    (count, summary)
}

/// A stream whose first 3 bytes are missing, and `count` segments of 1400 bytes behind them.
fn holed(count: u32) -> Place {
    let (c, s) = (CLIENT, SERVER);
    let mut frames = vec![tcp(c, s, SYN, 0, 0, ""), tcp(s, c, SYN | ACK, 0, 1, "")];
    frames.extend((0..count).map(|n| tcp(c, s, ACK, 4 + n * 1400, 1, [b'x'; 1400])));
    Place::with(Capture::all(frames, 9).pcap())
}

#[test]
fn max_connections_ends_the_least_recently_active() {
    let place = Place::with(crowd(30_000..30_200).pcap());
    let (count, _) = reached(&place, "", "connections");
    assert_eq!(count, 0);
    // One for each of 64 shards, at most.
    let (count, summary) = reached(&place, "--max-connections 64", "connections");
    assert!(count >= 136, "{count}");
    assert_eq!(summary["packets"]["assigned"], 200 * 6);
    assert_eq!(summary["bytes"], 200 * 2 * 27, "every byte comes out all the same");
    let said = place.run("-r a.pcap --max-connections 64 --dry-run").ends(0).err;
    assert!(said.contains("\nLimits reached:                    "), "{said}");
    assert!(said.contains("\n  connections:                     "), "{said}");
    let files = place.out("-m --max-connections 64");
    let ended =
        files.values().filter(|text| text.contains("Ended:                             limit"));
    assert!(ended.count() >= 136);
}

#[test]
fn max_buffered_per_direction_gives_up_the_hole() {
    let place = holed(900);
    assert_eq!(reached(&place, "", "buffered per direction").0, 0);
    let options = "--max-buffered-per-direction 1";
    let (count, summary) = reached(&place, options, "buffered per direction");
    assert!(count >= 1, "{summary}");
    assert_eq!((&summary["missing"], &summary["gaps"]), (&3.into(), &1.into()));
    assert_eq!(summary["bytes"], 900 * 1400);
    let said = place.run(&format!("-r a.pcap --dry-run {options}")).ends(0).err;
    assert!(said.contains("\n  buffered per direction:          1\n"), "{said}");
}

#[test]
fn max_buffered_is_shared_out_over_64_shards() {
    let place = holed(40);
    assert_eq!(reached(&place, "", "buffered").0, 0);
    // 16 KiB a shard: 11 segments.
    let (count, summary) = reached(&place, "--max-buffered 1", "buffered");
    assert!(count >= 1, "{summary}");
    assert_eq!((&summary["missing"], &summary["bytes"]), (&3.into(), &(40 * 1400).into()));
}

#[test]
fn max_fragments_gives_up_the_oldest_datagram() {
    let ends = [end("10.0.0.1:0").ip(), end("10.0.0.2:0").ip()];
    let first = |id: u16| ethernet(&ipv4(17, ends[0], ends[1], id, 0x2000, &[0; 1480]));
    let place = Place::with(Capture::all((0..1000).map(first), 9).pcap());
    assert_eq!(reached(&place, "", "fragments").0, 0);
    let (count, summary) = reached(&place, "--max-fragments 1", "fragments");
    assert!(count >= 1000 - 708, "at most 708 fit 1 MiB: {summary}");
    assert_eq!(summary["set_aside"]["incomplete datagram"], 1000);
    assert_eq!(summary["packets"]["read"], 1000);
}

#[test]
fn a_flood_of_connections_with_the_same_ends_is_a_limit_too() {
    let syns = (0..40_u32).map(|n| tcp(CLIENT, SERVER, SYN, n * (64 << 20), 0, ""));
    let place = Place::with(Capture::all(syns, 9).pcap());
    let (count, summary) = reached(&place, "", "connections with the same ends");
    assert_eq!(summary["connections"]["total"], 40);
    assert_eq!(count, 40 - 16);
    let (count, _) = reached(&place, "--max-same-ends 2", "connections with the same ends");
    assert_eq!(count, 40 - 2);
}

#[test]
fn max_lingering_forgets_what_has_rested_longest() {
    let (c, s) = (|n| format!("10.0.0.2:{n}"), SERVER);
    let mut frames = Vec::new();
    for port in 30_000..30_200 {
        frames.push(tcp(&c(port), s, SYN, 0, 0, ""));
        frames.push(tcp(s, &c(port), SYN | ACK, 0, 1, ""));
        frames.push(tcp(&c(port), s, FIN | ACK, 1, 1, "x"));
        frames.push(tcp(s, &c(port), FIN | ACK, 1, 3, ""));
    }
    let place = Place::with(Capture::all(frames, 9).pcap());
    let limit = "remembered after their end";
    assert_eq!(reached(&place, "", limit).0, 0);
    let (count, summary) = reached(&place, "--max-lingering 64", limit);
    assert!(count >= 136, "one for each of 64 shards, at most: {count}");
    assert_eq!((&summary["bytes"], &summary["packets"]["assigned"]), (&200.into(), &800.into()));
    // It happens in every long capture and costs nothing, so that people are not alarmed by it.
    let said = place.run("-r a.pcap --max-lingering 64 --dry-run").ends(0).err;
    assert!(!said.contains("Limits reached"), "{said}");
}

#[test]
fn max_far_ahead_gives_up_the_oldest_segment() {
    let (c, s) = (CLIENT, SERVER);
    let far = |n: u32| tcp(c, s, ACK, n * (80 << 20), 1, "far");
    let frames = [tcp(c, s, SYN, 0, 0, ""), tcp(c, s, ACK, 1, 1, "near")];
    let place = Place::with(Capture::all(frames.into_iter().chain((1..=20).map(far)), 9).pcap());
    assert_eq!(reached(&place, "", "far ahead").0, 12);
    let (count, summary) = reached(&place, "--max-far-ahead 3", "far ahead");
    assert_eq!((count, &summary["set_aside"]["implausible"]), (17, &20.into()));
}

#[test]
fn max_headers_sets_aside_what_is_deeper() {
    let mut frame = udp(CLIENT, SERVER, "x");
    frame.splice(12..12, [0x81, 0, 0, 7].repeat(3));
    let place = Place::with(Capture::all([frame], 9).pcap());
    for (options, set_aside) in [("", 0), ("--max-headers 3", 0), ("--max-headers 2", 1)] {
        let summary = place.summary(&format!("-r a.pcap {options}"));
        assert_eq!(summary["set_aside"]["nested too deep"], set_aside, "{options}");
    }
    let said = place.run("-r a.pcap --max-headers 1001").ends(2).err;
    assert!(said.contains("--max-headers 1001: at most 1000"), "{said}");
}

#[test]
fn a_limit_that_cannot_be_is_refused() {
    let place = holed(1);
    for option in [
        "-f",
        "--workers",
        "--max-connections",
        "--max-buffered",
        "--max-buffered-per-direction",
        "--max-fragments",
        "--write-buffer",
        "--max-lingering",
        "--max-same-ends",
        "--max-far-ahead",
        "--max-headers",
        "--bin-dirs",
    ] {
        for value in ["0", "-1", "x", "", "1.5", "99999999999999999999999"] {
            let outcome = place.run_with(&["-r", "a.pcap", option, value, "-o", "out"], b"");
            assert_eq!(outcome.ends(2).out, "", "{option} {value}");
        }
    }
    assert_eq!(place.names("."), ["a.pcap"]);
}

#[test]
fn fragments_wait_as_long_as_asked_for() {
    let ends = [end("10.0.0.1:0").ip(), end("10.0.0.2:0").ip()];
    let half = |place: u16| ethernet(&ipv4(253, ends[0], ends[1], 7, place, &[b'x'; 8]));
    let place = Place::with(Capture::new().at("9.0", half(0x2000)).at("49.0", half(1)).pcap());
    for (options, bytes) in [("", 0), ("--fragment-timeout 39", 0), ("--fragment-timeout 40", 16)] {
        assert_eq!(place.summary(&format!("-r a.pcap {options}"))["bytes"], bytes, "{options}");
    }
}
