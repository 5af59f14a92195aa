//! Any number of workers, the same output: byte for byte, name for name, in every mode, and with limits
//! small enough to be reached.

use crate::common::*;
use crate::stories::{SERVER, crowd};

const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// Limits that a few hundred connections reach.
const LIMITS: &str = "--max-connections 200 --max-lingering 64 --max-buffered 1 --max-fragments 1 \
     --max-same-ends 2 --max-far-ahead 1 --write-buffer 1 -f 3";

/// A crowd of conversations, some with holes, some ended and begun again, datagrams in fragments, and
/// more bytes than are held back.
fn busy() -> Capture {
    let mut capture = crowd(30_000..30_080);
    let (a, b) = (end("10.0.0.3:0").ip(), end("10.0.0.9:0").ip());
    let mut frames = Vec::new();
    for port in 40_000..40_020_u16 {
        let client = format!("10.0.0.3:{port}");
        frames.push(tcp(&client, SERVER, SYN, 0, 0, ""));
        for n in 0..40 {
            if n % 7 != 3 {
                frames.push(tcp(&client, SERVER, ACK, 1 + n * 1400, 1, [n as u8; 1400]));
            }
        }
        frames.push(tcp(&client, SERVER, ACK, 500 << 20, 1, "far"));
        frames.push(tcp(SERVER, &client, ACK, 1, 1 + 40 * 1400, "seen"));
        frames.push(tcp(&client, SERVER, FIN | ACK, 1 + 40 * 1400, 5, ""));
        frames.push(tcp(SERVER, &client, FIN | ACK, 5, 2 + 40 * 1400, ""));
        // The same ends again, twice.
        for isn in [1 << 30, 2 << 30] {
            frames.push(tcp(&client, SERVER, SYN, isn, 0, ""));
            frames.push(tcp(&client, SERVER, ACK, isn + 1, 1, format!("again from {isn}")));
        }
        let datagram = udp_datagram("10.0.0.3:53", "10.0.0.9:53", [port as u8; 2000]);
        for (place, part) in [(0x2000, &datagram[..1480]), (185, &datagram[1480..])] {
            frames.push(ethernet(&ipv4(17, a, b, port, place, part)));
        }
    }
    for (n, frame) in frames.into_iter().enumerate() {
        let time = format!("1563783091.{:06}", n * 100);
        capture = capture.at(&time, frame);
    }
    capture
}

/// The switches that change what is written, alone and together.
const MODES: [&str; 7] = ["", "-s", "-d", "-j", "-m", "-smd", "-smj"];

#[test]
fn files_are_the_same() {
    let place = Place::with(busy().pcap());
    for (mode, limits) in MODES.map(|mode| (mode, LIMITS)).into_iter().chain([("-smj", "")]) {
        let out = |workers| place.out(&format!("{mode} {limits} --workers {workers}"));
        let alone = out(1);
        assert!(alone.len() >= 100, "{mode}: {}", alone.len());
        for workers in WORKERS {
            let several = out(workers);
            assert!(several.keys().eq(alone.keys()), "names, {mode} {limits} {workers}");
            assert!(several == alone, "bytes, {mode} {limits} {workers}");
        }
    }
}

#[test]
fn the_console_is_the_same() {
    let place = Place::with(busy().pcap());
    for mode in MODES {
        for limits in ["", LIMITS] {
            let shown = |workers| {
                let line = format!("-q -r a.pcap -c {mode} {limits} --workers {workers}");
                let outcome = place.run(&line).ends(0);
                (outcome.out, outcome.err)
            };
            let alone = shown(1);
            assert!(alone.0.len() > 100_000, "{mode}");
            for workers in WORKERS {
                assert!(shown(workers) == alone, "{mode} {limits} {workers}");
            }
        }
    }
}

#[test]
fn the_summary_is_the_same_and_limits_are_reached() {
    let place = Place::with(busy().pcap());
    for limits in ["", LIMITS] {
        let summary = |workers| {
            let mut summary = place.summary(&format!("-r a.pcap {limits} --workers {workers}"));
            let timing = summary.as_object_mut().expect("an object").remove("timing");
            assert!(timing.is_some());
            summary
        };
        let alone = summary(1);
        for workers in WORKERS {
            assert_eq!(summary(workers), alone, "{limits} {workers}");
        }
        let reached = |limit: &str| alone["limits"][limit].as_u64().unwrap_or_default() > 0;
        for limit in ["connections", "connections with the same ends"] {
            assert_eq!(reached(limit), !limits.is_empty(), "{limit}");
        }
    }
}

#[test]
fn a_failure_of_one_worker_ends_the_run() {
    let place = Place::with(busy().pcap());
    std::fs::create_dir(place.path("out")).expect("a new folder");
    let name = "out/20190722081131-TCP-10.0.0.3.40000-10.0.0.1.80.txt";
    std::fs::create_dir(place.path(name)).expect("something in the way");
    for workers in WORKERS {
        let outcome = place.run(&format!("-q -r a.pcap -o out --workers {workers}")).ends(1);
        assert!(outcome.err.contains(name), "{outcome:?}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
    }
}

/// Where the system gives no more threads, that is said before anything is read.
#[cfg(target_os = "linux")]
#[test]
fn where_a_thread_is_missing_nothing_is_written() {
    // The superuser may have as many as there are.
    let place = Place::with(busy().pcap());
    let user = "setpriv --reuid 54321 --regid 54321 --clear-groups --inh-caps=-all";
    let probe = place.shell(&format!("chmod 777 . && cp $P p && {user} ./p --version"));
    if !probe.out.starts_with("pcap2conn ") {
        skipped(format!("no way to run as another user: {}", probe.err.trim()));
        return;
    }
    let mut missing = 0;
    for most in 1..12 {
        let run = format!(
            "rm -rf out; prlimit --nproc={most} {user} ./p -q -r a.pcap -o out --workers 8"
        );
        let outcome = place.shell(&run);
        if outcome.err.contains("cannot start a thread") {
            missing += 1;
            assert_eq!(place.names("out"), [""; 0], "{most}: {outcome:?}");
            outcome.ends(1);
        }
    }
    assert!((6..=8).contains(&missing), "{missing}");
    assert_eq!(place.shell(&format!("{user} ./p -q -r a.pcap -o all --workers 8")).ends(0).err, "");
}

/// So many datagrams that batches wait for every worker: of one connection, and of 60 in turn.
#[cfg(unix)]
#[test]
fn whoever_reads_is_far_ahead() {
    for connections in [1, 60] {
        let frames = (0..40_000_u32).map(|n| {
            let client = format!("10.0.0.3:{}", 40_000 + n % connections);
            udp(&client, "10.0.0.9:9", format!("{n:08} of many").as_bytes())
        });
        let place = Place::with(Capture::all(frames, 1_563_783_090).pcap());
        let alone = place.out("-d --workers 1");
        assert_eq!(alone.len(), connections as usize);
        for workers in WORKERS {
            assert!(place.out(&format!("-d --workers {workers}")) == alone, "{workers}");
            let piped = format!("cat a.pcap | $P -q -r - -d -o piped{workers} --workers {workers}");
            place.shell(&piped).ends(0).errs("");
            let same =
                format!("$P -q -r a.pcap -d -o file --workers 1; diff -r file piped{workers}");
            assert_eq!(place.shell(&same).ends(0).errs("").out, "");
        }
        // A folder in the way of one: all the others are waited for by nobody.
        let name = alone.keys().next().expect("a file");
        std::fs::create_dir_all(place.path(&format!("bad/{name}"))).expect("a new folder");
        for workers in WORKERS {
            let options = format!("-q -r a.pcap -d -o bad --write-buffer 1 --workers {workers}");
            let outcome = place.run(&options).ends(1);
            assert!(outcome.err.contains(name.as_str()), "{outcome:?}");
        }
    }
}

/// SYN, SYN-ACK, a request and both FINs.
#[cfg(unix)]
fn one_request() -> Vec<u8> {
    let (c, s) = ("10.0.0.2:40000", SERVER);
    let frames = [
        tcp(c, s, SYN, 0, 0, ""),
        tcp(s, c, SYN | ACK, 0, 1, ""),
        tcp(c, s, FIN | ACK, 1, 1, "GET /"),
        tcp(s, c, FIN | ACK, 1, 7, ""),
    ];
    Capture::all(frames, 1_563_783_090).pcap()
}

#[cfg(unix)]
#[test]
fn what_is_over_is_written_while_a_pipe_is_silent() {
    // The pipe stays open, and nothing more comes.
    let place = Place::with(one_request());
    for workers in WORKERS {
        let script = format!(
            "rm -rf in out; mkfifo in; $P -q -r in -o out --workers {workers} & exec 3>in; cat a.pcap >&3
            for try in $(seq 600); do [ -n \"$(cat out/* 2>/dev/null)\" ] && break; sleep 0.1; done
            cat out/*; exec 3>&-; wait $!"
        );
        assert_eq!(place.shell(&script).ends(0).errs("").out, "GET /", "{workers}");
    }
}

#[cfg(unix)]
#[test]
fn what_came_from_a_file_is_written_while_a_pipe_is_not_open_yet() {
    let place = Place::with(one_request());
    for workers in WORKERS {
        let script = format!(
            "rm -rf in out; mkfifo in; $P -q -r a.pcap -r in -o out --workers {workers} &
            for try in $(seq 600); do [ -n \"$(cat out/* 2>/dev/null)\" ] && break; sleep 0.1; done
            cat out/*; cat a.pcap > in; wait $!"
        );
        assert_eq!(place.shell(&script).ends(0).errs("").out, "GET /", "{workers}");
    }
}
