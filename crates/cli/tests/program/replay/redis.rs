//! A line protocol, in both roles: the recorded session with a Redis server to a real one, and what a real client
//! said to a real server to that client.

use super::{Playing, Talk, command, example, line_with, report};
use crate::common::{PATIENCE, Place, Running, has};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A real server of its own, at a socket in its folder.
struct Server {
    place: Place,
    _running: Running,
}

impl Server {
    /// At `port` too, if it is not 0.
    fn start(port: u16) -> Self {
        let place = Place::new();
        let line = format!("--port {port} --bind 127.0.0.1 --unixsocket redis.sock --save");
        let mut command = command(&place, "redis-server", &line);
        command.arg("");
        let mut running = Running::with_words(command);
        let is_ready = running.has_said("ready to accept connections at");
        assert!(is_ready, "{}", running.said());
        Self { place, _running: running }
    }

    /// At a port that nobody else has, for now.
    fn with_port() -> (Self, u16) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        (Self::start(port), port)
    }

    /// What it says to this.
    fn answer(&self, words: &str) -> String {
        let mut stream = UnixStream::connect(self.place.path("redis.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It forgets what it has to say to whoever closes: one more question tells when all was said.
        stream.write_all(format!("{words}PING\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        let mut buffer = [0; 65_536];
        while !answer.ends_with("+PONG\r\n") {
            let len = stream.read(&mut buffer).unwrap();
            answer += std::str::from_utf8(&buffer[..len]).unwrap();
        }
        answer.truncate(answer.len() - 7);
        answer
    }
}

/// The recorded session, as it is reported.
const SESSION: &str = "20261123153744-TCP-2001_db8__10.57406-2001_db8__20.6379";

#[test]
fn a_recorded_session_is_had_with_a_real_server_again() {
    if !has(&["redis-server"]) {
        return;
    }
    let (server, port) = Server::with_port();
    let capture = example("redis-ipv6.pcap");
    let place = &server.place;
    let to_port = format!("127.0.0.1:{port}");
    for (to, sizes) in [(&*to_port, "--wait bytes"), ("unix:redis.sock", "--wait bytes")] {
        server.answer("FLUSHALL\r\n");
        let line = format!("replay -r {capture} --connect {to} --no-delay --no-store {sizes}");
        let said = place.run(&line).ends(0).err;
        let done =
            format!("pcap2conn: {SESSION}: done; 22 of 22 turns, 4155 bytes sent, 4167 received");
        assert_eq!(line_with(&said, "done"), done, "{said}");
        assert_eq!(server.answer("GET hits\r\nLLEN fruits\r\n"), "$1\r\n1\r\n:3\r\n");
    }
    // A second time there are more fruits.
    let line = format!("replay -r {capture} --connect {to_port} --no-delay --no-store");
    let said = place.run(&format!("{line} --wait bytes")).ends(4).err;
    let diverged = "diverged at side 1, turn 8, offset 32: other bytes came; 7 of 22 turns, ";
    assert!(said.contains(diverged), "{said}");
    assert!(
        said.contains(
            "  ! 0000001f  3a 33 0d 0a             :3..      3a 36 0d 0a             :6.."
        ),
        "{said}"
    );
}

#[test]
fn what_a_client_asked_a_real_server_is_answered_again() {
    if !has(&["redis-server", "redis-cli"]) {
        return;
    }
    // What redis-cli says for these, and what a server answers.
    let ask = |words: &[&str]| {
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<String> = words.collect();
        format!("*{}\r\n{}", words.len(), words.concat())
    };
    let server = Server::start(0);
    let talk = |words: &[&[&str]]| {
        words.iter().fold(Talk::new(), |talk, words| {
            let ask = ask(words);
            let answer = server.answer(&ask);
            talk.client(ask).server(answer)
        })
    };
    // Its own question comes first, with an answer of some 200 KB.
    let hello = &["COMMAND", "DOCS"];
    let session = talk(&[hello, &["SET", "name", "value"], &["GET", "name"], &["INCR", "hits"]]);
    let session = session.closed();
    let lines = "SET name value\nGET name\nINCR hits\n";
    for (listen, reach) in [("127.0.0.1:0", "-p PORT"), ("unix:here.sock", "-s here.sock")] {
        let place = Place::with(session.pcap()).put("lines", lines);
        let options = "-r a.pcap --no-delay --wait bytes --report json --linger 1";
        let playing = Playing::start(place, &format!("{options} --listen {listen}")).listening();
        let reach = match playing.ports().first() {
            Some(port) => reach.replace("PORT", &port.to_string()),
            None => reach.to_owned(),
        };
        let script = format!("timeout 20 redis-cli {reach} < lines");
        let outcome = playing.place.shell(&script).ends(0);
        assert_eq!(outcome.out, "OK\nvalue\n1\n", "{listen}");
        let (place, said) = playing.ends(0);
        let report = report(&said);
        assert_eq!((&report["result"], &report["turns"]["played"]), (&"done".into(), &8.into()));
        assert_eq!(report.get("peer").is_some(), listen.starts_with("127"), "{said}");
        assert!(!place.path("here.sock").exists(), "the socket's file is removed");
        let stored = super::stored(&place);
        assert!(stored[1].len() > 100_000);
        assert_eq!(stored[1][stored[1].len() - 20..], *b"+OK\r\n$5\r\nvalue\r\n:1\r\n");
    }
}

#[test]
fn a_socket_that_is_there_already_is_left_alone() {
    let place = Place::with(Talk::new().client("a").server("b").closed().pcap());
    let _other = std::os::unix::net::UnixListener::bind(place.path("here.sock")).unwrap();
    let outcome = place.run("replay -r a.pcap --listen unix:here.sock").ends(1);
    let said = "pcap2conn: cannot listen on unix:here.sock: Address already in use (os error 98); \
                give another one, or remove it if nobody listens there\n";
    assert_eq!(outcome.err, said);
    assert!(place.path("here.sock").exists());
    let file = Place::with(Talk::new().client("a").server("b").closed().pcap()).put("file", "mine");
    file.run("replay -r a.pcap --listen unix:file").ends(1);
    assert_eq!(std::fs::read(file.path("file")).unwrap(), b"mine");
    assert!(UnixStream::connect(place.path("here.sock")).is_ok(), "the other one is still there");
}
