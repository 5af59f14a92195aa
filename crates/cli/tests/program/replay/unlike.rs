//! Peers that do something else than was recorded, and how that is told.

use super::recorded::NAME;
use super::{Playing, Talk, hear, hear_end, line_with, report, talk};
use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

fn lines() -> Talk {
    let talk = Talk::new().client("HELO example\r\n").server("250 hello\r\n");
    talk.client("MAIL FROM:<anna@example.com>\r\n").server("250 ok\r\n").closed()
}

/// What it said, without the line on which it listens and without its seconds.
fn told(said: &str) -> String {
    let mut lines = said.lines().filter(|line| !line.contains(": listening on "));
    let (head, seconds) = lines.next().unwrap().rsplit_once(", ").unwrap();
    assert!(seconds.ends_with(" s") && seconds.len() == 7, "{seconds}");
    let rest: Vec<_> = lines.collect();
    [&[head][..], &rest].concat().join("\n")
}

#[test]
fn other_bytes_are_shown_beside_the_recorded_ones() {
    let playing = Playing::server_of(lines(), "--wait bytes");
    let mut client = playing.client();
    talk(&mut client, "HELO example\r\n", "250 hello\r\n");
    client.write_all(b"MAIL FROM:<anton@example.org>\r\n").unwrap();
    hear_end(&mut client);
    let (place, said) = playing.ends(4);
    // From the last bytes of the turn that were right, up to 16, 8 in a row.
    let text = format!(
        "pcap2conn: {NAME}: diverged at side 0, turn 3, offset 27: other bytes came; 2 of 4 turns, 11 bytes sent, 45 received
    offset    expected                          received
    0000000e  4d 41 49 4c 20 46 52 4f MAIL FRO  4d 41 49 4c 20 46 52 4f MAIL FRO
  ! 00000016  4d 3a 3c 61 6e 6e 61 40 M:<anna@  4d 3a 3c 61 6e 74 6f 6e M:<anton
  ! 0000001e  65 78 61 6d 70 6c 65 2e example.  40 65 78 61 6d 70 6c 65 @example
  ! 00000026  63 6f 6d 3e 0d 0a       com>..    2e 6f 72 67 3e 0d 0a    .org>.."
    );
    assert_eq!(told(&said), text);
    // What came is stored, and so is what differs in it.
    assert!(super::stored(&place)[0].ends_with(b"anton@example.org>\r\n"));
}

#[test]
fn a_divergence_is_told_in_json_too() {
    let playing = Playing::server_of(lines(), "--wait bytes --report json");
    let mut client = playing.client();
    talk(&mut client, "HELO example\r\n", "250 hello\r\n");
    client.write_all(b"QUIT\r\n").unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    let mut report = report(&said);
    for changing in ["seconds", "local", "peer", "stored"] {
        assert!(report.as_object_mut().unwrap().remove(changing).is_some(), "{changing}: {said}");
    }
    let expected = serde_json::json!({
        "connection": NAME, "protocol": "TCP", "side": 1, "result": "diverged", "matched": false,
        "turns": {"played": 2, "recorded": 4}, "sent": 11, "received": 20,
        "at": {"side": 0, "turn": 3, "offset": 14},
        "difference": {
            "unlike": "bytes", "before_hex": "",
            "expected_hex": "4D41494C2046524F4D3A3C616E6E61406578616D706C652E636F6D3E0D0A",
            "received_hex": "515549540D0A",
        },
    });
    assert_eq!(report, expected);
}

#[test]
fn what_a_pattern_does_not_match_is_told() {
    let rules = r"--ignore <[a-z]+@example.com>";
    for (from, status) in [("<berta@example.com>", 0), ("<berta@example.org>", 4)] {
        let playing = Playing::server_of(lines(), rules);
        let mut client = playing.client();
        talk(&mut client, "HELO example\r\n", "250 hello\r\n");
        client.write_all(format!("MAIL FROM:{from}\r\n").as_bytes()).unwrap();
        if status == 0 {
            hear(&mut client, "250 ok\r\n");
            client.shutdown(Shutdown::Write).unwrap();
        }
        hear_end(&mut client);
        let (_, said) = playing.ends(status);
        let why = "diverged at side 0, turn 3, offset 24: what came does not match '<[a-z]+@example.com>'";
        assert_eq!(said.contains(why), status == 4, "{said}");
    }
}

#[test]
fn more_than_was_recorded_is_told() {
    let playing = Playing::server_of(lines(), "");
    let mut client = playing.client();
    talk(&mut client, "HELO example\r\n", "250 hello\r\n");
    talk(&mut client, "MAIL FROM:<anna@example.com>\r\n", "250 ok\r\n");
    client.write_all(b"DATA\r\n").unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    let text = format!(
        "pcap2conn: {NAME}: diverged at side 0, turn 5, offset 44: more came than was recorded; 4 of 4 turns, \
         19 bytes sent, 50 received
    offset    expected                          received
  ! 0000002c                                    44 41 54 41 0d 0a       DATA.."
    );
    assert_eq!(told(&said), text);
}

#[test]
fn what_differs_where_it_may_is_told_of() {
    let playing = Playing::server_of(lines(), "--report text");
    let mut client = playing.client();
    talk(&mut client, "HELO EXAMPLE\r\n", "250 hello\r\n");
    talk(&mut client, "MAIL FROM:<anna@example.com>\r\n", "250 ok\r\n");
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(0);
    let told = line_with(&said, "done");
    assert!(!told.contains("differ"), "the seconds come before: {told}");
    assert!(said.ends_with(" s; the peer's bytes differ from offset 5 on\n"), "{said}");
}

#[test]
fn a_peer_that_never_answers_is_waited_for_as_long_as_was_said() {
    let begun = Instant::now();
    let (playing, mut server) = Playing::client_of(lines(), "--timeout 0.3");
    hear(&mut server, "HELO example\r\n");
    server.write_all(b"250").unwrap();
    hear_end(&mut server);
    let (_, said) = playing.ends(4);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
    let why = "timed out at side 1, turn 2, offset 3: 3 of 11 bytes came; 1 of 4 turns, 14 bytes sent, 3 received";
    assert!(line_with(&said, "timed out").ends_with(why), "{said}");
}

#[test]
fn a_client_that_says_nothing_is_waited_for_as_long() {
    let playing = Playing::server_of(lines(), "--timeout 0.3 --report json");
    let mut client = playing.client();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    let report = report(&said);
    assert_eq!(report["result"], "timed out", "{said}");
    assert_eq!(report["waited_for"], serde_json::json!({"what": "turn", "came": 0, "of": 14}));
}

#[test]
fn a_peer_that_takes_nothing_is_not_waited_for_for_ever() {
    let much = vec![b'm'; 20_000_000];
    let talk = Talk::new().client("give").server(&much).closed();
    let playing = Playing::server_of(talk, "--timeout 0.3 --no-store");
    let mut client = playing.client();
    client.write_all(b"give").unwrap();
    let (_, said) = playing.ends(4);
    let told = line_with(&said, "timed out");
    assert!(told.contains("timed out at side 1, turn 2, offset "), "{said}");
    assert!(told.contains(": the peer did not take what was sent; 1 of 2 turns, "), "{said}");
}
