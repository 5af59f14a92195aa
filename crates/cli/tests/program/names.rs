//! What files are called.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, WEB, WEB_SWAPPED, crowd, web};

/// The one file that a single packet makes.
fn name_of(frame: Vec<u8>) -> String {
    let place = Place::with(Capture::new().at("1563783090.999999", frame).pcap());
    place.only("").0
}

#[test]
fn a_name_is_time_protocol_and_ends_side_0_first() {
    let place = Place::with(web().pcap());
    assert_eq!(place.only("").0, format!("{WEB}.txt"));
    assert_eq!(place.only("-j").0, format!("{WEB}.json"));
    assert_eq!(place.only("-d").0, format!("{WEB}.txt"));
    let both: Vec<_> = place.out("-s").into_keys().collect();
    assert_eq!(both, [format!("{WEB_SWAPPED}.txt"), format!("{WEB}.txt")]);
}

#[test]
fn the_time_is_local_unless_utc_is_asked_for() {
    let tokyo = Place::with(web().pcap()).in_zone("Asia/Tokyo");
    assert_eq!(tokyo.only("").0, "20190722171130-TCP-10.0.0.2.40000-10.0.0.1.80.txt");
    assert_eq!(tokyo.only("--utc").0, format!("{WEB}.txt"));
    let rule = Place::with(web().pcap()).in_zone("XYZ+3:30");
    assert_eq!(rule.only("").0, "20190722044130-TCP-10.0.0.2.40000-10.0.0.1.80.txt");
}

#[test]
fn colons_of_ipv6_become_underscores() {
    assert_eq!(
        name_of(udp("[2001:db8::10]:6379", "[fe80::1:2]:53", "x")),
        "20190722081130-UDP-2001_db8__10.6379-fe80__1_2.53.txt"
    );
}

#[test]
fn protocols_have_their_classic_names_without_slash_and_blank() {
    for (protocol, name) in [
        (1, "ICMP"),
        (2, "IGMP"),
        (47, "GRE"),
        (50, "ESP"),
        (89, "OSPFIGP"),
        (103, "PIM"),
        (107, "A-N"),
        (124, "ISIS-OVER-IPV4"),
        (135, "MOBILITY-HEADER"),
        (253, "IP(253)"),
    ] {
        let made = name_of(other(protocol, "10.0.0.1", "224.0.0.1", "payload of a protocol"));
        assert_eq!(made, format!("20190722081130-{name}-10.0.0.1.0-224.0.0.1.0.txt"));
    }
    assert_eq!(
        name_of(other(58, "fe80::1", "ff02::1", b"\x87\0\0\0\0\0\0\0")),
        "20190722081130-IPV6-ICMP-fe80__1.0-ff02__1.0.txt"
    );
}

#[test]
fn sctp_dccp_and_udp_lite_have_ports() {
    for (protocol, name) in [(132, "SCTP"), (33, "DCCP"), (136, "UDPLITE")] {
        // Ports 2905 and 2906, then what all three of them have at least.
        let payload = b"\x0b\x59\x0b\x5a\0\x10\0\0\x40\0\0\0\0\0\0\0";
        let made = name_of(other(protocol, "10.0.0.1", "10.0.0.2", payload));
        assert_eq!(made, format!("20190722081130-{name}-10.0.0.1.2905-10.0.0.2.2906.txt"));
    }
}

#[test]
fn years_beyond_9999_show_as_its_last_second() {
    // 10000-01-01 00:00:00 UTC, and the last time that fits.
    for ticks in [253_402_300_800_000_000, u64::MAX] {
        let frame = udp("10.0.0.1:1", "10.0.0.2:2", "late");
        let place = Place::with(Ng::new().interface(1, &[]).packet(0, ticks, &frame).0);
        assert_eq!(place.only("").0, "99991231235959-UDP-10.0.0.1.1-10.0.0.2.2.txt");
    }
}

/// Three connections between the same ends in one second: one without a byte, then `two`, then `three`.
fn three_alike() -> Capture {
    let (c, s) = (CLIENT, SERVER);
    let mut frames = vec![
        tcp(c, s, SYN, 100, 0, ""),
        tcp(s, c, RST | ACK, 0, 101, ""),
        tcp(c, s, SYN, 70_000_000, 0, ""),
        tcp(s, c, SYN | ACK, 900, 70_000_001, ""),
        tcp(c, s, ACK, 70_000_001, 901, "two"),
        tcp(s, c, ACK, 901, 70_000_004, "zwei"),
        tcp(c, s, FIN | ACK, 70_000_004, 905, ""),
        tcp(s, c, FIN | ACK, 905, 70_000_005, ""),
    ];
    frames.extend([
        tcp(c, s, SYN, 140_000_000, 0, ""),
        tcp(s, c, SYN | ACK, 60_000_000, 140_000_001, ""),
        tcp(c, s, ACK, 140_000_001, 60_000_001, "three"),
        tcp(s, c, ACK, 60_000_001, 140_000_006, "drei"),
    ]);
    Capture::all(frames, 1_563_783_090)
}

#[test]
fn connections_alike_are_numbered_by_their_first_packets_bytes_or_not() {
    let place = Place::with(three_alike().pcap());
    let files = place.out("-m");
    let names: Vec<_> = files.keys().map(|name| name.strip_prefix(WEB).expect("alike")).collect();
    let expected = ["-metadata.txt", "_2-metadata.txt", "_2.txt", "_3-metadata.txt", "_3.txt"];
    assert_eq!(names, expected);
    assert_eq!(files[&format!("{WEB}_2.txt")], "twozwei");
    assert_eq!(files[&format!("{WEB}_3.txt")], "threedrei");
}

#[test]
fn both_sides_and_json_carry_the_same_number() {
    let place = Place::with(three_alike().pcap());
    let sides: Vec<_> = place.out("-s").into_iter().collect();
    let expected = [
        (format!("{WEB_SWAPPED}_2.txt"), "zwei"),
        (format!("{WEB_SWAPPED}_3.txt"), "drei"),
        (format!("{WEB}_2.txt"), "two"),
        (format!("{WEB}_3.txt"), "three"),
    ];
    assert_eq!(sides, expected.map(|(name, bytes)| (name, bytes.to_owned())));
    let json: Vec<_> = place.out("-s -j -m").into_keys().collect();
    let mut expected = vec![
        format!("{WEB_SWAPPED}_2.json"),
        format!("{WEB_SWAPPED}_3.json"),
        format!("{WEB}-metadata.json"),
    ];
    for number in [2, 3] {
        expected.push(format!("{WEB}_{number}-metadata.json"));
        expected.push(format!("{WEB}_{number}.json"));
    }
    assert_eq!(json, expected);
    let shown = place.shown("-j");
    assert!(
        shown
            .lines()
            .next()
            .is_some_and(|l| l.ends_with(&format!(",\"connection\":\"{WEB}_2\"}}")))
    );
}

#[test]
fn with_separate_sides_two_directions_never_share_a_file() {
    // In one second each end calls the other from the port that the other called.
    let (a, b) = ("10.0.0.1:7000", "10.0.0.2:7000");
    let mut frames = vec![
        tcp(a, b, SYN, 100, 0, ""),
        tcp(b, a, SYN | ACK, 200, 101, ""),
        tcp(a, b, ACK, 101, 201, "first"),
        tcp(b, a, RST | ACK, 201, 106, ""),
    ];
    frames.extend([
        tcp(b, a, SYN, 80_000_000, 0, ""),
        tcp(a, b, SYN | ACK, 90_000_000, 80_000_001, ""),
        tcp(b, a, ACK, 80_000_001, 90_000_001, "second"),
        tcp(a, b, ACK, 90_000_001, 80_000_007, "answer"),
    ]);
    let place = Place::with(Capture::all(frames, 1_563_783_090).pcap());
    let contents: Vec<_> = place.out("-s").into_values().collect();
    assert_eq!(contents.len(), 3, "{contents:?}");
    for bytes in ["first", "second", "answer"] {
        assert!(contents.iter().any(|content| content == bytes), "{contents:?}");
    }
}

#[test]
fn equal_ends_have_one_file() {
    let place = Place::with(
        Capture::new()
            .at("1563783090.0", udp("10.0.0.1:53", "10.0.0.1:53", "to myself "))
            .at("1563783090.1", udp("10.0.0.1:53", "10.0.0.1:53", "again"))
            .pcap(),
    );
    let file = place.only("-s");
    assert_eq!(file.0, "20190722081130-UDP-10.0.0.1.53-10.0.0.1.53.txt");
    assert_eq!(file.1, "to myself again");
}

#[test]
fn a_time_zone_that_nobody_knows_is_said() {
    let place = Place::with(web().pcap()).in_zone("Nowhere/At_all");
    let outcome = place.run("-r a.pcap -o out").ends(0);
    let words = "pcap2conn: the local time zone is not known, file names are in UTC: ";
    assert!(outcome.err.starts_with(words), "{outcome:?}");
    assert_eq!(outcome.err.matches("pcap2conn: ").count(), 1, "{outcome:?}");
    assert_eq!(place.names("out"), [format!("{WEB}.txt")]);
    let said = place.run("--utc -r a.pcap -o out").ends(0).err;
    assert!(!said.contains("time zone"), "{said}");
    place.run("-q -r a.pcap -o out").says_nothing();
}

#[test]
fn vlans_are_told_apart_where_asked_for_and_names_stay_different() {
    let tagged = |id: u8, data: &str| {
        let mut frame = udp(CLIENT, SERVER, data);
        frame.splice(12..12, [0x81, 0, 0, id]);
        frame
    };
    let frames = [tagged(7, "seven"), tagged(9, "nine"), udp(CLIENT, SERVER, "none")];
    let place = Place::with(Capture::all(frames, 1_563_783_090).pcap());
    let name = "20190722081130-UDP-10.0.0.2.40000-10.0.0.1.80";
    let together = place.out("");
    let files: Vec<_> = together.into_iter().collect();
    assert_eq!(files, [(format!("{name}.txt"), "sevenninenone".to_owned())]);
    let apart = place.out("--key vlan -m");
    let texts = ["", "_2", "_3"].map(|suffix| apart[&format!("{name}{suffix}.txt")].clone());
    assert_eq!(texts, ["seven", "nine", "none"]);
    let vlan = ["", "_2", "_3"].map(|suffix| {
        let metadata = &apart[&format!("{name}{suffix}-metadata.txt")];
        metadata.lines().find(|line| line.starts_with("VLAN:")).map(str::to_owned)
    });
    let line = |id| Some(format!("VLAN:{:>31}", id));
    assert_eq!(vlan, [line("7"), line("9"), None]);
    let json = place.out("--key vlan -m -j");
    assert!(json[&format!("{name}-metadata.json")].contains("\n\t\"vlan\":\"7\",\n"));
}

#[test]
fn many_connections_can_have_folders_of_their_own() {
    let place = Place::with(crowd(30_000..30_300).pcap());
    let flat = place.out("-s -m");
    for (size, options) in [(7, "--workers 1"), (7, "--workers 3 -f 4"), (100, ""), (1, "")] {
        place
            .run(&format!("-q -r a.pcap -s -m -o bins --bin-dirs {size} {options}"))
            .says_nothing();
        let folders = place.names("bins");
        assert!(folders.iter().all(|name| name.len() == 7 && name.ends_with('/')), "{folders:?}");
        let mut all = std::collections::BTreeMap::new();
        for folder in &folders {
            let files = place.files(&format!("bins/{folder}"));
            let connections = files.keys().filter(|name| name.ends_with("-metadata.txt")).count();
            assert!((1..=size).contains(&connections), "{folder}: {connections}");
            assert_eq!(files.len(), 3 * connections, "both sides and the metadata");
            all.extend(files);
        }
        assert!(all == flat, "{size} {options}");
        assert!(folders.len() < 4 * 300 / size + 64, "{}", folders.len());
        std::fs::remove_dir_all(place.path("bins")).expect("ours");
    }
    place.run("-q -c -r a.pcap --bin-dirs 7 -o bins").ends(0);
    assert!(!place.names(".").contains(&"bins/".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_link_is_no_folder() {
    let place = Place::with(web().pcap());
    for folder in ["out", "elsewhere"] {
        std::fs::create_dir(place.path(folder)).expect("a new folder");
    }
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("out/000000"))
        .expect("a new link");
    let outcome = place.run("-q -r a.pcap -o out --bin-dirs 1000").ends(1);
    assert!(outcome.err.contains("out/000000/"), "{outcome:?}");
    assert_eq!(place.names("elsewhere"), Vec::<String>::new());
}
