//! The limits of connections and memory, while packets come.

use super::Server;
use crate::common::{ACK, Capture, Capturing, Pair, Place, SYN, has, tcp};

fn summary(place: &Place) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(place.path("summary.json")).unwrap()).unwrap()
}

#[test]
fn who_was_silent_for_longest_makes_room_and_all_bytes_are_written() {
    let server = Server::start();
    // One for each of 64 shards.
    let arguments = "-i lo -s -m --max-connections 64 --summary-json summary.json";
    let Some(capturing) = Capturing::start(arguments, &server.filter()) else { return };
    for n in 0..200 {
        server.ask(n);
    }
    let (place, said) = capturing.stop(0);
    let summary = summary(&place);
    let ended = summary["limits"]["connections"].as_u64().unwrap();
    assert!(ended >= 136, "{said}");
    assert_eq!(summary["connections"]["total"], 200, "{said}");
    assert_eq!(summary["bytes"], (0..200).map(|n| n + 9).sum::<u64>(), "{said}");
    assert!(said.contains(&format!("\n  connections:                     {ended}\n")), "{said}");
    assert_eq!(summary["missing"], 0);
}

#[test]
fn what_waits_for_too_much_is_written_with_a_gap() {
    if !has(&["tcpreplay"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let (c, s) = ("10.9.0.1:1000", "10.9.0.2:80");
    // The first 3 bytes never come.
    let mut frames = vec![tcp(c, s, SYN, 0, 0, ""), tcp(s, c, SYN | ACK, 0, 1, "")];
    frames.extend((0..100).map(|n| tcp(c, s, ACK, 4 + n * 1000, 1, [b'x'; 1000])));
    let replayed = Place::with(Capture::all(frames, 9).pcap());
    let arguments = "-i v0 -s -m --max-buffered 1 --gap marker --summary-json summary.json";
    let Some(capturing) = Capturing::start_in(&pair.right, arguments, "host 10.9.0.1") else {
        return;
    };
    let path = replayed.path("a.pcap");
    pair.left.run(&format!("tcpreplay -q -t -i v0 {}", path.display()));
    let (place, said) = capturing.stop(0);
    let summary = summary(&place);
    assert!(summary["limits"]["buffered"].as_u64().unwrap() > 0, "{said}");
    assert_eq!((&summary["gaps"], &summary["missing"]), (&1.into(), &3.into()), "{said}");
    let files = place.files("out");
    let text = files.iter().find(|(name, _)| name.ends_with("10.9.0.2.80.txt")).unwrap().1;
    assert!(*text == "[3 bytes missing]".to_owned() + &"x".repeat(100_000), "{said}");
}
