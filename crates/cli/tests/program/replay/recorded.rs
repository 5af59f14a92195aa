//! TCP connections, on their way to a capture.

use crate::common::*;
use std::time::Duration;

/// The client's and the server's end of a first connection.
pub(super) const CLIENT: &str = "10.0.0.1:5000";
pub(super) const SERVER: &str = "10.0.0.2:80";

/// The name of that connection.
pub(super) const NAME: &str = "20240102030405-TCP-10.0.0.1.5000-10.0.0.2.80";

/// 2024-01-02 03:04:05 UTC.
const BEGUN: u64 = 1_704_164_645;

/// A TCP connection, told as it went. Bytes come a millisecond after each other.
pub(super) struct Talk {
    capture: Capture,
    ends: [String; 2],
    /// The next sequence number of each side.
    next: [u32; 2],
    micros: u64,
}

impl Talk {
    /// The client has connected.
    pub(super) fn new() -> Self {
        Self::between(CLIENT, SERVER)
    }

    pub(super) fn between(client: &str, server: &str) -> Self {
        let ends = [client.to_owned(), server.to_owned()];
        Self { capture: Capture::new(), ends, next: [100, 500], micros: 0 }
            .segment(0, SYN, b"")
            .segment(1, SYN | ACK, b"")
            .segment(0, ACK, b"")
    }

    /// A datagram of each side, in turns.
    pub(super) fn of_datagrams(client: &str, server: &str, datagrams: &[&str]) -> Capture {
        let mut capture = Capture::new();
        for (n, datagram) in datagrams.iter().enumerate() {
            let (from, to) = if n % 2 == 0 { (client, server) } else { (server, client) };
            capture = capture.at(&time(1000 * n as u64), udp(from, to, datagram));
        }
        capture
    }

    fn segment(mut self, side: usize, flags: u8, data: &[u8]) -> Self {
        let (from, to) = (&self.ends[side], &self.ends[1 - side]);
        let ack = if flags & ACK > 0 { self.next[1 - side] } else { 0 };
        let frame = tcp(from, to, flags, self.next[side], ack, data);
        self.capture = self.capture.at(&time(self.micros), frame);
        self.lose(side, data.len() as u32 + u32::from(flags & (SYN | FIN) > 0))
    }

    /// The side sent so many bytes that the capture has not.
    pub(super) fn lose(mut self, side: usize, bytes: u32) -> Self {
        self.next[side] = self.next[side].wrapping_add(bytes);
        self.micros += 1000;
        self
    }

    pub(super) fn client(self, words: impl AsRef<[u8]>) -> Self {
        self.says(0, words.as_ref())
    }

    pub(super) fn server(self, words: impl AsRef<[u8]>) -> Self {
        self.says(1, words.as_ref())
    }

    /// In segments that a frame has room for.
    fn says(self, side: usize, words: &[u8]) -> Self {
        words.chunks(60_000).fold(self, |this, piece| this.segment(side, ACK, piece))
    }

    /// Nothing happens for so long.
    pub(super) fn pause(mut self, time: Duration) -> Self {
        self.micros += time.as_micros() as u64;
        self
    }

    pub(super) fn fin(self, side: usize) -> Self {
        self.segment(side, FIN | ACK, b"")
    }

    pub(super) fn rst(self, side: usize) -> Self {
        self.segment(side, RST | ACK, b"")
    }

    /// The client ends, then the server.
    pub(super) fn closed(self) -> Self {
        self.fin(0).fin(1).segment(0, ACK, b"")
    }

    /// Another connection comes after this one.
    pub(super) fn then(mut self, mut other: Self) -> Self {
        for packet in &mut other.capture.packets {
            packet.nanos += i128::from(self.micros) * 1000;
        }
        self.micros += other.micros;
        self.capture.packets.append(&mut other.capture.packets);
        self
    }

    pub(super) fn pcap(&self) -> Vec<u8> {
        self.capture.pcap()
    }
}

/// So many microseconds after the beginning.
fn time(micros: u64) -> String {
    format!("{}.{:06}", BEGUN + micros / 1_000_000, micros % 1_000_000)
}
