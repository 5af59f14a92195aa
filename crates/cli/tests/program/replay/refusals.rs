//! What is refused, before anybody hears a byte.

use super::recorded::{NAME, SERVER};
use super::{Playing, Talk, hear, hear_end, line_with, talk};
use crate::common::Place;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener};

fn exchange() -> Talk {
    Talk::new().client("ask").server("answer").closed()
}

/// A server to which nobody may come.
struct Forbidden(TcpListener);

impl Forbidden {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Nobody came.
    #[track_caller]
    fn was_left_alone(&self) {
        let came = self.0.accept();
        assert!(
            came.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "{came:?}"
        );
    }
}

const GOOD: &str = r#"{"side":"0","data":"ask"}"#;

#[test]
fn a_bad_line_is_named_and_nothing_is_sent() {
    let server = Forbidden::new();
    let to = server.port();
    for (line, why) in [
        ("ask", "no JSON: expected value at column 1"),
        ("[]", "no record: a JSON object is needed"),
        (r#"{"data":"ask"}"#, "side is missing"),
        (r#"{"side":"2","data":"ask"}"#, "side is 2, neither 0 nor 1"),
        (r#"{"side":"1"}"#, "data, data_hex or a number of missing bytes is needed"),
        (r#"{"side":"1","data_hex":"6"}"#, "data_hex has an odd number of digits (1)"),
        (
            r#"{"side":"1","data":"ask","size":"4"}"#,
            "size is 4, but there are 3 bytes: correct it, or take it out",
        ),
    ] {
        // The last line of the last dump.
        let place = Place::new().put("good.json", format!("{GOOD}\n"));
        let place = place.put("bad.json", format!("{GOOD}\n\n{line}\n"));
        let line = format!("replay good.json bad.json --tcp --connect {to}");
        place.run(&line).ends(1).errs(&format!("pcap2conn: bad.json:3: {why}\n"));
        assert!(!place.path("out").exists());
    }
    server.was_left_alone();
}

#[test]
fn a_dump_that_does_not_tell_its_protocol_is_not_played() {
    let server = Forbidden::new();
    let place = Place::new().put("a.json", format!("{GOOD}\n"));
    let outcome = place.run(&format!("replay a.json --connect {}", server.port())).ends(1);
    let why = "whether it was TCP or UDP is not known: give --tcp or --udp";
    assert_eq!(outcome.err, format!("pcap2conn: a.json: {why}\n"));
    server.was_left_alone();
}

/// Two connections, of which the second lacks bytes of each side.
fn with_gaps() -> Talk {
    let gaps = Talk::between("10.0.0.1:5001", SERVER).server("abc").lose(1, 2).server("f");
    exchange().then(gaps.lose(1, 3).server("j").client("12").lose(0, 3).client("678").closed())
}

#[test]
fn missing_bytes_are_not_made_up_unless_told() {
    let server = Forbidden::new();
    let place = Place::with(with_gaps().pcap());
    let outcome = place.run(&format!("replay -r a.pcap --connect {}", server.port())).ends(1);
    let of = NAME.replace("5000", "5001");
    assert_eq!(
        outcome.err,
        format!(
            "pcap2conn: bytes were not captured: {of} (2): 2 bytes of side 1 at offset 3 and 2 more gaps; \
             --fill zero or --fill skip plays them all the same, --connection chooses others\n"
        )
    );
    server.was_left_alone();
    // The other one has all.
    let playing = Playing::server_of(with_gaps(), "--connection 1 --wait bytes");
    talk(&mut playing.client(), "ask", "answer");
    playing.ends(0);
}

#[test]
fn missing_bytes_are_zeros_or_left_out() {
    for (fill, greeting, words) in
        [("zero", "abc\0\0f\0\0\0j", "12\0\0\x00678"), ("skip", "abcfj", "12678")]
    {
        let options = format!("--connection 2 --wait bytes --fill {fill}");
        // Whatever bytes may come for zeros.
        let any = |text: &str| text.replace('\0', "?");
        let playing = Playing::server_of(with_gaps(), &options);
        let mut client = playing.client();
        hear(&mut client, greeting);
        client.write_all(any(words).as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        hear_end(&mut client);
        playing.ends(0);
        let (playing, mut server) = Playing::client_of(with_gaps(), &options);
        talk(&mut server, &any(greeting), words);
        drop(server);
        let (_, said) = playing.ends(0);
        assert!(line_with(&said, "done").contains(": done; 2 of 2 turns"), "{said}");
    }
}

/// The engine puts what stands behind a hole out later than the answer to it: it might still come.
#[test]
fn what_stands_behind_a_gap_is_said_before_its_answer() {
    let talk = Talk::new().client("ask").server("answer").client("and ").lose(0, 2).client("n");
    let talk = talk.server("again").client("bye").server("yes").closed();
    let playing = Playing::server_of(talk, "--wait bytes --fill zero");
    let mut client = playing.client();
    super::talk(&mut client, "ask", "answer");
    super::talk(&mut client, "and ??n", "again");
    super::talk(&mut client, "bye", "yes");
    drop(client);
    let (_, said) = playing.ends(0);
    assert!(line_with(&said, "done").contains(": done; 6 of 6 turns"), "{said}");
}

#[test]
fn nobody_there_is_told_of() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let place = Place::with(exchange().pcap());
    let failed = |to: &str, why: &str| {
        let outcome = place.run(&format!("replay -r a.pcap --connect {to}")).ends(1);
        let told = format!("pcap2conn: {NAME}: failed: cannot connect to {to}: {why}");
        assert!(outcome.err.starts_with(&told), "{}", outcome.err);
        assert_eq!(outcome.err.lines().count(), 1);
    };
    failed(&format!("127.0.0.1:{port}"), "Connection refused (os error 111); ");
    failed("unix:gone.sock", "No such file or directory (os error 2); ");
    assert!(!place.names(".").iter().any(|name| name.ends_with(".json")));
}

#[test]
fn a_port_that_somebody_has_is_told_of() {
    let taken = Forbidden::new();
    let port = taken.port();
    let place = Place::with(exchange().pcap());
    let why = "Address already in use (os error 98); give another one, or end whoever has it";
    place
        .run(&format!("replay -r a.pcap --listen {port}"))
        .ends(1)
        .errs(&format!("pcap2conn: cannot listen on 127.0.0.1:{port}: {why}\n"));
}

#[test]
fn a_wrong_command_line_is_told_of() {
    let place = Place::with(exchange().pcap()).put("rules", "echo 0:2\nmusk 0:1\n");
    for (line, why) in [
        ("", "the following required arguments were not provided"),
        ("-r a.pcap", "the following required arguments were not provided"),
        ("--list", "nothing to play: name a dump, a folder of dumps, or a capture with -r"),
        ("-r a.pcap --listen 1 --connect 2", "cannot be used with '--connect <ADDR:PORT>'"),
        ("a.json -r a.pcap --list", "cannot be used with"),
        ("a.json -e tcp --list", "cannot be used with"),
        ("-r a.pcap --tcp --udp --list", "cannot be used with"),
        (
            "-r a.pcap --listen 127.0.0.1",
            "'127.0.0.1' has no port: ADDR:PORT, [ADDR]:PORT or unix:PATH",
        ),
        ("-r a.pcap --listen-all 127.0.0.1:80", "invalid IP address syntax"),
        ("-r a.pcap --connect 9 --repeat", "cannot be used with"),
        ("-r a.pcap --connect 9 --side 2", "2 is not in 0..2"),
        ("-r a.pcap --list --connection 0", "--connection 0: numbers are from 1 on"),
        ("-r a.pcap --list --max-memory 0", "--max-memory: at least 1"),
        (
            "-r a.pcap --connect 9 --mask 1",
            "'1' is no place: OFFSET:LEN or turn:OFFSET:LEN, in bytes",
        ),
        (
            "-r a.pcap --connect 9 --echo 0:4097",
            "'0:4097' is no place: OFFSET:LEN, in bytes of a turn",
        ),
        ("-r a.pcap --connect 9 --ignore (", "regular expression '(': unclosed group"),
        (
            "-r a.pcap --connect 9 --wait all",
            "'all' is none of length, bytes, any, none and regex:REGEX",
        ),
        ("-r a.pcap --connect 9 --rules rules", "rules: line 2: 'musk 0:1' is no rule: "),
        ("-r a.pcap --connect 9 --rules gone", "gone: No such file or directory"),
        ("-r a.pcap --connect 9 --speed 0", "--speed 0: more than 0 is needed"),
        ("-r a.pcap --connect 9 --speed 2 --no-delay", "cannot be used with"),
        ("-r a.pcap --connect 9 --timeout=-1", "--timeout -1: seconds are needed"),
        ("-r a.pcap --connect 9 --linger nan", "--linger NaN: seconds are needed"),
        ("-r a.pcap --listen 9 --tls", "cannot be used with '--tls'"),
        (
            "-r a.pcap --connect 9 --tls-insecure",
            "the following required arguments were not provided",
        ),
        (
            "-r a.pcap --listen 9 --tls-cert a.pem",
            "the following required arguments were not provided",
        ),
        ("-r a.pcap -e wrong( --list", "filter 'wrong('"),
    ] {
        let outcome = place.run(&format!("replay {line}")).ends(2);
        assert!(outcome.err.contains(why), "{line}: {}", outcome.err);
        assert_eq!(outcome.out, "", "{line}");
    }
}

#[test]
fn what_cannot_be_read_is_told_of() {
    let place = Place::with(exchange().pcap()).put("empty.json", "").put("cut.pcap", "not one");
    std::fs::create_dir(place.path("folder")).unwrap();
    for (line, why) in [
        ("gone.json --list", "gone.json: No such file or directory (os error 2)\n"),
        ("folder --list", "folder: no *.json in this folder: write dumps with pcap2conn -j\n"),
        (
            "-r gone.pcap --list",
            "gone.pcap: no such file; check the name\npcap2conn: nothing could be read\n",
        ),
        (
            "-r a.pcap --connection 2 --list",
            "--connection 2: there is no such connection; --list shows those there are\n",
        ),
        (
            "-r a.pcap --connection none --list",
            "--connection none: there is no such connection; --list shows those there are\n",
        ),
        ("-r a.pcap --udp --listen 0", "no connection to play; --list shows those there are\n"),
    ] {
        let outcome = place.run(&format!("replay {line}")).ends(1);
        assert_eq!(outcome.err, format!("pcap2conn: {why}"), "{line}");
    }
    // One of two captures is no reason to play nothing, but it is told at the end.
    let outcome = place.run("replay -r a.pcap cut.pcap --list").ends(3);
    assert!(outcome.err.starts_with("pcap2conn: cut.pcap: "), "{outcome:?}");
    assert!(outcome.out.ends_with(&format!("{NAME}\n")), "{outcome:?}");
}

#[test]
fn what_was_said_must_be_storable() {
    let place = Place::with(exchange().pcap()).put("out", "a file where the folder should be");
    // It is found out before anybody can come.
    let outcome = place.run("replay -r a.pcap --listen 127.0.0.1:0 -o out").ends(1);
    assert_eq!(outcome.err, "pcap2conn: cannot create out: File exists (os error 17)\n");
}
