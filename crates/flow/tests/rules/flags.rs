//! Rule 4: when the sink is told of FIN and RST.

use crate::common::{A, ACK, B, FIN, RST, Talk};
use flow::{Config, Ended, Limits, Timeouts};

/// The story of the only connection, FIN and RST included.
fn story(talk: &Talk) -> Vec<String> {
    talk.run().only().whole_story()
}

#[test]
fn a_fin_is_told_with_its_packet_where_nothing_is_missing() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).ack(B);
    assert_eq!(story(&talk), ["4 A hello", "5 A FIN of 5"]);
}

#[test]
fn the_data_of_a_segment_comes_before_its_fin() {
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1001, Some(5001), "hello").raw(B, FIN, 5001, Some(1007), "world");
    let want = ["4 A hello", "4 A FIN of 4", "5 B world", "5 B FIN of 5", "5 settled"];
    assert_eq!(story(&talk), want);
    // Where it goes the long way, because it is a repetition in part.
    let mut talk = Talk::open();
    talk.data(A, "he").raw(A, FIN, 1001, Some(5001), "hello");
    assert_eq!(story(&talk), ["4 A he", "5 A llo", "5 A FIN of 5"]);
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut talk = Talk::open();
    talk.fin_at(A, 5).data(B, "x").at(A, 3, "lo").at(A, 0, "hel").data(B, "y");
    let want = ["5 B x", "7 A hel", "7 A lo", "7 A FIN of 4", "8 B y"];
    assert_eq!(story(&talk), want);
    // The last bytes are next when they come.
    let mut talk = Talk::open();
    talk.fin_at(A, 5).at(A, 0, "hel").at(A, 3, "lo").fin(B);
    assert_eq!(story(&talk), ["5 A hel", "6 A lo", "6 A FIN of 4", "7 B FIN of 7", "7 settled"]);
    // The FIN came with the bytes that are held.
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1004, Some(5001), "lo").at(A, 0, "hel");
    assert_eq!(story(&talk), ["5 A hel", "5 A lo", "5 A FIN of 4"]);
}

#[test]
fn a_fin_that_comes_again_is_told_once() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).repeat().ack(B).fin_at(A, 5).raw(
        A,
        FIN,
        1001,
        Some(5001),
        "hello",
    );
    assert_eq!(story(&talk), ["4 A hello", "5 A FIN of 5"]);
    let mut talk = Talk::open();
    talk.fin_at(A, 5).repeat().data(A, "hello").repeat().fin_at(A, 5);
    assert_eq!(story(&talk), ["6 A hello", "6 A FIN of 4"]);
    // After both FINs, when the connection is one of those that rest.
    let mut talk = Talk::open();
    talk.fin(A).fin(B).ack(A).ack(B).fin_at(B, 0).fin_at(A, 0);
    assert_eq!(story(&talk), ["4 A FIN of 4", "5 B FIN of 5", "5 settled"]);
}

#[test]
fn a_lower_fin_takes_the_place_of_one_that_waits() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 30).fin_at(A, 10).fin_at(A, 20).at(A, 5, "world");
    assert_eq!(story(&talk), ["4 A hello", "8 A world", "8 A FIN of 6"]);
}

#[test]
fn the_other_side_goes_on_after_a_fin() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).ack(B).data(B, "wor").data(B, "ld").fin(B).ack(A);
    let want = ["4 A hello", "5 A FIN of 5", "7 B wor", "8 B ld", "9 B FIN of 9", "9 settled"];
    assert_eq!(story(&talk), want);
}

#[test]
fn both_may_end_at_the_same_time() {
    let mut talk = Talk::open();
    talk.data(A, "hello").ack(B);
    // Neither FIN acknowledges the other.
    talk.raw(B, FIN, 5001, Some(1006), "").raw(A, FIN, 1006, Some(5001), "").ack(A).ack(B);
    assert_eq!(story(&talk), ["4 A hello", "6 B FIN of 6", "7 A FIN of 7", "7 settled"]);
}

#[test]
fn a_fin_comes_behind_the_gap_before_it() {
    // Given up at the end of the input.
    let mut talk = Talk::open();
    talk.at(A, 0, "he").lost(A, 3).fin(A).data(B, "world").fin(B);
    let got = talk.run();
    let want = ["4 A he", "6 B world", "7 B FIN of 7", "end A [3]", "end A FIN of 5"];
    assert_eq!(got.only().whole_story(), want);
    assert_eq!(got.only().ended, Ended::Fin);
    // With bytes behind the gap.
    let mut talk = Talk::open();
    talk.at(A, 2, "llo").fin(A).data(B, "world");
    assert_eq!(story(&talk), ["6 B world", "end A [2]", "end A llo", "end A FIN of 5"]);
    // Proved by acknowledgements: 32 packets after that of packet 6.
    let mut talk = Talk::open();
    talk.at(A, 2, "llo").fin(A).ack(B).silent(B, 40).data(B, "x");
    let want = ["38 A [2]", "38 A llo", "38 A FIN of 5", "47 B x"];
    assert_eq!(story(&talk), want);
}

#[test]
fn a_fin_keeps_its_place_among_what_a_limit_gives_up() {
    let limits = Limits { buffered_per_direction: 0, ..Limits::default() };
    let mut talk = Talk::open();
    talk.fin_at(A, 5).at(A, 2, "llo").data(B, "x");
    let got = talk.run_with(Config { limits, ..Config::default() });
    assert_eq!(got.only().whole_story(), ["5 A [2]", "5 A llo", "5 A FIN of 4", "6 B x"]);
    // Of all connections together.
    let limits = Limits { buffered: 0, ..Limits::default() };
    let got = talk.run_with(Config { limits, ..Config::default() });
    assert_eq!(got.only().whole_story(), ["5 A [2]", "5 A llo", "5 A FIN of 4", "6 B x"]);
}

#[test]
fn who_waits_no_more_in_silence_is_told_what_waited() {
    let config = Config { timeouts: Some(Timeouts::LIVE), ..Config::default() };
    let mut talk = Talk::open();
    talk.at(A, 2, "llo").fin(A).rst(B, "");
    talk.packets.iter_mut().for_each(|packet| packet.time = (1000, 0));
    talk.silence(1_009_000).silence(1_009_500);
    let want = ["7 A [2]", "7 A llo", "7 A FIN of 5", "7 B RST of 6"];
    assert_eq!(talk.run_with(config).only().whole_story(), want);
}

#[test]
fn data_over_a_fin_takes_it_back_and_another_is_told() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 5).at(A, 5, ", world").fin_at(A, 12);
    let want = ["4 A hello", "5 A FIN of 5", "6 A , world", "7 A FIN of 7"];
    assert_eq!(story(&talk), want);
    // One that waits is not told at all.
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1003, Some(5001), "").at(A, 2, "cdef").at(A, 0, "ab").at(A, 6, "gh");
    assert_eq!(story(&talk), ["6 A ab", "6 A cdef", "7 A gh"]);
}

#[test]
fn without_syns_fins_come_in_their_turn_when_both_directions_begin() {
    let mut talk = Talk::new();
    talk.data(A, "hello").data(B, "wor").fin(A).data(B, "ld").fin(B);
    let want = ["end A hello", "end B wor", "end A FIN of 3", "end B ld", "end B FIN of 5"];
    assert_eq!(story(&talk), want);
    // A's FIN is all that is known of A.
    let mut talk = Talk::new();
    talk.data(B, "wor").fin(A).data(B, "ld").fin(B);
    let want = ["end B wor", "end A FIN of 2", "end B ld", "end B FIN of 4"];
    assert_eq!(story(&talk), want);
    // The same when packets have passed: the 33rd behind the first data.
    let mut talk = Talk::new();
    talk.data(B, "wor").fin(A).data(B, "ld").silent(A, 40).data(B, "!");
    assert_eq!(story(&talk), ["33 B wor", "33 A FIN of 2", "33 B ld", "44 B !"]);
}

#[test]
fn a_fin_of_which_nothing_else_is_known_is_told_at_once_and_again_behind_data() {
    let mut talk = Talk::new();
    talk.fin(A).fin(B).ack(A);
    assert_eq!(story(&talk), ["1 A FIN of 1", "2 B FIN of 2", "2 settled"]);
    // Bytes and a SYN from before it come behind it.
    let mut talk = Talk::new();
    talk.fin_at(A, 5).data(A, "hello").silent(B, 1);
    assert_eq!(story(&talk), ["1 A FIN of 1", "end A hello", "end A FIN of 3"]);
    let mut talk = Talk::new();
    talk.fin_at(A, 5).syn(A, 1000).data(A, "hello");
    assert_eq!(story(&talk), ["1 A FIN of 1", "3 A hello", "3 A FIN of 3"]);
    let mut talk = Talk::new();
    talk.fin_at(A, 5).syn(A, 1000);
    assert_eq!(story(&talk), ["1 A FIN of 1", "end A [5]", "end A FIN of 2"]);
}

#[test]
fn a_reset_is_told_with_its_packet_where_nothing_waits() {
    let mut talk = Talk::open();
    talk.data(A, "hello").raw(B, RST | ACK, 5001, Some(1006), "").raw(B, RST, 5001, None, "");
    assert_eq!(story(&talk), ["4 A hello", "5 B RST of 5"]);
    // A port that is closed.
    let mut talk = Talk::new();
    talk.syn(A, 1000).raw(B, RST | ACK, 0, Some(1001), "");
    assert_eq!(story(&talk), ["2 B RST of 2"]);
    // One from nowhere ends nothing.
    let mut talk = Talk::open();
    talk.data(A, "hello").raw(A, RST, 1006 + (2 << 20), None, "").data(B, "still here");
    assert_eq!(story(&talk), ["4 A hello", "6 B still here"]);
}

#[test]
fn a_reset_after_a_fin_is_told_too() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin(A).rst(A, "").rst(B, "");
    assert_eq!(story(&talk), ["4 A hello", "5 A FIN of 5", "6 A RST of 6", "7 B RST of 7"]);
    let mut talk = Talk::open();
    talk.data(A, "hello").raw(A, RST | FIN, 1006, Some(5001), "go away");
    assert_eq!(story(&talk), ["4 A hello", "5 A FIN of 5", "5 A RST of 5"]);
}

#[test]
fn a_reset_comes_behind_what_is_held() {
    let mut talk = Talk::open();
    talk.at(A, 5, " world").rst(B, "").at(A, 0, "hello");
    assert_eq!(story(&talk), ["6 A hello", "6 A  world", "6 B RST of 6"]);
    let mut talk = Talk::open();
    talk.at(A, 5, " world").rst(A, "").silent(B, 1);
    assert_eq!(story(&talk), ["end A [5]", "end A  world", "end A RST of 6"]);
    // Also behind a FIN that waits, though no bytes do.
    let mut talk = Talk::open();
    talk.lost(A, 5).fin(A).rst(A, "");
    assert_eq!(story(&talk), ["end A [5]", "end A FIN of 4", "end A RST of 5"]);
    // Without a SYN, what is held waits for nothing but its beginning.
    let mut talk = Talk::new();
    talk.data(A, "hello").rst(B, "");
    assert_eq!(story(&talk), ["end A hello", "end B RST of 2"]);
}

#[test]
fn whoever_goes_on_did_not_reset_and_may_do_so_again() {
    let mut talk = Talk::open();
    talk.data(A, "hello").rst(A, "").data(A, "!").rst(A, "");
    assert_eq!(story(&talk), ["4 A hello", "5 A RST of 5", "6 A !", "7 A RST of 7"]);
    // Stragglers of the other end change nothing.
    let mut talk = Talk::open();
    talk.data(A, "hello").rst(A, "").data(B, "world").rst(A, "");
    assert_eq!(story(&talk), ["4 A hello", "5 A RST of 5", "6 B world"]);
}

#[test]
fn datagrams_end_nothing() {
    let mut talk = Talk::new();
    talk.datagram(A, "ping").datagram(B, "pong");
    assert_eq!(story(&talk), ["1 A ping", "2 B pong"]);
}
