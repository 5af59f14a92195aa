//! Rules 10 and 11: where each byte came from, and in which order chunks go out.

use crate::common::{A, B, Event, FIN, Talk};

/// Offset, text and packet of an end's chunks. A is side 0.
fn chunks(talk: &Talk, end: usize) -> Vec<(u64, String, u64)> {
    let got = talk.run();
    let chunk = |heard: &crate::common::Heard| match &heard.event {
        Event::Data { side, offset, bytes, source } if *side == end => {
            Some((*offset, String::from_utf8_lossy(bytes).into_owned(), source.number()))
        }
        _ => None,
    };
    assert!(got.only().a_opened);
    got.only().heard.iter().filter_map(chunk).collect()
}

fn row(offset: u64, text: &str, packet: u64) -> (u64, String, u64) {
    (offset, text.to_string(), packet)
}

#[test]
fn every_chunk_names_the_packet_that_brought_it() {
    let mut talk = Talk::open();
    talk.data(A, "ab").at(A, 6, "gh").at(A, 4, "ef").data(B, "1").at(A, 2, "cd");
    let want = [row(0, "ab", 4), row(2, "cd", 8), row(4, "ef", 6), row(6, "gh", 5)];
    assert_eq!(chunks(&talk, A), want);
    let want = ["4 A ab", "7 B 1", "8 A cd", "8 A ef", "8 A gh"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
}

#[test]
fn times_are_those_of_the_packets_and_may_step_back() {
    let mut talk = Talk::open();
    talk.at(A, 2, "cd").time(300).at(A, 0, "ab").time(200);
    let got = talk.run();
    let time = |heard: &crate::common::Heard| match &heard.event {
        Event::Data { source, .. } => Some(source.time.secs()),
        _ => None,
    };
    assert_eq!(got.only().heard.iter().filter_map(time).collect::<Vec<_>>(), [200, 300]);
}

#[test]
fn a_packet_gives_one_chunk_for_each_run_of_new_bytes() {
    let mut talk = Talk::open();
    talk.at(A, 2, "cd").at(A, 6, "gh").at(A, 0, "abcdefghij");
    let want =
        [row(0, "ab", 6), row(2, "cd", 4), row(4, "ef", 6), row(6, "gh", 5), row(8, "ij", 6)];
    assert_eq!(chunks(&talk, A), want);
}

#[test]
fn missing_bytes_count_in_offsets() {
    let mut talk = Talk::open();
    talk.data(A, "ab").lost(A, 7).data(A, "cd");
    assert_eq!(chunks(&talk, A), [row(0, "ab", 4), row(9, "cd", 5)]);
}

#[test]
fn a_gap_names_the_packet_that_decided_it() {
    let mut talk = Talk::open();
    talk.lost(A, 5)
        .data(A, "world")
        .ack(B)
        .silent(A, 50)
        .data(B, "answer")
        .fin(B)
        .lost(A, 2)
        .fin(A);
    let got = talk.run();
    let gap = |heard: &crate::common::Heard| match &heard.event {
        Event::Gap { source, .. } => Some(source.number()),
        _ => None,
    };
    // At the end it is the connection's last packet.
    assert_eq!(got.only().heard.iter().filter_map(gap).collect::<Vec<_>>(), [37, 58]);
}

#[test]
fn what_an_acknowledgement_releases_comes_before_what_it_is_on() {
    // The 32nd further packet is an answer.
    let mut talk = Talk::open();
    talk.lost(A, 5).data(A, "question").ack(B).silent(A, 31).data(B, "answer");
    let want = ["37 A [5]", "37 A question", "37 B answer"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
}

#[test]
fn what_begins_together_comes_in_the_order_of_its_packets() {
    let mut talk = Talk::new();
    talk.data(A, "1").data(B, "2").data(A, "3").data(B, "4").silent(A, 40);
    let want = ["34 A 1", "34 B 2", "34 A 3", "34 B 4"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
    // Each direction in its own order, whatever packets brought it.
    let mut talk = Talk::new();
    talk.data(B, "1").at(A, 1, "b").at(A, 0, "a").data(B, "2");
    let want = ["end B 1", "end A a", "end A b", "end B 2"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
}

#[test]
fn what_is_missing_at_the_end_is_said_of_side_0_first() {
    let mut talk = Talk::open();
    talk.data(B, "b").lost(B, 2).fin(B).data(A, "a").lost(A, 2).fin(A);
    let want = ["4 B b", "6 A a", "end A [2]", "end B [2]"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
}

#[test]
fn a_snapped_chunk_is_of_its_own_packet() {
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(2).at(A, 0, "hello");
    assert_eq!(chunks(&talk, A), [row(0, "hel", 4), row(3, "lo", 5)]);
}

#[test]
fn connections_are_closed_in_the_order_of_their_first_packets() {
    // Enough of them to be in every shard.
    let mut talk = Talk::new();
    for port in (1..300).rev() {
        talk.port(port).data(A, "x");
    }
    talk.port(5).data(A, "y").port(7).data(B, "z");
    let addrs = ["10.0.0.1", "10.0.0.2"].map(|addr| addr.parse().unwrap());
    let played = crate::common::play(&talk.packets, addrs, flow::Config::default());
    let closed = |heard: &crate::common::Heard| {
        matches!(heard.event, Event::Closed(_)).then_some(heard.connection)
    };
    let order: Vec<_> = played.heard.iter().filter_map(closed).collect();
    assert_eq!(order, (0..299).collect::<Vec<_>>());
}

#[test]
fn a_message_is_an_unbroken_run_of_one_side() {
    let mut talk = Talk::open();
    talk.data(A, "a").data(A, "b").data(B, "1").data(A, "c").raw(A, FIN, 1004, Some(5002), "d");
    let got = talk.run();
    let counts = got.only().stats.map(|stats| (stats.messages, stats.chunks, stats.bytes));
    assert_eq!(counts, [(2, 4, 4), (1, 1, 1)]);
}
