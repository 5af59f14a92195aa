//! Inputs that cannot be read, or not to their end: one line each, and what was readable is kept.

use crate::common::*;
use crate::stories::{WEB, web};

/// A run on `name` alone and on `name` after a good capture: exit status 1 and 3, and the one line.
fn unreadable(place: Place, name: &str, reason: &str) {
    let line = format!("pcap2conn: {name}: {reason}\n");
    place.run_with(&["-q", "-o", "out", "-r", name], b"").ends(1).errs(&line);
    assert!(!place.path("out").exists(), "{name}: a run without input creates nothing");
    let place = place.put("good.pcap", web().pcap());
    for order in [[name, "good.pcap"], ["good.pcap", name]] {
        let arguments = ["-q", "--order", "given", "-o", "out", "-r", order[0], order[1]];
        place.run_with(&arguments, b"").ends(3).errs(&line);
        assert_eq!(place.files("out")[&format!("{WEB}.txt")], "GET /\r\n200 OK\n");
    }
}

#[test]
fn what_is_not_there() {
    unreadable(Place::new(), "nosuch.pcap", "no such file; check the name");
}

#[test]
fn a_folder() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).expect("a new folder");
    unreadable(place, "folder", "is a folder; name the captures in it");
}

#[test]
fn an_empty_file() {
    let place = Place::new().put("empty", "");
    unreadable(place, "empty", "is empty; a capture has at least a header of 24 bytes");
}

#[test]
fn what_is_no_capture() {
    let place = Place::new().put("text", "Hello, world! This is no capture.\n");
    let reason = "is neither pcap nor pcapng (it begins with 48 65 6c 6c); convert it, for instance with editcap";
    unreadable(place, "text", reason);
    // Too short to be one.
    let place = Place::new().put("short", "\x7f");
    let outcome = place.run("-q -r short").ends(1);
    assert!(outcome.err.starts_with("pcap2conn: short: "), "{outcome:?}");
    // Compressed: the reason says so.
    let place = Place::new().put("gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03some bytes of it");
    let outcome = place.run("-q -r gz").ends(1);
    assert!(outcome.err.contains("gzip"), "{outcome:?}");
}

#[test]
fn a_capture_cut_in_its_first_header() {
    let place = Place::new().put("cut", &web().pcap()[..23]);
    let outcome = place.run("-q -r cut -o out").ends(1);
    assert!(outcome.err.starts_with("pcap2conn: cut: "), "{outcome:?}");
    assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_must_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new().put("secret", web().pcap());
    std::fs::set_permissions(place.path("secret"), std::fs::Permissions::from_mode(0o000))
        .expect("it is ours");
    // The superuser reads everything, unless that right is taken away.
    let probe = "if cat secret >/dev/null 2>&1; then R='setpriv --bounding-set=-all'; else R=; fi
                 if $R cat secret >/dev/null 2>&1; then echo can; else $R true && echo cannot; fi";
    let probe = place.shell(probe);
    if probe.out != "cannot\n" {
        skipped(format!("no way to run without the right to read everything: {probe:?}"));
        return;
    }
    let run = "if cat secret >/dev/null 2>&1; then R='setpriv --bounding-set=-all'; else R=; fi
               exec $R $P -q -o out -r secret";
    let line = "pcap2conn: secret: no permission to read it; check its mode and owner\n";
    place.shell(run).ends(1).errs(line);
    let place = place.put("good.pcap", web().pcap());
    place.shell(&format!("{run} good.pcap")).ends(3).errs(line);
    assert_eq!(place.names("out"), [format!("{WEB}.txt")]);
}

/// Damage behind the header: exit status 3, one line that names file, byte and packet, and everything
/// before it is kept: `kept` on the console.
fn damaged(bytes: impl AsRef<[u8]>, line: &str, kept: &str) {
    let place = Place::with(bytes);
    let outcome = place.run("-q -r a.pcap -c").ends(3);
    assert_eq!(outcome.err, format!("pcap2conn: a.pcap: {line}\n"));
    assert_eq!(outcome.out, kept);
    // The other inputs are read all the same.
    let late = Capture::new().at("1999999999.0", udp("10.0.0.7:7", "10.0.0.8:8", "more"));
    let place = place.put("b", late.pcap());
    let outcome = place.run("-q -r b a.pcap -c").ends(3);
    assert_eq!(outcome.out, format!("{kept}more"));
}

/// Where the record of packet 6 of `web` begins, `OK\n`: 16 bytes of header and 60 of frame.
fn sixth() -> usize {
    let before: usize = web().packets[..5].iter().map(|packet| 16 + packet.bytes.len()).sum();
    24 + before
}

const UP_TO_5: &str = "GET /\r\n200 ";

#[test]
fn cut_in_the_middle_of_a_record() {
    let at = sixth();
    let line = format!(
        "at byte {at}, packet 6: the file ends here: 76 bytes are needed, 75 are left; \
         capture or copy it again"
    );
    damaged(&web().pcap()[..at + 16 + 59], &line, UP_TO_5);
    let line = format!(
        "at byte {at}, packet 6: the file ends here: 16 bytes are needed, 15 are left; \
         capture or copy it again"
    );
    damaged(&web().pcap()[..at + 15], &line, UP_TO_5);
    // Cut between two records: nothing is missing that anyone could see.
    Place::with(&web().pcap()[..at]).run("-q -r a.pcap -c").ends(0).errs("");
}

#[test]
fn a_record_larger_than_the_file() {
    let at = sixth();
    let mut bytes = web().pcap();
    bytes[at + 8..at + 12].copy_from_slice(&1_000_000_u32.to_le_bytes());
    let left = bytes.len() - at;
    let line = format!(
        "at byte {at}, packet 6: the file ends here: 1000016 bytes are needed, {left} are left; \
         capture or copy it again"
    );
    damaged(&bytes, &line, UP_TO_5);
}

#[test]
fn a_record_longer_than_any() {
    let at = sixth();
    let mut bytes = web().pcap();
    bytes[at + 8..at + 12].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let line = format!(
        "at byte {at}, packet 6: corrupt: a record of 4294967280 bytes, none is longer than 16777216; \
         what follows is lost"
    );
    damaged(&bytes, &line, UP_TO_5);
}

#[test]
fn corrupt_block_lengths() {
    let mut before = web();
    before.packets.truncate(5);
    let good = before.pcapng();
    let at = good.len();
    let whole = web().pcapng();
    for (length, words) in [(11_u32, "11"), (0, "0"), (0xffff_fff0, "4294967280")] {
        let mut bytes = whole.clone();
        bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        let place = Place::with(&bytes);
        let outcome = place.run("-q -r a.pcap -c").ends(3);
        assert_eq!(outcome.out, UP_TO_5, "{length}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
        let start = format!("pcap2conn: a.pcap: at byte {at}, packet 6: ");
        assert!(outcome.err.starts_with(&start), "{outcome:?}");
        assert!(outcome.err.contains(words), "{outcome:?}");
    }
    // The two lengths of the block differ. What it holds came before that, and is kept or not.
    let mut bytes = whole.clone();
    let end = at + 92 - 4;
    assert_eq!(bytes[end..end + 4], 92_u32.to_le_bytes(), "the test knows the block");
    bytes[end..end + 4].copy_from_slice(&96_u32.to_le_bytes());
    let outcome = Place::with(&bytes).run("-q -r a.pcap -c").ends(3);
    assert!(outcome.out.starts_with(UP_TO_5), "{outcome:?}");
    assert!(outcome.err.contains("92") && outcome.err.contains("96"), "{outcome:?}");
}

#[test]
fn an_unknown_link_type() {
    let frames = Capture::new()
        .at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "x"))
        .at("9.1", udp("10.0.0.1:1", "10.0.0.2:2", "y"));
    let place = Place::with(frames.pcap_of(147));
    let outcome = place.run("-q -r a.pcap -o out").ends(3);
    let line =
        "pcap2conn: a.pcap: packet 1: link type 147 is not known; its packets are set aside\n";
    assert_eq!(outcome.err, line, "it is said once");
    let summary = place.summary("-r a.pcap");
    assert_eq!(summary["set_aside"]["unknown link type"], 2);
    assert_eq!(summary["packets"]["read"], 2);
}

#[test]
fn an_unknown_link_type_among_others() {
    let frame = udp("10.0.0.1:1", "10.0.0.2:2", "known ");
    let capture = Ng::new()
        .interface(1, &[])
        .interface(147, &[])
        .packet(0, 1, &frame)
        .packet(1, 2, b"whatever it is")
        .packet(7, 3, b"an interface that nobody described")
        .packet(0, 4, &frame);
    let place = Place::with(capture.0);
    let outcome = place.run("-q -r a.pcap -c").ends(3);
    assert_eq!(outcome.out, "known known ");
    let said: Vec<_> = outcome.err.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("pcap2conn: a.pcap: packet 2: link type 147 "), "{said:?}");
    assert!(said[1].starts_with("pcap2conn: a.pcap: packet 3: "), "{said:?}");
    assert!(said[1].contains("interface 7"), "{said:?}");
    let summary = place.summary("-r a.pcap");
    assert_eq!(summary["set_aside"]["unknown link type"], 1);
    assert_eq!(summary["set_aside"]["unknown interface"], 1);
}

#[test]
fn a_capture_without_packets_is_read_to_its_end() {
    for bytes in [Capture::new().pcap(), Capture::new().pcap_big(), Capture::new().pcapng()] {
        let place = Place::with(bytes);
        place.run("-q -r a.pcap -o out").says_nothing();
        assert!(place.files("out").is_empty());
        let said = place.run("-r a.pcap -o out").ends(0).err;
        assert!(said.contains("Packets read:                      0 = 0 assigned + 0 set aside"));
    }
}

#[test]
fn packets_that_cannot_be_decoded_are_no_damage() {
    // Cut inside a header by the snap length, and nonsense.
    let capture = Capture::new()
        .at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "x"))
        .snapped(30)
        .at("9.1", vec![0x55; 60])
        .at("9.2", Vec::new());
    let place = Place::with(capture.pcap());
    place.run("-q -r a.pcap -o out").says_nothing();
    let summary = place.summary("-r a.pcap");
    assert_eq!(summary["packets"]["set_aside"], 3);
    assert_eq!(summary["set_aside"]["cut inside a header"].as_u64().map(|n| n >= 1), Some(true));
}

#[cfg(unix)]
#[test]
fn a_name_cannot_break_the_line() {
    let place = Place::new().put("a\nb\x1b[31m", "no capture at all, but text");
    let outcome = place.run_with(&["--verbose", "--dry-run", "-r", "a\nb\x1b[31m"], b"").ends(1);
    assert!(outcome.err.starts_with("pcap2conn: a\\nb\\u{1b}[31m: is neither"), "{outcome:?}");
    assert!(!outcome.err.contains('\x1b'), "{outcome:?}");
    // A good one, cut, is named where it is read and where it ends.
    let place = Place::new().put("a\nb", &web().pcap()[..200]);
    let outcome = place.run_with(&["--verbose", "--dry-run", "-r", "a\nb"], b"").ends(3);
    assert!(
        outcome.err.lines().all(|line| line.starts_with("pcap2conn: a\\nb: ")
            || line.starts_with("pcap2conn: reading a\\nb ")
            || line.contains(":  ")),
        "{outcome:?}"
    );
}

#[test]
fn a_flood_of_unknown_link_types_is_not_a_flood_of_lines() {
    let mut file = Ng::new();
    for link in 0..100 {
        file = file.interface(30_000 + link, &[]);
    }
    for interface in 0..100 {
        file = file.packet(interface, 1, b"what?");
    }
    let place = Place::new().put("a.pcapng", file.0);
    let outcome = place.run("-q -r a.pcapng -o out").ends(3);
    assert_eq!(outcome.err.lines().count(), 9, "{outcome:?}");
    assert!(outcome.err.ends_with("are not told; the summary counts them\n"), "{outcome:?}");
    let summary = place.summary("-r a.pcapng");
    assert_eq!(summary["set_aside"]["unknown link type"], 100);
}
