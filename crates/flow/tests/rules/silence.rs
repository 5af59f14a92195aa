//! What time does where somebody tells it, as in a live capture (rules 5, 6 and 8).

use crate::common::{A, B, Talk, play};
use flow::{Config, Ended, Timeouts};
use std::time::Duration;

fn live() -> Config {
    Config { timeouts: Some(Timeouts::LIVE), ..Config::default() }
}

/// The second at which the last packet of a talk came, if each has its own.
const NOW: i64 = 1000;

#[test]
fn connections_end_when_they_were_silent_for_as_long_as_their_state_allows() {
    let mut open = Talk::open();
    open.data(A, "x").ack(B);
    let mut half_open = Talk::new();
    half_open.syn(A, 1000).syn_ack(B, 5000);
    let mut closing = Talk::open();
    closing.data(A, "x").fin(B);
    let mut datagrams = Talk::new();
    datagrams.datagram(A, "x");
    let mut settled = Talk::open();
    settled.fin(A).fin(B).ack(A);
    let mut reset = Talk::open();
    reset.rst(B, "");
    for (name, mut talk, wait, ended) in [
        ("open", open, 300, Ended::Idle),
        ("half open", half_open, 30, Ended::Idle),
        ("closing", closing, 10, Ended::Idle),
        ("datagrams", datagrams, 60, Ended::Idle),
        ("settled", settled, 10, Ended::Fin),
        ("reset", reset, 10, Ended::Rst),
    ] {
        talk.packets.iter_mut().for_each(|packet| packet.time = (NOW, 0));
        let quiet = talk.packets.len() as u64 + 1;
        talk.silence((NOW + wait) * 1000).silence((NOW + wait) * 1000 + 251);
        let got = talk.run_with(live());
        assert_eq!(got.only().closed_at, quiet + 1, "{name}");
        assert_eq!(got.only().ended, ended, "{name}");
    }
}

#[test]
fn an_established_connection_may_end_sooner_than_one_that_is_half_open() {
    let timeouts = Timeouts { established: Duration::from_secs(6), ..Timeouts::LIVE };
    let config = Config { timeouts: Some(timeouts), ..Config::default() };
    for looked in [None, Some(5), Some(20)] {
        // It may have been looked at while it was half open.
        let mut talk = Talk::new();
        talk.syn(A, 1000).time(NOW);
        let since = looked.map_or(NOW, |after| {
            talk.silence((NOW + after) * 1000);
            NOW + after + 1
        });
        talk.syn_ack(B, 5000)
            .time(since)
            .ack(A)
            .time(since)
            .data(A, "x")
            .time(since)
            .ack(B)
            .time(since);
        let quiet = talk.packets.len() as u64 + 1;
        talk.silence((since + 6) * 1000).silence((since + 6) * 1000 + 251);
        let got = talk.run_with(config);
        assert_eq!(
            (got.only().closed_at, got.only().ended),
            (quiet + 1, Ended::Idle),
            "{looked:?}"
        );
    }
}

#[test]
fn a_census_says_where_connections_stand() {
    let mut talk = Talk::open();
    talk.lost(A, 3).data(A, "held").port(41_000).syn(A, 1000).syn_ack(B, 5000);
    talk.port(42_000).syn(A, 1000).syn_ack(B, 5000).ack(A).fin(B);
    talk.port(43_000).syn(A, 1000).syn_ack(B, 5000).ack(A).rst(A, "");
    talk.port(44_000).datagram(A, "x").port(45_000).datagram(A, "y");
    let addrs = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let census = play(&talk.packets, addrs, live()).census;
    let tcp = [census.half_open, census.established, census.closing, census.lingering];
    assert_eq!((tcp, census.udp, census.other), ([1, 1, 1, 1], 2, 0));
    assert!((128..2048).contains(&census.buffered), "{}", census.buffered);
    assert_eq!(census.sides.bytes, 2);
}

#[test]
fn who_speaks_again_is_waited_for_anew() {
    let mut talk = Talk::new();
    talk.datagram(A, "1").time(NOW).silence((NOW + 59) * 1000);
    talk.datagram(A, "2").time(NOW + 59).silence((NOW + 61) * 1000).silence((NOW + 119) * 1000);
    talk.datagram(B, "3").time(NOW + 119).silence((NOW + 179) * 1000).silence((NOW + 180) * 1000);
    talk.datagram(A, "4").time(NOW + 180);
    let got = talk.run_with(live());
    assert_eq!(got.texts(), [["12", "3"], ["4", ""]]);
    assert_eq!(got.connections[0].closed_at, 8);
}

#[test]
fn a_hole_is_a_gap_after_a_second_of_silence() {
    let mut talk = Talk::open();
    talk.lost(A, 3).data(A, "held");
    talk.packets.iter_mut().for_each(|packet| packet.time = (NOW, 0));
    talk.silence(NOW * 1000 + 1000).silence(NOW * 1000 + 1001);
    talk.data(A, "more").time(NOW + 2);
    let got = talk.run_with(live());
    assert_eq!(got.only().gaps(A), [(0, 3)]);
    assert_eq!(got.only().first_gap(), Some(6), "not one millisecond before");
    assert_eq!(got.only().text(A), "[3]heldmore");
    // Captured files know no time.
    let mut packets = talk.clone();
    packets.at(A, 0, "now");
    assert_eq!(packets.run().only().text(A), "nowheldmore");
}

#[test]
fn what_has_no_beginning_begins_after_a_second_of_silence() {
    let mut talk = Talk::new();
    talk.data(A, "in the middle").time(NOW).silence(NOW * 1000 + 900).silence(NOW * 1000 + 1001);
    let got = talk.run_with(live());
    assert_eq!((got.only().text(A), got.only().first_data(A)), ("in the middle".into(), Some(3)));
}

#[test]
fn what_has_no_beginning_comes_in_the_order_of_its_packets() {
    let mut talk = Talk::new();
    talk.data(A, "short").time(NOW).data(B, "a longer answer").time(NOW);
    talk.silence(NOW * 1000 + 1001);
    let got = talk.run_with(live());
    assert_eq!(got.only().story(), ["3 A short", "3 B a longer answer"]);
}

#[test]
fn who_tells_no_time_is_not_judged_by_it() {
    let mut talk = Talk::open();
    talk.lost(A, 3).data(A, "held").silence(i64::MAX / 2_000);
    assert_eq!(talk.run().only().text(A), "[3]held");
    let config =
        Config { timeouts: Some(Timeouts::all(Duration::from_secs(1))), ..Config::default() };
    assert_eq!(talk.run_with(config).only().ended, Ended::InputEnded);
}

#[test]
fn a_slot_that_another_connection_has_by_then_is_left_alone() {
    let mut talk = Talk::open();
    talk.rst(B, "").time(NOW);
    talk.packets.iter_mut().for_each(|packet| packet.time = (NOW, 0));
    talk.silence((NOW + 11) * 1000);
    talk.syn(A, 77_000).time(NOW + 11);
    talk.syn_ack(B, 88_000).time(NOW + 11).ack(A).time(NOW + 11);
    talk.silence((NOW + 41) * 1000).data(A, "x").time(NOW + 42);
    let got = talk.run_with(live());
    assert_eq!(got.texts(), [["", ""], ["x", ""]]);
    assert_eq!(got.connections[1].ended, Ended::InputEnded);
}
