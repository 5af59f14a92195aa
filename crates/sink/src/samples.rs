//! Connections, packets and reports for tests.

use flow::{
    Began, Chunk, Connection, Ended, Endpoint, FlowKey, Gap, Report, Side, SideStats, Source,
};
use std::net::SocketAddr;
use wire::Timestamp;

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let addr: SocketAddr = text.parse().unwrap();
    Endpoint { addr: addr.ip(), port: addr.port() }
}

/// Packet `number` of input 1, `micros` past `secs`.
pub(crate) fn source(secs: i64, micros: u32, number: u64) -> Source {
    Source::new(Timestamp::new(secs, micros * 1000), number, 1)
}

/// A connection that `from` opened with packet 1.
pub(crate) fn connection(protocol: u8, from: &str, to: &str, secs: i64) -> Connection {
    let (key, initiator) = FlowKey::new(protocol, endpoint(from), endpoint(to));
    Connection::new(key, initiator, source(secs, 0, 1))
}

pub(crate) fn chunk(side: Side, offset: u64, bytes: &[u8], source: Source) -> Chunk<'_> {
    Chunk { side, offset, bytes, source }
}

pub(crate) fn gap(side: Side, offset: u64, len: u64, source: Source) -> Gap {
    Gap { side, offset, len, source }
}

/// What is known of `connection` at its end, when nobody sent anything.
pub(crate) fn report(connection: &Connection) -> Report {
    Report {
        protocol: connection.protocol(),
        vlans: connection.vlans(),
        ends: Side::BOTH.map(|side| connection.end(side)),
        first: connection.first(),
        last: connection.first(),
        began: Began::Syn,
        ended: Ended::Fin,
        sides: [SideStats::default(); 2],
    }
}
