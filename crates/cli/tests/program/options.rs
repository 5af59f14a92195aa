//! Where files go, how many are open, and the switches that change nothing in them.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, WEB, crowd, web};

#[test]
fn the_output_folder_is_created_with_those_above_it() {
    let place = Place::with(web().pcap());
    place.run("-q -r a.pcap -o one/two/three").says_nothing();
    assert_eq!(place.names("one/two/three"), [format!("{WEB}.txt")]);
    place.run("-q -r a.pcap --output-dir again").says_nothing();
    assert_eq!(place.names("again"), [format!("{WEB}.txt")]);
}

#[test]
fn without_o_files_go_where_one_is() {
    let place = Place::with(web().pcap());
    place.run("-q -r a.pcap").says_nothing();
    assert_eq!(place.names("."), [format!("{WEB}.txt"), "a.pcap".into()]);
}

#[test]
fn what_an_earlier_run_left_is_replaced() {
    let place = Place::with(web().pcap());
    place.run("-q -r a.pcap -o out -j -m").says_nothing();
    let first = place.files("out");
    for name in first.keys() {
        std::fs::write(place.path(&format!("out/{name}")), "x".repeat(10_000)).expect("ours");
    }
    place.run("-q -r a.pcap -o out -j -m").says_nothing();
    assert_eq!(place.files("out"), first);
}

/// Connections that speak in turns, with more bytes than are held back: 12 of 160 KiB.
fn busy() -> Capture {
    let client = |n: usize| format!("10.0.0.2:{}", 40_000 + n);
    let mut frames: Vec<_> = (0..12).map(|n| tcp(&client(n), SERVER, SYN, 0, 0, "")).collect();
    for round in 0..120_u32 {
        for n in 0..12 {
            let data: Vec<u8> =
                (0..1400).map(|i| (i as usize * 7 + n + round as usize) as u8).collect();
            frames.push(tcp(&client(n), SERVER, ACK, 1 + round * 1400, 1, data));
        }
    }
    Capture::all(frames, 9)
}

#[test]
fn few_open_files_and_little_memory_give_the_same_bytes() {
    let place = Place::with(busy().pcap());
    let usual = place.out("-s");
    assert_eq!(usual.len(), 12);
    assert!(usual.values().all(|bytes| bytes.chars().count() == 120 * 1400));
    for options in ["-f 1", "-f 2", "--max-file-desc 3", "-f 1 --write-buffer 1", "-f 100000"] {
        assert!(place.out(&format!("-s {options}")) == usual, "{options}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_more_files_are_open_than_f_allows() {
    // The input does not end until the files that the program has open are counted.
    let place = Place::with(busy().pcap());
    let open = |limit: &str| -> usize {
        let script = format!(
            "rm -rf in out; mkfifo in; $P -q -r in -o out {limit} & exec 3>in; cat a.pcap >&3
            for try in $(seq 600); do
                [ \"$(ls out 2>/dev/null | wc -l)\" = 12 ] && break; sleep 0.1
            done
            ls -l /proc/$!/fd | grep -c /out/; exec 3>&-; wait $!"
        );
        place.shell(&script).ends(0).errs("").out.trim().parse().expect("a number")
    };
    assert_eq!(open(""), 12);
    assert_eq!(open("-f 5 --workers 1"), 5);
    assert!((2..=5).contains(&open("-f 5 --workers 3")));
    assert_eq!(open("-f 1"), 1);
}

#[test]
fn one_open_file_is_enough_for_many_connections() {
    let place = Place::with(crowd(30_000..30_400).pcap());
    let usual = place.out("-m");
    assert_eq!(usual.len(), 800);
    let name = "20190722081130-TCP-10.0.0.2.30007-10.0.0.1.80.txt";
    let line = "request 30007 answer 30007 ";
    assert_eq!(usual[name], line.repeat(2));
    assert!(place.out("-m -f 1") == usual);
    assert!(place.out("-m -f 7 --write-buffer 1") == usual);
}

#[cfg(unix)]
#[test]
fn a_process_with_few_descriptors_gives_the_same_bytes() {
    let place = Place::with(busy().pcap());
    let usual = place.out("--write-buffer 1");
    place.shell("ulimit -n 8; $P -q -r a.pcap -o few --write-buffer 1").says_nothing();
    assert!(place.files("few") == usual);
}

#[test]
fn the_same_input_gives_the_same_output_every_time() {
    let place = Place::with(crowd(30_000..30_100).pcap());
    let (files, shown) = (place.out("-j -m -s"), place.shown("-j -m"));
    for _ in 0..3 {
        assert!(place.out("-j -m -s") == files);
        assert!(place.shown("-j -m") == shown);
    }
}

#[test]
fn a_dry_run_does_all_but_write() {
    let place = Place::with(web().pcap());
    let outcome = place.run("-r a.pcap -o out --dry-run -m").ends(0);
    assert_eq!(place.names("."), ["a.pcap"]);
    assert!(outcome.err.contains("\nBytes:                             14\n"), "{outcome:?}");
    assert_eq!(place.run("-q -r a.pcap --dry-run -c").ends(0).out, "");
    place.run("-q -r a.pcap nosuch --dry-run").ends(3);
}

#[test]
fn overlaps_go_to_the_first_unless_the_last_is_asked_for() {
    let (c, s) = (CLIENT, SERVER);
    let frames = [
        tcp(c, s, SYN, 1000, 0, ""),
        tcp(s, c, SYN | ACK, 5000, 1001, ""),
        tcp(c, s, ACK, 1004, 5001, "FIRST"),
        tcp(c, s, ACK, 1004, 5001, "later"),
        tcp(c, s, ACK, 1001, 5001, "abc"),
        // Delivered is delivered.
        tcp(c, s, ACK, 1001, 5001, "xyz"),
    ];
    let place = Place::with(Capture::all(frames, 9).pcap());
    assert_eq!(place.only("").1, "abcFIRST");
    assert_eq!(place.only("--overlap first").1, "abcFIRST");
    assert_eq!(place.only("--overlap last").1, "abclater");
    assert_eq!(place.summary("-r a.pcap")["conflicting"], 1);
}

#[test]
fn quiet_says_errors_only() {
    let place = Place::with(web().pcap());
    place.run("-q -r a.pcap -o out").says_nothing();
    place.run("--quiet -r a.pcap -o out").says_nothing();
    place
        .run("-q -r a.pcap nosuch -o out")
        .ends(3)
        .errs("pcap2conn: nosuch: no such file; check the name\n");
}

#[test]
fn verbose_says_what_is_read_and_what_cannot_be_decoded() {
    let mut broken = udp("10.0.0.1:1", "10.0.0.2:2", "x");
    broken[14] = 0x41;
    let capture = web().at("1563783094.0", arp()).at("1563783094.1", broken);
    let place = Place::with(capture.pcap());
    let outcome = place.run("--verbose -r a.pcap -o out").ends(0);
    let said: Vec<_> = outcome.err.lines().collect();
    assert_eq!(said[0], "pcap2conn: reading a.pcap as input 1");
    assert!(said[1].starts_with("pcap2conn: a.pcap: packet 10: "), "{said:?}");
    assert!(said[2].starts_with("pcap2conn: a.pcap: packet 11: "), "{said:?}");
    assert!(said[2].contains("IPv4"), "the layer is named: {said:?}");
    assert!(said[3].starts_with("Connections:"), "{said:?}");
    assert!(outcome.out.is_empty());
}
