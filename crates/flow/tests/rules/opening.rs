//! Rule 2, who the initiator is, and rule 3, which SYN opens a connection.

use crate::common::{A, B, FIN, Numbers, RST, SYN, Talk};
use flow::{Began, Ended};

const MIB: u32 = 1 << 20;

#[test]
fn a_small_conversation() {
    let mut talk = Talk::open();
    talk.data(A, "GET /").ack(B).data(B, "200 OK").ack(A);
    talk.fin(A).ack(B).fin(B).ack(A);
    let got = talk.run();
    let got = got.only();
    assert_eq!(got.story(), ["4 A GET /", "6 B 200 OK", "10 settled"]);
    assert_eq!((got.began, got.ended), (Began::Syn, Ended::Fin));
    assert_eq!((got.a_opened, got.first, got.last), (true, 1, 11));
    assert_eq!([got.stats[A].packets, got.stats[B].packets], [6, 5]);
}

#[test]
fn the_receiver_of_a_syn_ack_is_side_0() {
    let got = Talk::new().syn_ack(B, 5000).data(B, "220 ready").run();
    assert!(got.only().a_opened);
    assert_eq!(got.only().began, Began::Syn);
}

#[test]
fn without_a_syn_the_first_sender_is_side_0() {
    let got = Talk::new().data(B, "banner").data(A, "hello").run();
    assert!(!got.only().a_opened);
    assert_eq!(got.only().began, Began::MidStream);
}

#[test]
fn a_late_syn_revises_the_sides_before_anything_went_out() {
    let got = Talk::new().data(B, "answer").data(A, "question").syn(A, 1000).run();
    let got = got.only();
    assert!(got.a_opened);
    assert_eq!((got.text(A), got.text(B)), ("question".to_string(), "answer".to_string()));
    assert_eq!(got.began, Began::Syn);
}

#[test]
fn a_late_syn_does_not_revise_the_sides_of_what_went_out() {
    let mut talk = Talk::new();
    talk.data(B, "answer").data(A, "question").again(B, 40).syn(A, 1000);
    let got = talk.data(A, " again").run();
    assert!(!got.only().a_opened);
    assert_eq!(got.texts(), [["question again", "answer"]]);
}

#[test]
fn only_the_first_syn_says_who_opens() {
    // Both open at once: A was first.
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn(B, 5000).syn_ack(A, 1000).syn_ack(B, 5000);
    let got = talk.data(B, "b").data(A, "a").run();
    assert!(got.only().a_opened);
    assert_eq!(got.texts(), [["a", "b"]]);
}

#[test]
fn a_repeated_syn_is_the_same_connection() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).repeat().syn_ack(B, 5000).repeat().ack(A).data(A, "hello");
    let got = talk.syn(A, 1000).at(A, 0, "hello").data(A, "!").run();
    assert_eq!(got.texts(), [["hello!", ""]]);
    assert_eq!(got.only().stats[A].retransmitted, 1);
}

#[test]
fn a_repeated_syn_cancels_closing_after_a_reset() {
    // As in rtsp.pcap, where the connection goes on. Data 2 MiB ahead is no new one then.
    let mut talk = Talk::open();
    talk.data(A, "x").rst(B, "").syn(A, 1000).syn_ack(B, 5000);
    let got = talk.at(A, 2 * MIB, "y").run();
    assert_eq!(got.texts(), [["x[2097151]y", ""]]);
    assert_eq!(got.only().ended, Ended::InputEnded);
}

#[test]
fn a_repeated_syn_after_both_fins_is_the_same_connection() {
    let mut talk = Talk::open();
    talk.fin(A).fin(B).ack(A).syn(A, 1000);
    let got = talk.syn_ack(B, 5000).run();
    assert_eq!(got.only().story(), ["5 settled"]);
}

#[test]
fn both_ends_may_open_at_once() {
    // A segment of A may acknowledge something before B's SYN is captured.
    for (ack, joins) in [(5001, true), (5001 + MIB, true), (5002 + MIB, false), (5000, false)] {
        let mut talk = Talk::new();
        talk.syn(A, 1000).raw(A, 0, 1001, Some(ack), "a").syn(B, 5000);
        let got = talk.run();
        assert_eq!(got.connections.len(), if joins { 1 } else { 2 }, "acknowledged {ack}");
    }
}

#[test]
fn a_late_syn_belongs_to_what_follows_it_within_1_mib() {
    for (offset, joins) in [(0, true), (MIB, true), (MIB + 1, false)] {
        let mut talk = Talk::new();
        talk.at(A, offset, "held").syn(A, 1000);
        let got = talk.run();
        assert_eq!(got.connections.len(), if joins { 1 } else { 2 }, "{offset} ahead");
        if joins && offset > 0 {
            assert_eq!(got.only().text(A), format!("[{offset}]held"));
        }
    }
    // A SYN whose first byte would stand above data that is held is of another connection.
    let got = Talk::new().at(A, 0, "held").syn(A, 1001).run();
    assert_eq!(got.connections.len(), 2);
}

#[test]
fn a_late_syn_does_not_move_offset_0() {
    let mut talk = Talk::new();
    talk.silent(A, 1).raw(A, 0, 1501, None, "mid").silent(B, 40).syn(A, 1000);
    let got = talk.at(A, 490, "0123456789").at(A, 503, "dle").run();
    assert_eq!(got.texts(), [["middle", ""]]);
    assert_eq!(got.only().stats[A].before_start, 10);
}

#[test]
fn data_comes_before_its_syn() {
    let mut talk = Talk::new();
    talk.at(A, 3, "def").at(A, 0, "abc").syn(A, 1000);
    let got = talk.run();
    assert_eq!(got.only().story(), ["3 A abc", "3 A def"]);
}

#[test]
fn another_syn_opens_another_connection_and_stragglers_find_theirs() {
    let mut talk = Talk::open();
    talk.data(A, "old ").ack(B).lost(A, 4).data(A, "question").data(B, "old answer");
    let old = talk.switch(Numbers::new([900_000, 800_000]));
    talk.syn(A, 900_000).syn_ack(B, 800_000).ack(A).data(A, "new ").data(B, "new answer");
    // The old connection's hole is filled after the new one began, and its FIN comes.
    let new = talk.switch(old);
    talk.at(A, 4, "long").fin(A).data(B, ", and more").fin(B);
    talk.switch(new);
    let got = talk.data(A, "question").run();
    let want = [["old longquestion", "old answer, and more"], ["new question", "new answer"]];
    assert_eq!(got.texts(), want);
    assert_eq!(got.connections[0].ended, Ended::Fin);
}

#[test]
fn the_acknowledgement_number_tells_connections_apart_too() {
    // Both connections know A's numbers around 1006; B's differ.
    let mut talk = Talk::open();
    talk.data(A, "0123456789").data(B, "old").syn(A, 1005).syn_ack(B, 800_000);
    talk.raw(A, 0, 1006, Some(800_001), "new").raw(A, 0, 1006, Some(5004), "56789!");
    assert_eq!(talk.run().texts(), [["0123456789!", "old"], ["new", ""]]);
}

#[test]
fn what_is_as_near_to_both_goes_to_the_newest() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn_ack(B, 5000).ack(A).data(A, "0123456789").syn(A, 1005);
    let got = talk.raw(A, 0, 1006, None, "new").run();
    assert_eq!(got.texts(), [["0123456789", ""], ["new", ""]]);
}

#[test]
fn an_unknown_side_is_64_kib_away() {
    // B is unknown to the newer connection. A RST is judged by its sequence number alone.
    for (distance, old) in [(0xffff, true), (0x1_0000, false)] {
        let mut talk = Talk::open();
        talk.data(B, "x").ack(A).syn(A, 900_000);
        let got = talk.raw(B, RST, 5002 + distance, Some(900_001), "").run();
        let resets = got.connections.iter().map(|c| c.ended == Ended::Rst);
        assert_eq!(resets.collect::<Vec<_>>(), [old, !old], "{distance} away");
    }
}

#[test]
fn a_reset_is_judged_by_its_sequence_number_alone() {
    let mut talk = Talk::open();
    talk.data(A, "x").syn(A, 900_000).syn_ack(B, 800_000).ack(A);
    // The acknowledgement number would send it to the newer one.
    let got = talk.raw(A, RST, 1002, Some(800_001), "").run();
    assert_eq!(
        got.connections.iter().map(|c| c.ended).collect::<Vec<_>>(),
        [Ended::Rst, Ended::InputEnded]
    );
}

#[test]
fn acknowledged_and_held_bytes_and_fins_count_as_seen() {
    // 100 000 bytes of the old A were lost but acknowledged, so that a segment behind them is nearer to
    // the old connection than to the new one, which starts 60 000 above its bytes.
    let mut talk = Talk::open();
    talk.lost(A, 100_000).ack(B).again(B, 1).syn(A, 161_001).syn_ack(B, 5000).ack(A);
    let got = talk.raw(A, 0, 101_001, Some(5001), "old").run();
    assert_eq!(got.texts()[0][A], "[100000]old");
    // The same with bytes that are held.
    let mut talk = Talk::open();
    talk.lost(A, 100_000).data(A, "x").syn(A, 161_001).syn_ack(B, 5000).ack(A);
    let got = talk.raw(A, 0, 101_002, Some(5001), "old").run();
    assert_eq!(got.texts()[0][A], "[100000]xold");
    // The same with a FIN that was captured behind lost bytes.
    let mut talk = Talk::open();
    talk.lost(A, 100_000).fin(A).syn(A, 161_001).syn_ack(B, 5000).ack(A);
    let got = talk.raw(A, 0, 100_998, Some(5001), "old").run();
    assert_eq!(got.texts()[0][A], "[99997]old");
}

#[test]
fn another_syn_ack_replaces_one_of_which_nothing_was_delivered() {
    // As in tls_multiple_synack_different_seq.pcapng.
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn_ack(B, 5000).at(B, 5, "bogus");
    talk.syn_ack(B, 70_000).ack(A).data(B, "hello").data(A, "hi");
    let got = talk.run();
    assert_eq!(got.texts(), [["hi", "hello"]]);
    assert_eq!(got.only().stats[B].before_start, 5);
    // What was held belonged to the first, also where it stands above the second.
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn_ack(B, 70_000).at(B, 5, "bogus").syn_ack(B, 5000).data(B, "hello");
    assert_eq!(talk.run().texts(), [["", "hello"]]);
}

#[test]
fn another_syn_ack_after_delivery_is_of_another_connection() {
    let mut talk = Talk::open();
    talk.data(B, "hello").raw(B, SYN, 70_000, Some(1001), "").raw(B, 0, 70_001, Some(1001), "new");
    assert_eq!(talk.run().texts(), [["", "hello"], ["", "new"]]);
}

#[test]
fn a_syn_drops_a_fin_from_below_it() {
    // A FIN left over from an earlier connection, then data, then the SYN. The real FIN shows five
    // bytes missing.
    let mut talk = Talk::new();
    talk.raw(A, FIN, 900, None, "").data(A, "data").syn(A, 1000).lost(A, 5).fin(A);
    assert_eq!(talk.run().texts(), [["data[5]", ""]]);
}

#[test]
fn a_syn_ack_drops_a_fin_from_below_the_syn_it_answers() {
    let mut talk = Talk::new();
    talk.raw(A, FIN, 900, None, "").data(A, "data").raw(B, SYN, 5000, Some(1001), "");
    talk.lost(A, 5).fin(A);
    assert_eq!(talk.run().texts(), [["data[5]", ""]]);
}

#[test]
fn a_syn_ack_for_an_older_connection_counts_for_nothing() {
    let mut talk = Talk::open();
    talk.data(A, "old").syn(A, 900_000).syn_ack(B, 800_000).ack(A).data(B, "new");
    // It answers the old SYN, with a third number of B.
    let got = talk.raw(B, SYN, 700_000, Some(1001), "junk").data(B, "!").run();
    assert_eq!(got.texts(), [["old", ""], ["", "new!"]]);
    assert_eq!([0, 1].map(|i| got.connections[i].stats[B].packets), [2, 3]);
}

#[test]
fn a_syn_ack_for_no_known_syn_opens_a_connection_whose_syn_comes_later() {
    let mut talk = Talk::open();
    talk.data(A, "old").raw(B, SYN, 800_000, Some(900_001), "").syn(A, 900_000);
    talk.raw(A, 0, 900_001, Some(800_001), "new");
    let got = talk.run();
    assert_eq!(got.texts(), [["old", ""], ["new", ""]]);
    assert!(got.connections[1].a_opened);
    assert_eq!(got.connections[1].first, 5, "the SYN-ACK opened it");
}

#[test]
fn a_syn_ack_for_no_known_syn_before_the_handshake_is_done_is_ignored() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).raw(B, SYN, 800_000, Some(900_001), "junk");
    let got = talk.syn_ack(B, 5000).ack(A).data(A, "a").data(B, "b").run();
    assert_eq!(got.texts(), [["a", "b"]]);
}

#[test]
fn a_syn_ack_for_no_known_syn_from_an_end_that_opens_itself_is_ignored() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn(B, 5000).syn_ack(A, 1000).data(A, "a");
    let got = talk.raw(B, SYN, 5000 + 7, Some(900_001), "junk").data(B, "b").run();
    assert_eq!(got.texts(), [["a", "b"]]);
}

#[test]
fn a_syn_ack_may_acknowledge_the_data_in_the_syn_or_none_of_it() {
    for ack in [1001, 1003, 1006] {
        let mut talk = Talk::new();
        talk.syn_with(A, 1000, "hello").raw(B, SYN, 5000, Some(ack), "").data(B, "b");
        let got = talk.data(A, "!").run();
        assert_eq!(got.texts(), [["hello!", "b"]], "acknowledged {ack}");
    }
}

#[test]
fn a_missed_syn_is_inferred_from_its_answer() {
    let mut talk = Talk::new();
    talk.syn_ack(B, 5000).data(A, "at once").lost(A, 3).data(A, "later").fin(A);
    let got = talk.run();
    assert_eq!(got.only().story(), ["2 A at once", "end A [3]", "end A later"]);
}

#[test]
fn an_inferred_syn_is_corrected_by_the_syn_itself() {
    // TCP Fast Open: the answer acknowledges the data in the SYN, and is captured before it.
    let mut talk = Talk::new();
    talk.raw(B, SYN, 5000, Some(1006), "").syn_with(A, 1000, "hello").data(A, "!");
    let got = talk.run();
    assert_eq!(got.texts(), [["hello!", ""]]);
    assert_eq!(got.only().stats[A].before_start, 0);
    // What is held meanwhile is of the same stream.
    let mut talk = Talk::new();
    talk.raw(B, SYN, 5000, Some(1006), "").raw(A, 0, 1008, Some(5001), "more");
    let got = talk.syn_with(A, 1000, "hello").at(A, 5, "!!").run();
    assert_eq!(got.texts(), [["hello!!more", ""]]);
}

#[test]
fn a_connection_is_looked_up_by_its_whole_key() {
    let mut talk = Talk::new();
    for port in 1000..1200 {
        talk.port(port).data(A, &format!("{port}"));
    }
    let got = talk.run();
    assert_eq!(got.connections.len(), 200);
    assert!(got.connections.iter().zip(1000..).all(|(c, port)| c.text(A) == format!("{port}")));
}

#[test]
fn an_isn_drops_a_fin_below_it() {
    // A FIN of an earlier connection comes between SYN and SYN-ACK.
    let mut talk = Talk::new();
    talk.raw(A, SYN, 1000, None, "").raw(B, FIN, 4000, Some(1001), "");
    talk.raw(B, SYN, 5000, Some(1001), "").raw(A, FIN, 1001, Some(5001), "hi");
    let got = talk.run();
    assert_eq!(got.texts(), [["hi", ""]]);
    assert_eq!(got.only().ended, Ended::InputEnded, "B did not end it");
    // The same where the SYN-ACK tells where the other end began.
    let mut talk = Talk::new();
    talk.raw(A, FIN, 900, Some(5001), "").raw(B, SYN, 5000, Some(1001), "");
    talk.raw(B, FIN, 5001, Some(1001), "hello");
    let got = talk.run();
    assert_eq!(got.texts(), [["", "hello"]]);
    assert_eq!(got.only().ended, Ended::InputEnded, "A did not end it");
}
