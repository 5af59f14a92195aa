//! Dumps of the classic program, if they lie beside the project.

use crate::{OPTIONS, event, told};
use replay::{Dumps, Transport, read_dumps};
use std::io::Write;
use std::path::PathBuf;

/// The recordings of a folder of classic output. `None`, and a word about it, if it is not there.
fn read(capture: &str) -> Option<Dumps> {
    let dumps = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/classic-output");
    let path = PathBuf::from(dumps).join(capture).join("json");
    if !path.is_dir() {
        let _ = writeln!(std::io::stderr(), "skipped: no folder {}", path.display());
        return None;
    }
    Some(read_dumps(&[path], &OPTIONS).unwrap())
}

#[test]
fn a_classic_stream_is_read() {
    for (capture, bytes) in [("tcp", None), ("ipv6", None), ("gap", Some([8548 - 20, 0]))] {
        let Some(dumps) = read(capture) else { continue };
        let [recording] = &dumps.recordings[..] else { panic!("{capture}: {dumps:?}") };
        assert_eq!(recording.transport(), Transport::Tcp);
        assert!(recording.ends().is_some_and(|[_, server]| server.port == 80));
        let events = recording.events();
        assert_eq!(events[0].at, 0, "{capture}");
        assert!(events.iter().all(|event| (0..600_000_000_000).contains(&event.at)), "{capture}");
        if let Some(bytes) = bytes {
            assert_eq!(flow::Side::BOTH.map(|side| recording.len_of(side)), bytes);
        }
    }
}

#[test]
fn a_classic_gap_becomes_one() {
    let Some(dumps) = read("gap") else { return };
    let recording = &dumps.recordings[0];
    let missing: Vec<_> = recording.missing().map(|missing| missing.len).collect();
    assert_eq!(missing, [1420]);
    let told = told(recording);
    let gap = told.iter().position(|(_, _, what)| what == "[1420]").unwrap();
    let (at, side, what) = &told[gap + 1];
    assert_eq!(
        (*at, *side, what.as_str()),
        (told[gap - 1].0, 0, " Generic payload\",\"cookies\":[]}")
    );
    assert_eq!(told[gap], event(*at, 0, "[1420]"));
}

#[test]
fn classic_datagrams_are_read() {
    for (capture, left_out) in [("udp", &[][..]), ("igmp", &["HOPOPT", "IGMP", "IGMP"])] {
        let Some(dumps) = read(capture) else { continue };
        let udp = dumps.recordings.iter().filter(|one| one.transport() == Transport::Udp);
        assert!(udp.count() > 10, "{capture}");
        let reasons: Vec<_> = dumps.left_out.iter().map(|one| one.reason.clone()).collect();
        let expected: Vec<_> = left_out
            .iter()
            .map(|name| format!("protocol {name} cannot be replayed: only TCP and UDP can"))
            .collect();
        assert_eq!(reasons, expected, "{capture}");
    }
}
