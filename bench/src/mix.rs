//! Many conversations, interleaved by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use crate::conversation::Conversation;
use crate::frame::{self, End};
use crate::random::Random;

/// Clients, each with its own address; a connection's number gives its client and port.
const CLIENTS: u32 = 250;
const FIRST_PORT: u16 = 1024;
/// More would use a client's port a second time.
pub(crate) const MAX_CONNECTIONS: u32 = CLIENTS * 64_000;
/// Bodies are cut from random text of this many bytes.
const POOL: usize = 1 << 20;
/// 2026-07-06 10:00:00 UTC, in microseconds.
const START: u64 = 1_783_332_000_000_000;

/// What to make.
pub(crate) struct Mix {
    pub(crate) connections: u32,
    /// Bytes, of a response's body.
    pub(crate) mean_body: u32,
    pub(crate) at_once: u32,
    pub(crate) seed: u64,
}

/// What was made.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) packets: u64,
    pub(crate) payload: u64,
    pub(crate) bytes: u64,
}

impl Mix {
    /// Writes the whole capture.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<Made> {
        let mut random = Random::new(self.seed);
        let pool = text(&mut random);
        let (mut scratch, mut frame) = (Vec::new(), Vec::new());
        let mut made = Made { bytes: 24, ..Made::default() };
        frame::write_file_header(out)?;

        let mut waiting = BinaryHeap::new();
        let mut open: Vec<Conversation> = Vec::new();
        let mut begun = 0;
        while begun < self.connections.min(self.at_once) {
            // Spread over the first 100 ms, so that they do not run in step.
            let when = START + u64::from(random.below(100_000));
            waiting.push(Reverse((when, open.len())));
            open.push(self.begin(begun, &mut random));
            begun += 1;
        }
        while let Some(Reverse((now, place))) = waiting.pop() {
            let wait = open[place].advance(now, &pool, &mut scratch, |segment| {
                made.packets += 1;
                made.payload += segment.payload.len() as u64;
                made.bytes += frame::write_record(out, now, segment, &mut frame)? as u64;
                Ok::<(), io::Error>(())
            })?;
            match wait {
                // A little jitter, as a wire has it.
                Some(wait) => waiting.push(Reverse((now + wait + random.next() % 4, place))),
                None if begun < self.connections => {
                    open[place] = self.begin(begun, &mut random);
                    begun += 1;
                    waiting.push(Reverse((now + 1 + u64::from(random.below(5_000)), place)));
                }
                None => {}
            }
        }
        Ok(made)
    }

    fn begin(&self, number: u32, random: &mut Random) -> Conversation {
        let client = End {
            address: [198, 18, 0, 1 + (number % CLIENTS) as u8],
            port: FIRST_PORT + (number / CLIENTS) as u16,
        };
        let server = End { address: [198, 19, 0, 1 + random.below(200) as u8], port: 80 };
        // Most pages are small, some are not: four fifths around half the mean, the rest around
        // three times the mean.
        let mean = f64::from(self.mean_body);
        let around = if random.below(5) == 0 { 3.0 * mean } else { 0.5 * mean };
        // At most 30 means: the largest page then stays far below 4 GiB.
        let body = random.exponential(around).min(30.0 * mean) as usize;
        Conversation::new(client, server, body, random)
    }
}

/// Random printable text.
fn text(random: &mut Random) -> Vec<u8> {
    (0..POOL).map(|_| b' ' + random.below(95) as u8).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use pcap_parser::{PcapBlockOwned, PcapError, create_reader};

    use super::*;

    fn make(mix: &Mix) -> (Vec<u8>, Made) {
        let mut out = Vec::new();
        let made = mix.write(&mut out).unwrap();
        (out, made)
    }

    /// Calls `see` with the microseconds and the bytes of every frame.
    fn each_frame(capture: &[u8], mut see: impl FnMut(u64, &[u8])) {
        let mut reader = create_reader(1 << 16, capture).unwrap();
        loop {
            match reader.next() {
                Ok((offset, block)) => {
                    if let PcapBlockOwned::Legacy(record) = block {
                        let micros =
                            u64::from(record.ts_sec) * 1_000_000 + u64::from(record.ts_usec);
                        see(micros, record.data);
                    }
                    reader.consume(offset);
                }
                Err(PcapError::Eof) => return,
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// One direction as a receiver sees it: its first sequence number and its bytes.
    #[derive(Default)]
    struct Direction {
        first: u32,
        bytes: Vec<u8>,
        fin: bool,
    }

    #[test]
    fn every_connection_is_whole_and_in_order() {
        let mix = Mix { connections: 120, mean_body: 20_000, at_once: 10, seed: 3 };
        let (capture, made) = make(&mix);
        let mut directions: HashMap<(End, End), Direction> = HashMap::new();
        let (mut packets, mut last, mut most) = (0, 0, 0);
        let mut open: HashSet<(End, End)> = HashSet::new();
        each_frame(&capture, |micros, data| {
            packets += 1;
            assert!(micros >= last, "time steps back");
            last = micros;
            let packet = SlicedPacket::from_ethernet(data).unwrap();
            let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
            let from = End { address: ip.header().source(), port: tcp.source_port() };
            let to = End { address: ip.header().destination(), port: tcp.destination_port() };
            let key = if from.port == 80 { (to, from) } else { (from, to) };
            if tcp.syn() {
                open.insert(key);
                let first = tcp.sequence_number().wrapping_add(1);
                let known =
                    directions.insert((from, to), Direction { first, ..Default::default() });
                assert!(known.is_none(), "{from:?} is used twice");
            } else {
                let way = directions.get_mut(&(from, to)).expect("data before SYN");
                let fin_before = u32::from(way.fin);
                let next = way.first.wrapping_add(way.bytes.len() as u32 + fin_before);
                assert_eq!(tcp.sequence_number(), next);
                assert!(tcp.payload().is_empty() || !way.fin, "data after FIN");
                way.bytes.extend_from_slice(tcp.payload());
                way.fin |= tcp.fin();
            }
            most = most.max(open.len());
            if directions.get(&key).is_some_and(|way| way.fin) && from == key.1 && !tcp.fin() {
                open.remove(&key);
            }
            if tcp.ack() && !tcp.syn() {
                let back = &directions[&(to, from)];
                let sent = back.bytes.len() as u32 + u32::from(back.fin);
                let behind =
                    back.first.wrapping_add(sent).wrapping_sub(tcp.acknowledgment_number());
                assert!(behind <= sent, "acknowledges what was not sent");
            }
        });
        assert_eq!((packets, capture.len() as u64), (made.packets, made.bytes));
        assert_eq!(directions.len(), 240);
        assert_eq!(most, 10);
        for ((from, _), way) in &directions {
            assert!(way.fin);
            let text = String::from_utf8(way.bytes.clone()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP head");
            if from.port == 80 {
                assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            } else {
                assert!(head.starts_with("GET /") && body.is_empty());
            }
        }
        let payload: usize = directions.values().map(|way| way.bytes.len()).sum();
        assert_eq!(payload as u64, made.payload);
    }

    #[test]
    fn the_same_seed_gives_the_same_capture_and_another_another() {
        let mix = |seed| make(&Mix { connections: 30, mean_body: 5700, at_once: 7, seed }).0;
        assert!(mix(5) == mix(5));
        assert!(mix(5) != mix(6));
    }

    #[test]
    fn the_defaults_make_about_7500_bytes_a_connection() {
        let made = make(&Mix { connections: 4000, mean_body: 5700, at_once: 500, seed: 1 }).1;
        let each = made.bytes / 4000;
        assert!((7000..8000).contains(&each), "{each} bytes a connection");
    }
}
