//! What the engine costs where nothing is made of its events: finding connections, and putting
//! segments in order.
//!
//!     cargo bench -p pcap2conn-flow --bench engine

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use flow::{Config, Connection, Engine, Limits, Sink, Source};
use std::convert::Infallible;
use std::net::IpAddr;
use wire::{Frame, LinkType, Timestamp};

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/common/frame.rs"]
mod frame;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];
/// Where a TCP header's sequence number stands in an Ethernet frame with IPv4.
const SEQUENCE: usize = 14 + 20 + 4;
/// Bytes in a full segment.
const FULL: u32 = 1448;

/// Takes everything and keeps nothing.
struct Nothing;

impl Sink for Nothing {
    type Handle = ();
    type Error = Infallible;
    fn opened(&mut self, _: &Connection) -> Result<(), Infallible> {
        Ok(())
    }
}

/// An engine and how many packets it has seen.
struct Run {
    engine: Engine<()>,
    packets: u64,
}

impl Run {
    fn new(config: Config) -> Self {
        Self { engine: Engine::new(config), packets: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.packets += 1;
        let source = Source::new(Timestamp::default(), self.packets, 1);
        let wire_len = u32::try_from(bytes.len()).expect("a short frame");
        let frame = Frame { link: LinkType::ETHERNET, bytes, wire_len };
        let Ok(()) = self.engine.handle_packet(source, &frame, &mut Nothing);
    }

    fn take_all(mut self, frames: &[Vec<u8>]) -> Self {
        for frame in frames {
            self.take(frame);
        }
        self
    }

    /// Ends the run: so many bytes were delivered, and none is missing.
    fn finish(mut self, bytes: u64) {
        let Ok(()) = self.engine.finish(&mut Nothing);
        let sides = self.engine.totals().sides;
        assert_eq!((sides.bytes, sides.missing), (bytes, 0));
    }
}

/// A TCP segment of the connection whose client has this port. It has the numbers of a SYN at 0 on
/// both sides.
fn segment(port: u16, from_server: bool, sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let ends = [IpAddr::from(CLIENT), IpAddr::from(SERVER)];
    if from_server {
        let tcp = frame::tcp([80, port], sequence, 1, flags, data);
        frame::ip([ends[1], ends[0]], None, frame::TCP, &tcp)
    } else {
        let tcp = frame::tcp([port, 80], sequence, 1, flags, data);
        frame::ip(ends, None, frame::TCP, &tcp)
    }
}

/// SYN, SYN-ACK, ACK.
fn handshake(port: u16) -> Vec<Vec<u8>> {
    vec![
        segment(port, false, 0, SYN, b""),
        segment(port, true, 0, SYN | ACK, b""),
        segment(port, false, 1, ACK, b""),
    ]
}

/// What the server sends: segments of `size` bytes in order, from the sequence number 1 on.
fn download(size: u32, count: u32) -> Vec<Vec<u8>> {
    let data = vec![b'x'; size as usize];
    (0..count).map(|i| segment(1024, true, 1 + i * size, ACK, &data)).collect()
}

/// The same with what the client says between: an acknowledgement of the first byte, so that the
/// capture is not one of the server alone, where holes are given up.
fn answered(segments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut frames = handshake(1024);
    for (i, segment) in segments.into_iter().enumerate() {
        if i % 500 == 499 {
            frames.push(frames[2].clone());
        }
        frames.push(segment);
    }
    frames
}

/// The connection whose segments these are, from its handshake to its end, again and again.
fn stream(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    segments: Vec<Vec<u8>>,
    bytes: u64,
) {
    let frames = answered(segments);
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || Run::new(Config::default()),
            |run| run.take_all(&frames).finish(bytes),
            BatchSize::PerIteration,
        );
    });
}

fn assembler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assembler");
    let bytes = u64::from(4000 * FULL);
    stream(&mut group, "in order", download(FULL, 4000), bytes);

    let mut moved = download(FULL, 4000);
    for begin in (0..moved.len() - 8).step_by(50) {
        // One of fifty comes eight places later.
        moved[begin..begin + 8].rotate_left(1);
    }
    stream(&mut group, "2 % moved by 8 places", moved, bytes);

    // Thousands of segments behind a hole, each of them eight times; then what fills it.
    let mut repeated = download(100, 4000);
    let first = repeated.remove(0);
    let mut repeated: Vec<_> = (0..8).flat_map(|_| repeated.clone()).collect();
    repeated.push(first);
    stream(&mut group, "4000 segments, 8 times each", repeated, 400_000);
    group.finish();

    let mut group = criterion.benchmark_group("one-byte segments in reverse order");
    group.sample_size(10);
    for count in [10_000, 100_000, 1_000_000] {
        reversed(&mut group, count);
    }
}

/// The work of each should grow with the logarithm of their number, at most.
fn reversed(group: &mut BenchmarkGroup<'_, WallTime>, count: u32) {
    // Nothing is to be given up, however much bookkeeping there is.
    let limits =
        Limits { buffered_per_direction: 1 << 30, buffered: 64 << 30, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let begin = handshake(1024);
    let mut byte = segment(1024, true, 0, ACK, b"x");
    group.throughput(Throughput::Elements(u64::from(count)));
    group.bench_function(count.to_string(), |bencher| {
        bencher.iter_batched(
            || Run::new(config).take_all(&begin),
            |mut run| {
                for sequence in (1..=count).rev() {
                    byte[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
                    run.take(&byte);
                    if sequence % 500 == 0 {
                        run.take(&begin[2]);
                    }
                }
                run.finish(u64::from(count));
            },
            BatchSize::PerIteration,
        );
    });
}

/// The first datagrams of so many connections.
fn datagrams(count: u32) -> Vec<Vec<u8>> {
    let server = IpAddr::from(SERVER);
    let udp = |number: u32| {
        // 50 000 ports of each address.
        let client = IpAddr::from([10, 1, 0, 1 + (number / 50_000) as u8]);
        let port = 1024 + (number % 50_000) as u16;
        frame::ip(
            [client, server],
            None,
            frame::UDP,
            &frame::udp([port, 53], b"twenty bytes of data"),
        )
    };
    (0..count).map(udp).collect()
}

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connections");
    for count in [1_000, 100_000] {
        let frames = datagrams(count);
        let mut run = Run::new(Config::default()).take_all(&frames);
        let mut turn = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("one of {count} found"), |bencher| {
            bencher.iter(|| {
                // A prime: all of them, never two neighbours.
                turn = (turn + 7_919) % frames.len();
                run.take(&frames[turn]);
            });
        });
    }
    let frames = datagrams(100_000);
    group.throughput(Throughput::Elements(100_000));
    group.sample_size(10).bench_function("100000 opened", |bencher| {
        bencher.iter_batched(
            || Run::new(Config::default()),
            |run| run.take_all(&frames),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, assembler, lookup);
criterion_main!(benches);
