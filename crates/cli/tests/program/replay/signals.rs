//! Replays that go on until somebody ends them.

use super::{Playing, Talk, hear, hear_end, line_with, reports, talk};
use rustix::process::Signal;
use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

fn exchange() -> Talk {
    Talk::new().client("ask").server("answer").closed()
}

#[test]
fn recordings_are_played_again_and_again_until_a_signal() {
    let playing = Playing::server_of(exchange(), "--repeat --wait bytes --report json");
    for _ in 0..5 {
        let mut client = playing.client();
        talk(&mut client, "ask", "answer");
        client.shutdown(Shutdown::Write).unwrap();
        hear_end(&mut client);
    }
    playing.running.signal(Signal::INT);
    let (place, said) = playing.ends(0);
    assert_eq!(reports(&said).len(), 5, "{said}");
    assert_eq!(place.names("out").len(), 5);
}

#[test]
fn whoever_was_stopped_before_anybody_came_has_failed_but_where_it_repeats() {
    for (options, status) in [("", 4), ("--repeat", 0)] {
        let playing = Playing::server_of(exchange(), options);
        playing.running.signal(Signal::TERM);
        let (place, said) = playing.ends(status);
        assert_eq!(said.contains(": not played\n"), options.is_empty(), "{said}");
        assert!(!place.path("out").exists() || place.names("out").is_empty());
    }
}

#[test]
fn a_signal_ends_what_is_being_played() {
    for options in ["", "--repeat", "--timeout 0"] {
        let playing = Playing::server_of(exchange().then(exchange()), options);
        let mut client = playing.client();
        client.write_all(b"as").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        playing.running.signal(Signal::INT);
        hear_end(&mut client);
        let (place, said) = playing.ends(4);
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(
            line_with(&said, ": stopped; ").contains("0 of 2 turns, 0 bytes sent, 2 received"),
            "{said}"
        );
        assert_eq!(super::stored(&place)[0], b"as");
    }
    let (playing, mut server) = Playing::client_of(exchange(), "");
    hear(&mut server, "ask");
    playing.running.signal(Signal::INT);
    hear_end(&mut server);
    let (_, said) = playing.ends(4);
    assert!(line_with(&said, ": stopped; ").contains("1 of 2 turns, 3 bytes sent"), "{said}");
}

#[test]
fn a_signal_ends_the_waiting_for_later_connections() {
    let first = exchange().pause(Duration::from_secs(100));
    let later = Talk::between("10.0.0.1:5001", super::recorded::SERVER).client("later").closed();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let place = crate::common::Place::with(first.then(later).pcap());
    let playing = Playing::start(place, &format!("-r a.pcap --linger 0.1 --connect {to}"));
    let mut server = super::accepted(&listener);
    hear(&mut server, "ask");
    server.write_all(b"answer").unwrap();
    hear_end(&mut server);
    drop(server);
    playing.running.signal(Signal::INT);
    let (_, said) = playing.ends(4);
    assert!(line_with(&said, "5000").contains(": done; 2 of 2 turns"), "{said}");
    assert!(line_with(&said, "5001").ends_with(": not played"), "{said}");
}
