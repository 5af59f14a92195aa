//! A process that may open fewer files than the sink was promised. Alone in its file, since the
//! limit holds for the whole process.
#![cfg(unix)]
#![allow(missing_docs, reason = "a test is no library")]

use flow::{Chunk, Connection, Endpoint, FlowKey, Side, Sink, Source};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sink::{Output, OutputConfig};

#[test]
fn running_out_of_descriptors_loses_nothing() {
    let limit = Rlimit { current: Some(24), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = OutputConfig { dir: dir.path().into(), utc: true, ..OutputConfig::default() };
    let mut output = Output::new(&config, Box::new(std::io::sink()), Box::new(std::io::sink()));

    let source = Source::new(wire::Timestamp::new(0, 0), 1, 1);
    let connections: Vec<Connection> = (0..60)
        .map(|port| {
            let client = Endpoint { addr: [10, 0, 0, 1].into(), port };
            let server = Endpoint { addr: [10, 0, 0, 2].into(), port: 80 };
            let (key, initiator) = FlowKey::new(6, client, server);
            Connection::new(key, initiator, source)
        })
        .collect();
    let handles: Vec<u32> = connections.iter().map(|c| output.opened(c).unwrap()).collect();
    // Pieces so large that each is written at once and its file stays open.
    let piece = vec![b'x'; 200_000];
    for round in 0..3 {
        for (c, &handle) in connections.iter().zip(&handles) {
            let offset = round * piece.len() as u64;
            output
                .data(handle, c, &Chunk { side: Side::Zero, offset, bytes: &piece, source })
                .unwrap();
        }
    }
    output.finish().unwrap();
    for port in 0..60 {
        let name = format!("19700101000000-TCP-10.0.0.1.{port}-10.0.0.2.80.txt");
        assert_eq!(dir.path().join(name).metadata().unwrap().len(), 600_000);
    }
}
