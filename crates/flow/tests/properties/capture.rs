//! Two-way conversations made at random, what a tap makes of them, and what of them can be known.

use crate::common::{A, ACK, B, FIN, Numbers, Packet, RST, SYN, Talk, What};
use proptest::prelude::*;

/// What an end does next.
#[derive(Clone, Debug)]
enum Step {
    /// Sends the next bytes.
    Send { from: usize, len: u32 },
    /// Sends bytes again that stand `back` bytes before the last one, cut otherwise than before.
    Again { from: usize, back: u32, len: u32 },
    /// Acknowledges all that was sent, captured or not.
    Ack { from: usize },
    /// The packet before comes twice.
    Repeat,
    /// Says that it ends the connection, which goes on all the same.
    Reset { from: usize },
}

fn step(shortest: u32) -> impl Strategy<Value = Step> {
    let from = 0..2usize;
    prop_oneof![
        24 => (from.clone(), shortest..60).prop_map(|(from, len)| Step::Send { from, len }),
        8 => (from.clone(), 1..200u32, shortest..90)
            .prop_map(|(from, back, len)| Step::Again { from, back, len }),
        16 => from.clone().prop_map(|from| Step::Ack { from }),
        4 => Just(Step::Repeat),
        1 => from.prop_map(|from| Step::Reset { from }),
    ]
}

/// How packets change places.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Each is late by less than 16 packets.
    Late,
    /// Any order within each window of 32 packets; the first window has `first`.
    Windows { first: usize },
}

/// Which SYNs were captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Syns {
    Both,
    OnlySyn,
    OnlySynAck,
    None,
}

/// A conversation as it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) talk: Talk,
    isn: [u32; 2],
    /// How much each end sent.
    pub(crate) sent: [u32; 2],
    /// Which ends' packets were captured.
    pub(crate) captured: [bool; 2],
}

/// The byte of an end's stream at an offset.
fn byte(of: usize, offset: u32) -> u8 {
    let n = offset.wrapping_mul(0x9e37_79b9).wrapping_add(of as u32 * 77);
    (n >> 24) as u8
}

pub(crate) fn bytes(of: usize, from: u32, to: u32) -> Vec<u8> {
    (from..to).map(|offset| byte(of, offset)).collect()
}

/// Captures without loss, or with a tenth of the data segments lost.
///
/// Where bytes may be lost, no segment has a single byte: behind a gap that would be taken for a
/// keep-alive probe.
pub(crate) fn capture(lossy: bool) -> impl Strategy<Value = Capture> {
    let shortest = if lossy { 2 } else { 1 };
    let isn = || prop_oneof![any::<u32>(), (u32::MAX - 2000)..=u32::MAX];
    let order = prop_oneof![
        1 => Just(Order::Late),
        1 => (1..=32usize).prop_map(|first| Order::Windows { first }),
    ];
    let syns = prop_oneof![
        2 => Just(Syns::Both),
        1 => Just(Syns::OnlySyn),
        1 => Just(Syns::OnlySynAck),
        2 => Just(Syns::None),
    ];
    let captured = prop_oneof![
        4 => Just([true, true]),
        1 => Just([true, false]),
        1 => Just([false, true]),
    ];
    let steps = prop::collection::vec((step(shortest), any::<u8>(), 0..10u8), 1..120);
    let fins = any::<[bool; 2]>();
    (isn(), isn(), syns, steps, fins, prop::collection::vec(any::<u8>(), 8), order, captured)
        .prop_map(move |(a, b, syns, steps, fins, keys, order, captured)| {
            let tap = Tap { lossy, syns, order, captured };
            tap.capture([a, b], &steps, fins, &keys)
        })
}

struct Tap {
    lossy: bool,
    syns: Syns,
    order: Order,
    captured: [bool; 2],
}

impl Tap {
    fn capture(
        &self,
        isn: [u32; 2],
        steps: &[(Step, u8, u8)],
        fins: [bool; 2],
        keys: &[u8],
    ) -> Capture {
        let mut talk = Talk::new();
        talk.switch(Numbers::new(isn));
        // A key for each packet, and whether it was captured.
        let mut fate = Vec::new();
        let mut sent = [0; 2];
        talk.syn(A, isn[A]).syn_ack(B, isn[B]).ack(A);
        let syn = [Syns::Both, Syns::OnlySyn].contains(&self.syns);
        let syn_ack = [Syns::Both, Syns::OnlySynAck].contains(&self.syns);
        fate.extend([(keys[0], syn), (keys[1], syn_ack), (keys[2], true)]);
        for (step, key, luck) in steps {
            match *step {
                Step::Send { from, len } => {
                    let end = sent[from] + len;
                    talk.bytes_at(from, sent[from], &bytes(from, sent[from], end));
                    sent[from] = end;
                }
                Step::Again { from, back, len } => {
                    let start = sent[from].saturating_sub(back);
                    let end = (start + len).min(sent[from]);
                    if self.lossy && end - start < 2 {
                        continue;
                    }
                    talk.bytes_at(from, start, &bytes(from, start, end));
                }
                Step::Ack { from } => {
                    talk.ack(from);
                }
                Step::Repeat => {
                    talk.repeat();
                }
                Step::Reset { from } => {
                    talk.rst(from, "no data");
                }
            }
            let lost = self.lossy && *luck == 0 && carries_data(&talk.packets[fate.len()]);
            fate.push((*key, !lost));
        }
        for end in [A, B] {
            if fins[end] {
                talk.fin(end).ack(1 - end).again(1 - end, 1);
                fate.extend([(keys[3 + end], true), (keys[5 + end], true), (keys[7], true)]);
            }
        }
        self.reorder(&mut talk, &fate);
        let mut capture = Capture { talk, isn, sent, captured: self.captured };
        if self.lossy {
            capture.drop_what_comes_too_late();
        }
        capture
    }

    fn reorder(&self, talk: &mut Talk, fate: &[(u8, bool)]) {
        assert_eq!(talk.packets.len(), fate.len());
        let mut packets: Vec<(usize, usize, Packet)> = Vec::new();
        let kept = talk
            .packets
            .drain(..)
            .zip(fate)
            .filter(|(packet, (_, captured))| *captured && self.captured[packet.from]);
        for (i, (packet, (key, _))) in kept.enumerate() {
            let key = usize::from(*key);
            let place = match self.order {
                Order::Late => (i + key % 16, 0),
                Order::Windows { first } => ((i + 32 - first) / 32, key),
            };
            packets.push((place.0, place.1, packet));
        }
        packets.sort_by_key(|&(window, key, _)| (window, key));
        talk.packets.extend(packets.into_iter().map(|(_, _, packet)| packet));
    }
}

fn carries_data(packet: &Packet) -> bool {
    matches!(&packet.what, What::Segment { data, .. } if !data.is_empty())
}

/// What a segment says: where its data stands, what it acknowledges, its flags.
struct Said {
    from: usize,
    data: std::ops::Range<u32>,
    ack: Option<u32>,
    flags: u8,
}

/// What must come out of one direction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) bytes: Vec<u8>,
    pub(crate) gaps: Vec<(u64, u64)>,
}

impl Capture {
    fn said(&self, packet: &Packet) -> Said {
        let What::Segment { seq, ack, flags, data } = &packet.what else {
            panic!("conversations are made of segments");
        };
        let from = packet.from;
        let offset = |of: usize, n: u32| n.wrapping_sub(self.isn[of]).wrapping_sub(1);
        let first = offset(from, seq.wrapping_add(u32::from(flags & SYN != 0)));
        let acked = ack.filter(|_| flags & RST == 0).map(|ack| offset(1 - from, ack));
        let len = if flags & RST == 0 { data.len() as u32 } else { 0 };
        let flags = flags | if ack.is_some() { ACK } else { 0 };
        Said { from, data: first..first.wrapping_add(len), ack: acked, flags }
    }

    /// Takes out data whose place may have been given up before it came: that of which the peer
    /// acknowledged something 32 packets before, and that below where a direction without a SYN has
    /// begun. Its bytes were lost, when they were sent first.
    fn drop_what_comes_too_late(&mut self) {
        let all = std::mem::take(&mut self.talk.packets);
        let mut kept: Vec<Packet> = Vec::new();
        // For each end, what the peer acknowledged and when; and where its first data stands.
        let mut acks: [Vec<(u32, usize)>; 2] = [vec![], vec![]];
        let mut lowest: [Option<(u32, usize)>; 2] = [None; 2];
        for packet in all {
            let said = self.said(&packet);
            let n = kept.len();
            let start = said.data.start;
            if !said.data.is_empty() {
                let acked = acks[said.from].iter().any(|&(ack, at)| ack > start && n - at >= 32);
                let below = lowest[said.from].is_some_and(|(low, at)| start < low && n - at >= 32);
                if acked || below {
                    continue;
                }
                let (low, at) = lowest[said.from].unwrap_or((start, n));
                lowest[said.from] = Some((low.min(start), at));
            }
            if let Some(ack) = said.ack {
                acks[1 - said.from].push((ack, n));
            }
            kept.push(packet);
        }
        self.talk.packets = kept;
    }

    /// Was a FIN of this end captured?
    pub(crate) fn has_fin(&self, of: usize) -> bool {
        let mut said = self.talk.packets.iter().map(|packet| self.said(packet));
        said.any(|said| said.from == of && said.flags & FIN != 0)
    }

    /// What the packets tell of one end's bytes, by the rules and nothing else.
    pub(crate) fn expected(&self, of: usize) -> Expected {
        let all: Vec<Said> = self.talk.packets.iter().map(|packet| self.said(packet)).collect();
        let mut here = vec![false; self.sent[of] as usize];
        for said in all.iter().filter(|said| said.from == of && !said.data.is_empty()) {
            here[said.data.start as usize..said.data.end as usize].fill(true);
        }
        let lowest = here.iter().position(|&b| b).map(|n| n as u32);
        let highest = here.iter().rposition(|&b| b).map(|n| n as u32 + 1);
        let acks: Vec<u32> =
            all.iter().filter(|said| said.from != of).filter_map(|said| said.ack).collect();
        // The beginning: by this end's SYN or the peer's answer to it, else by rule 6.
        let syn = all
            .iter()
            .any(|said| said.flags & SYN != 0 && (said.from == of || said.flags & ACK != 0));
        let first = acks.first().copied();
        let start = match lowest {
            _ if syn => 0,
            Some(low) => first.filter(|&ack| ack <= low).unwrap_or(low),
            None => return Expected::default(),
        };
        // The end: by the FIN, else by the highest of two acknowledgements, else by the last byte.
        let fin = self.has_fin(of);
        let last = highest.unwrap_or(start);
        let most = acks.iter().max().copied().unwrap_or(0);
        let twice = acks.iter().filter(|&&ack| ack > last + 1).count() > 1;
        let end = match () {
            () if fin => self.sent[of],
            () if twice && most > last + 1 => most,
            () => last,
        };
        let mut expected = Expected::default();
        for offset in start..end {
            if here.get(offset as usize).copied().unwrap_or(false) {
                expected.bytes.push(byte(of, offset));
                continue;
            }
            let at = u64::from(offset - start);
            match expected.gaps.last_mut() {
                Some((from, len)) if *from + *len == at => *len += 1,
                _ => expected.gaps.push((at, 1)),
            }
        }
        expected
    }
}
