//! Recordings played in memory: what each side does, and what is said when the peer does something else.

use crate::table::{Did, Table, recording};
use flow::Side::{One, Zero};
use replay::{Ending, Fill, Finish, HalfClose, Pace, PeerEnd, Rules, Transport, Unlike, Waiting};
use std::time::Duration;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn each_side_waits_for_the_other() {
    let telnet =
        recording(Transport::Tcp, &[(One, 0, b"$ "), (Zero, 5, b"ls\n"), (One, 6, b"a\n$ ")]);
    let mut server = Table::of(&telnet, One);
    assert_eq!(server.does(secs(0)), [Did::Said(b"$ ".into())]);
    assert_eq!(server.hears(b"l", secs(1)), []);
    // As late after the answer as it was in the recording.
    assert_eq!(server.hears(b"s\n", secs(2)), []);
    assert_eq!(server.does(secs(3)), [Did::Said(b"a\n$ ".into()), Did::Fin]);
    server.closes(secs(3));
    assert_eq!(server.ended().ending, Ending::Done);

    let mut client = Table::of(&telnet, Zero);
    assert_eq!(client.does(secs(100)), []);
}

#[test]
fn a_push_comes_unasked_at_its_time() {
    let ticks =
        recording(Transport::Tcp, &[(One, 1, b"tick"), (One, 3, b"tick"), (One, 6, b"tick")]);
    let mut server = Table::of(&ticks, One);
    assert_eq!(server.does(secs(0)), []);
    assert_eq!(server.does(secs(1)), [Did::Said(b"tick".into())]);
    assert_eq!(server.does(secs(2)), []);
    assert_eq!(server.does(secs(3)), [Did::Said(b"tick".into())]);
    assert_eq!(server.does(secs(6)), [Did::Said(b"tick".into()), Did::Fin]);
    // A push may come later than any timeout.
    let late = recording(Transport::Tcp, &[(One, 500, b"tick"), (One, 1000, b"tick")]);
    let mut server = Table::of(&late, One);
    assert_eq!(server.does(secs(499)), []);
    assert_eq!(server.does(secs(500)), [Did::Said(b"tick".into())]);
    assert_eq!(server.does(secs(1000)), [Did::Said(b"tick".into()), Did::Fin]);
    let twice = Pace { speed: Some(2.0), ..Pace::default() };
    let mut server = Table::with(&ticks, One, Rules::default(), twice);
    assert_eq!(server.does(Duration::from_millis(500)), [Did::Said(b"tick".into())]);
    let at_once = Pace { speed: None, ..Pace::default() };
    let mut server = Table::with(&ticks, One, Rules::default(), at_once);
    assert_eq!(server.does(secs(0)).len(), 4);
}

#[test]
fn merged_turns_are_told_apart_by_their_length() {
    let lines = recording(
        Transport::Tcp,
        &[(Zero, 0, b"a\n"), (One, 0, b"1"), (Zero, 0, b"b\n"), (One, 0, b"2")],
    );
    let mut server = Table::of(&lines, One);
    assert_eq!(
        server.hears(b"a\nb\n", secs(0)),
        [Did::Said(b"1".into()), Did::Said(b"2".into()), Did::Fin]
    );
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn other_bytes_diverge_where_bytes_are_asked_for() {
    let exit =
        recording(Transport::Tcp, &[(Zero, 0, b"ls\n"), (One, 0, b"a"), (Zero, 0, b"exit\n")]);
    let mut server = Table::with(&exit, One, Table::rules("bytes", ""), Pace::default());
    server.hears(b"ls\nexat\n", secs(0));
    let Ending::Diverged(divergence) = server.ended().ending else { panic!("it is another one") };
    let (at, difference) = (divergence.at, divergence.difference);
    assert_eq!((at.side, at.turn, at.offset), (Zero, 3, 5));
    assert_eq!(difference.unlike, Unlike::Bytes);
    assert_eq!((&*difference.before, &*difference.expected), (&b"ex"[..], &b"it\n"[..]));
    assert_eq!(difference.received, b"at\n");

    let mut server = Table::of(&exit, One);
    server.hears(b"ls\nexat\n", secs(0));
    server.closes(secs(0));
    let outcome = server.ended();
    assert_eq!((outcome.ending, outcome.differs), (Ending::Done, Some(5)));
}

#[test]
fn more_than_was_recorded_diverges() {
    let short = recording(Transport::Tcp, &[(Zero, 0, b"ls\n"), (One, 0, b"a")]);
    let mut server = Table::of(&short, One);
    server.hears(b"ls\nmore", secs(0));
    let Ending::Diverged(divergence) = server.ended().ending else { panic!("it said more") };
    assert_eq!((divergence.at.offset, divergence.difference.unlike), (3, Unlike::Surplus));
    assert_eq!(divergence.difference.received, b"more");
}

#[test]
fn silence_is_given_up_after_the_recorded_time_and_the_timeout() {
    let slow = recording(Transport::Tcp, &[(Zero, 10, b"abc"), (One, 11, b"x")]);
    let mut server = Table::of(&slow, One);
    server.hears(b"ab", secs(1));
    assert_eq!(server.does(secs(39)), []);
    server.does(secs(40));
    let Ending::TimedOut(standstill) = server.ended().ending else { panic!("it was silent") };
    assert_eq!((standstill.at.turn, standstill.at.offset), (1, 2));
    assert_eq!(standstill.waiting, Waiting::Turn { come: 2, of: 3 });
}

#[test]
fn who_leaves_early_is_told() {
    let slow = recording(Transport::Tcp, &[(Zero, 0, b"abc"), (One, 0, b"x")]);
    let mut server = Table::of(&slow, One);
    server.hears(b"ab", secs(0));
    server.closes(secs(0));
    assert!(matches!(server.ended().ending, Ending::PeerClosed { reset: false, .. }));
    let mut server = Table::of(&slow, One);
    server.hears(b"abc", secs(0));
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done, "it has only ended its direction");
}

#[test]
fn parts_that_differ_are_ignored_where_told() {
    let session = recording(
        Transport::Tcp,
        &[(Zero, 0, b"GET / id=7; Date: Mon\r\n"), (One, 0, b"ok"), (Zero, 0, b"bye")],
    );
    let rules = Table::rules("bytes", "ignore id=[0-9]+\nignore Date: [^\\r]*");
    for pieces in [vec![25], vec![1; 60], vec![7, 2, 3, 1, 9, 20]] {
        let mut server = Table::with(&session, One, rules.clone(), Pace::default());
        let all = b"GET / id=12345; Date: Tuesday\r\nbye";
        let mut rest = &all[..];
        for piece in pieces {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            server.hears(now, secs(0));
            rest = later;
        }
        server.hears(rest, secs(0));
        server.closes(secs(0));
        assert_eq!(server.ended().ending, Ending::Done);
    }
    let mut server = Table::with(&session, One, rules.clone(), Pace::default());
    server.hears(b"GET / id=x", secs(0));
    let Ending::Diverged(divergence) = server.ended().ending else { panic!("x is no number") };
    assert_eq!(divergence.difference.unlike, Unlike::Pattern("id=[0-9]+".into()));
    assert_eq!(divergence.at.offset, 6);

    let rules = Table::rules("bytes", "mask 9:1\nmask turn:0:1");
    let mut server = Table::with(&session, One, rules, Pace::default());
    server.hears(b"SET / id=9; Date: Mon\r\nxye", secs(0));
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn one_byte_after_a_pattern_is_enough() {
    let lines = recording(Transport::Tcp, &[(Zero, 0, b"id 123\n"), (One, 0, b"ok")]);
    for pattern in ["[0-9]+", "[0-9]{3}", "id .*"] {
        let rules = Table::rules("bytes", &format!("ignore {pattern}"));
        let mut server = Table::with(&lines, One, rules.clone(), Pace::default());
        assert_eq!(server.hears(b"id 456", secs(0)), [], "{pattern}");
        assert_eq!(server.hears(b"\n", secs(0)), [Did::Said(b"ok".into()), Did::Fin], "{pattern}");
        let datagrams = recording(Transport::Udp, &[(Zero, 0, b"id 123\n"), (One, 0, b"ok")]);
        let mut server = Table::with(&datagrams, One, rules, Pace::default());
        assert_eq!(server.hears(b"id 456\n", secs(0)), [Did::Said(b"ok".into())], "{pattern}");
    }
    let rules = Table::rules("bytes", "ignore [0-9]*");
    let ends = recording(Transport::Tcp, &[(Zero, 0, b"ab12"), (One, 0, b"ok")]);
    let mut server = Table::with(&ends, One, rules, Pace::default());
    assert_eq!(server.hears(b"ab", secs(0)), []);
    assert_eq!(server.does(secs(1)), [Did::Said(b"ok".into()), Did::Fin], "nothing matches too");
}

#[test]
fn who_never_pauses_is_timed_out_too() {
    let chat = recording(Transport::Tcp, &[(Zero, 0, b"hello"), (One, 0, b"1")]);
    let mut server = Table::with(&chat, One, Table::rules("any", ""), Pace::default());
    for n in 0..299 {
        assert_eq!(server.hears(b"x", Duration::from_millis(100 * n + 99 * (n % 2))), []);
    }
    server.hears(b"x", secs(30));
    assert!(matches!(server.ended().ending, Ending::TimedOut(_)));
}

#[test]
fn each_datagram_is_one_turn_where_anything_is() {
    let dns = recording(
        Transport::Udp,
        &[(Zero, 0, b"Q1"), (One, 0, b"A1"), (Zero, 0, b"Q2"), (One, 0, b"A2")],
    );
    let mut server = Table::with(&dns, One, Table::rules("any", ""), Pace::default());
    assert_eq!(server.hears(b"Q1", secs(0)), [Did::Said(b"A1".into())]);
    assert_eq!(server.does(secs(1)), []);
    assert_eq!(server.hears(b"Q2", secs(2)), [Did::Said(b"A2".into())]);
}

#[test]
fn a_question_that_is_asked_again_is_no_other_turn() {
    let slow = recording(
        Transport::Udp,
        &[(Zero, 0, b"Q"), (One, 3, b"A"), (Zero, 3, b"another"), (One, 3, b"B")],
    );
    let mut server = Table::of(&slow, One);
    assert_eq!(server.hears(b"Q", secs(0)), []);
    assert_eq!(server.hears(b"Q", secs(1)), [], "it is not what is awaited next");
    assert_eq!(server.does(secs(3)), [Did::Said(b"A".into())]);
    assert_eq!(server.hears(b"another", secs(4)), [Did::Said(b"B".into())]);
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn a_question_that_is_asked_again_says_nothing_for_another() {
    let dns = recording(
        Transport::Udp,
        &[(Zero, 0, b"12q"), (Zero, 0, b"34r"), (One, 0, b"34b"), (One, 0, b"12a")],
    );
    let mut server = Table::with(&dns, One, Table::rules("bytes", "echo 0:2"), Pace::default());
    assert_eq!(server.hears(b"ABq", secs(0)), []);
    assert_eq!(server.hears(b"ABq", secs(0)), [], "again");
    let said = server.hears(b"CDr", secs(0));
    assert_eq!(said, [Did::Said(b"CDb".into()), Did::Said(b"ABa".into())]);
}

#[test]
fn what_one_packet_brought_is_said_as_one() {
    let login =
        recording(Transport::Tcp, &[(One, 0, b"sid=abc\n"), (Zero, 0, b"get / sid=abc please\n")]);
    let rules = Table::rules("bytes", "carry sid=([a-z0-9]+)");
    let mut client = Table::with(&login, Zero, rules, Pace::default());
    let said = client.hears(b"sid=12345\n", secs(0));
    assert_eq!(said, [Did::Said(b"get / sid=12345 please\n".into()), Did::Fin]);
}

#[test]
fn an_empty_datagram_is_one() {
    let recorded = recording(Transport::Udp, &[(Zero, 0, b""), (One, 0, b"A")]);
    let mut server = Table::of(&recorded, One);
    assert_eq!(server.does(secs(0)), [], "it has not come");
    assert_eq!(server.hears(b"", secs(0)), [Did::Said(b"A".into())]);
}

#[test]
fn offsets_count_what_is_left_out() {
    let mut gaps = recording(Transport::Tcp, &[(Zero, 0, b"aaaa")]);
    gaps.push_gap(Zero, 0, 100, false);
    gaps.push_data(Zero, 0, b"bbbb");
    let mut server = Table::filled(&gaps, One, Table::rules("bytes", ""), Fill::Skip);
    server.hears(b"aaaabbXX", secs(0));
    let Ending::Diverged(divergence) = server.ended().ending else { panic!("XX is another one") };
    assert_eq!(divergence.at.offset, 106);
}

#[test]
fn bytes_that_come_back_may_differ_untold() {
    let dns = recording(Transport::Udp, &[(Zero, 0, b"12query"), (One, 0, b"12answer")]);
    let mut server = Table::with(&dns, One, Table::rules("length", "echo 0:2"), Pace::default());
    assert_eq!(server.hears(b"ABquery", secs(0)), [Did::Said(b"ABanswer".into())]);
    assert_eq!(server.ended().differs, None);
}

#[test]
fn more_than_was_recorded_is_told_at_once_where_bytes_are_compared() {
    let mut late = recording(Transport::Tcp, &[(Zero, 0, b"ls\n"), (One, 1, b"a")]);
    late.push_data(One, 100_000_000_000, b"much later");
    let mut server = Table::with(&late, One, Table::rules("bytes", ""), Pace::default());
    server.hears(b"ls\nmore", secs(0));
    assert!(matches!(server.ended().ending, Ending::Diverged(_)));
}

#[test]
fn a_pattern_at_the_end_of_a_turn_ends_with_silence() {
    let session = recording(Transport::Tcp, &[(Zero, 0, b"id 7"), (One, 0, b"ok")]);
    let rules = Table::rules("bytes", "ignore [0-9]+");
    let mut server = Table::with(&session, One, rules, Pace::default());
    assert_eq!(server.hears(b"id 1", secs(0)), []);
    assert_eq!(server.hears(b"2", Duration::from_millis(50)), []);
    assert_eq!(server.does(Duration::from_millis(149)), []);
    assert_eq!(server.does(Duration::from_millis(150)), [Did::Said(b"ok".into()), Did::Fin]);
}

#[test]
fn ends_of_turns_are_counted() {
    let smtp = recording(
        Transport::Tcp,
        &[
            (Zero, 0, b"HELO a\r\nMAIL b\r\n"),
            (One, 0, b"1"),
            (Zero, 0, b"QUIT\r\n"),
            (One, 0, b"2"),
        ],
    );
    let rules = Table::rules(r"regex:\r\n", "");
    let mut server = Table::with(&smtp, One, rules, Pace::default());
    assert_eq!(server.hears(b"HELO somebody else\r\nMAIL\r", secs(0)), []);
    assert_eq!(server.hears(b"\nQU", secs(0)), [Did::Said(b"1".into())]);
    assert_eq!(server.hears(b"IT now\r\n", secs(0)), [Did::Said(b"2".into()), Did::Fin]);
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn what_follows_the_last_end_of_a_turn_belongs_to_it() {
    let login = recording(
        Transport::Tcp,
        &[
            (One, 0, b"Welcome\nlogin: "),
            (Zero, 0, b"me\n"),
            (One, 0, b"password: "),
            (Zero, 0, b"x\n"),
        ],
    );
    let rules = Table::rules(r"regex:\n", "");
    let mut client = Table::with(&login, Zero, rules, Pace::default());
    assert_eq!(client.hears(b"Hello, who are you?\nlogin", secs(0)), []);
    assert_eq!(client.hears(b": ", secs(0)), [Did::Said(b"me\n".into())]);
    assert_eq!(client.hears(b"passphrase", secs(0)), [Did::Said(b"x\n".into()), Did::Fin]);
}

#[test]
fn anything_is_a_turn_when_it_is_followed_by_silence() {
    let chat = recording(
        Transport::Tcp,
        &[(Zero, 0, b"hello"), (One, 0, b"1"), (Zero, 0, b"x"), (One, 0, b"2")],
    );
    let mut server = Table::with(&chat, One, Table::rules("any", ""), Pace::default());
    assert_eq!(server.hears(b"h", secs(0)), []);
    assert_eq!(server.hears(b"i there, you", Duration::from_millis(60)), []);
    assert_eq!(server.does(Duration::from_millis(160)), [Did::Said(b"1".into())]);
    assert_eq!(server.hears(b"yes", secs(1)), []);
    assert_eq!(server.does(secs(2)), [Did::Said(b"2".into()), Did::Fin]);
    server.closes(secs(2));
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn nothing_is_waited_for_where_told() {
    let chat = recording(
        Transport::Tcp,
        &[(Zero, 1, b"hello"), (One, 2, b"1"), (Zero, 3, b"x"), (One, 5, b"2")],
    );
    let mut server = Table::with(&chat, One, Table::rules("none", ""), Pace::default());
    assert_eq!(server.does(secs(1)), []);
    assert_eq!(server.does(secs(2)), [Did::Said(b"1".into())]);
    assert_eq!(server.does(secs(5)), [Did::Said(b"2".into()), Did::Fin]);
    server.does(secs(7));
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn what_the_peer_said_comes_back_in_ours() {
    let dns = recording(
        Transport::Udp,
        &[
            (Zero, 0, b"\x12\x34query a"),
            (Zero, 0, b"\x56\x78query b"),
            (One, 0, b"\x56\x78b is"),
            (One, 0, b"\x12\x34a is"),
        ],
    );
    let rules = Table::rules("bytes", "echo 0:2");
    let mut server = Table::with(&dns, One, rules, Pace::default());
    assert_eq!(server.hears(b"AAquery a", secs(0)), []);
    let said = server.hears(b"BBquery b", secs(0));
    assert_eq!(said, [Did::Said(b"BBb is".into()), Did::Said(b"AAa is".into())]);
    assert_eq!(server.ended().ending, Ending::Done);
}

#[test]
fn a_session_id_is_carried_into_what_we_say() {
    let login = recording(
        Transport::Tcp,
        &[
            (Zero, 0, b"login me\n"),
            (One, 0, b"sid=abc; n=1\n"),
            (Zero, 0, b"get / sid=abc sid=abc\n"),
            (One, 0, b"sid=defg; ok\n"),
            (Zero, 0, b"bye defg, once abc"),
        ],
    );
    for wait in ["bytes", "any", r"regex:\n"] {
        let rules = Table::rules(wait, "carry sid=([a-z0-9]+)");
        let mut client = Table::with(&login, Zero, rules, Pace::default());
        client.does(secs(0));
        client.hears(b"sid=12", secs(0));
        client.hears(b"345; n=1\n", secs(0));
        client.does(secs(1));
        assert_eq!(client.said(), b"login me\nget / sid=12345 sid=12345\n", "{wait}");
        client.hears(b"sid=6; ok\n", secs(2));
        client.does(secs(3));
        assert!(client.said().ends_with(b"bye 6, once 12345"), "{wait}");
    }
    let rules = Table::rules("bytes", "carry sid=([a-z0-9]+)");
    let mut client = Table::with(&login, Zero, rules, Pace::default());
    client.hears(b"sid=12345; n=2\n", secs(0));
    assert!(matches!(client.ended().ending, Ending::Diverged(_)), "n may not differ");
}

#[test]
fn a_datagram_has_its_length() {
    let dns = recording(Transport::Udp, &[(Zero, 0, b"abc"), (One, 0, b"x")]);
    for (datagram, rest) in [(&b"ab"[..], &b"c"[..]), (b"abcd", b""), (b"", b"abc")] {
        let mut server = Table::of(&dns, One);
        server.hears(datagram, secs(0));
        let Ending::Diverged(divergence) = server.ended().ending else { panic!("{datagram:?}") };
        assert_eq!(divergence.difference.unlike, Unlike::Length);
        assert_eq!(divergence.difference.expected, rest);
    }
    let mut server = Table::with(&dns, One, Table::rules("any", ""), Pace::default());
    assert_eq!(server.hears(b"something else", secs(0)), [Did::Said(b"x".into())]);
}

#[test]
fn missing_bytes_are_zeros_or_nothing() {
    let mut gaps = recording(Transport::Tcp, &[(One, 0, b"ab")]);
    gaps.push_gap(One, 0, 3, false);
    gaps.push_gap(Zero, 0, 2, false);
    gaps.push_data(Zero, 0, b"c");
    gaps.push_gap(Zero, 0, 2, false);
    let play = |fill, side| Table::filled(&gaps, side, Table::rules("bytes", ""), fill);
    let mut server = play(Fill::Zero, One);
    assert_eq!(server.does(secs(0)), [Did::Said(b"ab".into()), Did::Said(vec![0; 3]), Did::Fin]);
    assert_eq!(server.hears(b"xxcy", secs(0)), []);
    assert!(!server.is_over());
    server.hears(b"y", secs(0));
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done);
    let mut server = play(Fill::Skip, One);
    assert_eq!(server.does(secs(0)), [Did::Said(b"ab".into()), Did::Fin]);
    server.hears(b"c", secs(0));
    server.closes(secs(0));
    assert_eq!(server.ended().ending, Ending::Done);
    let mut client = play(Fill::Zero, Zero);
    assert_eq!(
        client.hears(b"ab???", secs(0)),
        [Did::Said(vec![0; 2]), Did::Said(b"c".into()), Did::Said(vec![0; 2]), Did::Fin]
    );
}

#[test]
fn fin_and_rst_come_where_they_were_captured() {
    let mut nc = recording(Transport::Tcp, &[(Zero, 0, b"count me")]).with_finishes();
    let second = 1_000_000_000;
    nc.push_finish(Zero, second, Finish::Fin);
    nc.push_data(One, 2 * second, b"8");
    nc.push_finish(One, 3 * second, Finish::Rst);
    let mut server = Table::of(&nc, One);
    assert_eq!(server.hears(b"count me", secs(0)), []);
    assert_eq!(server.does(secs(5)), [], "the peer has not ended yet");
    server.closes(secs(6));
    assert_eq!(server.does(secs(7)), [Did::Said(b"8".into())]);
    assert_eq!(server.does(secs(8)), [Did::Rst]);
    assert_eq!(server.ended().ending, Ending::Done);
    let mut client = Table::of(&nc, Zero);
    assert_eq!(client.does(secs(0)), [Did::Said(b"count me".into())]);
    assert_eq!(client.does(secs(1)), [Did::Fin]);
    client.hears(b"8", secs(2));
    client.ends(PeerEnd::Reset, secs(2));
    assert_eq!(client.ended().ending, Ending::Done);
}

#[test]
fn a_rst_after_a_fin_is_waited_for() {
    let mut late = recording(Transport::Tcp, &[(Zero, 0, b"a")]).with_finishes();
    late.push_finish(Zero, 0, Finish::Fin);
    late.push_data(One, 0, b"b");
    late.push_finish(Zero, 0, Finish::Rst);
    let mut server = Table::of(&late, One);
    server.hears(b"a", secs(0));
    assert_eq!(server.closes(secs(0)), [Did::Said(b"b".into())]);
    assert!(!server.is_over(), "it breaks off yet");
    server.ends(PeerEnd::Reset, secs(1));
    assert_eq!(server.ended().ending, Ending::Done);
    let mut server = Table::of(&late, One);
    server.hears(b"a", secs(0));
    server.closes(secs(0));
    server.does(secs(2));
    assert_eq!(server.ended().ending, Ending::Done, "or not: then that is all");
}

#[test]
fn our_side_of_a_dump_closes_after_its_last_turn_or_at_the_end() {
    let http = recording(Transport::Tcp, &[(Zero, 0, b"GET"), (One, 1, b"200")]);
    let mut client = Table::of(&http, Zero);
    assert_eq!(client.does(secs(0)), [Did::Said(b"GET".into()), Did::Fin]);
    let mut client = Table::closing(&http, Zero, HalfClose::AfterAll);
    assert_eq!(client.does(secs(0)), [Did::Said(b"GET".into())]);
    assert_eq!(client.hears(b"200", secs(1)), [Did::Fin]);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let push = recording(Transport::Tcp, &[(One, 0, b"ab")]);
    let mut server = Table::of(&push, One).without_room();
    assert_eq!(server.does(secs(29)), []);
    server.does(secs(31));
    let Ending::TimedOut(standstill) = server.ended().ending else { panic!("it took nothing") };
    assert_eq!(standstill.waiting, Waiting::Room);
}
