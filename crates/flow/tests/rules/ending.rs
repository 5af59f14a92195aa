//! Rule 4: what still belongs to a connection after FIN and RST, and how long it is remembered.

use crate::common::{A, ACK, B, FIN, RST, Talk};
use flow::{Config, Ended, Limit, Limits, SHARDS};

const MIB: u32 = 1 << 20;

/// A conversation of "hello" and "world" that both ends have ended.
fn over() -> Talk {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).data(B, "world").fin(B).ack(A).ack(B);
    talk
}

#[test]
fn both_fins_settle_a_connection_at_once() {
    let got = over().run();
    assert_eq!(got.only().story(), ["4 A hello", "6 B world", "7 settled"]);
    assert_eq!(got.only().ended, Ended::Fin);
}

#[test]
fn bytes_before_the_fin_may_come_behind_it() {
    let mut talk = Talk::open();
    talk.fin_at(A, 5).fin_at(B, 0).at(A, 3, "lo").at(A, 0, "hel");
    let got = talk.run();
    assert_eq!(got.only().story(), ["7 A hel", "7 A lo", "7 settled"]);
}

#[test]
fn the_lowest_fin_at_or_above_the_highest_byte_counts() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 4).fin_at(A, 30).fin_at(A, 10).fin_at(A, 20);
    assert_eq!(talk.run().texts(), [["hello[5]", ""]]);
    // Bytes that are held count as seen, those not captured do not.
    let mut talk = Talk::open();
    talk.at(A, 5, "!").fin_at(A, 5).fin_at(A, 8);
    assert_eq!(talk.run().texts(), [["[5]![2]", ""]]);
}

#[test]
fn data_in_sequence_at_a_fin_cancels_it() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 5).at(A, 5, ", world").fin_at(A, 20);
    assert_eq!(talk.run().texts(), [["hello, world[8]", ""]]);
}

#[test]
fn data_out_of_sequence_behind_a_fin_does_not_cancel_it() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 5).fin_at(B, 0).at(A, 6, "stray");
    let got = talk.run();
    // The FIN's number is no byte's, so that nothing is missing.
    assert_eq!(got.texts(), [["hellostray", ""]]);
    assert_eq!(got.only().story().last().map(String::as_str), Some("end A stray"), "it is held");
    assert_eq!(got.only().ended, Ended::InputEnded);
    // A higher one counts for nothing.
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 5).at(A, 8, "stray").fin_at(A, 20);
    assert_eq!(talk.run().texts(), [["hello[3]stray", ""]]);
}

#[test]
fn new_data_in_sequence_cancels_the_closing() {
    let mut talk = over();
    talk.at(A, 5, " again");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello again", "world"]]);
    assert_eq!(got.only().ended, Ended::InputEnded);
}

#[test]
fn data_past_both_fins_opens_a_connection_which_its_syn_joins() {
    let mut talk = over();
    // A's FIN is at 5: 6 is one past it and still fits, 7 does not.
    talk.raw(A, 0, 1001 + 7, Some(5007), "next").silent(A, 3).syn(A, 1007);
    let got = talk.run();
    assert_eq!(got.texts(), [["hello", "world"], ["next", ""]]);
    assert_eq!(got.connections[1].stats[A].packets, 2, "the data and the SYN");
    let got = over().raw(A, 0, 1001 + 6, Some(5007), "stray").run();
    assert_eq!(got.connections.len(), 1);
}

#[test]
fn data_past_one_fin_opens_nothing() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).at(A, 7, "stray");
    assert_eq!(talk.run().connections.len(), 1);
    // Nor where an older connection is remembered, so that every segment is looked at.
    let mut talk = Talk::new();
    talk.syn(A, 900_000).syn(A, 1000).syn_ack(B, 5000).data(A, "hello").fin(A).at(A, 7, "stray");
    assert_eq!(talk.run().texts(), [["", ""], ["hello[2]stray", ""]]);
}

#[test]
fn an_acknowledgement_past_both_fins_opens_nothing() {
    let got = over().raw(A, 0, 1001 + 5000, Some(5007), "").run();
    assert_eq!(got.connections.len(), 1);
}

#[test]
fn after_a_reset_data_within_1_mib_belongs_to_the_connection() {
    for (offset, fits) in [(5, true), (5 + MIB, true), (6 + MIB, false)] {
        let mut talk = Talk::open();
        talk.data(A, "hello").raw(B, RST | ACK, 5001, Some(1006), "").at(A, offset, "more");
        let got = talk.run();
        assert_eq!(got.connections.len(), if fits { 1 } else { 2 }, "at {offset}");
        assert_eq!(got.connections[0].ended, Ended::Rst);
    }
}

#[test]
fn without_a_reset_data_more_than_1_mib_ahead_belongs_to_the_connection() {
    let mut talk = Talk::open();
    talk.data(A, "hello").at(A, 2 * MIB, "more");
    assert_eq!(talk.run().texts(), [["hello[2097147]more", ""]]);
    let mut talk = Talk::new();
    talk.syn(A, 900 * MIB).syn(A, 1000).data(A, "hello").at(A, 2 * MIB, "more");
    assert_eq!(talk.run().texts(), [["", ""], ["hello[2097147]more", ""]]);
}

#[test]
fn a_settled_connection_keeps_what_comes_below_it_within_1_mib() {
    for (below, fits) in [(MIB, true), (MIB + 1, false)] {
        let mut talk = over();
        talk.raw(A, 0, 1000u32.wrapping_sub(below), Some(5007), "old data");
        let got = talk.run();
        assert_eq!(got.connections.len(), if fits { 1 } else { 2 }, "{below} below");
    }
}

#[test]
fn a_reset_from_far_off_resets_nothing() {
    for (offset, ended) in [(MIB, Ended::Rst), (2 * MIB, Ended::InputEnded)] {
        let mut talk = Talk::open();
        talk.data(A, "hello").raw(A, RST, 1006 + offset, None, "").data(B, "still here");
        let got = talk.run();
        assert_eq!(got.texts(), [["hello", "still here"]]);
        assert_eq!(got.only().ended, ended, "{offset}");
    }
}

#[test]
fn a_fin_that_held_data_goes_on_over_was_none() {
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1003, Some(5001), "").at(A, 2, "cdef").at(A, 0, "ab").at(A, 6, "gh");
    assert_eq!(talk.run().texts(), [["abcdefgh", ""]]);
}

#[test]
fn a_keep_alive_after_the_fin_is_no_data() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).ack(B).raw(A, 0, 1006, Some(5001), "x").data(B, "bye");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello", "bye"]]);
    assert_eq!(got.only().stats[A].keep_alive, 1);
}

#[test]
fn the_payload_of_a_reset_is_no_data() {
    let mut talk = Talk::open();
    talk.data(A, "hello").rst(A, "go away").at(A, 5, "!");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello!", ""]]);
    // Whoever goes on in sequence did not reset.
    assert_eq!(got.only().ended, Ended::InputEnded);
    // Nor does a FIN in the same segment stand behind it.
    let mut talk = Talk::open();
    talk.data(A, "hello").raw(A, RST | FIN, 1006, Some(5001), "go away");
    assert_eq!(talk.run().texts(), [["hello", ""]]);
}

#[test]
fn a_reset_discards_nothing_that_is_held() {
    let mut talk = Talk::open();
    talk.at(A, 5, " world").rst(B, "").at(A, 0, "hello");
    assert_eq!(talk.run().only().story(), ["6 A hello", "6 A  world"]);
    let mut talk = Talk::open();
    talk.at(A, 5, " world").rst(A, "");
    assert_eq!(talk.run().only().story(), ["end A [5]", "end A  world"]);
}

#[test]
fn a_reset_restarts_no_proof() {
    // The acknowledgement is packet 5, the reset packet 16.
    let mut talk = Talk::open();
    talk.at(A, 5, "world").ack(B).silent(A, 10).rst(A, "").silent(A, 30);
    assert_eq!(talk.run().only().first_gap(), Some(37));
}

/// Ports whose connections are in the shard of the first of them.
fn ports_of_one_shard() -> impl Iterator<Item = u16> {
    use std::net::IpAddr;
    let [a, b] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
    let shard = move |port| {
        let end = |addr, port| flow::Endpoint { addr, port };
        flow::FlowKey::new(6, end(a, port), end(b, 80)).0.fixed_hash() % SHARDS as u64
    };
    (1000..).filter(move |&port| shard(port) == shard(1000))
}

#[test]
fn the_newest_that_are_over_linger() {
    let limits = Limits { lingering: 3 * SHARDS, ..Limits::default() };
    let ports: Vec<u16> = ports_of_one_shard().take(5).collect();
    let mut talk = Talk::new();
    // Two that are not over, then five that end; one of the latter speaks again before the last.
    for port in ports_of_one_shard().skip(5).take(2) {
        talk.port(port).syn(A, 1000).data(A, "not over");
    }
    let speak_again = |talk: &mut Talk| {
        talk.port(ports[2]).raw(A, 0, 1001, Some(5001), "hello");
    };
    for (i, &port) in ports.iter().enumerate() {
        talk.port(port).raw(A, 2, 1000, None, "").raw(B, 2, 5000, Some(1001), "");
        talk.raw(A, FIN, 1001, Some(5001), "hello").raw(B, FIN, 5001, Some(1007), "");
        if i == 3 {
            speak_again(&mut talk);
        }
    }
    let got = talk.run_once(Config { limits, ..Config::default() });
    assert_eq!(got.connections.len(), 7);
    assert!(got.connections[2..].iter().all(|c| c.text(A) == "hello" && c.ended == Ended::Fin));
    // Packets 5 to 8 were the first of the five, 9 to 12 the second, ...: the first left when the
    // fourth was over, the second with the fifth. The third spoke again.
    let closed: Vec<u64> = got.connections.iter().map(|c| c.closed_at).collect();
    let end = u64::MAX;
    assert_eq!(closed, [end, end, 20, 25, end, end, end]);
    assert_eq!(got.limit(Limit::Lingering), 2);
    let others = Limit::ALL.iter().filter(|limit| !limit.is_routine());
    assert!(others.map(|&limit| got.limit(limit)).sum::<u64>() == 0, "no limit of traffic");
}

#[test]
fn connections_that_were_reset_linger_likewise() {
    let limits = Limits { lingering: SHARDS, ..Limits::default() };
    let mut talk = Talk::new();
    for port in ports_of_one_shard().take(3) {
        talk.port(port).raw(A, 2, 1000, None, "").raw(A, 0, 1003, None, "held");
        talk.raw(B, RST, 5000, None, "");
    }
    let got = talk.run_once(Config { limits, ..Config::default() });
    let closed: Vec<u64> = got.connections.iter().map(|c| c.closed_at).collect();
    assert_eq!(closed, [6, 9, u64::MAX]);
    assert!(got.connections.iter().all(|c| c.text(A) == "[2]held" && c.ended == Ended::Rst));
}
