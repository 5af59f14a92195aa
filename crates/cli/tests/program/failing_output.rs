//! Output that cannot be written: exit status 1, and what could not be written is named.
#![cfg(unix)]

use crate::common::*;
use crate::stories::{SERVER, WEB, web};
use std::os::unix::fs::symlink;

/// A capture with 400 000 bytes.
fn large() -> Capture {
    let c = "10.0.0.2:40000";
    let mut frames = vec![tcp(c, SERVER, SYN, 0, 0, "")];
    frames.extend((0..400).map(|n| tcp(c, SERVER, ACK, 1 + n * 1000, 1, [b'x'; 1000])));
    Capture::all(frames, 1_563_783_090)
}

#[test]
fn whoever_reads_the_console_may_have_had_enough() {
    let place = Place::with(large().pcap());
    for options in ["", "-j", "-d", "-jm"] {
        let script =
            format!("{{ $P -r a.pcap -c {options}; echo $? >status; }} | head -c 5; cat status");
        let outcome = place.shell(&script);
        assert!(outcome.out.ends_with("0\n"), "{outcome:?}");
        assert_eq!(outcome.err, "", "it ends quietly");
    }
    let script =
        "{ $P -q -r a.pcap -c -j --summary-json -; echo $? >status; } | head -c 5; cat status";
    let outcome = place.shell(script);
    assert!(outcome.out.ends_with("0\n") && outcome.err.is_empty(), "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_on_the_console() {
    for capture in [web(), large()] {
        let place = Place::with(capture.pcap());
        let outcome = place.shell("$P -q -r a.pcap -c >/dev/full").ends(1);
        let words = "pcap2conn: cannot write to standard output: No space left on device";
        assert!(outcome.err.starts_with(words), "{outcome:?}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_run_and_names_the_file() {
    let place = Place::with(large().pcap());
    std::fs::create_dir(place.path("full")).expect("a new folder");
    let mount = "mount -t tmpfs -o size=64k none full";
    let probe = place.shell(&format!("unshare -rm sh -c '{mount}'"));
    if probe.status != Some(0) {
        skipped(format!("no way to mount a small file system: {}", probe.err.trim()));
        return;
    }
    let script = format!("unshare -rm sh -c '{mount} && exec \"$P\" -q -r a.pcap -o full'");
    let outcome = place.shell(&script).ends(1);
    let words = format!("pcap2conn: cannot write full/{WEB}.txt: No space left on device");
    assert!(outcome.err.starts_with(&words), "{outcome:?}");
    assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_disk_is_full_no_empty_files_are_left_behind() {
    let frames = (0..2000_u16).map(|n| udp(&format!("10.0.0.2:{}", 1000 + n), SERVER, [b'x'; 100]));
    let place = Place::with(Capture::all(frames, 9).pcap());
    std::fs::create_dir(place.path("full")).expect("a new folder");
    let mount = "mount -t tmpfs -o size=64k,nr_inodes=10000 none full";
    let probe = place.shell(&format!("unshare -rm sh -c '{mount}'"));
    if probe.status != Some(0) {
        skipped(format!("no way to mount a small file system: {}", probe.err.trim()));
        return;
    }
    let run = r#""$P" -q -r a.pcap -o full --workers 1; echo $?; ls full | wc -l; find full -size 0 | wc -l"#;
    let outcome = place.shell(&format!("unshare -rm sh -c '{mount}; {run}'"));
    let numbers: Vec<u32> = outcome.out.lines().map(|line| line.trim().parse().unwrap()).collect();
    let [status, files, empty] = numbers[..] else { panic!("{outcome:?}") };
    assert_eq!(status, 1, "{outcome:?}");
    assert!((2..100).contains(&files) && empty <= 1, "{outcome:?}");
    assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
}

/// A run into `out`, where something stands in the way: exit status 1, `path` named.
fn refused(place: &Place, options: &str, path: &str) {
    let outcome = place.run(&format!("-q -r a.pcap -o out {options}")).ends(1);
    assert!(outcome.err.starts_with("pcap2conn: cannot "), "{outcome:?}");
    assert!(outcome.err.contains(path), "{outcome:?}");
    assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
}

fn with_folder() -> Place {
    let place = Place::with(web().pcap()).put("precious", "keep me");
    std::fs::create_dir(place.path("out")).expect("a new folder");
    place
}

#[test]
fn a_link_is_not_followed() {
    for target in ["precious", "nothing"] {
        let place = with_folder();
        let name = format!("out/{WEB}.txt");
        symlink(place.path(target), place.path(&name)).expect("a new link");
        refused(&place, "", &name);
        refused(&place, "-s", &name);
        assert_eq!(place.files(".")["precious"], "keep me");
        assert!(!place.path("nothing").exists());
    }
}

#[test]
fn metadata_does_not_follow_one_either() {
    let place = with_folder();
    let name = format!("out/{WEB}-metadata.txt");
    symlink(place.path("precious"), place.path(&name)).expect("a new link");
    refused(&place, "-m", &name);
    assert_eq!(place.files(".")["precious"], "keep me");
}

#[test]
fn a_second_name_of_a_file_is_not_overwritten() {
    let place = with_folder();
    let name = format!("out/{WEB}.txt");
    std::fs::hard_link(place.path("precious"), place.path(&name)).expect("a new link");
    refused(&place, "", &name);
    assert_eq!(place.files(".")["precious"], "keep me");
}

#[test]
fn a_folder_or_a_pipe_in_the_way_is_named() {
    let place = with_folder();
    let name = format!("out/{WEB}.txt");
    std::fs::create_dir(place.path(&name)).expect("a new folder");
    refused(&place, "", &name);
    std::fs::remove_dir(place.path(&name)).expect("it is empty");
    place.shell(&format!("mkfifo {name}")).ends(0);
    refused(&place, "", &name);
}

#[test]
fn an_output_folder_that_cannot_be() {
    let place = Place::with(web().pcap());
    for folder in ["a.pcap", "a.pcap/below"] {
        let outcome = place.run(&format!("-q -r a.pcap -o {folder}")).ends(1);
        assert!(
            outcome.err.starts_with(&format!("pcap2conn: cannot create {folder}: ")),
            "{outcome:?}"
        );
    }
    assert_eq!(place.names("."), ["a.pcap"]);
}

#[test]
fn a_linked_output_folder_is_the_users_own_choice() {
    let place = with_folder();
    symlink(place.path("out"), place.path("link")).expect("a new link");
    place.run("-q -r a.pcap -o link").says_nothing();
    assert_eq!(place.names("out"), [format!("{WEB}.txt")]);
}

#[test]
fn what_can_be_written_is_whatever_fails() {
    // Two connections whose bytes wait, and a link in the way of the first.
    let c = "10.0.0.2:40000";
    let capture = Capture::all(
        [
            tcp(c, SERVER, SYN, 0, 0, ""),
            udp("10.0.0.3:5000", "10.0.0.4:53", "a question"),
            tcp(c, SERVER, ACK, 1, 1, "GET /"),
        ],
        1_563_783_090,
    );
    let place = Place::with(capture.pcap());
    let names: Vec<String> = place.out("").into_keys().collect();
    std::fs::create_dir(place.path("out")).expect("a new folder");
    let (web, dns) = (&names[0], &names[1]);
    symlink(place.path("elsewhere"), place.path(&format!("out/{web}"))).expect("a new link");
    let outcome = place.run("-q -r a.pcap -o out --summary-json s.json").ends(1);
    assert!(outcome.err.starts_with(&format!("pcap2conn: cannot open out/{web}: ")), "{outcome:?}");
    let written = std::fs::read(place.path(&format!("out/{dns}"))).expect("it was written");
    assert_eq!(written, b"a question");
    assert!(place.path("s.json").exists() && !place.path("elsewhere").exists());
}
