//! Peers that send and take otherwise than the recorded ones did.

use super::{Playing, Talk, hear, hear_end, hear_nothing, line_with, report, talk};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// Three questions and answers.
fn lines() -> Talk {
    let talk = Talk::new().client("one\n").server("1\n").client("twenty\n");
    talk.server("2").server("0\n").client("three\n").server("3\n").closed()
}

/// The recorded talk was had.
#[track_caller]
fn ends_well(playing: Playing) {
    let (place, said) = playing.ends(0);
    let done = format!("pcap2conn: {}: done; 6 of 6 turns, ", super::recorded::NAME);
    assert!(line_with(&said, "done").starts_with(&done), "{said}");
    assert_eq!(super::stored(&place).map(|side| side.len()), [17, 7]);
}

#[test]
fn bytes_come_one_by_one() {
    for wait in ["length", "bytes", r"regex:\n"] {
        let playing = Playing::server_of(lines(), &format!("--wait {wait}"));
        let mut client = playing.client();
        for (question, answer) in [("one\n", "1\n"), ("twenty\n", "20\n"), ("three\n", "3\n")] {
            for byte in question.as_bytes().chunks(1) {
                client.write_all(byte).unwrap();
                sleep(Duration::from_millis(5));
            }
            hear(&mut client, answer);
        }
        drop(client);
        ends_well(playing);
    }
}

#[test]
fn what_is_sent_ahead_is_heard_in_turns() {
    for wait in ["length", "bytes", r"regex:\n", "none"] {
        let playing = Playing::server_of(lines(), &format!("--wait {wait}"));
        let mut client = playing.client();
        client.write_all(b"one\ntwenty\nthr").unwrap();
        sleep(Duration::from_millis(50));
        client.write_all(b"ee\n").unwrap();
        hear(&mut client, "1\n20\n3\n");
        client.shutdown(Shutdown::Write).unwrap();
        hear_end(&mut client);
        ends_well(playing);
    }
}

#[test]
fn no_answer_comes_before_its_question_is_whole() {
    let playing = Playing::server_of(lines(), "");
    let mut client = playing.client();
    client.write_all(b"on").unwrap();
    hear_nothing(&mut client);
    talk(&mut client, "e\n", "1\n");
    talk(&mut client, "twenty\n", "20\n");
    talk(&mut client, "three\n", "3\n");
    drop(client);
    ends_well(playing);
}

#[test]
fn a_server_that_answers_in_pieces_and_late_gets_the_recorded_questions() {
    for options in ["--wait bytes", "--wait any", r"--wait regex:\n"] {
        let (playing, mut server) = Playing::client_of(lines(), options);
        for (question, answer) in [("one\n", "1\n"), ("twenty\n", "20\n"), ("three\n", "3\n")] {
            hear(&mut server, question);
            for byte in answer.as_bytes().chunks(1) {
                sleep(Duration::from_millis(20));
                server.write_all(byte).unwrap();
            }
        }
        hear_end(&mut server);
        drop(server);
        ends_well(playing);
    }
}

/// Bytes that nobody would make by mistake.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + i / 65_537) as u8).collect()
}

/// More than the system keeps for whoever does not read.
const MANY: usize = 12_000_000;

/// Both say megabytes, neither waits for the other; the server's last word comes at the end.
fn at_once(many: usize) -> Talk {
    let bytes = bytes(many);
    let pieces = bytes.chunks(60_000);
    pieces.fold(Talk::new(), |talk, piece| talk.client(piece).server(piece)).server("end").closed()
}

/// Sends all before it reads anything.
fn send_and_then_read(mut stream: TcpStream, len: usize) -> Vec<u8> {
    let mut other = stream.try_clone().unwrap();
    let writer = spawn(move || other.write_all(&bytes(MANY)).unwrap());
    sleep(Duration::from_millis(200));
    let mut heard = vec![0; len];
    stream.read_exact(&mut heard).unwrap();
    writer.join().unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    heard
}

#[test]
fn a_peer_that_writes_megabytes_before_it_reads_stops_nothing() {
    for wait in ["length", "none"] {
        let playing =
            Playing::server_of(at_once(MANY), &format!("--no-store --report json --wait {wait}"));
        let heard = send_and_then_read(playing.client(), MANY + 3);
        assert!(heard[..MANY] == bytes(MANY) && heard.ends_with(b"end"));
        let (_, said) = playing.ends(0);
        let report = report(&said);
        assert_eq!((&report["sent"], &report["received"]), (&(MANY + 3).into(), &MANY.into()));
    }
}

#[test]
fn two_programs_that_say_megabytes_at_once_play_to_each_other() {
    let many = MANY / 12;
    let server = Playing::server_of(at_once(many), "--wait bytes --report json");
    let to = server.port();
    let line = format!("replay -r a.pcap --no-delay --no-store --wait bytes --connect {to}");
    server.place.run(&line).ends(0);
    let (place, said) = server.ends(0);
    assert_eq!(report(&said)["turns"]["played"], report(&said)["turns"]["recorded"]);
    let [client, server] = super::stored(&place);
    assert!(client == bytes(many) && server[..many] == bytes(many));
}

#[test]
fn a_client_that_goes_without_a_word_takes_no_recording() {
    let playing = Playing::server_of(lines(), "--wait bytes");
    drop(playing.client());
    let mut client = playing.client();
    talk(&mut client, "one\n", "1\n");
    talk(&mut client, "twenty\n", "20\n");
    talk(&mut client, "three\n", "3\n");
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(0);
    assert!(line_with(&said, "came and went without a word").starts_with("pcap2conn: 127.0.0.1:"));
    assert!(line_with(&said, "done").contains("6 of 6 turns"), "{said}");
}
