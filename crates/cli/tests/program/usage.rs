//! Help, version, and command lines that are wrong.

use crate::common::*;
use crate::stories::web;

const USAGE: &str = "\nUsage: pcap2conn [-hvlcmsdj] [-r FILE...]...";

#[test]
fn help_names_every_option_and_has_examples() {
    let short = Place::new().run("-h").ends(0).errs("");
    for option in [
        "-r, --input-file",
        "-i, --interface",
        "-o, --output-dir",
        "-e, --filter",
        "-f, --max-file-desc",
        "-c, --write-to-console",
        "-m, --write-metadata",
        "-s, --separate-sides",
        "-d, --chunks-header",
        "-j, --json",
        "-l, --list-interfaces",
        "-v, --version",
        "-h, --help",
        "--utc",
        "--gap",
        "--overlap",
        "--workers",
        "--dry-run",
        "--summary-json",
        "-q, --quiet",
        "--verbose",
        "--order",
        "--idle-timeout",
        "--max-connections",
        "--max-buffered ",
        "--max-buffered-per-direction",
        "--max-fragments",
        "--write-buffer",
    ] {
        assert!(short.out.contains(option), "{option}\n{}", short.out);
    }
    for part in ["Input:", "Output:", "Limits:", "Messages:", "Examples:", "Exit status:", USAGE] {
        assert!(short.out.contains(part), "{part}\n{}", short.out);
    }
    assert!(short.out.lines().all(|line| line.chars().count() <= 100), "{}", short.out);
    assert_eq!(Place::new().run("--help").ends(0).errs("").out, short.out);
    assert_eq!(Place::new().run("-r nosuch -c -h").ends(0).errs("").out, short.out);
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = concat!("pcap2conn ", env!("CARGO_PKG_VERSION"), "\n");
    for line in ["-v", "--version", "-v -r nosuch"] {
        assert_eq!(Place::new().run(line).ends(0).errs("").out, expected);
    }
}

/// The interface that leads back to this machine is called so by every Linux.
#[cfg(all(target_os = "linux", feature = "libpcap"))]
#[test]
fn the_interfaces_are_listed_for_people_and_for_programs() {
    let place = Place::new();
    let text = place.run("-l").ends(0).errs("").out;
    let line = text.lines().find(|line| line.starts_with("lo ")).expect("a line for lo");
    assert!(line.contains(" up,running,loopback ") && line.contains(" 127.0.0.1"), "{line}");
    for options in ["-l -j", "--list-interfaces --json", "-lj"] {
        let lines = place.run(options).ends(0).errs("").out;
        let lo = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .find(|interface| interface["name"] == "lo")
            .expect("an object for lo");
        let addresses = lo["addresses"].as_array().expect("addresses");
        assert!(addresses.contains(&"127.0.0.1".into()), "{lo}");
        assert_eq!((&lo["loopback"], &lo["up"]), (&true.into(), &true.into()));
    }
}

#[cfg(not(feature = "libpcap"))]
#[test]
fn without_libpcap_nobody_knows_the_interfaces() {
    for line in ["-l", "-i lo"] {
        let outcome = Place::new().run(line).ends(2);
        assert!(outcome.err.contains("this build has no libpcap"), "{outcome:?}");
        assert_eq!(outcome.out, "");
    }
}

/// A wrong command line: exit status 2, usage on standard error, nothing done.
fn wrong(line: &str, words: &str) {
    let place = Place::with(web().pcap());
    let outcome = place.run(line).ends(2);
    assert!(outcome.err.contains(words), "{line}: {outcome:?}");
    assert_eq!(outcome.out, "", "{line}");
    assert_eq!(place.names("."), ["a.pcap"], "{line}");
}

#[test]
fn something_must_be_read_and_from_one_place() {
    wrong("", "nothing to read: name a capture with -r, or an interface with -i");
    wrong("", USAGE);
    wrong("-c -j", USAGE);
    wrong("-r a.pcap -i lo", "give one of them");
    wrong("-r a.pcap -i lo", USAGE);
    wrong("-r a.pcap -l", "give one of them");
    wrong("-r", "--input-file");
    wrong("a.pcap", "unexpected argument 'a.pcap'");
}

#[test]
fn what_is_not_known_is_refused() {
    wrong("-r a.pcap -x", USAGE);
    wrong("-r a.pcap --no-such-option", USAGE);
    wrong("-r a.pcap --gap none", "possible values: skip, marker, zero");
    wrong("-r a.pcap --overlap middle", "possible values: first, last");
    wrong("-r a.pcap --order random", "possible values: time, given");
    wrong("-r a.pcap -f 0", "-f 0: at least 1 is needed");
    wrong("-r a.pcap -f 0", USAGE);
    wrong("-r a.pcap --idle-timeout soon", "--idle-timeout");
    wrong("-r a.pcap -o", "--output-dir");
    wrong("-r a.pcap -q --verbose", "cannot be used with");
}

#[test]
fn short_options_may_stand_together() {
    let place = Place::with(web().pcap());
    let expected = place.shown("-s -j");
    assert_eq!(place.run("-qcsjr a.pcap").ends(0).out, expected);
    assert_eq!(place.run("-csj -q -ra.pcap").ends(0).out, expected);
    assert_eq!(place.run("-q -csj -r=a.pcap").ends(0).out, expected);
    let long = "--quiet --write-to-console --separate-sides --json --input-file=a.pcap";
    assert_eq!(place.run(long).ends(0).out, expected);
}

#[test]
fn options_may_stand_before_and_after_files() {
    let place = Place::with(web().pcap());
    for line in ["-c -q -r a.pcap", "-r a.pcap -c -q", "-q -r a.pcap -c"] {
        assert_eq!(place.run(line).ends(0).out, "GET /\r\n200 OK\n", "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_has_to_listen_to_what_is_said() {
    // Standard error full or closed: the work is done all the same.
    let place = Place::with(web().pcap());
    for redirection in ["2>/dev/full", "2>&-"] {
        place.shell(&format!("$P -r a.pcap -o out --verbose {redirection}")).ends(0);
        assert_eq!(place.names("out").len(), 1, "{redirection}");
        std::fs::remove_dir_all(place.path("out")).expect("it was just read");
        place.shell(&format!("$P -r nosuch {redirection}")).ends(1);
        place.shell(&format!("$P -r a.pcap -f 0 {redirection}")).ends(2);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_run_shows_a_bar_on_a_terminal_and_only_there() {
    // 64 MiB are needed: below that nobody could read it.
    let frame = udp("10.0.0.1:1", "10.0.0.2:2", [b'x'; 8000]);
    let place = Place::with(Capture::all((0..9000).map(|_| frame.clone()), 9).pcap());
    let outcome = place.run("-r a.pcap --dry-run").ends(0);
    assert!(outcome.err.starts_with("Connections:"), "{outcome:?}");
    let probe = place.shell("command -v script");
    if probe.status != Some(0) {
        skipped("no command `script` that makes a terminal");
        return;
    }
    let on_terminal = |options: &str| {
        let script =
            format!("TERM=xterm script -qec \"$P -r a.pcap --dry-run {options}\" /dev/null");
        place.shell(&script).ends(0).out
    };
    let shown = on_terminal("");
    assert!(
        shown.contains(" of 69.16 MiB, ") && shown.contains("B/s, 1 connections, "),
        "{shown:?}"
    );
    assert!(shown.contains("Packets read:                      9000 = 9000 assigned"), "{shown:?}");
    assert_eq!(on_terminal("-q"), "");
}
