//! What holds in every run, whatever the packets were.

use super::frame::TCP;
use super::record::{Event, Heard, Played};
use flow::{
    Config, EndFlag, Ended, Engine, FlowKey, Limit, Overlap, Reason, Report, SHARDS, SideStats,
    Totals,
};
use std::collections::HashMap;

/// What it costs at least to hold bytes of one packet, beside the bytes.
const PIECE: usize = 128;

/// Checks a run.
pub(super) fn check(played: &Played, config: &Config) {
    let reports = lives(&played.heard);
    chunks_and_gaps(&played.heard, &reports, &played.ticks);
    ends(played, &reports);
    books(played, &reports);
    totals(&played.totals, &reports);
    counts(&played.heard, &reports);
    memory(&played.heard, &reports, config);
    let connections = (config.limits.connections / SHARDS).max(1) * SHARDS;
    assert!(played.most_connections <= connections, "too many connections were held");
}

/// What is said of the connections that are held, and of those that are over, is what was heard so far.
pub(super) fn check_census(engine: &Engine<usize>, heard: &[Heard]) {
    let (census, totals) = (engine.census(), engine.totals());
    let tcp = census.half_open + census.established + census.closing + census.lingering;
    assert_eq!(tcp + census.udp + census.other, engine.connections() as u64);
    let (mut told, mut said) = (SideStats::default(), totals.sides);
    for heard in heard {
        match &heard.event {
            Event::Data { bytes, .. } => {
                (told.chunks, told.bytes) = (told.chunks + 1, told.bytes + bytes.len() as u64);
            }
            Event::Gap { len, .. } => {
                (told.gaps, told.missing) = (told.gaps + 1, told.missing + len)
            }
            _ => {}
        }
    }
    said += &census.sides;
    let out = |of: &SideStats| (of.chunks, of.bytes, of.missing, of.gaps);
    assert_eq!(out(&said), out(&told), "a census says otherwise than the events");
    assert_eq!(said.packets, engine.books().assigned(), "packets of a census");
}

/// Every connection is opened once, first, and closed once, last. Their reports.
fn lives(heard: &[Heard]) -> Vec<Report> {
    let mut reports: Vec<Option<Report>> = Vec::new();
    for Heard { connection, event, .. } in heard {
        match event {
            Event::Opened => {
                assert_eq!(*connection, reports.len(), "handles count connections");
                reports.push(None);
            }
            _ => assert!(reports[*connection].is_none(), "an event after the connection closed"),
        }
        if let Event::Closed(report) = event {
            reports[*connection] = Some(**report);
        }
    }
    let closed = |report: Option<Report>| report.expect("every connection is closed");
    reports.into_iter().map(closed).collect()
}

/// Offsets go on without a break, nothing is empty, and sources are packets that were read.
fn chunks_and_gaps(heard: &[Heard], reports: &[Report], ticks: &[u64]) {
    let mut next: HashMap<(usize, usize), u64> = HashMap::new();
    for Heard { connection, at, event } in heard {
        let (side, offset, len, source) = match event {
            Event::Data { side, offset, bytes, source } => {
                assert!(source.number() <= *at, "bytes from a packet that did not come yet");
                (side, offset, bytes.len() as u64, source)
            }
            Event::Gap { side, offset, len, source } => {
                let last = reports[*connection].last.number();
                let number = source.number();
                let in_silence = ticks.contains(at) && number < *at;
                let decided = in_silence || [*at, last].contains(&number);
                assert!(decided, "a gap decided by another packet");
                (side, offset, *len, source)
            }
            _ => continue,
        };
        assert!(len > 0, "an empty chunk or gap");
        assert!(source.number() > 0 && source.file() == 1, "no source");
        let next = next.entry((*connection, *side)).or_default();
        assert_eq!(*offset, *next, "offset is bytes and missing bytes so far");
        *next += len;
    }
}

/// FIN and RST are told once, unless they were taken back; and who settled or reset a connection was told.
fn ends(played: &Played, reports: &[Report]) {
    // What was told of each side last, since it has sent anything, and when.
    let mut told: HashMap<(usize, usize, bool), u64> = HashMap::new();
    let mut were_reset = vec![false; reports.len()];
    for Heard { connection, at, event } in &played.heard {
        let (side, flag, source) = match event {
            Event::Ended { side, flag, source } => (*side, *flag, source),
            // Whoever goes on has ended nothing.
            Event::Data { side, .. } => {
                told.remove(&(*connection, *side, true));
                told.remove(&(*connection, *side, false));
                continue;
            }
            Event::Gap { side, .. } => {
                told.remove(&(*connection, *side, true));
                continue;
            }
            Event::Settled => {
                let both = [0, 1].map(|side| told.contains_key(&(*connection, side, true)));
                assert!(both[0] && (both[1] || is_alone(&reports[*connection])), "no FIN was told");
                continue;
            }
            _ => continue,
        };
        assert_eq!(reports[*connection].protocol, TCP, "only TCP ends");
        assert!(source.number() > 0 && source.number() <= *at && source.file() == 1, "no source");
        were_reset[*connection] |= flag == EndFlag::Rst;
        let before = told.insert((*connection, side, flag == EndFlag::Fin), *at);
        let opened_again = |since: u64| played.syns.iter().any(|syn| (since..=*at).contains(syn));
        assert!(before.is_none_or(opened_again), "{flag:?} was told twice");
    }
    for (connection, report) in reports.iter().enumerate() {
        let was_told = |side, fin| told.contains_key(&(connection, side, fin));
        match report.ended {
            Ended::Fin => assert!(was_told(0, true) && (was_told(1, true) || is_alone(report))),
            Ended::Rst => assert!(were_reset[connection], "no RST was told"),
            _ => {}
        }
    }
}

/// Does it talk to itself?
fn is_alone(report: &Report) -> bool {
    report.ends[0] == report.ends[1]
}

/// Rule 13: packets read are packets assigned and packets set aside, and those assigned are those of
/// the connections.
fn books(played: &Played, reports: &[Report]) {
    let books = &played.books;
    assert!(books.balance(), "the books do not balance: {books:?}");
    assert_eq!(books.read(), played.packets, "packets read");
    let of_connections: u64 =
        reports.iter().flat_map(|report| &report.sides).map(|side| side.packets).sum();
    assert_eq!(books.assigned(), of_connections);
}

/// The totals are the sums of the reports.
fn totals(totals: &Totals, reports: &[Report]) {
    let mut sides = SideStats::default();
    let mut connections = [0; 256];
    for report in reports {
        report.sides.iter().for_each(|side| sides += side);
        connections[usize::from(report.protocol)] += 1;
    }
    assert_eq!(totals.sides, sides, "totals of sides");
    assert_eq!(totals.connections, connections, "totals of connections");
}

/// The reports say what the events said.
fn counts(heard: &[Heard], reports: &[Report]) {
    let mut told = vec![[SideStats::default(); 2]; reports.len()];
    let mut speaker = vec![None; reports.len()];
    for Heard { connection, event, .. } in heard {
        match event {
            Event::Data { side, bytes, .. } => {
                let told = &mut told[*connection][*side];
                told.chunks += 1;
                told.bytes += bytes.len() as u64;
                told.messages += u64::from(speaker[*connection].replace(*side) != Some(*side));
            }
            Event::Gap { side, len, .. } => {
                told[*connection][*side].missing += len;
                told[*connection][*side].gaps += 1;
            }
            Event::Conflict { side, .. } => told[*connection][*side].conflicting += 1,
            Event::Opened | Event::Ended { .. } | Event::Settled | Event::Closed(_) => {}
        }
    }
    for (told, report) in told.iter().zip(reports) {
        // Which end a conflict's side is may still change, if nothing went out before.
        let conflicts = |of: &[SideStats; 2]| of[0].conflicting + of[1].conflicting;
        assert_eq!(conflicts(told), conflicts(&report.sides), "conflicts");
        for (told, said) in told.iter().zip(&report.sides) {
            let out = |of: &SideStats| (of.chunks, of.bytes, of.messages, of.missing, of.gaps);
            assert_eq!(out(told), out(said), "a report says otherwise than the events");
        }
    }
}

/// Rule 12: what is held stays below the caps. Seen from outside, a chunk was held from the packet that
/// brought it until the packet at which it was delivered.
fn memory(heard: &[Heard], reports: &[Report], config: &Config) {
    // (packet, is it delivered then, who, how much); what goes out with a packet counts as gone before
    // what that packet brought counts as held.
    let mut changes = Vec::new();
    // Later bytes may cut a piece in two, so that nobody outside knows how many there were.
    let piece = if config.overlap == Overlap::Last { 0 } else { PIECE };
    for Heard { connection, at, event } in heard {
        let Event::Data { side, bytes, source, .. } = event else { continue };
        if *at == source.number() {
            continue;
        }
        let shard = shard(&reports[*connection]);
        let cost = bytes.len() + piece;
        changes.push((source.number(), true, (*connection, *side), shard, cost));
        changes.push((*at, false, (*connection, *side), shard, cost));
    }
    changes.sort_unstable();
    // Segments far ahead of their stream are kept beside.
    let largest = changes.iter().map(|change| change.4).max().unwrap_or(0);
    let max_side = config.limits.buffered_per_direction + config.limits.far_ahead.max(1) * largest;
    let max_shard = config.limits.buffered / SHARDS + config.limits.far_ahead.max(1) * largest;
    let mut sides: HashMap<(usize, usize), usize> = HashMap::new();
    let mut shards: HashMap<usize, usize> = HashMap::new();
    for (_, comes, who, shard, cost) in changes {
        let (side, shard) = (sides.entry(who).or_default(), shards.entry(shard).or_default());
        if comes {
            (*side, *shard) = (*side + cost, *shard + cost);
            assert!(*side <= max_side, "a direction holds too much");
            assert!(*shard <= max_shard, "a shard holds too much");
        } else {
            (*side, *shard) = (*side - cost, *shard - cost);
        }
    }
}

fn shard(report: &Report) -> usize {
    let [a, b] = report.ends;
    (FlowKey::new(report.protocol, a, b).0.fixed_hash() % SHARDS as u64) as usize
}

const _: () = assert!(Limit::ALL.len() == 7, "a new limit wants a test of its own");
