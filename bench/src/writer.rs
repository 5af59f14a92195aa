//! The pcap file.

use std::io::{self, Write};

use crate::frame::{Packet, Segment};

/// When captures begin: 2026-07-06 10:00:00 UTC, in microseconds since 1970.
pub(crate) const START: u64 = 1_783_332_000_000_000;

/// What was made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) packets: u64,
    /// Bytes that the transport carries.
    pub(crate) payload: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// Whoever takes the segments of a [`Mix`](crate::mix::Mix), in order, `micros` after 1970.
pub(crate) trait Recorder {
    fn record(&mut self, micros: u64, segment: &Segment<'_>) -> io::Result<()>;
}

/// Writes packets as they come.
pub(crate) struct Writer<W> {
    out: W,
    made: Made,
    frame: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A pcap file: microseconds, little endian, Ethernet.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(0xA1B2_C3D4_u32.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(4u16.to_le_bytes());
        header.extend([0; 8]); // time zone and accuracy, unused
        header.extend(262_144_u32.to_le_bytes());
        header.extend(1u32.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self {
            out,
            made: Made { bytes: header.len() as u64, ..Made::default() },
            frame: Vec::new(),
        })
    }

    /// Writes a packet captured `micros` after 1970.
    pub(crate) fn packet(&mut self, micros: u64, packet: &impl Packet) -> io::Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        packet.build(&mut frame);
        let written = self.frame(micros, &frame, packet.payload().len());
        self.frame = frame;
        written
    }

    /// Writes a frame with so many bytes of payload.
    pub(crate) fn frame(&mut self, micros: u64, frame: &[u8], payload: usize) -> io::Result<()> {
        let length = (frame.len() as u32).to_le_bytes();
        let mut header = [0; 16];
        header[0..4].copy_from_slice(&((micros / 1_000_000) as u32).to_le_bytes());
        header[4..8].copy_from_slice(&((micros % 1_000_000) as u32).to_le_bytes());
        header[8..12].copy_from_slice(&length);
        header[12..16].copy_from_slice(&length);
        self.out.write_all(&header)?;
        self.out.write_all(frame)?;
        self.made.packets += 1;
        self.made.payload += payload as u64;
        self.made.bytes += (header.len() + frame.len()) as u64;
        Ok(())
    }

    /// Passes all on; what was made.
    pub(crate) fn finish(mut self) -> io::Result<Made> {
        self.out.flush()?;
        Ok(self.made)
    }
}

impl<W: Write> Recorder for Writer<W> {
    fn record(&mut self, micros: u64, segment: &Segment<'_>) -> io::Result<()> {
        self.packet(micros, segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ACK, End, SEGMENT, SYN};

    fn record(flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out).unwrap();
        let segment = Segment {
            from: End { address: [198, 18, 0, 1], port: 1024 },
            to: End { address: [198, 19, 0, 9], port: 80 },
            sequence: 1,
            acknowledgement: 7,
            flags,
            number: 5,
            clock: (1, 2),
            payload,
        };
        writer.packet(3_000_004, &segment).unwrap();
        let made = writer.finish().unwrap();
        assert_eq!((made.packets, made.payload), (1, payload.len() as u64));
        assert_eq!(made.bytes, out.len() as u64);
        out.split_off(24)
    }

    #[test]
    fn a_record_has_its_time_and_length() {
        let made = record(ACK, b"odd");
        assert_eq!(made[..16], [3, 0, 0, 0, 4, 0, 0, 0, 69, 0, 0, 0, 69, 0, 0, 0]);
        assert_eq!(made.len(), 16 + 69);
        assert_eq!(record(SYN, b"").len(), 16 + 74);
        assert_eq!(record(ACK, &[0; SEGMENT]).len(), 16 + 1514);
    }
}
