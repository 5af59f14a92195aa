//! Many conversations, interleaved by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use crate::conversation::Conversation;
use crate::frame::End;
use crate::random::Random;
use crate::writer::{Recorder, START};

/// Bodies are cut from so many random bytes.
const POOL: usize = 1 << 20;

/// How long the bodies of responses are, in bytes.
#[derive(Clone, Copy)]
pub(crate) enum Bodies {
    /// As of web pages, with this mean.
    Around(u32),
    /// All the same.
    Exactly(u32),
}

/// What to make.
pub(crate) struct Mix {
    pub(crate) connections: u32,
    pub(crate) bodies: Bodies,
    /// Bodies of bytes of all values, not text.
    pub(crate) binary: bool,
    /// Most connections open at once.
    pub(crate) at_once: u32,
    pub(crate) seed: u64,
}

impl Mix {
    /// Tells the whole capture.
    pub(crate) fn write(&self, recorder: &mut impl Recorder) -> io::Result<()> {
        let mut random = Random::new(self.seed);
        let pool = if self.binary { random.bytes(POOL) } else { random.text(POOL) };
        let mut scratch = Vec::new();

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
            let wait = open[place]
                .advance(now, &pool, &mut scratch, |segment| recorder.record(now, segment))?;
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
        Ok(())
    }

    fn begin(&self, number: u32, random: &mut Random) -> Conversation {
        let server = End::server(random.below(200), 80);
        let body = match self.bodies {
            Bodies::Exactly(size) => size as usize,
            Bodies::Around(mean) => page(f64::from(mean), random),
        };
        Conversation::new(End::client(number), server, body, random)
    }
}

/// The size of a page. Most pages are small, some are not: four fifths around half the mean, the rest
/// around three times the mean.
fn page(mean: f64, random: &mut Random) -> usize {
    let around = if random.below(5) == 0 { 3.0 * mean } else { 0.5 * mean };
    // At most 30 means: the largest page then stays far below 4 GiB.
    random.exponential(around).min(30.0 * mean) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::testing::{each_segment, made};
    use crate::writer::Made;

    fn make(mix: &Mix) -> (Vec<u8>, Made) {
        made(|writer| mix.write(writer))
    }

    fn web(connections: u32, mean_body: u32, at_once: u32, seed: u64) -> Mix {
        Mix { connections, bodies: Bodies::Around(mean_body), binary: false, at_once, seed }
    }

    /// One direction as a receiver sees it: its first sequence number and its bytes.
    #[derive(Default)]
    struct Direction {
        first: u32,
        bytes: Vec<u8>,
        fin: bool,
    }

    impl Direction {
        /// The sequence number after what was sent.
        fn next(&self) -> u32 {
            self.first.wrapping_add(self.bytes.len() as u32 + u32::from(self.fin))
        }
    }

    #[test]
    fn every_connection_is_whole_and_in_order() {
        let (capture, made) = make(&web(120, 20_000, 10, 3));
        let mut directions: HashMap<(End, End), Direction> = HashMap::new();
        let (mut packets, mut last, mut most) = (0, 0, 0);
        let mut open: HashSet<(End, End)> = HashSet::new();
        each_segment(&capture, |micros, from, to, tcp| {
            packets += 1;
            assert!(micros >= last, "time steps back");
            last = micros;
            let key = if from.port == 80 { (to, from) } else { (from, to) };
            if tcp.syn() {
                open.insert(key);
                let first = tcp.sequence_number().wrapping_add(1);
                let known =
                    directions.insert((from, to), Direction { first, ..Default::default() });
                assert!(known.is_none(), "{from:?} is used twice");
            } else {
                let way = directions.get_mut(&(from, to)).expect("data before SYN");
                assert_eq!(tcp.sequence_number(), way.next());
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
                let behind = back.next().wrapping_sub(tcp.acknowledgment_number());
                assert!(behind <= back.next().wrapping_sub(back.first), "acknowledges too much");
            }
        });
        assert_eq!((packets, capture.len() as u64), (made.packets, made.bytes));
        assert_eq!((directions.len(), most), (240, 10));
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
        let mix = |seed| make(&web(30, 5700, 7, seed)).0;
        assert!(mix(5) == mix(5));
        assert!(mix(5) != mix(6));
    }

    #[test]
    fn the_defaults_make_about_7500_bytes_a_connection() {
        let each = make(&web(4000, 5700, 500, 1)).1.bytes / 4000;
        assert!((7000..8000).contains(&each), "{each} bytes a connection");
    }

    #[test]
    fn exact_bodies_of_bytes_of_all_values() {
        let bodies = Bodies::Exactly(100_000);
        let mix = Mix { connections: 2, bodies, binary: true, at_once: 2, seed: 1 };
        let mut sent: HashMap<End, Vec<u8>> = HashMap::new();
        each_segment(&make(&mix).0, |_, from, _, tcp| {
            sent.entry(from).or_default().extend(tcp.payload());
        });
        for (_, bytes) in sent.iter().filter(|(from, _)| from.port == 80) {
            let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            assert_eq!(bytes.len() - head, 100_000);
            assert_eq!(bytes[head..].iter().collect::<HashSet<_>>().len(), 256);
        }
    }
}
