//! The least that following TCP connections takes: what any program does that finds the connection of each packet,
//! knows which of them spoke longest ago, and remembers those that are over.
//!
//! It believes every header, knows Ethernet, IPv4 and TCP alone, and takes each segment for the next one: nothing
//! is put in order, nothing delivered, nothing written. As in the program, connections are in 64 shards by a hash
//! of their addresses and ports.

use hashbrown::HashTable;
use std::collections::VecDeque;

/// As the program has them.
const SHARDS: usize = 64;

/// No connection.
const NONE: u32 = u32::MAX;

const FIN: u8 = 1;
const SYN: u8 = 2;

/// Both ends, the lower first: their addresses, and their ports in one number.
type Key = [u32; 3];

/// What is known of a connection: two cache lines.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Connection {
    key: Key,
    next: [u32; 2],
    acknowledged: [u32; 2],
    bytes: [u64; 2],
    packets: [u32; 2],
    first: u64,
    last: u64,
    hash: u64,
    /// Which sides have sent a FIN.
    over: u8,
    older: u32,
    newer: u32,
}

/// Those of some keys.
struct Shard {
    by_key: HashTable<u32>,
    connections: Vec<Connection>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    /// Those that are over, and remembered.
    over: VecDeque<u32>,
}

/// All connections.
pub(crate) struct Follower {
    shards: Vec<Shard>,
    /// So many that are over are remembered in each shard.
    remembered: usize,
    pub(crate) opened: u64,
    pub(crate) bytes: u64,
    /// How long the longest of those that are forgotten was, in the unit of times.
    pub(crate) longest: u64,
}

/// A segment.
struct Segment {
    key: Key,
    side: usize,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    length: u32,
}

impl Follower {
    /// One that remembers so many connections that are over.
    pub(crate) fn new(remembered: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::new()).collect();
        Self { shards, remembered: remembered / SHARDS, opened: 0, bytes: 0, longest: 0 }
    }

    /// Takes in a frame that came at some time.
    pub(crate) fn take(&mut self, time: u64, frame: &[u8]) {
        let Some(segment) = segment(frame) else { return };
        let [a, b, ports] = segment.key.map(u64::from);
        let mixed = ((a << 32 | b) ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(ports << 1 | 1);
        let hash = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let shard = &mut self.shards[(hash >> 20) as usize % SHARDS];
        let number = match shard.find(hash, &segment.key) {
            Some(number) => number,
            None => {
                self.opened += 1;
                shard.open(segment.key, hash, time)
            }
        };
        self.bytes += u64::from(shard.take(number, time, &segment));
        if shard.over.len() > self.remembered {
            self.longest = self.longest.max(shard.forget_oldest());
        }
    }
}

impl Shard {
    fn new() -> Self {
        let (by_key, connections, free) = (HashTable::new(), Vec::new(), Vec::new());
        Self { by_key, connections, free, oldest: NONE, newest: NONE, over: VecDeque::new() }
    }

    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.by_key.find(hash, |&n| self.connections[n as usize].key == *key).copied()
    }

    fn open(&mut self, key: Key, hash: u64, time: u64) -> u32 {
        let new = Connection {
            key,
            hash,
            first: time,
            older: NONE,
            newer: NONE,
            ..Connection::default()
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.connections[number as usize] = new;
                number
            }
            None => {
                self.connections.push(new);
                self.connections.len() as u32 - 1
            }
        };
        let connections = &self.connections;
        self.by_key.insert_unique(hash, number, |&n| connections[n as usize].hash);
        self.push(number);
        number
    }

    /// A segment of a connection came; how many of its bytes were next.
    fn take(&mut self, number: u32, time: u64, segment: &Segment) -> u32 {
        if self.newest != number && self.connections[number as usize].over != 3 {
            self.unlink(number);
            self.push(number);
        }
        let connection = &mut self.connections[number as usize];
        let side = segment.side;
        connection.last = time;
        connection.packets[side] += 1;
        connection.acknowledged[side] = segment.acknowledgement;
        let begins = segment.flags & SYN != 0;
        let is_next = begins || segment.sequence == connection.next[side];
        if !is_next {
            return 0;
        }
        let ends = segment.flags & FIN != 0;
        connection.next[side] =
            segment.sequence.wrapping_add(segment.length + u32::from(begins) + u32::from(ends));
        connection.bytes[side] += u64::from(segment.length);
        if ends {
            connection.over |= 1 << side;
            if connection.over == 3 {
                self.unlink(number);
                self.over.push_back(number);
            }
        }
        segment.length
    }

    /// Forgets the one that has been over for longest; how long it was.
    fn forget_oldest(&mut self) -> u64 {
        let Some(number) = self.over.pop_front() else { return 0 };
        let Connection { hash, first, last, .. } = self.connections[number as usize];
        if let Ok(entry) = self.by_key.find_entry(hash, |&n| n == number) {
            entry.remove();
        }
        self.free.push(number);
        last.wrapping_sub(first)
    }

    /// Makes a connection the newest.
    fn push(&mut self, number: u32) {
        let older = std::mem::replace(&mut self.newest, number);
        let connection = &mut self.connections[number as usize];
        (connection.older, connection.newer) = (older, NONE);
        match older {
            NONE => self.oldest = number,
            older => self.connections[older as usize].newer = number,
        }
    }

    fn unlink(&mut self, number: u32) {
        let Connection { older, newer, .. } = self.connections[number as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.connections[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.connections[newer as usize].older = older,
        }
    }
}

/// The segment in a frame, if it is one of TCP over IPv4 and Ethernet, and no fragment.
fn segment(frame: &[u8]) -> Option<Segment> {
    let ip = frame.get(14..34)?;
    if frame[12..14] != [8, 0] || ip[0] >> 4 != 4 || ip[9] != 6 || ip[6] & 0x3f != 0 || ip[7] != 0 {
        return None;
    }
    let short = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let word = |bytes: &[u8], at: usize| {
        u32::from(short(bytes, at)) << 16 | u32::from(short(bytes, at + 2))
    };
    let header = usize::from(ip[0] & 15) * 4;
    let tcp = frame.get(14 + header..14 + header + 20)?;
    let total = usize::from(short(ip, 2));
    let length = total.checked_sub(header + usize::from(tcp[12] >> 4) * 4)?;
    let ends = [(word(ip, 12), short(tcp, 0)), (word(ip, 16), short(tcp, 2))];
    let side = usize::from(ends[0] > ends[1]);
    let (low, high) = (ends[side], ends[1 - side]);
    Some(Segment {
        key: [low.0, high.0, u32::from(low.1) << 16 | u32::from(high.1)],
        side,
        sequence: word(tcp, 4),
        acknowledgement: word(tcp, 8),
        flags: tcp[13],
        length: length as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    /// A frame from one of two ends to the other.
    fn frame(from: u8, ports: [u16; 2], sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let ip = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(
            [10, 0, 0, from],
            [10, 0, 0, 3 - from],
            64,
        );
        let mut tcp = ip.tcp(ports[0], ports[1], sequence, 9);
        if flags & SYN != 0 {
            tcp = tcp.syn();
        }
        if flags & FIN != 0 {
            tcp = tcp.fin();
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frame
    }

    #[test]
    fn connections_are_followed_to_their_end() {
        let mut follower = Follower::new(0);
        for port in 1000..1100 {
            let (there, back) = ([port, 80], [80, port]);
            for frame in [
                frame(1, there, u32::MAX, SYN, b""),
                frame(2, back, 70, SYN, b""),
                frame(1, there, 0, 0, b"request"),
                // One that was lost, and came again.
                frame(2, back, 73, 0, b"swer"),
                frame(2, back, 71, 0, b"an"),
                frame(2, back, 73, FIN, b"swer"),
                frame(1, there, 7, FIN, b""),
            ] {
                follower.take(1, &frame);
            }
        }
        assert_eq!((follower.opened, follower.bytes), (100, 100 * 13));
        assert!(
            follower.shards.iter().all(|shard| shard.by_key.is_empty() && shard.oldest == NONE)
        );
        assert!(follower.shards.iter().all(|shard| shard.connections.len() <= 1));
        follower.take(1, b"no packet");
        assert_eq!(follower.opened, 100);
    }
}
