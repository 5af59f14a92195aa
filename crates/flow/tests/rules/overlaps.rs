//! Rule 7: overlaps, conflicts, and bytes that may be those of a keep-alive probe.

use crate::common::{A, B, RST, Talk, frame};
use flow::{Config, Overlap};

fn last() -> Config {
    Config { overlap: Overlap::Last, ..Config::default() }
}

#[test]
fn the_first_byte_captured_wins() {
    let mut talk = Talk::open();
    talk.at(A, 4, "efgh").at(A, 2, "CDEFGHIJ").at(A, 0, "ab");
    let got = talk.run();
    assert_eq!(got.only().story(), ["5 A conflict", "6 A ab", "6 A CD", "6 A efgh", "6 A IJ"]);
    let stats = got.only().stats[A];
    assert_eq!((stats.conflicting, stats.overlapping, stats.retransmitted), (1, 1, 0));
}

#[test]
fn the_last_byte_captured_wins_where_that_is_asked_for() {
    let mut talk = Talk::open();
    talk.at(A, 4, "efgh").at(A, 2, "CDEF").at(A, 0, "ab").at(A, 0, "XY");
    let got = talk.run_with(last());
    // What was delivered stays.
    assert_eq!(got.only().story(), ["5 A conflict", "6 A ab", "6 A CDEF", "6 A gh"]);
    assert_eq!(got.only().stats[A].retransmitted, 1);
}

#[test]
fn what_was_delivered_never_changes() {
    for config in [Config::default(), last()] {
        let mut talk = Talk::open();
        talk.data(A, "abcdef").at(A, 2, "CDEFGH").at(A, 0, "AB");
        assert_eq!(talk.run_with(config).texts(), [["abcdefGH", ""]]);
    }
}

#[test]
fn repetitions_are_no_conflicts() {
    let mut talk = Talk::open();
    talk.at(A, 4, "efgh").at(A, 4, "efgh").at(A, 2, "cdef").at(A, 0, "abcd").at(A, 0, "abcdefgh");
    let got = talk.run();
    assert_eq!(got.texts(), [["abcdefgh", ""]]);
    let stats = got.only().stats[A];
    let counts = (stats.conflicting, stats.overlapping, stats.retransmitted, stats.out_of_order);
    assert_eq!(counts, (0, 2, 2, 2));
}

#[test]
fn a_keep_alive_for_a_byte_that_was_delivered_is_ignored() {
    let mut talk = Talk::open();
    talk.data(A, "hello").ack(B).at(A, 4, "\0").ack(B).at(A, 4, "\0").data(A, "!");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello!", ""]]);
    let stats = got.only().stats[A];
    assert_eq!((stats.keep_alive, stats.retransmitted, stats.conflicting), (2, 0, 0));
}

#[test]
fn a_keep_alive_before_the_first_byte_is_ignored() {
    let mut talk = Talk::open();
    talk.raw(A, 0, 1000, Some(5001), "\0").data(A, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello", ""]]);
    assert_eq!(got.only().stats[A].keep_alive, 1);
}

#[test]
fn a_candidate_is_replaced_without_conflict() {
    for config in [Config::default(), last()] {
        // B acknowledged up to 10 twice, so that the byte at 9 may be a probe; the real one comes.
        let mut talk = Talk::open();
        talk.lost(A, 10).ack(B).again(B, 1).at(A, 9, "\0").at(A, 5, "world").at(A, 0, "hello");
        let got = talk.run_with(config);
        assert_eq!(got.only().story(), ["8 A hello", "8 A world"]);
        let stats = got.only().stats[A];
        assert_eq!((stats.conflicting, stats.keep_alive), (0, 1));
    }
}

#[test]
fn a_candidate_replaces_nothing() {
    for config in [Config::default(), last()] {
        let mut talk = Talk::open();
        talk.at(A, 5, "world").ack(B).at(A, 9, "\0").at(A, 0, "hello");
        let got = talk.run_with(config);
        assert_eq!(got.texts(), [["helloworld", ""]]);
        let stats = got.only().stats[A];
        assert_eq!((stats.conflicting, stats.keep_alive), (0, 1));
    }
}

#[test]
fn a_candidate_is_delivered_once_everything_before_it_is() {
    // A one-byte message of Telnet, moved in front of what it follows.
    let mut talk = Talk::open();
    talk.lost(A, 5).ack(B).at(A, 4, "o").at(A, 0, "hell").data(A, "!");
    assert_eq!(talk.run().only().story(), ["6 A hell", "6 A o", "7 A !"]);
}

#[test]
fn a_candidate_behind_a_gap_becomes_part_of_it() {
    // Once by its proof, once by the end, once by a byte behind it.
    let mut talk = Talk::open();
    talk.lost(A, 5).ack(B).again(B, 1).at(A, 4, "\0").silent(B, 40).data(A, "!");
    let got = talk.silent(B, 40).run();
    assert_eq!(got.texts(), [["[5]!", ""]]);
    assert_eq!(got.only().stats[A].keep_alive, 1);
    let mut talk = Talk::open();
    talk.lost(A, 5).ack(B).again(B, 1).at(A, 4, "\0");
    assert_eq!(talk.run().texts(), [["[5]", ""]]);
    let mut talk = Talk::open();
    talk.lost(A, 5).ack(B).at(A, 4, "\0").data(A, "!");
    assert_eq!(talk.run().texts(), [["[5]!", ""]]);
}

#[test]
fn a_gap_before_a_candidate_needs_its_own_proof() {
    // Everything before the byte at 9 is acknowledged for long; the byte itself is not.
    let mut talk = Talk::open();
    talk.lost(A, 9).ack(B).again(B, 1).silent(A, 40).raw(B, 0, 5001, Some(1011), "");
    talk.at(A, 9, "x").silent(A, 5).at(A, 0, "123456789");
    assert_eq!(talk.run().texts(), [["123456789x", ""]]);
}

#[test]
fn a_byte_at_the_highest_acknowledgement_is_a_candidate_though_nobody_believes_it() {
    // One acknowledgement of bytes that were not seen proves nothing, but a probe fits it.
    let mut talk = Talk::open();
    talk.lost(A, 10).ack(B).at(A, 9, "\0").at(A, 5, "world").at(A, 0, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["helloworld", ""]]);
    assert_eq!(got.only().stats[A].conflicting, 0);
}

#[test]
fn a_byte_at_the_highest_acknowledgement_that_is_believed_is_a_candidate() {
    let mut talk = Talk::open();
    talk.ack_to(B, 10).again(B, 1).ack_to(B, 20).at(A, 9, "\0").at(A, 5, "world").at(A, 0, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["helloworld", ""]]);
    assert_eq!(got.only().stats[A].conflicting, 0);
}

#[test]
fn two_bytes_are_data() {
    let mut talk = Talk::open();
    talk.lost(A, 10).ack(B).again(B, 1).at(A, 8, "??").at(A, 5, "world").at(A, 0, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["hellowor??", ""]]);
    assert_eq!(got.only().stats[A].conflicting, 1);
}

#[test]
fn a_byte_at_the_highest_acknowledgement_of_a_reset_is_data() {
    let mut talk = Talk::open();
    talk.raw(B, RST, 5001, Some(1011), "").at(A, 9, "?").at(A, 5, "world").at(A, 0, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["helloworl?", ""]]);
    assert_eq!(got.only().stats[A].conflicting, 1);
}

#[test]
fn a_byte_that_ends_nowhere_is_data() {
    let mut talk = Talk::open();
    talk.lost(A, 10).ack(B).again(B, 1).at(A, 8, "?").at(A, 5, "world").at(A, 0, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["hellowor?d", ""]]);
    assert_eq!(got.only().stats[A].conflicting, 1);
}

#[test]
fn a_sides_first_byte_without_a_syn_is_kept() {
    // As in many-protocols and example2: it may be a keep-alive, or all that there is.
    let mut talk = Talk::new();
    talk.again(B, 1).raw(A, 0, 1000, Some(5001), "k").again(B, 1);
    assert_eq!(talk.run().texts(), [["k", ""]]);
    let mut talk = Talk::new();
    talk.again(B, 1).raw(A, 0, 1000, Some(5001), "k").again(B, 1).silent(A, 40).data(A, "eep");
    assert_eq!(talk.run().texts(), [["keep", ""]]);
}

#[test]
fn a_zero_window_probe_is_data() {
    let mut talk = Talk::open();
    talk.data(A, "hell").ack(B).at(A, 4, "o").at(A, 4, "o").ack(B).data(A, " world");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello world", ""]]);
    assert_eq!(got.only().stats[A].keep_alive, 1, "its repetition looks like one");
}

#[test]
fn ethernet_padding_is_no_data() {
    // Every short frame here is padded; this one would bring six bytes.
    let mut talk = Talk::open();
    talk.ack(A).ack(B).data(A, "x").fin(A);
    let padded = talk.packets[0].frame(["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap()));
    assert_eq!(padded.len(), frame::SHORTEST - 6);
    assert_eq!(talk.run().texts(), [["x", ""]]);
}

#[test]
fn without_a_total_length_the_frame_says_it() {
    let addrs = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap());
    let mut talk = Talk::open();
    talk.data(A, "a segment that the network card was still to cut into packets");
    let mut frame = talk.packets[3].frame(addrs);
    frame[16..18].fill(0);
    talk.packets.pop();
    talk.frame(frame);
    let got = talk.run_once(Config::default());
    let want = "a segment that the network card was still to cut into packets";
    assert_eq!(got.only().text(A), want);
}
