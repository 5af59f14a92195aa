//! How connections end: FIN and RST of either side, where they stand in the recording and where not.

use super::{Playing, Talk, hear, hear_end, hear_nothing, line_with, report, talk};
use crate::common::wait_until;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// What comes is a RST.
#[track_caller]
fn hear_reset(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 100]);
    assert!(
        read.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "{read:?}"
    );
}

/// Breaks off: a system sends RST for whoever closes with something unread.
fn reset(stream: TcpStream) {
    assert!(stream.peek(&mut [0]).unwrap() > 0);
}

/// The client says all and ends; then the server answers.
fn half_closed() -> Talk {
    Talk::new().client("count me").fin(0).server("8 bytes").server(", I think").fin(1)
}

#[test]
fn a_client_that_has_ended_gets_its_answer() {
    let playing = Playing::server_of(half_closed(), "");
    let mut client = playing.client();
    client.write_all(b"count me").unwrap();
    hear_nothing(&mut client);
    client.shutdown(Shutdown::Write).unwrap();
    hear(&mut client, "8 bytes, I think");
    hear_end(&mut client);
    let (_, said) = playing.ends(0);
    assert!(
        line_with(&said, "done").ends_with("done; 2 of 2 turns, 16 bytes sent, 8 received"),
        "{said}"
    );
}

#[test]
fn a_client_that_does_not_end_where_it_should_is_waited_for() {
    let playing = Playing::server_of(half_closed(), "--timeout 0.3");
    let mut client = playing.client();
    client.write_all(b"count me").unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    let why = "timed out at side 0, turn 1, offset 8: the peer did not end; 1 of 2 turns, 0 bytes sent, 8 received";
    assert!(line_with(&said, "timed out").ends_with(why), "{said}");
}

#[test]
fn our_side_ends_where_it_did_and_hears_the_answer() {
    let (playing, mut server) = Playing::client_of(half_closed(), "--wait bytes");
    hear(&mut server, "count me");
    hear_end(&mut server);
    server.write_all(b"8 bytes, I think").unwrap();
    drop(server);
    let (_, said) = playing.ends(0);
    assert!(
        line_with(&said, "done").ends_with("done; 2 of 2 turns, 8 bytes sent, 16 received"),
        "{said}"
    );
}

#[test]
fn our_side_does_not_end_where_it_did_not() {
    // The server ends first, the client an answer later.
    let talk = Talk::new().client("ask").server("answer").fin(1).client("thanks").fin(0);
    let (playing, mut server) = Playing::client_of(talk, "--wait bytes");
    hear(&mut server, "ask");
    hear_nothing(&mut server);
    server.write_all(b"answer").unwrap();
    hear_nothing(&mut server);
    server.shutdown(Shutdown::Write).unwrap();
    hear(&mut server, "thanks");
    hear_end(&mut server);
    playing.ends(0);
}

#[test]
fn a_recorded_connection_without_end_is_left_open_for_a_while() {
    let talk = Talk::new().client("ask").server("answer");
    let playing = Playing::server_of(talk, "");
    let mut client = playing.client();
    super::talk(&mut client, "ask", "answer");
    hear_nothing(&mut client);
    hear_end(&mut client);
    playing.ends(0);
}

#[test]
fn our_side_breaks_off_where_it_did() {
    let server = Talk::new().client("ask").server("half an ans").rst(1);
    let playing = Playing::server_of(server, "--report json");
    let mut client = playing.client();
    talk(&mut client, "ask", "half an ans");
    hear_reset(&mut client);
    let (_, said) = playing.ends(0);
    assert_eq!(report(&said)["result"], "done");
    let client = Talk::new().client("ask").server("answer").rst(0);
    let (playing, mut server) = Playing::client_of(client, "--report json");
    talk(&mut server, "", "ask");
    server.write_all(b"answer").unwrap();
    hear_reset(&mut server);
    let (_, said) = playing.ends(0);
    assert_eq!(report(&said)["result"], "done");
}

#[test]
fn a_peer_may_break_off_where_it_did() {
    let talk = Talk::new().client("ask").server("answer").rst(0);
    let playing = Playing::server_of(talk, "--report json");
    let mut client = playing.client();
    client.write_all(b"ask").unwrap();
    reset(client);
    let (_, said) = playing.ends(0);
    assert_eq!(report(&said)["result"], "done", "{said}");
}

#[test]
fn a_peer_that_closes_early_is_told_of() {
    let talk = || Talk::new().client("ask me").server("what").client("this").server("yes").closed();
    let playing = Playing::server_of(talk(), "");
    let mut client = playing.client();
    super::talk(&mut client, "ask me", "what");
    client.write_all(b"th").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    let why = "peer closed at side 0, turn 3, offset 8; 2 of 4 turns, 4 bytes sent, 8 received";
    assert!(line_with(&said, "peer closed").ends_with(why), "{said}");
    // The same as JSON, of a server.
    let (playing, mut server) = Playing::client_of(talk(), "--report json");
    hear(&mut server, "ask me");
    server.write_all(b"wh").unwrap();
    drop(server);
    let (_, said) = playing.ends(4);
    let report = report(&said);
    assert_eq!((&report["result"], &report["matched"]), (&"peer closed".into(), &false.into()));
    assert_eq!(report["at"], serde_json::json!({"side": 1, "turn": 2, "offset": 2}));
}

#[test]
fn a_peer_that_breaks_off_is_told_of() {
    let talk = Talk::new().client("ask me").server("what").client("this").server("yes").closed();
    let playing = Playing::server_of(talk, "");
    let mut client = playing.client();
    client.write_all(b"ask me").unwrap();
    reset(client);
    let (_, said) = playing.ends(4);
    let why = "peer broke off at side 0, turn 3, offset 6; 2 of 4 turns, 4 bytes sent, 6 received";
    assert!(line_with(&said, "broke off").ends_with(why), "{said}");
}

#[test]
fn what_a_client_sent_before_it_closed_counts() {
    let talk = Talk::new().client("ask").server("answer").closed();
    let playing = Playing::server_of(talk, "");
    let mut client = playing.client();
    client.write_all(b"ask").unwrap();
    // It does not even wait for its answer.
    drop(client);
    let mut playing = playing;
    wait_until("it is over", || playing.running.has_ended().is_some());
    let (_, said) = playing.ends(0);
    assert!(line_with(&said, "done").contains("2 of 2 turns, 6 bytes sent, 3 received"), "{said}");
}
