//! Rules 12 and 13: every limit has a counter, loses nothing silently, and the books balance.

use crate::common::{A, B, END, FIN, RST, SYN, Talk, frame};
use flow::{Config, Ended, Limit, Limits, Reason, SHARDS};

/// What it costs a direction to hold one byte.
const PIECE: usize = 1024 + 128 + 1;

fn limited(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

#[test]
fn the_least_recently_active_connection_makes_room() {
    let limits = Limits { connections: 2 * SHARDS, ..Limits::default() };
    let mut talk = Talk::new();
    for port in 1..=1000 {
        talk.port(port).data(A, "held until the end");
    }
    let got = talk.run_once(limited(limits));
    assert_eq!(got.connections.len(), 1000);
    assert!(got.connections.iter().all(|c| c.text(A) == "held until the end"));
    let ended = |how| got.connections.iter().filter(|c| c.ended == how).count();
    assert_eq!((ended(Ended::Limit), ended(Ended::InputEnded)), (1000 - 2 * SHARDS, 2 * SHARDS));
    assert_eq!(got.limit(Limit::Connections), 1000 - 2 * SHARDS as u64);
}

/// Ports whose connections are in one shard.
fn ports_of_one_shard() -> impl Iterator<Item = u16> {
    let end = |last, port| flow::Endpoint { addr: [10, 0, 0, last].into(), port };
    let shard =
        move |port| flow::FlowKey::new(6, end(1, port), end(2, 80)).0.fixed_hash() % SHARDS as u64;
    (1..).filter(move |&port| shard(port) == shard(1))
}

#[test]
fn of_two_connections_in_one_frame_the_first_gives_up_its_hole() {
    let limits = Limits { buffered: SHARDS * (PIECE + 100), ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(2).collect();
    let mut talk = Talk::new();
    for &port in &ports {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1002, None, "held");
    }
    talk.together(4);
    for &port in &ports {
        talk.port(port).raw(A, 0, 1001, None, "-");
    }
    let got = talk.run_once(limited(limits));
    assert_eq!(got.texts(), [["[1]held", ""], ["-held", ""]]);
    assert_eq!(got.limit(Limit::Buffered), 1);
}

#[test]
fn what_lingers_makes_room_before_what_is_active() {
    let limits = Limits { connections: 3 * SHARDS, ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(5).collect();
    let mut talk = Talk::new();
    for &port in &ports[..3] {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1001, None, "x");
    }
    // The second is over, the first speaks again, then two more come.
    talk.port(ports[1]).raw(B, RST, 5000, None, "");
    talk.port(ports[0]).raw(A, 0, 1002, None, "y");
    for &port in &ports[3..] {
        talk.port(port).raw(A, SYN, 1000, None, "");
    }
    let got = talk.run_once(limited(limits));
    let ended: Vec<_> = got.connections.iter().map(|c| (c.ended, c.closed_at)).collect();
    let want = [
        (Ended::InputEnded, END),
        (Ended::Rst, 9),
        (Ended::Limit, 10),
        (Ended::InputEnded, END),
        (Ended::InputEnded, END),
    ];
    assert_eq!(ended, want);
    assert_eq!(got.limit(Limit::Connections), 2);
}

#[test]
fn at_most_16_connections_have_the_same_ends() {
    let mut talk = Talk::new();
    for i in 0..20 {
        talk.raw(A, SYN, i << 22, None, "").raw(A, 0, (i << 22) + 3, None, "x");
    }
    let got = talk.run();
    assert_eq!(got.connections.len(), 20);
    assert_eq!(got.limit(Limit::PerKey), 4);
    assert!(got.connections.iter().all(|c| c.text(A) == "[2]x"));
    let closed: Vec<u64> = got.connections.iter().map(|c| c.closed_at).collect();
    assert_eq!(closed[..5], [33, 35, 37, 39, END]);
    assert_eq!(
        (got.connections[0].ended, got.connections[4].ended),
        (Ended::Limit, Ended::InputEnded)
    );
}

#[test]
fn another_number_of_connections_may_have_the_same_ends() {
    let limits = Limits { per_key: 3, ..Limits::default() };
    let mut talk = Talk::new();
    for i in 0..20 {
        talk.raw(A, SYN, i << 22, None, "").raw(A, 0, (i << 22) + 3, None, "x");
    }
    assert_eq!(talk.run_with(limited(limits)).limit(Limit::PerKey), 17);
}

#[test]
fn headers_may_be_as_deep_as_asked_for() {
    let run = |headers| {
        let mut talk = Talk::new();
        talk.datagram(A, "x").datagram(A, "y").vlan(7);
        talk.run_with(limited(Limits { headers, ..Limits::default() }))
    };
    let got = run(1);
    assert_eq!((got.only().text(A), got.set_aside(Reason::TooDeep)), ("xy".to_string(), 0));
    let got = run(0);
    assert_eq!((got.only().text(A), got.set_aside(Reason::TooDeep)), ("x".to_string(), 1));
}

#[test]
fn a_direction_holds_no_more_than_its_limit() {
    // One-byte segments: bookkeeping counts, 129 bytes for each.
    let limits = Limits { buffered_per_direction: 129 * 100, ..Limits::default() };
    let mut talk = Talk::open();
    for i in 1..=101 {
        talk.at(A, 2 * i, "x");
    }
    let got = talk.run_with(limited(limits));
    assert_eq!(got.only().first_gap(), Some(104), "the 101st does not fit");
    assert_eq!(got.limit(Limit::BufferedPerDirection), 1);
    assert_eq!(got.only().story()[..2], ["104 A [2]", "104 A x"].map(String::from));
    assert_eq!((got.only().stats[A].bytes, got.only().stats[A].gaps), (101, 101));
}

#[test]
fn a_direction_at_its_limit_gives_up_only_the_holes_it_must() {
    let limits = Limits { buffered_per_direction: 129 * 3, ..Limits::default() };
    let mut talk = Talk::open();
    talk.at(A, 2, "c").at(A, 4, "e").at(A, 6, "g").at(A, 8, "i").at(A, 5, "f").at(A, 7, "h");
    let got = talk.run_with(limited(limits));
    assert_eq!(got.only().text(A), "[2]c[1]efghi");
}

#[test]
fn a_direction_without_syn_begins_at_its_limit() {
    let limits = Limits { buffered_per_direction: 1000, ..Limits::default() };
    let mut talk = Talk::new();
    talk.bytes_at(A, 500, &[b'x'; 500]).bytes_at(A, 1000, &[b'y'; 500]).silent(B, 3);
    let got = talk.run_with(limited(limits));
    assert_eq!(got.only().first_data(A), Some(2));
    assert_eq!(got.only().stats[A].bytes, 1000);
}

#[test]
fn all_directions_together_hold_no_more_than_their_limit() {
    // A shard's part: ten connections that hold one byte each.
    let limits = Limits { buffered: 10 * PIECE * SHARDS, ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(11).collect();
    let mut talk = Talk::new();
    for &port in &ports {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1003, None, "x");
    }
    let got = talk.run_once(limited(limits));
    // The connection that spoke longest ago gives up its hole.
    let gaps: Vec<_> = got.connections.iter().map(|c| c.first_gap()).collect();
    assert_eq!(gaps[..2], [Some(22), Some(END)]);
    assert!(gaps[1..].iter().all(|&gap| gap == Some(END)));
    assert_eq!((got.limit(Limit::Buffered), got.limit(Limit::BufferedPerDirection)), (1, 0));
}

#[test]
fn what_a_limit_completes_is_settled() {
    let mut talk = Talk::open();
    talk.raw(B, FIN, 5001, Some(1001), "").raw(A, FIN, 1101, Some(5002), "zz");
    talk.raw(B, 0, 5002, Some(1001), "");
    let limits = Limits { buffered: 0, ..Limits::default() };
    let got = talk.run_with(limited(limits));
    assert_eq!(got.only().story(), ["5 A [100]", "5 A zz", "5 settled"]);
}

#[test]
fn captured_runs_of_one_datagram_are_held_each_for_itself() {
    // Both sides have ended, A with bytes missing; then a segment comes in two fragments, the first one cut.
    // What was captured behind the hole lies past the FIN: it opens a connection, which holds it too.
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1020, Some(5001), "").raw(B, FIN, 5001, Some(1001), "");
    let segment = frame::tcp([40000, 80], 1010, 5002, 0x10, b"abcd++++++++ijklmnop");
    let addrs = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    talk.frame(frame::fragment(addrs, 1, (0, true), 6, &segment[..32])).cut(8);
    talk.frame(frame::fragment(addrs, 1, (32, false), 6, &segment[32..]));
    talk.raw(A, 0, 1001, Some(5002), "123456789");
    let limits = Limits { buffered: SHARDS * (PIECE + 100), ..Limits::default() };
    let got = talk.run_once(limited(limits));
    assert_eq!(got.texts(), [["[9]abcd[6]", ""], ["ijklmnop", ""]]);
    assert_eq!(got.limit(Limit::Buffered), 1, "one of them is too many");
}

#[test]
fn stalled_connections_cost_those_that_go_on_nothing() {
    let limits = Limits { buffered: 10 * PIECE * SHARDS, ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(12).collect();
    let mut talk = Talk::new();
    for &port in &ports[..10] {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1003, None, "x");
    }
    // Segments that changed places, again and again, at the limit.
    talk.port(ports[10]).raw(A, SYN, 1000, None, "");
    for i in 0..20 {
        talk.raw(A, 0, 1002 + 2 * i, None, "b").raw(A, 0, 1001 + 2 * i, None, "a");
    }
    let got = talk.run_once(limited(limits));
    assert_eq!(got.connections[10].text(A), "ab".repeat(20));
    assert_eq!(got.limit(Limit::Buffered), 1);
}

#[test]
fn what_was_given_up_makes_room_again() {
    let limits = Limits { buffered: 10 * PIECE * SHARDS, ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(12).collect();
    let mut talk = Talk::new();
    for &port in &ports[..10] {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1003, None, "x");
    }
    // One hole is filled, so that an eleventh fits; then it does not any more.
    talk.port(ports[0]).raw(A, 0, 1001, None, "ab");
    for &port in &ports[10..] {
        talk.port(port).raw(A, SYN, 1000, None, "").raw(A, 0, 1003, None, "x");
    }
    let got = talk.run_once(limited(limits));
    let gaps: Vec<_> = got.connections.iter().map(|c| c.first_gap()).collect();
    assert_eq!(gaps[..3], [None, Some(25), Some(END)]);
    assert_eq!(gaps[10..], [Some(END), Some(END)]);
}

#[test]
fn eight_segments_far_ahead_are_kept() {
    let mut talk = Talk::open();
    talk.data(A, "x");
    // Each 80 MiB further than the last, so that none confirms another.
    for i in 1..=20 {
        talk.at(A, i * (80 << 20), "far").silent(A, 1);
    }
    let got = talk.run();
    assert_eq!(got.limit(Limit::FarAhead), 12);
    assert_eq!(got.set_aside(Reason::Implausible), 20);
    assert_eq!(got.only().text(A), "x");
}

#[test]
fn another_number_of_segments_far_ahead_may_be_kept() {
    let mut talk = Talk::open();
    for i in 1..=20 {
        talk.at(A, i * (80 << 20), "far").silent(A, 1);
    }
    let limits = Limits { far_ahead: 2, ..Limits::default() };
    let got = talk.run_with(limited(limits));
    assert_eq!((got.limit(Limit::FarAhead), got.set_aside(Reason::Implausible)), (18, 20));
}

#[test]
fn every_packet_is_in_the_books() {
    let addrs = ["10.0.0.1", "10.0.0.2"].map(|addr| addr.parse().unwrap());
    let mut talk = Talk::open();
    talk.data(A, "x").at(A, 100 << 20, "far").datagram(A, "y").cut(8 + 1);
    talk.frame(frame::fragment(addrs, 1, (8, true), 17, &[0; 8]));
    let mut arp = talk.packets[0].frame(addrs);
    arp[12..14].copy_from_slice(&[8, 6]);
    talk.frame(arp);
    let mut broken = talk.packets[0].frame(addrs);
    broken[46] = 0x10;
    talk.frame(broken);
    let got = talk.run_once(Config::default());
    let books = &got.books;
    assert_eq!((books.read(), books.assigned()), (9, 4));
    let reasons: Vec<_> = Reason::ALL
        .iter()
        .filter(|&&reason| got.set_aside(reason) > 0)
        .map(|&reason| (reason, got.set_aside(reason)))
        .collect();
    let want = [
        (Reason::NotIp, 1),
        (Reason::Truncated, 1),
        (Reason::Malformed, 1),
        (Reason::IncompleteDatagram, 1),
        (Reason::Implausible, 1),
    ];
    assert_eq!(reasons, want);
}
