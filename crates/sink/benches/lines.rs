//! What writing a chunk costs, where writing goes nowhere.
//!
//!     cargo bench -p pcap2conn-sink --bench lines

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::{Chunk, Connection, Endpoint, FlowKey, Side, Sink, Source};
use sink::{ConsoleSink, Format, OutputConfig};
use std::hint::black_box;
use std::io;
use wire::Timestamp;

/// So many bytes of what `byte` gives.
fn filled(length: usize, mut byte: impl FnMut(u64) -> u8) -> Vec<u8> {
    // A linear congruential generator (Knuth's MMIX); its high bits are random enough.
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        byte(state >> 33)
    };
    (0..length).map(|_| next()).collect()
}

/// Text has, like text, a line end and a quotation mark now and then.
fn text(random: u64) -> u8 {
    match random % 64 {
        0 => b'\n',
        1 => b'"',
        other => b'@' + other as u8,
    }
}

fn contents() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("text", filled(1448, text)),
        ("all bytes", filled(1448, |random| random as u8)),
        ("40 bytes of text", filled(40, text)),
    ]
}

fn connection() -> Connection {
    let client = Endpoint { addr: [10, 0, 0, 1].into(), port: 40_000 };
    let server = Endpoint { addr: [10, 0, 0, 2].into(), port: 23 };
    let (key, initiator) = FlowKey::new(6, client, server);
    Connection::new(key, initiator, source(1))
}

fn source(number: u64) -> Source {
    Source::new(Timestamp::default(), number, 1)
}

fn chunks(criterion: &mut Criterion) {
    for (format, name) in [(Format::Json, "json"), (Format::Headers, "headers")] {
        let mut group = criterion.benchmark_group(name);
        for (name, bytes) in contents() {
            let config = OutputConfig { console: true, format, utc: true, ..Default::default() };
            let mut sink = ConsoleSink::new(&config, Box::new(io::sink()), Box::new(io::sink()));
            let connection = connection();
            let handle = sink.opened(&connection).expect("nothing is written yet");
            let mut number = 1;
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    number += 1;
                    let (side, offset) = (Side::One, number * 1448);
                    let source = source(number);
                    let chunk = Chunk { side, offset, bytes: black_box(&bytes), source };
                    sink.data(handle, &connection, &chunk).is_ok()
                });
            });
        }
    }
}

criterion_group!(benches, chunks);
criterion_main!(benches);
