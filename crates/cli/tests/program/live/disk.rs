//! What files may take on the disk.

use super::{Server, bytes};
use crate::common::{Capture, Capturing, Place, udp};

/// What the files of a place take.
fn on_disk(place: &Place) -> u64 {
    let paths = place.names("out").into_iter().map(|name| place.path("out").join(name));
    paths.map(|path| std::fs::metadata(path).unwrap().len().next_multiple_of(4096)).sum()
}

#[test]
fn a_capture_stops_when_the_disk_is_full() {
    let server = Server::start();
    let Some(capturing) = Capturing::start("-i lo -s --max-disk 1", &server.filter()) else {
        return;
    };
    for _ in 0..5 {
        server.ask(400_000);
    }
    let (place, said) = capturing.ends(3);
    assert!(
        said.contains("pcap2conn: --max-disk: the disk that files may take is full; "),
        "{said}"
    );
    assert!(said.contains("\nBytes not written:  "), "{said}");
    let taken = on_disk(&place);
    assert!((800_000..=1 << 20).contains(&taken), "{taken}");
}

#[test]
fn the_oldest_files_make_room_for_new_ones() {
    let server = Server::start();
    let arguments = "-i lo -s --max-disk 1 --when-full drop-oldest --summary-json summary.json";
    let Some(capturing) = Capturing::start(arguments, &server.filter()) else { return };
    let mut client = 0;
    for _ in 0..8 {
        client = server.ask(300_000);
        server.wait_for_answer(&capturing, client, 300_000);
    }
    let (place, said) = capturing.stop(0);
    let taken = on_disk(&place);
    assert!((600_000..=1 << 20).contains(&taken), "{taken}");
    let newest = server.answer_to(client);
    let name = place.names("out").into_iter().find(|name| name.ends_with(&newest)).unwrap();
    assert!(std::fs::read(place.path("out").join(name)).unwrap() == bytes(300_000));
    let summary = std::fs::read(place.path("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    let removed = summary["disk"]["removed_files"].as_u64().unwrap();
    let left = place.names("out").len() as u64;
    // Each connection has two files, of which one may have begun anew.
    assert!(removed >= 16 - left && removed < 16, "{removed} removed, {left} left, {said}");
    assert!(said.contains(&format!("\nFiles removed:                     {removed}\n")), "{said}");
}

#[test]
fn captured_files_are_not_read_on_when_the_disk_is_full() {
    let frames = (0..20_000).map(|_| udp("10.0.0.1:1", "10.0.0.2:2", [b'x'; 200]));
    let place = Place::with(Capture::all(frames, 9).pcap());
    let outcome = place.run("-r a.pcap -o out --max-disk 1 --write-buffer 1").ends(3);
    assert!(outcome.err.contains("pcap2conn: --max-disk: the disk that files may take is full; "));
    let stopped = "\nInput 1:                           a.pcap: stopped after packet ";
    assert!(outcome.err.contains(stopped), "{outcome:?}");
    let taken = on_disk(&place);
    assert!((800_000..=1 << 20).contains(&taken), "{taken}");
    let outcome = place.run("-r a.pcap -o all --max-disk 9").ends(0);
    assert!(!outcome.err.contains("disk"), "{outcome:?}");
    let outcome = place.run("-r a.pcap -c --max-disk 9").ends(2);
    assert!(outcome.err.contains("--max-disk"), "{outcome:?}");
}

/// Connections of UDP that speak in turn, so that none is over before the others.
fn in_turn(connections: u16, datagrams: usize) -> Capture {
    let datagram = |port: u16| udp(&format!("10.0.0.1:{port}"), "10.0.0.2:2", [b'x'; 1400]);
    let turns = (0..datagrams).flat_map(|_| 1000..1000 + connections);
    Capture::all(turns.map(datagram), 9)
}

#[test]
fn workers_that_share_a_disk_keep_to_it() {
    let place = Place::with(in_turn(100, 60).pcap());
    for (workers, buffer, open, most) in
        [(4, 1, 4, 1), (4, 1, 4, 2), (3, 64, 500, 1), (1, 64, 500, 1)]
    {
        let outcome = place.run(&format!(
            "-q -r a.pcap -o out --when-full drop-oldest --max-disk {most} --workers {workers} \
             --write-buffer {buffer} -f {open} --bin-dirs 7"
        ));
        outcome.ends(0);
        let folders = place.names("out");
        let mut taken = 0;
        for folder in &folders {
            let folder = place.path("out").join(folder);
            assert!(
                std::fs::read_dir(&folder).unwrap().next().is_some(),
                "an empty folder is left"
            );
            for file in std::fs::read_dir(folder).unwrap() {
                taken += file.unwrap().metadata().unwrap().len().next_multiple_of(4096);
            }
        }
        assert!(
            (most << 19..=most << 20).contains(&taken),
            "{taken} of {most} MiB, {workers} workers"
        );
        std::fs::remove_dir_all(place.path("out")).unwrap();
    }
}
