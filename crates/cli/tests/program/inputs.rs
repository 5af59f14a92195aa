//! `-r`: which captures are read, and in which order.

use crate::common::*;
use crate::stories::{WEB, web};

/// Four captures of one UDP connection: `a` is the third by time, `b` the first, `c` and `d` begin
/// together in between.
fn four() -> Place {
    let one = |time: &str, data: &str| {
        Capture::new().at(time, udp("10.0.0.1:1", "10.0.0.2:2", data)).pcap()
    };
    Place::new()
        .put("a", one("30.5", "A"))
        .put("b", one("10.5", "B"))
        .put("c", one("20.5", "C"))
        .put("d", one("20.5", "D"))
}

#[test]
fn one_r_takes_several_files_and_may_be_repeated() {
    let place = four();
    for line in ["-r a b c d", "-r a -r b -r c -r d", "-r a b -r c d", "--input-file a -r b c d"] {
        let outcome = place.run(&format!("-q -c {line}")).ends(0);
        assert_eq!(outcome.out, "BCDA", "{line}");
    }
    let shell = place.shell("$P -q -c -r [a-d]").ends(0);
    assert_eq!(shell.out, "BCDA", "as -r cap* in a shell");
}

#[test]
fn files_are_read_by_the_time_of_their_first_packets_ties_as_given() {
    let place = four();
    assert_eq!(place.run("-q -c -r a d c b").ends(0).out, "BDCA");
    assert_eq!(place.run("-q -c --order time -r d a b c").ends(0).out, "BDCA");
}

#[test]
fn the_order_of_the_command_line_is_kept_when_asked_for() {
    let place = four();
    assert_eq!(place.run("-q -c --order given -r a d c b").ends(0).out, "ADCB");
    assert_eq!(place.run("-q -c -r a d --order=given -r c b").ends(0).out, "ADCB");
}

#[test]
fn a_connection_goes_on_from_one_file_to_the_next() {
    let whole = Place::with(web().pcap()).out("-m");
    for cut in 1..web().packets.len() {
        let mut first = web();
        let second = Capture { packets: first.packets.split_off(cut) };
        let place = Place::new().put("1", first.pcap()).put("2", second.pcapng());
        place.run("-q -r 2 1 -o out").says_nothing();
        let files = place.files("out");
        assert_eq!(files.len(), 1, "cut after packet {cut}");
        assert_eq!(files[&format!("{WEB}.txt")], whole[&format!("{WEB}.txt")]);
    }
}

#[test]
fn a_dash_is_standard_input() {
    let place = Place::new();
    for bytes in [web().pcap(), web().pcapng(), web().pcap_nanos()] {
        let outcome = place.run_with(&["-q", "-c", "-r", "-"], &bytes).ends(0);
        assert_eq!(outcome.out, "GET /\r\n200 OK\n");
    }
}

#[test]
fn standard_input_stays_where_it_was_given() {
    let place = four();
    let input = Capture::new().at("1.0", udp("10.0.0.1:1", "10.0.0.2:2", "-")).pcap();
    let shown = |line: &str| {
        let arguments: Vec<_> = line.split(' ').collect();
        place.run_with(&arguments, &input).ends(0).out
    };
    assert_eq!(shown("-q -c -r a - b"), "B-A");
    assert_eq!(shown("-q -c -r a b -"), "BA-");
    assert_eq!(shown("-q -c --order given -r a - b"), "A-B");
}

#[test]
fn standard_input_twice_is_a_mistake() {
    let outcome = Place::new().run("-r - -c -r -").ends(2);
    assert!(outcome.err.contains("standard input (-) was given twice"), "{outcome:?}");
}

#[test]
fn empty_standard_input_is_no_capture() {
    let outcome = Place::new().run("-q -c -r -").ends(1);
    assert!(outcome.err.starts_with("pcap2conn: standard input: is empty"), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_as_it_comes() {
    let place = four();
    let outcome = place.shell("mkfifo pipe; cat b >pipe & $P -q -c -r a pipe c; wait").ends(0);
    assert_eq!(outcome.out, "CBA", "the pipe keeps its place");
}

#[test]
fn a_file_given_twice_is_read_twice() {
    let place = four();
    assert_eq!(place.run("-q -c -r a a").ends(0).out, "AA");
}

#[test]
fn names_may_be_anything() {
    let one = Capture::new().at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "x")).pcap();
    for name in ["with blank", "ünïcode", "-dash", "new\nline"] {
        let place = Place::new().put(name, &one);
        let path = format!("./{name}");
        let outcome = place.run_with(&["-q", "-c", "-r", &path], b"").ends(0);
        assert_eq!(outcome.out, "x");
        let joined = format!("-r{path}");
        assert_eq!(place.run_with(&["-q", "-c", &joined], b"").ends(0).out, "x");
    }
}

#[test]
fn all_link_types_of_one_run_meet_in_one_connection() {
    // Ethernet, Linux SLL, raw IP and loopback, each in a file of its own and all in one pcapng.
    let packet = |data: &str| udp_packet("10.0.0.1:1", "10.0.0.2:2", data);
    let with = |header: &[u8], data: &str| [header, &packet(data)].concat();
    let sll = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0];
    let frames = [
        (1, ethernet(&packet("e"))),
        (113, with(&sll, "s")),
        (101, packet("r")),
        (228, packet("4")),
        (0, with(&[2, 0, 0, 0], "n")),
    ];
    let mut place = Place::new();
    let mut all = Ng::new();
    for (n, (link, frame)) in frames.into_iter().enumerate() {
        let file = Capture::new().at(&format!("{n}.0"), frame.clone()).pcap_of(link);
        place = place.put(&n.to_string(), file);
        all = all.interface(link as u16, &[]).packet(n as u32, n as u64, &frame);
    }
    let place = place.put("all", all.0);
    assert_eq!(place.run("-q -c -r 0 1 2 3 4").ends(0).out, "esr4n");
    assert_eq!(place.run("-q -c -r all").ends(0).out, "esr4n");
}

#[test]
fn packets_without_time_take_that_of_the_packet_before_them_in_the_run() {
    let simple = |data: &str| {
        let frame = udp("10.0.0.2:5000", "10.0.0.9:53", data);
        [&(frame.len() as u32).to_le_bytes()[..], &frame].concat()
    };
    let untimed = Ng::new().interface(1, &[]).block(3, &simple("a")).block(3, &simple("b"));
    let timed = |time: &str| Capture::new().at(time, udp("10.0.0.1:7", "10.0.0.9:53", "x"));
    let place = Place::new()
        .put("late.pcap", timed("1563783095.5").pcap())
        .put("untimed.pcapng", untimed.0)
        .put("early.pcap", timed("1563783090.25").pcap());
    let said = place.run("-q -c -j -r late.pcap untimed.pcapng early.pcap").ends(0).out;
    let times: Vec<String> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| format!("{} {}", line["time"]["abs"], line["data"]).replace('"', ""))
        .collect();
    let want = [
        "1563783090.250000 x",
        "1563783090.250000 a",
        "1563783090.250000 b",
        "1563783095.500000 x",
    ];
    assert_eq!(times, want, "the file without times keeps its place, and has the time before it");
}

/// The first signal is a wish, heeded after the packet at hand; what came is written.
#[cfg(unix)]
#[test]
fn a_signal_stops_the_reading_and_what_came_is_written() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let frame = |data: &str| udp("10.0.0.1:1", "10.0.0.2:2", data);
    let bytes = Capture::all(["one ", "two ", "three"].map(frame), 9).pcap();
    // A file header, and records of like length.
    let record = 16 + frame("one ").len();
    let (first, rest) = bytes.split_at(24 + record);
    let place = Place::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pcap2conn"))
        .args(["-r", "-", "-o", "out", "--verbose"])
        .current_dir(place.path("."))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(first).expect("it reads");
    // The directory is there when the signal is watched for.
    while !place.path("out").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // It takes the packet, and waits for the next.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    std::thread::sleep(std::time::Duration::from_millis(200));
    input.write_all(&rest[..record]).expect("it reads");
    let outcome = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(3), "{said}");
    assert!(said.contains("standard input: stopped by a signal after packet 2"), "{said}");
    assert_eq!(place.files("out").into_values().collect::<Vec<_>>(), ["one two "]);
}

/// A signal while `first` is awaited on a pipe, before two other captures: what is said, and the summary.
#[cfg(unix)]
fn stopped_before_others(first: &str, workers: usize) -> (Outcome, serde_json::Value) {
    let bytes = Capture::all([udp("10.0.0.1:1", "10.0.0.2:2", "one")], 9).pcap();
    let place = Place::with(bytes).put("noise", "no capture at all");
    // In the foreground, timeout hands a signal on once, not to its group as well: a second one would end all at once.
    let script = format!(
        "mkfifo in; timeout --foreground -k 9 20 $P -q --order given -r in -r a.pcap -r a.pcap -o out --summary-json s \
           --workers {workers} & exec 3>in; sleep 0.2; kill $!; sleep 0.2; cat {first} >&3
        exec 3>&-; wait $!"
    );
    let outcome = place.shell(&script);
    let summary = place.shell("cat s").ends(0).out;
    let summary = serde_json::from_str(&summary).expect("JSON");
    (outcome, summary)
}

#[cfg(unix)]
#[test]
fn what_a_signal_left_unread_is_said() {
    let said = "pcap2conn: stopped by a signal before a.pcap: inputs not read: 2\n";
    let not_read = "not read: stopped by a signal";
    for workers in [1, 2] {
        let (outcome, summary) = stopped_before_others("a.pcap", workers);
        let first = "stopped by a signal after packet 1";
        outcome.ends(3).errs(&format!("pcap2conn: in: {first}\n{said}"));
        let status = |n: usize| summary["inputs"][n]["status"].as_str().map(str::to_owned);
        let status: Vec<_> = (0..3).filter_map(status).collect();
        assert_eq!(status, [first, not_read, not_read]);
        // Nothing else is opened where nothing was readable before.
        let (outcome, summary) = stopped_before_others("noise", workers);
        assert!(outcome.err.ends_with(said), "{outcome:?}");
        assert_eq!(summary["inputs"][1]["status"], not_read);
        assert_eq!(summary["packets"]["read"], 0);
        outcome.ends(1);
    }
}
