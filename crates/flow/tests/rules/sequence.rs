//! Rule 6: sequence numbers, and where a direction begins that has no SYN.

use crate::common::{A, B, Event, Numbers, SYN, Talk};
use flow::{Began, Reason};

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::new();
    talk.syn(A, 0xffff_fffc).syn_ack(B, 0xffff_ffff).ack(A);
    talk.data(A, "0123456789")
        .ack(B)
        .at(A, 16, "g")
        .at(B, 1, "b")
        .at(A, 10, "abcdef")
        .at(B, 0, "a");
    talk.fin(A).fin(B);
    let got = talk.run();
    assert_eq!(got.texts(), [["0123456789abcdefg", "ab"]]);
    assert_eq!(got.only().ended, flow::Ended::Fin);
}

#[test]
fn streams_longer_than_the_sequence_space_go_on() {
    // Five gigabytes, of which every 60 MiB two bytes were captured: holes are of a plausible size.
    let mut talk = Talk::open();
    let step = 60 << 20;
    for _ in 0..86 {
        talk.lost(A, step - 2).data(A, "ab").ack(B);
    }
    let got = talk.run();
    let only = got.only();
    assert_eq!(only.stats[A].bytes, 172);
    assert_eq!(only.stats[A].missing, 86 * u64::from(step - 2));
    assert!(only.stats[A].missing > 5 << 30);
}

#[test]
fn a_syn_repeated_gigabytes_later_moves_nothing() {
    let mut talk = Talk::open();
    let step = 60 << 20;
    for _ in 0..60 {
        talk.lost(A, step - 2).data(A, "ab").ack(B);
    }
    // The 61st hole is proved like any other: 32 packets after its acknowledgement.
    talk.raw(A, SYN, 1000, None, "").lost(A, 5).data(A, "cd").ack(B).silent(A, 31);
    let before = talk.packets.len() as u64;
    talk.silent(A, 5);
    let got = talk.run();
    let only = got.only();
    assert_eq!(only.gaps(A).len(), 61);
    assert_eq!(only.text(A).matches("[5]cd").count(), 1);
    let last_gap = only.heard.iter().rev().find_map(|heard| match &heard.event {
        Event::Gap { source, .. } => Some(source.number()),
        _ => None,
    });
    assert!(last_gap.is_some_and(|n| n <= before + 2), "{last_gap:?} of {before}");
}

#[test]
fn a_syn_carries_data() {
    let mut talk = Talk::new();
    talk.syn_with(A, 1000, "early ").syn_ack(B, 5000).data(A, "late");
    assert_eq!(talk.run().only().story(), ["1 A early ", "3 A late"]);
}

#[test]
fn a_direction_without_syn_begins_after_32_further_packets() {
    for (further, begun) in [(31, None), (32, Some(33))] {
        let mut talk = Talk::new();
        talk.data(A, "middle").silent(B, further).silent(A, 0);
        let got = talk.run();
        assert_eq!(got.only().began, Began::MidStream);
        let want = begun.unwrap_or(u64::MAX);
        assert_eq!(got.only().first_data(A), Some(want), "{further} further packets");
    }
}

#[test]
fn a_direction_without_syn_begins_with_64_kib() {
    for (bytes, begun) in [(65_535, u64::MAX), (65_536, 3)] {
        let mut talk = Talk::new();
        talk.bytes_at(A, 0, &[b'x'; 32_768]).bytes_at(A, 32_768, &[b'y'; 32_766]);
        talk.bytes_at(A, 65_534, &vec![b'z'; bytes - 65_534]);
        let got = talk.run();
        assert_eq!(got.only().first_data(A), Some(begun), "{bytes} bytes");
    }
}

#[test]
fn a_direction_without_syn_begins_at_the_end() {
    let got = Talk::new().at(A, 3, "def").at(A, 0, "abc").run();
    assert_eq!(got.only().story(), ["end A abc", "end A def"].map(String::from).as_slice());
}

#[test]
fn a_direction_begins_at_once_when_its_syn_is_learned() {
    let mut talk = Talk::new();
    talk.data(A, "abc").syn(A, 1000);
    assert_eq!(talk.run().only().story(), ["2 A abc"]);
    // The answer to it does as well.
    let mut talk = Talk::new();
    talk.data(A, "abc").raw(B, 2, 5000, Some(1001), "");
    assert_eq!(talk.run().only().story(), ["2 A abc"]);
}

#[test]
fn what_comes_below_within_32_packets_moves_the_beginning() {
    // Data far below the first segment, as in ultrasurf.pcap and reasm_segv_anon.pcap.
    let mut talk = Talk::new();
    talk.raw(A, 0, 901_000, None, "high").silent(A, 30).raw(A, 0, 1000, None, "low").silent(A, 5);
    assert_eq!(talk.run().texts(), [["low[899997]high", ""]]);
}

#[test]
fn the_peers_first_acknowledgement_is_the_beginning() {
    // Three bytes were sent before the first that was captured.
    let mut talk = Talk::new();
    talk.again(B, 1).at(A, 3, "def").ack(B).fin(A);
    let got = talk.run();
    assert_eq!(got.texts(), [["[3]def", ""]]);
    // One above the lowest byte held says nothing.
    let mut talk = Talk::new();
    talk.ack_to(B, 4).at(A, 3, "def").again(B, 2);
    assert_eq!(talk.run().texts(), [["def", ""]]);
}

#[test]
fn the_peers_first_acknowledgement_is_at_most_1_gib_below() {
    let gib = 1 << 30;
    for (below, want) in [(gib, "[1073741824]x"), (gib + 1, "x")] {
        let mut talk = Talk::new();
        talk.raw(B, 0, 5001, Some(0x7000_0000 - below), "");
        talk.raw(A, 0, 0x7000_0000, Some(5001), "x").silent(A, 40);
        assert_eq!(talk.run().only().text(A), want, "{below} below");
    }
}

#[test]
fn the_first_acknowledgement_counts_and_not_the_lowest() {
    let mut talk = Talk::new();
    talk.ack_to(B, 4).ack_to(B, 0).at(A, 6, "x");
    assert_eq!(talk.run().only().text(A), "[2]x");
}

#[test]
fn empty_segments_never_anchor() {
    let mut talk = Talk::new();
    talk.silent(A, 100).raw(A, 0, 900, None, "before").silent(B, 40);
    assert_eq!(talk.run().texts(), [["before", ""]]);
    // Nor does the first acknowledgement of bytes of which none came.
    let mut talk = Talk::new();
    talk.again(B, 100).raw(A, 0, 900, None, "before").silent(B, 40);
    assert_eq!(talk.run().texts(), [["before[95]", ""]]);
}

#[test]
fn bytes_below_the_beginning_count_and_are_not_written() {
    let mut talk = Talk::new();
    talk.raw(A, 0, 1500, None, "data").silent(B, 40).raw(A, 0, 1490, None, "0123456789da");
    let got = talk.run();
    assert_eq!(got.texts(), [["data", ""]]);
    assert_eq!((got.only().stats[A].before_start, got.only().stats[A].overlapping), (10, 0));
    assert_eq!(got.only().stats[A].retransmitted, 1);
}

#[test]
fn held_bytes_below_a_syn_that_comes_are_before_the_start() {
    // The peer's SYN-ACK infers 1000; bytes from the SYN's own number on were held already.
    let mut talk = Talk::new();
    talk.raw(A, 0, 1001, None, "data").raw(A, 2, 1000, None, "");
    talk.raw(A, 0, 1000, Some(5001), "?data!");
    let got = talk.run();
    assert_eq!(got.texts(), [["data!", ""]]);
    assert_eq!(got.only().stats[A].before_start, 1, "a byte at the SYN's own number");
}

#[test]
fn held_bytes_below_a_syn_ack_that_comes_are_before_the_start() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).raw(B, 0, 4900, Some(1001), "stray").syn_ack(B, 5000).data(B, "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["", "hello"]]);
    assert_eq!(got.only().stats[B].before_start, 5);
}

#[test]
fn a_direction_without_syn_does_not_wait_for_a_hole_of_the_other() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).data(B, "answer").silent(A, 20).at(A, 5, "held").silent(A, 30);
    assert_eq!(talk.run().only().first_data(B), Some(34));
}

#[test]
fn both_directions_without_syn_begin_together() {
    // B's bytes come late; A, ready after 32 packets, waits for B's 32.
    let mut talk = Talk::new();
    talk.data(A, "question").silent(A, 20).data(B, "answer").silent(A, 20).data(A, "!");
    let got = talk.silent(A, 40).run();
    let want = ["54 A question", "54 B answer", "54 A !"].map(String::from);
    assert_eq!(got.only().story(), want);
}

#[test]
fn each_direction_finds_its_own_beginning() {
    let mut talk = Talk::new();
    talk.switch(Numbers::new([0xffff_ff00, 77]));
    talk.data(B, "b").data(A, "a").syn(A, 0xffff_ff00).silent(A, 2).data(B, "b");
    let got = talk.silent(A, 40).run();
    assert_eq!(got.texts(), [["a", "bb"]]);
}

/// B's half of a conversation caught in the middle, with one segment 1.5 GB off, before or after others.
fn stray(off: u32, at: usize, acks: bool) -> Talk {
    let mut talk = Talk::new();
    for i in 0..6 {
        if acks {
            talk.raw(A, 0, 77, Some(1000 + 4 * i), "");
        }
        if i as usize == at {
            talk.raw(B, 0, 1000_u32.wrapping_add(off), Some(77), "STRAY");
        }
        talk.raw(B, 0, 1000 + 4 * i, Some(77), "good");
    }
    talk
}

#[test]
fn a_direction_without_syn_believes_no_segment_far_from_the_others() {
    for off in [1_500_000_000, 1_500_000_000_u32.wrapping_neg()] {
        for at in 0..6 {
            for acks in [false, true] {
                let got = stray(off, at, acks).run();
                assert_eq!(got.only().text(B), "good".repeat(6), "{off} {at} {acks}");
                assert_eq!(got.set_aside(Reason::Implausible), 1, "{off} {at} {acks}");
                assert_eq!(got.only().stats[B].packets, 6);
            }
        }
    }
}

#[test]
fn segments_far_away_of_which_one_was_cut_to_nothing_confirm_each_other() {
    let mut talk = Talk::new();
    talk.raw(B, 0, 200_001_602, Some(1001), "held").raw(A, 0, 1001, Some(200_001_606), "");
    talk.raw(B, 0, 77_777_778, Some(1001), "aaaa")
        .raw(B, 0, 77_777_782, Some(1001), "bbbbb")
        .cut(5);
    let got = talk.run();
    assert_eq!(got.only().text(B), "aaaa[122223820]held");
}

#[test]
fn of_two_segments_far_apart_the_acknowledged_one_is_believed() {
    let mut talk = Talk::new();
    talk.raw(B, 0, 3_000_000_000, Some(77), "STRAY").raw(A, 0, 77, Some(1000), "");
    talk.raw(B, 0, 1000, Some(77), "good");
    assert_eq!(talk.run().only().text(B), "good");
    let mut talk = Talk::new();
    talk.raw(B, 0, 3_000_000_000, Some(77), "STRAY").raw(B, 0, 1000, Some(77), "good");
    talk.raw(A, 0, 77, Some(1004), "");
    assert_eq!(talk.run().only().text(B), "good");
    // Where nothing speaks for either, the first one counts.
    let mut talk = Talk::new();
    talk.raw(B, 0, 3_000_000_000, Some(77), "first").raw(B, 0, 1000, Some(77), "second");
    let got = talk.run();
    assert_eq!((got.only().text(B), got.set_aside(Reason::Implausible)), ("first".to_string(), 1));
}
