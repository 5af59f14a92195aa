//! Rule 8: when a hole becomes a gap. Rule 9: a gap is a fact.

use crate::common::{A, ACK, B, END, FIN, RST, Talk};
use flow::{Limit, Reason};

const MIB: u32 = 1 << 20;

/// A sent ten bytes, of which the first five were not captured; packet 4 brought the others.
fn hole() -> Talk {
    let mut talk = Talk::open();
    talk.at(A, 5, "world");
    talk
}

#[test]
fn an_acknowledged_hole_is_a_gap_after_32_further_packets() {
    for (further, when) in [(31, END), (32, 37)] {
        let mut talk = hole();
        talk.ack(B).silent(A, further);
        let got = talk.run();
        assert_eq!(got.only().first_gap(), Some(when), "{further} further packets");
        assert_eq!(got.texts(), [["[5]world", ""]]);
    }
}

#[test]
fn bytes_that_come_with_the_32nd_packet_fill_the_hole() {
    let mut talk = hole();
    talk.ack(B).silent(B, 31).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]]);
}

#[test]
fn packets_of_other_connections_prove_nothing() {
    let mut talk = hole();
    talk.ack(B).port(1).silent(A, 100).port(40000).at(A, 0, "hello");
    assert_eq!(talk.run().texts()[0], ["helloworld", ""]);
}

#[test]
fn time_proves_nothing() {
    let mut talk = hole();
    talk.ack(B).time(1_700_000_000).silent(A, 1).time(1_900_000_000).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]]);
}

#[test]
fn an_acknowledgement_inside_a_hole_does_not_prove_it() {
    let mut talk = hole();
    talk.ack_to(B, 4).silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]]);
    let mut talk = hole();
    talk.ack_to(B, 5).silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["[5]world", ""]]);
}

#[test]
fn the_acknowledgement_of_a_reset_proves_nothing() {
    let mut talk = hole();
    talk.raw(B, RST | ACK, 5001, Some(1011), "").silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]]);
}

#[test]
fn the_other_sides_words_prove_nothing() {
    let mut talk = hole();
    for _ in 0..100 {
        talk.data(B, "answer ");
    }
    talk.fin(B).fin(A).at(A, 0, "hello");
    assert_eq!(talk.run().only().text(A), "helloworld");
}

#[test]
fn a_second_hole_does_not_restart_the_count() {
    let mut talk = hole();
    // Packets 5 to 24 open a hole each, and each is acknowledged at once.
    for _ in 0..10 {
        talk.lost(A, 1).data(A, "again").ack(B);
    }
    talk.silent(A, 40);
    let got = talk.run();
    let gaps = got.only().story().into_iter().filter(|line| line.contains('['));
    let want: Vec<String> = (0..11)
        .map(|i| match i {
            0 => "38 A [5]".to_string(),
            _ => format!("{} A [1]", 36 + 2 * i),
        })
        .collect();
    assert_eq!(gaps.collect::<Vec<_>>(), want);
}

#[test]
fn an_acknowledgement_above_the_bytes_seen_waits_for_its_repetition() {
    // 20 is above the 10 that were seen. Its second coming is packet 26, and counts from there.
    let mut talk = hole();
    talk.ack_to(B, 20).silent(A, 20).again(B, 1).silent(A, 31);
    assert_eq!(talk.run().only().first_gap(), Some(END));
    talk.silent(A, 1);
    assert_eq!(talk.run().only().first_gap(), Some(58));
    let mut talk = hole();
    talk.ack_to(B, 20).silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]], "once is not enough");
}

#[test]
fn an_acknowledgement_above_the_bytes_seen_waits_for_the_bytes() {
    let mut talk = hole();
    talk.ack_to(B, 20).silent(A, 20).at(A, 10, "01234567");
    talk.silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld01234567", ""]], "two bytes are not seen");
    let mut talk = hole();
    talk.ack_to(B, 20).silent(A, 20).at(A, 10, "0123456789").silent(A, 31);
    assert_eq!(talk.run().only().first_gap(), Some(END));
    talk.silent(A, 1);
    assert_eq!(talk.run().only().first_gap(), Some(58));
}

#[test]
fn an_acknowledgement_that_waited_is_believed_when_a_higher_one_comes() {
    // 20 is packet 5, 30 packet 6; the count begins there.
    let mut talk = hole();
    talk.ack_to(B, 20).ack_to(B, 30).silent(A, 31);
    assert_eq!(talk.run().only().first_gap(), Some(END));
    talk.silent(A, 1);
    assert_eq!(talk.run().only().first_gap(), Some(38));
    // Also when the higher one came first.
    let mut talk = hole();
    talk.ack_to(B, 30).ack_to(B, 20).silent(A, 32);
    assert_eq!(talk.run().only().first_gap(), Some(38));
}

#[test]
fn acknowledgements_that_rise_prove_every_hole_in_turn() {
    // Nothing of A but "world"; B acknowledges ever more.
    let mut talk = hole();
    for i in 2..200 {
        talk.ack_to(B, 10 * i);
    }
    let got = talk.run();
    assert_eq!(got.only().first_gap(), Some(38));
    assert_eq!(got.only().text(A), "[5]world[1980]");
}

#[test]
fn a_number_far_away_confirms_no_acknowledgement() {
    let mut talk = hole();
    talk.ack_to(B, 20).ack_to(B, 200 << 20).silent(A, 100).at(A, 0, "hello");
    assert_eq!(talk.run().only().text(A), "helloworld");
}

#[test]
fn a_fin_that_comes_after_its_acknowledgement_counts_as_one() {
    // The acknowledgement of the FIN is packet 4, the FIN packet 6.
    let mut talk = Talk::open();
    talk.lost(A, 5).ack_to(B, 11).at(A, 5, "world").fin_at(A, 10).silent(A, 31);
    assert_eq!(talk.run().only().first_gap(), Some(END));
    talk.silent(A, 1);
    assert_eq!(talk.run().only().first_gap(), Some(38));
}

#[test]
fn the_acknowledgement_of_a_fin_is_believed_at_once() {
    let mut talk = Talk::open();
    talk.lost(A, 5).data(A, "world").fin(A).ack(B).silent(A, 32);
    assert_eq!(talk.run().only().first_gap(), Some(38));
}

#[test]
fn a_hole_in_a_one_sided_capture_is_a_gap_after_1024_packets() {
    for (further, when) in [(1023, END), (1024, 1026)] {
        let mut talk = Talk::new();
        talk.syn(A, 1000).at(A, 5, "world").silent(A, further);
        let got = talk.run();
        assert_eq!(got.only().first_gap(), Some(when), "{further} further packets");
    }
    // One packet of the peer, and the count starts again.
    let mut talk = Talk::new();
    talk.syn(A, 1000).at(A, 5, "world").silent(A, 1000).silent(B, 1).silent(A, 1023);
    assert_eq!(talk.run().only().first_gap(), Some(END));
    talk.silent(A, 1);
    assert_eq!(talk.run().only().first_gap(), Some(2027));
}

#[test]
fn a_hole_counts_its_packets_from_its_own_first() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).silent(A, 2000).at(A, 5, "world").at(A, 0, "hello");
    assert_eq!(talk.run().texts(), [["helloworld", ""]]);
}

#[test]
fn a_hole_with_4_mib_behind_it_is_a_gap() {
    let block = [b'x'; 1 << 15];
    for (last, when) in [((1 << 15) - 1, END), (1 << 15, 4 + 127)] {
        let mut talk = Talk::open();
        for i in 0..127 {
            talk.bytes_at(A, 5 + (i << 15), &block);
        }
        talk.bytes_at(A, 5 + (127 << 15), &block[..last]);
        let got = talk.run_once(flow::Config::default());
        assert_eq!(got.only().first_gap(), Some(when), "{last} in the last block");
        assert_eq!(got.limit(Limit::BufferedPerDirection), 0);
    }
}

#[test]
fn a_hole_that_is_never_proved_is_a_gap_at_the_end() {
    let mut talk = hole();
    talk.at(A, 11, "!").data(B, "answer");
    let want = ["6 B answer", "end A [5]", "end A world", "end A [1]", "end A !"].map(String::from);
    assert_eq!(talk.run().only().story(), want);
}

#[test]
fn bytes_missing_before_a_fin_are_a_gap() {
    let mut talk = Talk::open();
    talk.data(A, "hello").lost(A, 7).fin(A);
    assert_eq!(talk.run().texts(), [["hello[7]", ""]]);
    // Also where nothing at all came.
    let mut talk = Talk::open();
    talk.lost(A, 7).fin(A);
    assert_eq!(talk.run().texts(), [["[7]", ""]]);
}

#[test]
fn without_a_fin_an_acknowledgement_seen_twice_proves_missing_bytes() {
    for (ack, times, want) in
        [(12, 2, "hello[7]"), (12, 1, "hello"), (7, 2, "hello[2]"), (6, 2, "hello")]
    {
        let mut talk = Talk::open();
        talk.data(A, "hello").ack_to(B, ack).again(B, times - 1);
        assert_eq!(talk.run().only().text(A), want, "{ack} acknowledged {times} times");
    }
    // The highest counts, and a FIN says more.
    let mut talk = Talk::open();
    talk.data(A, "hello").ack_to(B, 8).again(B, 1).ack_to(B, 12).again(B, 1).ack_to(B, 20);
    assert_eq!(talk.run().only().text(A), "hello[15]");
    // One that is not above the last byte is no witness for one that is.
    let mut talk = Talk::open();
    talk.data(A, "hello").ack_to(B, 5).again(B, 1).ack_to(B, 6).ack_to(B, 20);
    assert_eq!(talk.run().only().text(A), "hello");
    let mut talk = Talk::open();
    talk.data(A, "hello").ack_to(B, 12).again(B, 1).fin_at(A, 8);
    assert_eq!(talk.run().only().text(A), "hello[3]");
}

#[test]
fn the_acknowledgement_of_a_reset_proves_nothing_at_the_end() {
    let mut talk = Talk::open();
    talk.data(A, "hello").raw(B, RST | ACK, 5001, Some(1013), "").repeat().repeat();
    assert_eq!(talk.run().only().text(A), "hello");
}

#[test]
fn at_most_1_gib_is_missing_behind_the_last_byte() {
    let gib = 1 << 30;
    for (ack, want) in [(5 + gib, "hello[1073741824]"), (6 + gib, "hello")] {
        let mut talk = Talk::open();
        talk.data(A, "hello").ack_to(B, ack).again(B, 1);
        assert_eq!(talk.run().only().text(A), want, "{ack} acknowledged");
    }
}

#[test]
fn bytes_that_come_after_their_gap_are_late() {
    let mut talk = hole();
    talk.ack(B).silent(A, 40).at(A, 0, "hellowor").at(A, 2, "llo");
    let got = talk.run();
    assert_eq!(got.texts(), [["[5]world", ""]]);
    assert_eq!((got.only().stats[A].late, got.only().stats[A].missing), (8, 5));
}

#[test]
fn a_segment_more_than_64_mib_ahead_is_set_aside() {
    for (ahead, plausible) in [(64 * MIB, true), (64 * MIB + 1, false)] {
        let mut talk = Talk::open();
        talk.data(A, "hello").at(A, 5 + ahead, "far").silent(A, 2).raw(A, 0, 1006, None, "!");
        let got = talk.run();
        assert_eq!(got.set_aside(Reason::Implausible), u64::from(!plausible), "{ahead} ahead");
        assert_eq!(got.only().text(A).contains("far"), plausible);
    }
}

#[test]
fn a_segment_far_ahead_is_confirmed_by_a_following_one() {
    let mut talk = Talk::open();
    talk.data(A, "hello").at(A, 100 * MIB, "far").repeat().data(A, " away");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello[104857595]far away", ""]]);
    assert_eq!(got.set_aside(Reason::Implausible), 0);
    // It does not confirm itself.
    let mut talk = Talk::open();
    talk.data(A, "hello").at(A, 100 * MIB, "far").repeat().repeat();
    assert_eq!(talk.run().set_aside(Reason::Implausible), 3);
}

#[test]
fn of_segments_far_ahead_the_first_captured_counts_too() {
    let mut talk = Talk::open();
    talk.data(A, "hello").at(A, 100 * MIB, "far").at(A, 100 * MIB + 1, "XYZ");
    assert_eq!(talk.run().texts(), [["hello[104857595]farZ", ""]]);
}

#[test]
fn a_segment_far_ahead_is_plausible_where_its_bytes_were_acknowledged() {
    let mut talk = Talk::open();
    talk.data(A, "hello").ack_to(B, 100 * MIB).again(B, 1).at(A, 100 * MIB, "far");
    assert_eq!(talk.run().texts(), [["hello[104857595]far", ""]]);
}

#[test]
fn a_segment_far_ahead_is_confirmed_by_an_acknowledgement_that_follows() {
    let mut talk = Talk::open();
    talk.data(A, "hello").at(A, 100 * MIB, "far").ack(B).again(B, 1);
    let got = talk.run();
    assert_eq!(got.texts(), [["hello[104857595]far", ""]]);
    assert_eq!(got.set_aside(Reason::Implausible), 0);
}

#[test]
fn forged_acknowledgements_far_ahead_prove_no_later_hole() {
    let mut talk = Talk::open();
    talk.data(A, "hello").ack_to(B, 900 * MIB).again(B, 1).silent(B, 40);
    // Two segments that changed places.
    talk.at(A, 7, "cd").at(A, 5, "ab");
    let got = talk.run();
    assert!(got.only().text(A).starts_with("helloabcd"), "{}", got.only().text(A));
}

#[test]
fn a_fin_more_than_64_mib_ahead_is_none() {
    let mut talk = Talk::open();
    talk.data(A, "hello").fin_at(A, 100 * MIB);
    assert_eq!(talk.run().only().text(A), "hello");
}

#[test]
fn a_snapped_segment_is_a_hole_that_a_repetition_fills() {
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(2).data(A, " world");
    assert_eq!(talk.run().texts(), [["hel[2] world", ""]]);
    talk.at(A, 0, "hello");
    assert_eq!(talk.run().only().story(), ["4 A hel", "6 A lo", "6 A  world"]);
}

#[test]
fn what_the_snap_length_cut_at_the_end_is_missing() {
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(2).data(B, "world").cut(5);
    let got = talk.run();
    assert_eq!(got.texts(), [["hel[2]", "[5]"]]);
    // A reset, after which little is remembered, changes nothing.
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(2).rst(B, "").silent(A, 1);
    assert_eq!(talk.run().texts(), [["hel[2]", ""]]);
    // A FIN behind it says the same; without bytes after it, the cut is all that is known.
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(2).fin(A).ack(B);
    assert_eq!(talk.run().texts(), [["hel[2]", ""]]);
}

#[test]
fn a_packet_cut_inside_a_header_is_set_aside() {
    let mut talk = Talk::open();
    talk.data(A, "hello").cut(6);
    let got = talk.run();
    assert_eq!(got.set_aside(Reason::Truncated), 1);
    assert_eq!(got.only().stats[A].packets, 2);
}

#[test]
fn a_fin_in_a_snapped_segment_stands_behind_the_bytes_that_were_cut() {
    let mut talk = Talk::open();
    talk.raw(A, FIN, 1001, Some(5001), "hello").cut(2);
    assert_eq!(talk.run().texts(), [["hel[2]", ""]]);
}
