//! Interfaces that go down, and away.

use super::{files, script, summary};
use crate::common::{Capturing, Pair, RIGHT, has};

#[test]
fn an_interface_that_goes_away_ends_the_capture_with_all_that_came_before() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let (peer, [there, _]) = (script("peer.py"), RIGHT);
    let _server = pair.right.serving(&format!("{peer} echo {there} 7"), "serving");
    let options = "-i v0 --summary-json summary.json";
    let Some(capturing) = Capturing::start_in(&pair.left, options, "port 7") else { return };
    let mut client = pair.left.running(&format!("{peer} many {there} 7 1 100000"));
    client.tell("go on");
    assert!(client.has_said("said 100000"), "{}", client.said());
    pair.left.run(&format!("{peer} send {there} 7 last"));
    pair.left.ip("link del v0").unwrap();
    let (place, said) = capturing.ends(3);
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("pcap2conn: ")).collect();
    let ["pcap2conn: capturing on v0", problem] = lines[..] else { panic!("{said}") };
    assert!(problem.starts_with("pcap2conn: v0: the capture has ended: "), "{problem}");
    let files = files(&place);
    assert_eq!(files.len(), 2, "{:?} {said}", files.keys());
    for (name, bytes) in &files {
        match name.starts_with("TCP-") {
            // It was there and back.
            true => assert_eq!(bytes.len(), 200_000, "{said}"),
            false => assert_eq!(bytes, b"lastlast", "{said}"),
        }
    }
    let summary = summary(&place);
    let status = summary["inputs"][0]["status"].as_str().unwrap();
    assert_eq!(problem, format!("pcap2conn: v0: {status}"));
    assert!(
        said.contains(&format!("\nInput 1:                           v0: {status}\n")),
        "{said}"
    );
}

#[test]
fn an_interface_that_goes_down_ends_it_too() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let (peer, [there, _]) = (script("peer.py"), RIGHT);
    let _server = pair.right.serving(&format!("{peer} echo {there} 7"), "serving");
    let Some(capturing) = Capturing::start_in(&pair.left, "-i v0", "udp port 7") else { return };
    pair.left.run(&format!("{peer} send {there} 7 before"));
    pair.left.ip("link set v0 down").unwrap();
    let (place, said) = capturing.ends(3);
    assert!(
        said.contains("\npcap2conn: v0: the capture has ended: the interface went down\n"),
        "{said}"
    );
    let texts: Vec<_> = files(&place).into_values().collect();
    assert_eq!(texts, [b"beforebefore".to_vec()], "{said}");
}

#[test]
fn a_capture_of_all_interfaces_goes_on_without_one() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let Some(capturing) = Capturing::start_in(&pair.left, "-i any", "udp port 7") else { return };
    let peer = script("peer.py");
    let _server = pair.left.serving(&format!("{peer} echo 127.0.0.1 7"), "serving");
    pair.left.ip("link del v0").unwrap();
    pair.left.run(&format!("{peer} send 127.0.0.1 7 still-here,"));
    let (place, said) = capturing.stop(0);
    let files = files(&place);
    assert_eq!(files.into_values().collect::<Vec<_>>(), [b"still-here,still-here,"], "{said}");
}
