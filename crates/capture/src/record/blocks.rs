//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, times in nanoseconds.

use super::RecordConfig;
use crate::{LiveStats, Packet};
use wire::Timestamp;

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const STATISTICS_TYPE: u32 = 5;
const PACKET: u32 = 6;

/// The length of a [statistics block](push_statistics).
pub(super) const STATISTICS: u64 = 4 + 4 + 4 + 8 + 3 * (4 + 8) + 4 + 4;

/// What a packet block has beside the bytes.
const PACKET_HEADER: usize = 28;

/// What a file begins with: its section and the one interface.
pub(super) fn header(config: &RecordConfig) -> Vec<u8> {
    let mut out = Vec::new();
    let program = concat!("pcap2conn ", env!("CARGO_PKG_VERSION"));
    push_block(&mut out, SECTION, |body| {
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]); // version 1.0
        body.extend(u64::MAX.to_le_bytes()); // a section of unknown length
        push_option(body, 4, program.as_bytes()); // shb_userappl
        push_option(body, 0, &[]);
    });
    push_block(&mut out, INTERFACE, |body| {
        body.extend(config.link.0.to_le_bytes());
        body.extend([0, 0]);
        body.extend(config.snap_length.to_le_bytes());
        push_option(body, 2, config.interface.as_bytes()); // if_name
        push_option(body, 9, &[9]); // if_tsresol: 10^-9 s
        if let Some(filter) = &config.filter {
            // if_filter: 0 is text
            push_option(body, 11, &[&[0], filter.as_bytes()].concat());
        }
        push_option(body, 0, &[]);
    });
    out
}

/// How long a packet's block is.
pub(super) fn packet_size(packet: &Packet<'_>) -> u64 {
    (PACKET_HEADER + packet.bytes.len().next_multiple_of(4) + 4) as u64
}

/// Appends an enhanced packet block.
pub(super) fn push_packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let length = packet_size(packet) as u32;
    let [high, low] = halves(&packet.time);
    // A capture has at most 2^31 bytes of a packet.
    let captured = packet.bytes.len() as u32;
    for word in [PACKET, length, packet.interface, high, low, captured, packet.wire_len] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(packet.bytes);
    // Blocks begin at multiples of 4, so that what pads the packet also pads the whole.
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Appends an interface statistics block: the counts at a time.
pub(super) fn push_statistics(out: &mut Vec<u8>, time: &Timestamp, stats: &LiveStats) {
    push_block(out, STATISTICS_TYPE, |body| {
        body.extend([0; 4]);
        halves(time).iter().for_each(|half| body.extend(half.to_le_bytes()));
        push_option(body, 4, &stats.received.to_le_bytes()); // isb_ifrecv
        push_option(body, 5, &stats.dropped_by_interface.to_le_bytes()); // isb_ifdrop
        push_option(body, 7, &stats.dropped.to_le_bytes()); // isb_osdrop
        push_option(body, 0, &[]);
    });
}

/// Appends a block with this body, which must end at a multiple of 4.
fn push_block(out: &mut Vec<u8>, kind: u32, push_body: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    push_body(&mut body);
    let length = (body.len() + 12) as u32;
    out.extend(kind.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.extend(length.to_le_bytes());
}

/// Appends an option; what is longer than 64 KiB has no room in one and is cut.
fn push_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A time in nanoseconds, its high half first. What is before 1970 is 0, and what does not fit is the last
/// that does.
fn halves(time: &Timestamp) -> [u32; 2] {
    let secs = u64::try_from(time.secs()).unwrap_or(0);
    let nanos = secs.saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into());
    [(nanos >> 32) as u32, nanos as u32]
}
