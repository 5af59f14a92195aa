//! Live capture of real traffic over the loopback interface, which every test has an own port of. Skipped
//! where the process may not capture.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

mod disk;
mod figures;
mod limits;
mod privileges;
mod recording;
mod rings;
mod traffic;

use crate::common::{Capturing, PATIENCE};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};

/// Bytes that nobody would make by mistake.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Answers each connection with what it asks for: that many bytes of [`bytes`], whose number is a line.
struct Server {
    port: u16,
    _thread: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                spawn(move || answer(client));
            }
        };
        Self { port, _thread: spawn(serve) }
    }

    fn filter(&self) -> String {
        format!("tcp port {}", self.port)
    }

    /// A connection on which nothing is waited for for ever.
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// The port that a client asked from.
    fn ask(&self, len: usize) -> u16 {
        let mut client = self.connect();
        writeln!(client, "{len:08}").unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert!(got == bytes(len));
        client.local_addr().unwrap().port()
    }

    /// The end of the name of the file with what was answered.
    fn answer_to(&self, client: u16) -> String {
        format!("TCP-127.0.0.1.{}-127.0.0.1.{client}.txt", self.port)
    }

    /// Waits until that file has all of it.
    fn wait_for_answer(&self, capturing: &Capturing, client: u16, len: usize) {
        capturing.wait_for(&self.answer_to(client), |found| found == bytes(len));
    }
}

fn answer(mut client: TcpStream) {
    let mut line = [0; 9];
    client.read_exact(&mut line).unwrap();
    let len = std::str::from_utf8(&line).unwrap().trim().parse().unwrap();
    client.write_all(&bytes(len)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
}
