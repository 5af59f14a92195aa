//! `pcap2conn replay` to real programs, and to peers that a test plays itself, all over the loopback interface.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

mod choice;
mod crowds;
mod dns;
mod dumps;
mod ends;
mod http;
mod listing;
mod paces;
mod peers;
mod recorded;
mod redis;
mod refusals;
mod signals;
mod stored;
mod tls;
mod unlike;

use crate::common::{PATIENCE, Place, Running};
use recorded::Talk;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

/// A capture of the examples.
fn example(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/captures");
    assert!(!folder.contains(char::is_whitespace), "commands of tests are cut at blanks");
    format!("{folder}/{name}")
}

/// A command that runs in a place.
fn command(place: &Place, program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace()).current_dir(place.path(".")).env("TZ", "UTC");
    command
}

/// What a program of the system said to standard output, when it has ended well.
#[track_caller]
fn run(place: &Place, program: &str, line: &str) -> String {
    let output = command(place, program, line).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {line}: {:?}\n{said}{errors}", output.status);
    said
}

/// The program, playing in a place of its own; what was said is stored in `out` there.
struct Playing {
    place: Place,
    running: Running,
}

impl Playing {
    /// Starts `replay` with what blanks cut into arguments.
    fn start(place: Place, line: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_pcap2conn");
        let line = format!("replay --utc -o out {line}");
        let running = Running::with_words(command(&place, program, &line));
        Self { place, running }
    }

    /// Starts it with `--listen 127.0.0.1:0`, and waits until it listens.
    #[track_caller]
    fn listen(place: Place, line: &str) -> Self {
        Self::start(place, &format!("{line} --listen 127.0.0.1:0")).listening()
    }

    /// Starts it with the capture of a talk, without recorded delays.
    #[track_caller]
    fn server_of(talk: Talk, options: &str) -> Self {
        let place = Place::with(talk.pcap());
        Self::listen(place, &format!("-r a.pcap --no-delay --linger 0.3 {options}"))
    }

    /// Starts it with the capture of a talk, and lets a test's own server wait for it.
    #[track_caller]
    fn client_of(talk: Talk, options: &str) -> (Self, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let place = Place::with(talk.pcap());
        let line = format!("-r a.pcap --no-delay --linger 0.3 {options} --connect {to}");
        (Self::start(place, &line), accepted(&listener))
    }

    /// Waits until it listens.
    #[track_caller]
    fn listening(mut self) -> Self {
        let is_listening = self.running.has_said("listening on ");
        assert!(is_listening, "{}", self.running.said());
        self
    }

    /// The ports on which it listens.
    fn ports(&self) -> Vec<u16> {
        let said = self.running.said();
        let addresses = said.lines().filter_map(|line| line.split("listening on ").nth(1));
        let port = |rest: &str| rest.split(' ').next()?.rsplit(':').next()?.parse().ok();
        addresses.filter_map(port).collect()
    }

    fn port(&self) -> u16 {
        self.ports()[0]
    }

    /// A client that waits for nothing for ever.
    fn client(&self) -> TcpStream {
        patient(TcpStream::connect(("127.0.0.1", self.port())).unwrap())
    }

    /// What it said, when it has ended with this status.
    #[track_caller]
    fn ends(self, status: i32) -> (Place, String) {
        let (ended, said) = self.running.ends();
        assert_eq!(ended, Some(status), "{said}");
        (self.place, said)
    }
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whoever comes next; somebody comes, or the test fails.
#[track_caller]
fn accepted(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut found = None;
    crate::common::wait_until("a client", || {
        found = listener.accept().ok();
        found.is_some()
    });
    let (stream, _) = found.unwrap();
    stream.set_nonblocking(false).unwrap();
    patient(stream)
}

/// Says something, and then hears exactly this.
#[track_caller]
fn talk(stream: &mut TcpStream, words: &str, answer: &str) {
    stream.write_all(words.as_bytes()).unwrap();
    hear(stream, answer);
}

/// Hears exactly this next.
#[track_caller]
fn hear(stream: &mut TcpStream, words: &str) {
    let mut heard = vec![0; words.len()];
    let read = stream.read_exact(&mut heard);
    assert!(read.is_ok(), "{read:?} instead of {words:?}");
    assert_eq!(String::from_utf8_lossy(&heard), words);
}

/// Nothing more comes: the other side has ended.
#[track_caller]
fn hear_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert!(matches!(read, Ok(0)), "{read:?}, {:?}", String::from_utf8_lossy(&rest));
}

/// Nothing comes for a moment.
#[track_caller]
fn hear_nothing(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut bytes = [0; 100];
    let read = stream.read(&mut bytes);
    let is_silent =
        read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(is_silent, "{read:?}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// The lines of JSON among those that it said.
fn reports(said: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one report of JSON.
#[track_caller]
fn report(said: &str) -> Value {
    let mut reports = reports(said);
    assert_eq!(reports.len(), 1, "{said}");
    reports.remove(0)
}

/// The one line of text that says this, without what comes before and without the seconds.
#[track_caller]
fn line_with(said: &str, what: &str) -> String {
    let mut lines = said.lines().filter(|line| line.contains(what));
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("{what}: {said}") };
    line.rsplit_once(", ").map_or(line, |(line, _)| line).to_owned()
}

/// All that was stored in `out` by side, in the one file there.
#[track_caller]
fn stored(place: &Place) -> [Vec<u8>; 2] {
    let files = place.files("out");
    assert_eq!(files.len(), 1, "{:?}", files.keys());
    let mut sides = [Vec::new(), Vec::new()];
    for line in files.into_values().next().unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let side: usize = line["side"].as_str().unwrap().parse().unwrap();
        // Each character is a byte.
        sides[side].extend(line["data"].as_str().unwrap().chars().map(|c| c as u8));
    }
    sides
}
