//! Reads captures and does nothing with their packets: what reading alone costs.
//!
//!     cargo run --release -p pcap2conn-capture --example walk -- FILE...
//!
//! Each file is read three times; with the file in the page cache the best time counts.

use capture::{ReadError, Reader};
use std::io::{Write, stdout};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let mut best = f64::INFINITY;
        let mut counts = (0, 0, 0);
        for _ in 0..3 {
            let begin = Instant::now();
            counts = walk(&path)?;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        let (packets, payload, file) = counts;
        writeln!(
            stdout(),
            "{path}: {packets} packets, {payload} bytes, {:.1} ns a packet, {:.2} GB/s",
            best * 1e9 / packets.max(1) as f64,
            file as f64 / best / 1e9,
        )?;
    }
    Ok(())
}

/// Packets, bytes captured, bytes of the file.
fn walk(path: &str) -> Result<(u64, u64, u64), ReadError> {
    let mut reader = Reader::open(path)?;
    let mut payload = 0;
    while let Some(packet) = reader.next_packet()? {
        payload += packet.bytes.len() as u64;
    }
    Ok((reader.packets(), payload, reader.bytes_read()))
}
