//! Questions and answers of the Domain Name System (RFC 1035).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use crate::frame::{Datagram, End};
use crate::random::Random;
use crate::writer::{START, Writer};

const PORT: u16 = 53;
const SERVERS: u32 = 4;
/// Types of records: an IPv4 address, an IPv6 address.
const A: u16 = 1;
const AAAA: u16 = 28;

/// What to make.
pub(crate) struct Dns {
    /// Questions, each from a port of its own, with an answer.
    pub(crate) pairs: u32,
    pub(crate) seed: u64,
}

/// A question that was asked. The order is of no meaning; a heap wants one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    client: End,
    server: End,
    id: u16,
    /// What differs in the name.
    host: u32,
    kind: u16,
}

impl Dns {
    /// Writes the whole capture: about 50 000 questions a second, answers after up to 20 ms.
    pub(crate) fn write<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let mut random = Random::new(self.seed);
        let mut answers: BinaryHeap<Reverse<(u64, Question)>> = BinaryHeap::new();
        let (mut now, mut message) = (START, Vec::new());
        for number in 0..self.pairs {
            now += 10 + u64::from(random.below(20));
            while let Some(&Reverse((when, question))) = answers.peek()
                && when <= now
            {
                answers.pop();
                question.answer(when, writer, &mut random, &mut message)?;
            }
            let question = Question {
                client: End::client(number),
                server: End::server(random.below(SERVERS), PORT),
                id: random.next_u32() as u16,
                host: random.below(1_000_000),
                kind: if random.below(3) == 0 { AAAA } else { A },
            };
            question.ask(now, writer, &mut random, &mut message)?;
            answers.push(Reverse((now + 200 + u64::from(random.below(20_000)), question)));
        }
        while let Some(Reverse((when, question))) = answers.pop() {
            question.answer(when, writer, &mut random, &mut message)?;
        }
        Ok(())
    }
}

impl Question {
    fn ask<W: Write>(
        &self,
        now: u64,
        writer: &mut Writer<W>,
        random: &mut Random,
        message: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.head(message, 0x0100, 0); // recursion desired
        send(now, [self.client, self.server], writer, random, message)
    }

    fn answer<W: Write>(
        &self,
        now: u64,
        writer: &mut Writer<W>,
        random: &mut Random,
        message: &mut Vec<u8>,
    ) -> io::Result<()> {
        let records = if random.below(20) == 0 { 0 } else { 1 + random.below(3) as u16 };
        // A response, recursion desired and available; without a record: no such name.
        self.head(message, if records == 0 { 0x8183 } else { 0x8180 }, records);
        for _ in 0..records {
            message.extend(0xC00C_u16.to_be_bytes()); // the name as in the question
            message.extend(self.kind.to_be_bytes());
            message.extend([0, 1]); // Internet
            message.extend((60 + random.below(3600)).to_be_bytes());
            let address = random.next_u32().to_be_bytes();
            if self.kind == AAAA {
                message.extend([0, 16, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0]);
            } else {
                message.extend([0, 4]);
            }
            message.extend(address);
        }
        send(now, [self.server, self.client], writer, random, message)
    }

    /// The header and the question.
    fn head(&self, message: &mut Vec<u8>, flags: u16, records: u16) {
        message.clear();
        for field in [self.id, flags, 1, records, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        for label in [&*format!("www{}", self.host), "example", "com"] {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.push(0);
        message.extend(self.kind.to_be_bytes());
        message.extend([0, 1]);
    }
}

/// Writes a message from the first end to the second.
fn send<W: Write>(
    now: u64,
    [from, to]: [End; 2],
    writer: &mut Writer<W>,
    random: &mut Random,
    payload: &[u8],
) -> io::Result<()> {
    let number = random.next_u32() as u16;
    writer.packet(now, &Datagram { from, to, number, payload })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use etherparse::TransportSlice;

    use super::*;
    use crate::testing::{each_packet, made};

    fn make(pairs: u32, seed: u64) -> Vec<u8> {
        made(|writer| Dns { pairs, seed }.write(writer)).0
    }

    /// Walks a message; the identification, and whether it is a response.
    fn read(message: &[u8]) -> (u16, bool) {
        let field = |i: usize| u16::from_be_bytes([message[2 * i], message[2 * i + 1]]);
        let mut at = 12;
        while message[at] != 0 {
            at += 1 + usize::from(message[at]);
        }
        let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
        at += 5;
        for _ in 0..field(3) {
            assert_eq!(message[at..at + 2], [0xC0, 12]);
            assert_eq!(message[at + 2..at + 4], kind.to_be_bytes());
            let length = usize::from(message[at + 11]);
            assert_eq!(length, if kind == A { 4 } else { 16 });
            at += 12 + length;
        }
        assert_eq!(at, message.len(), "bytes are left over");
        assert_eq!(field(2), 1);
        (field(0), field(1) & 0x8000 != 0)
    }

    #[test]
    fn each_question_has_a_port_of_its_own_and_one_answer() {
        let mut asked = HashMap::new();
        let (mut answered, mut last, mut most) = (0, 0, 0);
        each_packet(&make(3000, 1), |micros, from, to, transport| {
            assert!(micros >= last, "time steps back");
            last = micros;
            let TransportSlice::Udp(udp) = transport else { panic!("no UDP") };
            let (id, response) = read(udp.payload());
            if response {
                assert_eq!(asked[&(to, from)], id);
                answered += 1;
            } else {
                assert!(asked.insert((from, to), id).is_none(), "{from:?} is used twice");
            }
            most = most.max(asked.len() - answered);
        });
        assert_eq!((asked.len(), answered), (3000, 3000));
        assert!((300..1000).contains(&most), "{most} open at once");
    }

    #[test]
    fn the_same_seed_gives_the_same_capture_and_another_another() {
        assert!(make(300, 5) == make(300, 5));
        assert!(make(300, 5) != make(300, 6));
    }
}
