//! What the sinks write is read back to the same.

use crate::OPTIONS;
use flow::{
    Began, Chunk, Connection, Ended, Endpoint, FlowKey, Gap, Report, Side, SideStats, Sink, Source,
};
use proptest::prelude::*;
use replay::{Recording, Transport, read_dumps};
use sink::{Format, Output, OutputConfig};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wire::Timestamp;

/// How dumps are written.
#[derive(Clone, Copy, Debug)]
struct Way {
    console: bool,
    separate_sides: bool,
    folders: bool,
    metadata: bool,
    several_inputs: bool,
}

/// Something that one packet of a connection brings.
#[derive(Clone, Debug)]
struct Step {
    connection: usize,
    side: Side,
    /// Missing before the bytes, or at the end of a datagram.
    missing: u64,
    bytes: Vec<u8>,
    /// Bytes that waited for this packet, which came with one this much earlier.
    waited: Option<(u64, Vec<u8>)>,
    nanos: i64,
    next_input: bool,
}

#[derive(Clone, Debug)]
struct World {
    way: Way,
    /// Protocol, ends, and time of the first packet.
    connections: Vec<(u8, [Endpoint; 2], Timestamp)>,
    steps: Vec<Step>,
}

fn endpoint(v6: bool) -> impl Strategy<Value = Endpoint> {
    let addr = if v6 {
        prop_oneof![
            any::<[u8; 16]>(),
            (0..3_u8).prop_map(|n| IpAddr::from([0, 0, 0, 0, 0, 0, 0, u16::from(n)])
                .to_string()
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets())
        ]
        .prop_map(IpAddr::from)
        .boxed()
    } else {
        any::<[u8; 4]>().prop_map(IpAddr::from).boxed()
    };
    (addr, any::<u16>()).prop_map(|(addr, port)| Endpoint { addr, port })
}

fn time() -> impl Strategy<Value = Timestamp> {
    let secs = prop_oneof![0..5_i64, 1_700_000_000..1_700_000_002_i64, -5..5_i64];
    (secs, 0..1_000_000_u32, any::<bool>()).prop_map(|(secs, below, fine)| {
        if fine {
            Timestamp::fine(secs, below * 999 + 7)
        } else {
            Timestamp::new(secs, below * 1000)
        }
    })
}

fn connection() -> impl Strategy<Value = (u8, [Endpoint; 2], Timestamp)> {
    let ends = any::<bool>()
        .prop_flat_map(|v6| [endpoint(v6), endpoint(v6)])
        .prop_filter("nobody can tell the sides apart", |[from, to]| from != to);
    (prop::sample::select(&[6_u8, 6, 17, 17, 1][..]), ends, time())
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..40),
            Just(b"[9 bytes missing] and more".to_vec()),
        ]
    };
    let missing = prop_oneof![4 => Just(0), 1 => 1..3000_u64, 1 => Just(1 << 40)];
    let waited = prop::option::weighted(0.2, (1..60_u64, bytes()));
    let side = any::<bool>().prop_map(|one| Side::BOTH[usize::from(one)]);
    let nanos = prop_oneof![0..9_000_000_i64, Just(0), Just(-1_000_000), Just(3_000_000_000)];
    (0..4_usize, side, missing, bytes(), waited, nanos, prop::bool::weighted(0.1)).prop_map(
        |(connection, side, missing, bytes, waited, nanos, next_input)| Step {
            connection,
            side,
            missing,
            bytes,
            waited,
            nanos,
            next_input,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let way = any::<[bool; 5]>().prop_map(|[console, sides, folders, metadata, several_inputs]| {
        Way { console, separate_sides: sides && !console, folders, metadata, several_inputs }
    });
    let connections = prop::collection::vec(connection(), 1..4);
    (way, connections, prop::collection::vec(step(), 0..30)).prop_map(
        |(way, connections, mut steps)| {
            // What waited behind a gap is put back to where it came; that has tests of its own.
            if steps.iter().any(|step| step.missing > 0) {
                steps.iter_mut().for_each(|step| step.waited = None);
            }
            World { way, connections, steps }
        },
    )
}

/// The sink under test, and beside it what is to be read back.
struct Writer {
    output: Output,
    connections: Vec<(Connection, u32, Recording, [u64; 2])>,
}

impl Writer {
    fn data(&mut self, index: usize, side: Side, bytes: &[u8], source: Source) {
        let (connection, handle, recording, sent) = &mut self.connections[index];
        let offset = sent[side.index()];
        sent[side.index()] += bytes.len() as u64;
        self.output.data(*handle, connection, &Chunk { side, offset, bytes, source }).unwrap();
        recording.push_data(side, since(source, connection), bytes);
    }

    fn gap(&mut self, index: usize, side: Side, len: u64, source: Source, same_packet: bool) {
        let (connection, handle, recording, sent) = &mut self.connections[index];
        let offset = sent[side.index()];
        sent[side.index()] += len;
        self.output.gap(*handle, connection, &Gap { side, offset, len, source }).unwrap();
        recording.push_gap(side, since(source, connection), len, same_packet);
    }

    fn step(&mut self, step: &Step, source: Source) {
        let index = step.connection % self.connections.len();
        let Step { side, missing, bytes, .. } = step;
        if self.connections[index].2.transport() == Transport::Udp {
            // A datagram, perhaps cut, perhaps to nothing.
            if *missing != 1 << 40 {
                self.data(index, *side, bytes, source);
            }
            if *missing > 0 {
                self.gap(index, *side, *missing, source, *missing != 1 << 40);
            }
            return;
        }
        if *missing > 0 {
            self.gap(index, *side, *missing, source, false);
        } else {
            self.data(index, *side, bytes, source);
        }
        if let Some((earlier, waited)) = &step.waited {
            let number = source.number().saturating_sub(*earlier).max(1);
            self.data(index, *side, waited, Source::new(source.time, number, source.file()));
        }
    }
}

fn since(source: Source, connection: &Connection) -> i64 {
    i64::try_from(source.time.nanos_since(connection.first().time)).unwrap()
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn later(time: Timestamp, nanos: i64, fine: bool) -> Timestamp {
    let all = i128::from(time.secs()) * 1_000_000_000
        + i128::from(time.subsec_nanos())
        + i128::from(nanos);
    let (secs, below) =
        (all.div_euclid(1_000_000_000) as i64, all.rem_euclid(1_000_000_000) as u32);
    if fine { Timestamp::fine(secs, below) } else { Timestamp::new(secs, below / 1000 * 1000) }
}

/// Opens the connections.
fn open(world: &World, output: &mut Output) -> Vec<(Connection, u32, Recording, [u64; 2])> {
    let mut all = Vec::new();
    for (number, (protocol, [from, to], first)) in (1..).zip(&world.connections) {
        let (key, initiator) = FlowKey::new(*protocol, *from, *to);
        let connection = Connection::new(key, initiator, Source::new(*first, number, 1));
        let handle = output.opened(&connection).unwrap();
        let transport = Transport::of_number(*protocol).unwrap_or(Transport::Tcp);
        let ends = Some(Side::BOTH.map(|side| connection.end(side)));
        let recording = Recording::new("", transport).between(ends).since(Some(*first));
        all.push((connection, handle, recording, [0; 2]));
    }
    all
}

fn report(connection: &Connection) -> Report {
    Report {
        protocol: connection.protocol(),
        vlans: connection.vlans(),
        ends: Side::BOTH.map(|side| connection.end(side)),
        first: connection.first(),
        last: connection.first(),
        began: Began::FirstPacket,
        ended: Ended::InputEnded,
        sides: [SideStats::default(); 2],
    }
}

/// Writes a world to `folder`, and tells what it is made of, in the order of connections.
fn write(world: &World, folder: &Path) -> Vec<Recording> {
    let way = world.way;
    let config = OutputConfig {
        dir: folder.to_owned(),
        console: way.console,
        metadata: way.metadata,
        separate_sides: way.separate_sides,
        format: Format::Json,
        utc: true,
        several_inputs: way.several_inputs,
        bin_dirs: way.folders.then_some(1),
        ..OutputConfig::default()
    };
    let console = Shared::default();
    let mut output = Output::new(&config, Box::new(console.clone()), Box::new(io::sink()));
    output.prepare().unwrap();
    let connections = open(world, &mut output);
    let mut writer = Writer { output, connections };
    let (mut packet, mut file) = (10, 1);
    for step in &world.steps {
        if step.next_input && way.several_inputs {
            (packet, file) = (10, file + 1);
        }
        packet += 10;
        let index = step.connection % writer.connections.len();
        let first = writer.connections[index].0.first().time;
        let time = later(
            first,
            step.nanos + 10_000_000 * (packet as i64 + 1000 * i64::from(file)),
            first.is_fine(),
        );
        writer.step(step, Source::new(time, packet, file));
    }
    let Writer { mut output, connections } = writer;
    for (connection, handle, ..) in &connections {
        output.closed(*handle, &report(connection)).unwrap();
    }
    output.finish().unwrap();
    let lines = console.0.lock().unwrap();
    if way.console {
        std::fs::write(folder.join("stream.json"), &*lines).unwrap();
    }
    let replayed = |(connection, _, recording, _): (Connection, u32, Recording, _)| {
        Transport::of_number(connection.protocol()).map(|_| recording)
    };
    connections.into_iter().filter_map(replayed).collect()
}

/// A recording's ends as a file shows them that has side 1 alone: its own end first.
fn as_named(recording: &Recording, way: Way) -> [Endpoint; 2] {
    let [zero, one] = recording.ends().unwrap();
    let only_one = recording.events().iter().all(|event| event.side == Side::One);
    if way.separate_sides && only_one { [one, zero] } else { [zero, one] }
}

/// All of a recording that can be compared, its name aside.
fn key(recording: &Recording, ends: [Endpoint; 2]) -> String {
    let began = recording.began().map(|time| (time.secs(), time.subsec_nanos()));
    let about = (recording.transport(), ends, began, recording.knows_finishes());
    format!("{about:?} {:?} {:?}", recording.events(), recording.bytes())
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(world in world()) {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&world, folder.path());
        let mut expected: Vec<String> = written
            .iter()
            .filter(|recording| !recording.events().is_empty())
            .map(|recording| key(recording, as_named(recording, world.way)))
            .collect();
        let read = read_dumps(&[folder.path().to_owned()], &OPTIONS);
        if expected.is_empty() {
            prop_assert!(read.is_err());
            return Ok(());
        }
        let read = read.unwrap();
        for left_out in &read.left_out {
            let reasons = ["protocol ICMP cannot be replayed: only TCP and UDP can", "it has no records"];
            prop_assert!(reasons.contains(&left_out.reason.as_str()), "{left_out}");
        }
        let mut found: Vec<String> = read
            .recordings
            .iter()
            .map(|recording| key(recording, recording.ends().unwrap()))
            .collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
