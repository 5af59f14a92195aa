//! Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

pub(crate) const ETHERNET: u32 = 1;

/// A captured packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Since 1970, in nanoseconds.
    pub(crate) nanos: i128,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: usize,
}

/// Packets on their way to a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture {
    pub(crate) packets: Vec<Packet>,
}

impl Capture {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A packet, with its time as people write it: seconds since 1970, up to nine decimals.
    pub(crate) fn at(mut self, time: &str, frame: Vec<u8>) -> Self {
        let wire_len = frame.len();
        self.packets.push(Packet { nanos: nanos(time), bytes: frame, wire_len });
        self
    }

    /// The last packet is captured up to `snap_len` bytes only.
    pub(crate) fn snapped(mut self, snap_len: usize) -> Self {
        self.packets.last_mut().expect("a packet came before").bytes.truncate(snap_len);
        self
    }

    /// Many packets a microsecond apart, the first at `secs`.
    pub(crate) fn all(frames: impl IntoIterator<Item = Vec<u8>>, secs: u64) -> Self {
        let mut this = Self::new();
        for (n, frame) in frames.into_iter().enumerate() {
            let time = format!("{}.{:06}", secs + n as u64 / 1_000_000, n % 1_000_000);
            this = this.at(&time, frame);
        }
        this
    }

    /// The usual pcap: little endian, microseconds, Ethernet.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        self.pcap_of(ETHERNET)
    }

    /// A pcap of another link type.
    pub(crate) fn pcap_of(&self, link: u32) -> Vec<u8> {
        self.pcap_as(0xa1b2_c3d4, 1_000, link, u32::to_le_bytes, u16::to_le_bytes)
    }

    /// A pcap in nanoseconds.
    pub(crate) fn pcap_nanos(&self) -> Vec<u8> {
        self.pcap_as(0xa1b2_3c4d, 1, ETHERNET, u32::to_le_bytes, u16::to_le_bytes)
    }

    /// A pcap of a machine of the other byte order.
    pub(crate) fn pcap_big(&self) -> Vec<u8> {
        self.pcap_as(0xa1b2_c3d4, 1_000, ETHERNET, u32::to_be_bytes, u16::to_be_bytes)
    }

    fn pcap_as(
        &self,
        magic: u32,
        unit: i128,
        link: u32,
        four: fn(u32) -> [u8; 4],
        two: fn(u16) -> [u8; 2],
    ) -> Vec<u8> {
        let mut file = four(magic).to_vec();
        file.extend([two(2), two(4)].concat());
        [0, 0, 262_144, link].into_iter().for_each(|field| file.extend(four(field)));
        for packet in &self.packets {
            let secs = packet.nanos.div_euclid(1_000_000_000);
            let fraction = packet.nanos.rem_euclid(1_000_000_000) / unit;
            let lengths = [packet.bytes.len(), packet.wire_len].map(|n| n as u32);
            let record = [secs as u32, fraction as u32, lengths[0], lengths[1]];
            record.into_iter().for_each(|field| file.extend(four(field)));
            file.extend(&packet.bytes);
        }
        file
    }

    /// A pcapng with one section and one Ethernet interface in microseconds.
    pub(crate) fn pcapng(&self) -> Vec<u8> {
        let mut ng = Ng::new().interface(1, &[]);
        for packet in &self.packets {
            ng = ng.packet(0, (packet.nanos / 1_000) as u64, &packet.bytes);
        }
        ng.0
    }
}

fn nanos(time: &str) -> i128 {
    let (secs, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |text: &str| text.parse::<i128>().expect("digits");
    number(secs) * 1_000_000_000 + number(&format!("{fraction:0<9}"))
}

/// A pcapng file, block by block, little endian.
#[derive(Clone, Debug)]
pub(crate) struct Ng(pub(crate) Vec<u8>);

impl Ng {
    /// A section.
    pub(crate) fn new() -> Self {
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        Self(Vec::new()).block(0x0a0d_0d0a, &body)
    }

    /// An interface; options as (code, value), the values of 4 bytes or less.
    pub(crate) fn interface(self, link: u16, options: &[(u16, &[u8])]) -> Self {
        let mut body = [link.to_le_bytes(), [0, 0], [0, 0], [0, 0]].concat();
        for (code, value) in options {
            body.extend(code.to_le_bytes());
            body.extend((value.len() as u16).to_le_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    /// A packet (EPB), with its time in the interface's ticks.
    pub(crate) fn packet(self, interface: u32, ticks: u64, bytes: &[u8]) -> Self {
        let len = bytes.len() as u32;
        let fields = [interface, (ticks >> 32) as u32, ticks as u32, len, len];
        let mut body: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
        body.extend(bytes);
        self.block(6, &body)
    }

    /// Any block, padded.
    pub(crate) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padded = body.len().next_multiple_of(4);
        let length = (padded as u32 + 12).to_le_bytes();
        self.0.extend(kind.to_le_bytes());
        self.0.extend(length);
        self.0.extend(body);
        self.0.resize(self.0.len() + padded - body.len(), 0);
        self.0.extend(length);
        self
    }
}
