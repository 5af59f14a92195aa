//! When things are said.

use super::{Playing, Talk, hear, hear_end, line_with, talk};
use crate::common::Place;
use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(400);

/// A server that says something by itself, now and then.
fn ticking() -> Talk {
    let talk = Talk::new().client("tick\n").pause(PAUSE).server("1\n");
    talk.pause(PAUSE).server("2\n").closed()
}

/// How long both ticks of a server took.
fn ticks(options: &str) -> [Duration; 2] {
    let place = Place::with(ticking().pcap());
    let line = format!("-r a.pcap --linger 0.2 --no-store --wait bytes {options}");
    let playing = Playing::listen(place, &line);
    let mut client = playing.client();
    let begun = Instant::now();
    talk(&mut client, "tick\n", "1\n");
    let first = begun.elapsed();
    hear(&mut client, "2\n");
    let second = begun.elapsed() - first;
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    playing.ends(0);
    [first, second]
}

#[test]
fn a_server_speaks_when_it_did_or_so_many_times_faster() {
    let about = |[first, second]: [Duration; 2], expected: Duration| {
        let both = first + second;
        assert!(both + Duration::from_millis(2) >= 2 * expected, "{both:?} of {expected:?}");
        assert!(both < 2 * expected + Duration::from_secs(1), "{both:?} of {expected:?}");
        assert!(first + Duration::from_millis(2) >= expected, "{first:?} of {expected:?}");
    };
    about(ticks(""), PAUSE);
    about(ticks("--speed 4"), PAUSE / 4);
    about(ticks("--speed 0.5"), PAUSE * 2);
    about(ticks("--no-delay"), Duration::ZERO);
}

#[test]
fn a_slow_peer_moves_what_comes_after_it() {
    let talk = Talk::new().client("a").server("b").pause(PAUSE).client("c").server("d").closed();
    let place = Place::with(talk.pcap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let line = format!("-r a.pcap --linger 0.2 --wait bytes --connect {to}");
    let playing = Playing::start(place, &line);
    let mut server = super::accepted(&listener);
    hear(&mut server, "a");
    std::thread::sleep(PAUSE);
    server.write_all(b"b").unwrap();
    let answered = Instant::now();
    hear(&mut server, "c");
    let took = answered.elapsed();
    assert!(took + Duration::from_millis(2) >= PAUSE, "{took:?} after the answer");
    server.write_all(b"d").unwrap();
    hear_end(&mut server);
    drop(server);
    let (_, said) = playing.ends(0);
    assert!(line_with(&said, "done").contains("4 of 4 turns"), "{said}");
}

#[test]
fn connections_begin_as_long_after_each_other_as_they_did() {
    let first = Talk::new().client("first").closed().pause(PAUSE);
    let second = Talk::between("10.0.0.1:5001", super::recorded::SERVER).client("second").closed();
    let place = Place::with(first.then(second).pcap());
    for (options, least, most) in [("", PAUSE, 1400), ("--no-delay", Duration::ZERO, 350)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let line = format!("-r a.pcap --linger 0.1 --connect {to} {options}");
        let playing =
            Playing::start(Place::with(std::fs::read(place.path("a.pcap")).unwrap()), &line);
        let mut one = super::accepted(&listener);
        let begun = Instant::now();
        let mut two = super::accepted(&listener);
        let took = begun.elapsed();
        assert!(took + Duration::from_millis(15) >= least, "{took:?}");
        assert!(took < Duration::from_millis(most), "{took:?}");
        hear(&mut one, "first");
        hear(&mut two, "second");
        drop((one, two));
        playing.ends(0);
    }
}

#[test]
fn no_more_are_open_at_once_than_was_said() {
    let talk =
        |n| Talk::between(&format!("10.0.0.1:{n}"), super::recorded::SERVER).client("me").closed();
    let all = (5001..5004).map(talk).reduce(Talk::then).unwrap();
    let (playing, mut first) = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let line = format!("-r a.pcap --no-delay --at-once 1 --linger 5 --connect {to}");
        let playing = Playing::start(Place::with(all.pcap()), &line);
        let first = super::accepted(&listener);
        ((playing, listener), first)
    };
    let (playing, listener) = playing;
    hear(&mut first, "me");
    std::thread::sleep(Duration::from_millis(100));
    let nobody = listener.set_nonblocking(true).and_then(|()| listener.accept());
    assert!(nobody.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    drop(first);
    for _ in 0..2 {
        hear(&mut super::accepted(&listener), "me");
    }
    let (_, said) = playing.ends(0);
    assert_eq!(said.matches(": done; 1 of 1 turn").count(), 3, "{said}");
}
