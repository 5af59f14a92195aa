//! Many connections that are open at the same time and speak in turn, as of chat or push services.

use std::io::{self, Write};

use crate::frame::{ACK, End, FIN, PSH, SYN, Segment};
use crate::random::Random;
use crate::writer::{START, Writer};

const SERVERS: u32 = 10;
const PORT: u16 = 5222;
/// Messages are cut from random text of this many bytes.
const POOL: usize = 1 << 16;
/// So many connections speak before the first of them is answered.
const LAG: u32 = 500;

/// What to make.
pub(crate) struct Alive {
    /// All of them open before the first one ends.
    pub(crate) connections: u32,
    /// Messages with an answer, in each connection.
    pub(crate) exchanges: u32,
    pub(crate) seed: u64,
}

/// Sequence numbers that come next: of the client, of the server.
#[derive(Clone, Copy)]
struct Next(u32, u32);

/// Each round has three packets of every connection: from the client, from the server, and the
/// client's again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Handshake,
    Exchange,
    End,
}

/// A capture half made.
struct Making<'a, W> {
    writer: &'a mut Writer<W>,
    random: Random,
    pool: Vec<u8>,
    connections: Vec<Next>,
    now: u64,
    number: u16,
}

impl Alive {
    /// Writes the whole capture.
    pub(crate) fn write<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let mut random = Random::new(self.seed);
        let pool = random.text(POOL);
        let connections = (0..self.connections)
            .map(|_| Next(random.next_u32(), random.next_u32()))
            .collect::<Vec<_>>();
        let mut making = Making { writer, random, pool, connections, now: START, number: 0 };
        making.round(Round::Handshake)?;
        for _ in 0..self.exchanges {
            making.round(Round::Exchange)?;
        }
        making.round(Round::End)
    }
}

impl<W: Write> Making<'_, W> {
    /// Every connection once, each time in another order.
    fn round(&mut self, round: Round) -> io::Result<()> {
        let all = self.connections.len() as u32;
        let first = self.random.below(all);
        let stride = loop {
            let stride = 1 + self.random.below(all);
            if greatest_common_divisor(stride, all) == 1 {
                break stride;
            }
        };
        let turn = |i: u32| (u64::from(first) + u64::from(i) * u64::from(stride)) % u64::from(all);
        for i in 0..all + 2 * LAG {
            for packet in 0..3 {
                if let Some(i) = i.checked_sub(packet * LAG).filter(|i| *i < all) {
                    self.packet(round, packet, turn(i) as u32)?;
                }
            }
        }
        Ok(())
    }

    fn packet(&mut self, round: Round, packet: u32, connection: u32) -> io::Result<()> {
        self.now += 1 + self.random.next() % 6;
        self.number = self.number.wrapping_add(1);
        let flags = match (round, packet) {
            (Round::Handshake, 0) => SYN,
            (Round::Handshake, 1) => SYN | ACK,
            (Round::End, 0 | 1) => FIN | ACK,
            (Round::Exchange, 0 | 1) => PSH | ACK,
            _ => ACK,
        };
        let payload = self.message(round, packet);
        let (client, server) = (End::client(connection), End::server(connection % SERVERS, PORT));
        let from_client = packet != 1;
        let Next(up, down) = &mut self.connections[connection as usize];
        let (from, to, next, peer) =
            if from_client { (client, server, up, *down) } else { (server, client, down, *up) };
        let milliseconds = ((self.now / 1000) & 0xFFFF_FFFF) as u32;
        let segment = Segment {
            from,
            to,
            sequence: *next,
            acknowledgement: if flags & ACK == 0 { 0 } else { peer },
            flags,
            number: self.number,
            clock: (milliseconds, if flags & ACK == 0 { 0 } else { milliseconds - 1 }),
            payload: &self.pool[payload.0..payload.0 + payload.1],
        };
        *next = next.wrapping_add(payload.1 as u32 + u32::from(flags & (SYN | FIN) != 0));
        self.writer.packet(self.now, &segment)
    }

    /// Where a message stands in the pool, and how many bytes it has: short questions, longer answers.
    fn message(&mut self, round: Round, packet: u32) -> (usize, usize) {
        let length = match (round, packet) {
            (Round::Exchange, 0) => 40 + self.random.below(400),
            (Round::Exchange, 1) => 100 + self.random.below(1300),
            _ => return (0, 0),
        };
        (self.random.below(POOL as u32 - length) as usize, length as usize)
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::testing::{each_segment, made};

    fn make(connections: u32, exchanges: u32, seed: u64) -> Vec<u8> {
        made(|writer| Alive { connections, exchanges, seed }.write(writer)).0
    }

    #[test]
    fn all_are_open_at_once_and_each_is_in_order() {
        let mut next: HashMap<(End, End), u32> = HashMap::new();
        let (mut packets, mut opened, mut ended, mut messages, mut last) = (0, 0, 0, 0, 0);
        let mut neighbours = 0;
        let mut before = None;
        each_segment(&make(1234, 3, 1), |micros, from, to, tcp| {
            assert!(micros > last, "time steps back");
            last = micros;
            packets += 1;
            if tcp.syn() {
                opened += u32::from(!tcp.ack());
                assert_eq!(ended, 0);
                assert!(next.insert((from, to), tcp.sequence_number()).is_none());
            }
            if tcp.fin() {
                assert_eq!(opened, 1234, "one ends before all are open");
                ended += 1;
            }
            assert_eq!(next[&(from, to)], tcp.sequence_number());
            if tcp.ack() {
                assert_eq!(next[&(to, from)], tcp.acknowledgment_number());
            }
            messages += u32::from(!tcp.payload().is_empty());
            let length = tcp.payload().len() as u32 + u32::from(tcp.syn() || tcp.fin());
            next.insert((from, to), tcp.sequence_number().wrapping_add(length));
            let key = if from < to { (from, to) } else { (to, from) };
            neighbours += u32::from(before.replace(key) == Some(key));
        });
        assert_eq!((packets, messages, ended), (1234 * 15, 1234 * 6, 2 * 1234));
        assert!(neighbours < 20, "{neighbours} packets follow one of their own connection");
    }

    #[test]
    fn a_single_connection_does_too() {
        let mut packets = 0;
        each_segment(&make(1, 2, 9), |_, _, _, _| packets += 1);
        assert_eq!(packets, 12);
    }

    #[test]
    fn the_same_seed_gives_the_same_capture_and_another_another() {
        assert!(make(50, 2, 5) == make(50, 2, 5));
        assert!(make(50, 2, 5) != make(50, 2, 6));
    }
}
