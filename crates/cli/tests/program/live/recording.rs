//! Packets recorded as they were captured.

use super::Server;
use crate::common::{Capturing, Place};
use std::collections::BTreeMap;

/// The files of a folder of a place, from the first byte to the last.
fn contents(place: &Place, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = std::fs::read(place.path(folder).join(&name)).unwrap();
        (name, bytes)
    };
    place.names(folder).into_iter().map(read).collect()
}

/// Captures ten connections with these options; the place, and the names of what was recorded in it.
fn record(options: &str) -> Option<(Place, Vec<String>)> {
    let server = Server::start();
    let arguments = format!("-i lo -m {options}");
    let capturing = Capturing::start(&arguments, &server.filter())?;
    for n in 0..10 {
        server.ask(n * 40_000);
    }
    let (place, said) = capturing.stop(0);
    assert_eq!(place.names("out").len(), 20, "{said}");
    let names = place.names(".").into_iter().filter(|name| name.ends_with(".pcapng"));
    let names = names.collect();
    Some((place, names))
}

#[test]
fn what_was_recorded_gives_the_same_files() {
    for options in ["--write-pcapng all.pcapng", "--write-pcapng all.pcapng --rotate-size 1"] {
        let Some((place, names)) = record(options) else { return };
        match options.contains("rotate") {
            false => assert_eq!(names, ["all.pcapng"]),
            true => assert!(names.len() >= 2 && names[1].starts_with("all_00002_"), "{names:?}"),
        }
        place.run(&format!("-q -m --utc -o again -r {}", names.join(" "))).ends(0);
        let (mut live, mut again) = (contents(&place, "out"), contents(&place, "again"));
        // Metadata says how a connection ended, which is the end of the capture for both, and in whose packets
        // it was.
        if names.len() > 1 {
            for files in [&mut live, &mut again] {
                files.retain(|name, _| !name.contains("-metadata"));
            }
        }
        assert!(live == again, "{:?} {:?}", live.keys(), again.keys());
    }
}

#[test]
fn the_newest_recorded_files_are_kept() {
    let Some((place, names)) =
        record("--write-pcapng all.pcapng --rotate-size 1 --rotate-time 3600 --rotate-count 1")
    else {
        return;
    };
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with("all_0000") && !names[0].starts_with("all_00001"), "{names:?}");
    assert!(std::fs::metadata(place.path(&names[0])).unwrap().len() <= 1 << 20);
}

#[test]
fn other_programs_read_what_was_recorded() {
    let Some((place, _)) = record("--write-pcapng all.pcapng") else { return };
    let outcome = place.shell("capinfos -TmQ -c -I all.pcapng");
    if outcome.status == Some(127) {
        return crate::common::skipped("no capinfos");
    }
    let said = outcome.ends(0).out;
    assert!(said.contains("all.pcapng"), "{said}");
    let all = place.run("-q --dry-run --summary-json - -r all.pcapng").ends(0).out;
    let summary: serde_json::Value = serde_json::from_str(&all).unwrap();
    let packets = summary["packets"]["read"].as_u64().unwrap();
    assert!(said.contains(&format!("\"{packets}\"")), "{said}");
}

#[test]
fn a_recording_that_cannot_be_written_fails_and_connections_are_written() {
    let server = Server::start();
    let arguments = "-i lo -s --write-pcapng /dev/full";
    let Some(capturing) = Capturing::start(arguments, &server.filter()) else { return };
    let client = server.ask(100_000);
    let (place, said) = capturing.ends(1);
    assert!(
        said.contains("pcap2conn: cannot write the recording /dev/full: No space left on device"),
        "{said}"
    );
    let answer = server.answer_to(client);
    let name = place.names("out").into_iter().find(|name| name.ends_with(&answer)).unwrap();
    assert_eq!(std::fs::metadata(place.path("out").join(name)).unwrap().len(), 100_000);

    let place = Place::new();
    let outcome = place.run("-i lo -o out --write-pcapng no/such/a.pcapng -e tcp").ends(1);
    assert!(outcome.err.contains("cannot create the recording no/such/a.pcapng: "), "{outcome:?}");
    assert!(place.files("out").is_empty() && place.names(".").len() == 1);
}
