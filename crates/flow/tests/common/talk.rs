//! A capture builder that reads like a packet trace.
//!
//! ```text
//! Talk::new().syn(A, 1000).syn_ack(B, 5000).ack(A).data(A, "GET /").ack(B)
//! ```
//!
//! Each segment carries the acknowledgement number that its sender last stated with
//! [`ack`](Talk::ack), [`ack_to`](Talk::ack_to) or a SYN-ACK; nothing is acknowledged by itself.
//! Positions are offsets in the sender's stream: 0 is the byte behind its SYN. Without
//! [`syn`](Talk::syn) the ends are in the middle of a connection, at offset 0 of made-up numbers.

use super::frame;
use std::net::IpAddr;
use wire::LinkType;

/// The end that usually opens.
pub(crate) const A: usize = 0;
/// The other end.
pub(crate) const B: usize = 1;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// What a packet carries.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Segment {
        seq: u32,
        ack: Option<u32>,
        flags: u8,
        data: Vec<u8>,
    },
    Datagram(Vec<u8>),
    /// A whole Ethernet frame.
    Frame(Vec<u8>),
    /// An 802.11 frame with several packets, an A-MSDU.
    Aggregate(Vec<Packet>),
    /// The fragment `number` of an 802.11 frame that comes in so many `parts`, an A-MSDU if there are
    /// several packets in it.
    LinkFragment {
        of: Vec<Packet>,
        sequence: u8,
        parts: u8,
        number: u8,
    },
    /// No packet: somebody tells the time.
    Tick,
}

/// One packet, its addresses left open.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    /// A's port.
    pub(crate) port: u16,
    pub(crate) what: What,
    /// Bytes that the snap length cut off.
    pub(crate) cut: usize,
    pub(crate) vlan: Option<u16>,
    /// Seconds and nanoseconds.
    pub(crate) time: (i64, u32),
}

impl Packet {
    /// The frame that carries it from one of `addrs` to the other. B's port is 80.
    pub(crate) fn frame(&self, addrs: [IpAddr; 2]) -> Vec<u8> {
        let turn = |[a, b]: [IpAddr; 2]| if self.from == A { [a, b] } else { [b, a] };
        let ports = if self.from == A { [self.port, 80] } else { [80, self.port] };
        match &self.what {
            What::Segment { seq, ack, flags, data } => {
                let flags = flags | if ack.is_some() { ACK } else { 0 };
                let segment = frame::tcp(ports, *seq, ack.unwrap_or(0), flags, data);
                frame::ip(turn(addrs), self.vlan, frame::TCP, &segment)
            }
            What::Datagram(data) => {
                frame::ip(turn(addrs), self.vlan, frame::UDP, &frame::udp(ports, data))
            }
            What::Frame(bytes) => bytes.clone(),
            What::Tick => Vec::new(),
            What::Aggregate(packets) => {
                let packets: Vec<_> = packets.iter().map(|packet| packet.frame(addrs)).collect();
                frame::wlan((0, 0, false), 0x80, &frame::amsdu(&packets))
            }
            What::LinkFragment { of, sequence, parts, number } => {
                let packets: Vec<_> = of.iter().map(|packet| packet.frame(addrs)).collect();
                let (qos, body) = match &packets[..] {
                    [packet] => (0, frame::msdu(packet)),
                    packets => (0x80, frame::amsdu(packets)),
                };
                let mut chunks = body.chunks(body.len().div_ceil(usize::from(*parts)));
                let part = chunks.nth(usize::from(*number)).unwrap_or_default();
                frame::wlan((*sequence, *number, number + 1 < *parts), qos, part)
            }
        }
    }

    /// May there be a SYN in it?
    pub(crate) fn may_open(&self) -> bool {
        match &self.what {
            What::Segment { flags, .. } => flags & SYN != 0,
            What::Datagram(_) | What::Tick => false,
            What::Aggregate(packets) => packets.iter().any(Self::may_open),
            What::Frame(_) | What::LinkFragment { .. } => true,
        }
    }

    /// Of that frame.
    pub(crate) fn link(&self) -> LinkType {
        match &self.what {
            What::Aggregate(_) | What::LinkFragment { .. } => LinkType::IEEE802_11,
            _ => LinkType::ETHERNET,
        }
    }
}

/// Where the two ends stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    isn: [u32; 2],
    next: [u32; 2],
    /// What each end last acknowledged of the other.
    acked: [u32; 2],
}

impl Numbers {
    pub(crate) fn new(isn: [u32; 2]) -> Self {
        let next = isn.map(|isn| isn.wrapping_add(1));
        Self { isn, next, acked: [next[B], next[A]] }
    }
}

/// A capture in the making.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) packets: Vec<Packet>,
    numbers: Numbers,
    port: u16,
}

impl Talk {
    /// Ends in the middle of a connection, A at 1001 and B at 5001.
    pub(crate) fn new() -> Self {
        Self { packets: Vec::new(), numbers: Numbers::new([1000, 5000]), port: 40000 }
    }

    /// The same after SYN, SYN-ACK and ACK.
    pub(crate) fn open() -> Self {
        let mut talk = Self::new();
        talk.syn(A, 1000).syn_ack(B, 5000).ack(A);
        talk
    }

    /// Goes on with other numbers; the ones so far.
    pub(crate) fn switch(&mut self, numbers: Numbers) -> Numbers {
        std::mem::replace(&mut self.numbers, numbers)
    }

    /// The numbers so far.
    pub(crate) fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// A's port from now on.
    pub(crate) fn port(&mut self, port: u16) -> &mut Self {
        self.port = port;
        self
    }

    fn push(&mut self, from: usize, what: What) -> &mut Self {
        let n = self.packets.len() as u32;
        let time = (1_600_000_000 + i64::from(n / 1000), n % 1000 * 1_000_000);
        let port = self.port;
        self.packets.push(Packet { from, port, what, cut: 0, vlan: None, time });
        self
    }

    /// Any segment, by its numbers. No state changes.
    pub(crate) fn raw(
        &mut self,
        from: usize,
        flags: u8,
        seq: u32,
        ack: Option<u32>,
        data: &str,
    ) -> &mut Self {
        self.push(from, What::Segment { seq, ack, flags, data: data.into() })
    }

    fn segment(&mut self, from: usize, flags: u8, seq: u32, data: &[u8]) -> &mut Self {
        let ack = Some(self.numbers.acked[from]);
        self.push(from, What::Segment { seq, ack, flags, data: data.to_vec() })
    }

    /// A SYN, from which its sender's numbers start.
    pub(crate) fn syn(&mut self, from: usize, isn: u32) -> &mut Self {
        self.syn_with(from, isn, "")
    }

    /// A SYN with data.
    pub(crate) fn syn_with(&mut self, from: usize, isn: u32, data: &str) -> &mut Self {
        self.start(from, isn, data.len() as u32);
        self.push(from, What::Segment { seq: isn, ack: None, flags: SYN, data: data.into() })
    }

    /// A SYN-ACK, from which its sender's numbers start. It acknowledges all that the other end sent.
    pub(crate) fn syn_ack(&mut self, from: usize, isn: u32) -> &mut Self {
        self.start(from, isn, 0);
        let ack = self.numbers.next[1 - from];
        self.numbers.acked[from] = ack;
        self.push(from, What::Segment { seq: isn, ack: Some(ack), flags: SYN, data: Vec::new() })
    }

    fn start(&mut self, from: usize, isn: u32, len: u32) {
        if self.numbers.isn[from] == isn && self.numbers.next[from] != isn.wrapping_add(1) {
            // It comes again, or late.
            return;
        }
        self.numbers.isn[from] = isn;
        self.numbers.next[from] = isn.wrapping_add(1).wrapping_add(len);
        self.numbers.acked[1 - from] = isn.wrapping_add(1);
    }

    fn position(&self, of: usize, offset: u32) -> u32 {
        self.numbers.isn[of].wrapping_add(1).wrapping_add(offset)
    }

    /// Acknowledges all that the other end sent.
    pub(crate) fn ack(&mut self, from: usize) -> &mut Self {
        self.numbers.acked[from] = self.numbers.next[1 - from];
        self.again(from, 1)
    }

    /// Acknowledges the other end's bytes before `offset`.
    pub(crate) fn ack_to(&mut self, from: usize, offset: u32) -> &mut Self {
        self.numbers.acked[from] = self.position(1 - from, offset);
        self.again(from, 1)
    }

    /// `n` empty segments with the acknowledgement that `from` stated last.
    pub(crate) fn again(&mut self, from: usize, n: usize) -> &mut Self {
        for _ in 0..n {
            self.segment(from, 0, self.numbers.next[from], b"");
        }
        self
    }

    /// `n` empty segments without any acknowledgement: packets that say nothing.
    pub(crate) fn silent(&mut self, from: usize, n: usize) -> &mut Self {
        for _ in 0..n {
            self.raw(from, 0, self.numbers.next[from], None, "");
        }
        self
    }

    /// The next bytes.
    pub(crate) fn data(&mut self, from: usize, data: &str) -> &mut Self {
        let seq = self.numbers.next[from];
        self.numbers.next[from] = seq.wrapping_add(data.len() as u32);
        self.segment(from, 0, seq, data.as_bytes())
    }

    /// Bytes at `offset`; what comes next stands behind the highest ones.
    pub(crate) fn at(&mut self, from: usize, offset: u32, data: &str) -> &mut Self {
        self.bytes_at(from, offset, data.as_bytes())
    }

    /// The same for bytes that are no text.
    pub(crate) fn bytes_at(&mut self, from: usize, offset: u32, data: &[u8]) -> &mut Self {
        let seq = self.position(from, offset);
        let end = seq.wrapping_add(data.len() as u32);
        if (end.wrapping_sub(self.numbers.next[from]) as i32) > 0 {
            self.numbers.next[from] = end;
        }
        self.segment(from, 0, seq, data)
    }

    /// `n` bytes are sent, and not captured.
    pub(crate) fn lost(&mut self, from: usize, n: u32) -> &mut Self {
        self.numbers.next[from] = self.numbers.next[from].wrapping_add(n);
        self
    }

    /// A FIN behind all that was sent.
    pub(crate) fn fin(&mut self, from: usize) -> &mut Self {
        let seq = self.numbers.next[from];
        self.numbers.next[from] = seq.wrapping_add(1);
        self.segment(from, FIN, seq, b"")
    }

    /// A FIN behind the byte before `offset`.
    pub(crate) fn fin_at(&mut self, from: usize, offset: u32) -> &mut Self {
        self.segment(from, FIN, self.position(from, offset), b"")
    }

    /// A RST, with a payload that is no data.
    pub(crate) fn rst(&mut self, from: usize, reason: &str) -> &mut Self {
        self.segment(from, RST, self.numbers.next[from], reason.as_bytes())
    }

    /// A UDP datagram.
    pub(crate) fn datagram(&mut self, from: usize, data: &str) -> &mut Self {
        self.push(from, What::Datagram(data.into()))
    }

    /// Any frame.
    pub(crate) fn frame(&mut self, bytes: Vec<u8>) -> &mut Self {
        self.push(A, What::Frame(bytes))
    }

    /// The last `n` packets come in one 802.11 frame.
    pub(crate) fn together(&mut self, n: usize) -> &mut Self {
        let packets = self.packets.split_off(self.packets.len() - n);
        self.push(A, What::Aggregate(packets))
    }

    /// The last packet comes in so many fragments of an 802.11 frame, those of `numbers` in this order.
    pub(crate) fn in_fragments(&mut self, sequence: u8, parts: u8, numbers: &[u8]) -> &mut Self {
        let last = self.packets.pop().expect("modifiers follow a packet");
        let of = match last.what {
            What::Aggregate(of) => of,
            _ => vec![last],
        };
        for &number in numbers {
            self.push(A, What::LinkFragment { of: of.clone(), sequence, parts, number });
        }
        self
    }

    fn last(&mut self) -> &mut Packet {
        self.packets.last_mut().expect("modifiers follow a packet")
    }

    /// The last packet was captured without its last `n` bytes.
    pub(crate) fn cut(&mut self, n: usize) -> &mut Self {
        self.last().cut = n;
        self
    }

    /// The last packet had a VLAN tag.
    pub(crate) fn vlan(&mut self, id: u16) -> &mut Self {
        self.last().vlan = Some(id);
        self
    }

    /// The last packet was captured that many seconds after the epoch.
    pub(crate) fn time(&mut self, secs: i64) -> &mut Self {
        self.last().time = (secs, 0);
        self
    }

    /// No packet comes, and it is that many milliseconds after the epoch.
    pub(crate) fn silence(&mut self, millis: i64) -> &mut Self {
        self.push(A, What::Tick);
        self.last().time = (millis / 1000, (millis % 1000) as u32 * 1_000_000);
        self
    }

    /// The last packet comes once more.
    pub(crate) fn repeat(&mut self) -> &mut Self {
        let packet = self.last().clone();
        self.packets.push(packet);
        self
    }
}
