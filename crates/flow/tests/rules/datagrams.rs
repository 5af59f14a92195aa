//! Everything that is not TCP (rules 1, 9, 10), fragments of everything, and idle times (rule 5).

use crate::common::{A, B, Conversation, END, Event, FIN, SYN, Talk, frame};
use flow::{Began, Config, Ended, Limit, Limits, Reason, Timeouts};
use std::net::IpAddr;
use std::time::Duration;

const V4: [IpAddr; 2] = [IpAddr::V4(addr(1)), IpAddr::V4(addr(2))];

const fn addr(last: u8) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(10, 0, 0, last)
}

fn v6() -> [IpAddr; 2] {
    [1, 2].map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]))
}

#[test]
fn each_datagram_is_a_chunk() {
    let mut talk = Talk::new();
    talk.datagram(A, "query").datagram(B, "answer").datagram(B, "answer");
    let got = talk.run();
    let got = got.only();
    assert_eq!(got.story(), ["1 A query", "2 B answer", "3 B answer"]);
    assert_eq!((got.began, got.ended, got.a_opened), (Began::FirstPacket, Ended::InputEnded, true));
    assert_eq!(got.stats.map(|stats| (stats.packets, stats.messages)), [(1, 1), (2, 1)]);
}

#[test]
fn an_empty_datagram_is_a_packet_and_no_chunk() {
    let mut talk = Talk::new();
    talk.datagram(B, "").datagram(A, "x").datagram(A, "");
    let got = talk.run();
    assert_eq!(got.only().story(), ["2 A x"]);
    assert!(!got.only().a_opened, "it opens a connection all the same");
    assert_eq!(got.only().stats.map(|stats| (stats.packets, stats.chunks)), [(2, 1), (1, 0)]);
}

#[test]
fn what_the_snap_length_cut_of_a_datagram_is_a_gap() {
    let mut talk = Talk::new();
    talk.datagram(A, "query").cut(3).datagram(A, "gone").cut(4).datagram(A, "!");
    let got = talk.run();
    let want = ["1 A qu", "1 A [3]", "2 A [4]", "3 A !"].map(String::from);
    assert_eq!(got.only().story(), want);
    assert_eq!((got.only().stats[A].missing, got.only().stats[A].gaps), (7, 2));
}

#[test]
fn protocols_and_ports_tell_flows_apart() {
    let mut talk = Talk::new();
    talk.datagram(A, "udp").data(A, "tcp").port(40001).datagram(A, "another port");
    let want = ["udp", "tcp", "another port"].map(|text| [text.to_string(), String::new()]);
    assert_eq!(talk.run().texts(), want);
}

#[test]
fn vlan_tags_do_not_tell_flows_apart() {
    // A mirror port that tags only what it sends.
    let mut talk = Talk::new();
    talk.syn(A, 1000).vlan(7).syn_ack(B, 5000).data(A, "a").vlan(7).data(B, "b").vlan(9);
    talk.datagram(A, "c").vlan(1).datagram(B, "d");
    assert_eq!(talk.run().texts(), [["a", "b"], ["c", "d"]]);
}

#[test]
fn vlan_ids_tell_flows_apart_where_asked_for() {
    let mut talk = Talk::new();
    talk.datagram(A, "a")
        .datagram(A, "b")
        .vlan(7)
        .datagram(B, "c")
        .vlan(7)
        .datagram(A, "d")
        .vlan(9);
    // A tag for its priority alone.
    talk.datagram(A, "e").vlan(0);
    talk.syn(A, 1000).vlan(7).syn(A, 1000).vlan(9).data(A, "seven").vlan(7);
    let got = talk.run_with(Config { vlan_keys: true, ..Config::default() });
    assert_eq!(got.texts(), [["ae", ""], ["b", "c"], ["d", ""], ["seven", ""], ["", ""]]);
    let vlans: Vec<String> = got.connections.iter().map(|c| c.vlans.to_string()).collect();
    assert_eq!(vlans, ["", "7", "9", "7", "9"]);
}

#[test]
fn fragments_of_two_vlans_are_not_put_together() {
    let halves = |talk: &mut Talk, first: Option<u16>, second: Option<u16>| {
        for (vlan, place, payload) in [(first, 0x2000, "12345678"), (second, 1, "90")] {
            let packet = frame::ipv4(V4, 5, place, 253, payload.as_bytes());
            talk.frame(frame::ethernet(vlan, 0x0800, &packet));
        }
    };
    let mut talk = Talk::new();
    halves(&mut talk, Some(7), Some(9));
    assert_eq!(talk.run_once(Config::default()).only().text(A), "1234567890");
    let config = Config { vlan_keys: true, ..Config::default() };
    let got = talk.run_once(config);
    assert_eq!((got.connections.len(), got.set_aside(Reason::IncompleteDatagram)), (0, 2));
    let mut talk = Talk::new();
    halves(&mut talk, Some(7), Some(7));
    let got = talk.run_once(config);
    assert_eq!(got.only().text(A), "1234567890");
    assert_eq!(got.only().vlans.to_string(), "7");
}

#[test]
fn an_icmp_error_is_a_flow_of_its_own() {
    let mut talk = Talk::open();
    talk.data(A, "hello");
    // "Port unreachable" from B, quoting A's segment; it goes between the same two hosts.
    let quoted = talk.packets[3].frame(V4)[14..].to_vec();
    let message = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
    talk.frame(frame::ip([V4[1], V4[0]], None, 1, &message));
    talk.data(A, "!");
    let got = talk.run_once(Config::default());
    assert_eq!(got.connections.len(), 2);
    let [tcp, icmp] = [&got.connections[0], &got.connections[1]];
    assert_eq!((tcp.text(A), tcp.stats[B].packets), ("hello!".to_string(), 1));
    assert_eq!((icmp.bytes(B), icmp.stats[B].packets), (message, 1));
}

#[test]
fn equal_ends_are_all_side_0() {
    let x = V4[0];
    // A socket that connected to itself: one stream of numbers, which it acknowledges itself.
    let mut talk = Talk::new();
    talk.port(80).datagram(A, "a").datagram(B, "b");
    talk.syn(A, 1000).raw(A, SYN, 1000, Some(1001), "").raw(A, 0, 1001, Some(1001), "hello");
    talk.raw(A, 0, 1006, Some(1006), "").raw(B, 0, 1006, Some(1006), "!");
    let played = crate::common::play(&talk.packets, [x, x], Config::default());
    let bytes = played.heard.iter().filter_map(|heard| match &heard.event {
        Event::Data { side, bytes, .. } => Some((*side, String::from_utf8_lossy(bytes))),
        Event::Gap { .. } => panic!("nothing is missing"),
        Event::Closed(report) => {
            assert_eq!(report.sides[1], flow::SideStats::default());
            None
        }
        _ => None,
    });
    let want = ["a", "b", "hello", "!"].map(|text| (0, text.into()));
    assert_eq!(bytes.collect::<Vec<_>>(), want);
}

/// The fragments of a packet's payload in pieces of `size` bytes: (offset, more, bytes).
fn cut(payload: &[u8], size: usize) -> Vec<(u16, bool, Vec<u8>)> {
    let end = payload.len();
    let part = |(i, part): (usize, &[u8])| {
        let offset = i * size;
        (offset as u16, offset + part.len() < end, part.to_vec())
    };
    payload.chunks(size).enumerate().map(part).collect()
}

#[test]
fn tcp_segments_come_in_fragments() {
    for addrs in [V4, v6()] {
        let segment = frame::tcp([40000, 80], 1001, 0, 0, b"a segment in fragments");
        let mut talk = Talk::new();
        talk.syn(A, 1000);
        for (offset, more, part) in cut(&segment, 16).into_iter().rev() {
            talk.frame(frame::fragment(addrs, 9, (offset, more), 6, &part));
        }
        talk.at(A, 22, "!");
        let got = crate::common::play(&talk.packets, addrs, Config::default()).outcome(addrs[0]);
        let got = got.only();
        // The third of three is packet 4, whose number and time count.
        assert_eq!(got.story(), ["4 A a segment in fragments", "5 A !"]);
        let source = got.heard.iter().find_map(|heard| match &heard.event {
            Event::Data { source, .. } => Some(source.number()),
            _ => None,
        });
        assert_eq!(source, Some(4));
        assert_eq!(got.stats[A].packets, 5, "fragments count one by one");
    }
}

#[test]
fn a_segment_in_fragments_is_one_packet_of_its_connection() {
    // Twelve segments, 36 frames, pass between a hole's proof and its bytes: fewer than 32.
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn_ack(B, 5000).at(A, 5, "fghij").ack_to(B, 10);
    for i in 0..12u16 {
        let seq = 1011 + 22 * u32::from(i);
        let segment = frame::tcp([40000, 80], seq, 0, 0, b"a segment in fragments");
        for (offset, more, part) in cut(&segment, 16) {
            talk.frame(frame::fragment(V4, 100 + i, (offset, more), 6, &part));
        }
    }
    talk.at(A, 0, "abcde");
    let got = crate::common::play(&talk.packets, V4, Config::default()).outcome(V4[0]);
    assert_eq!(got.only().text(A), format!("abcdefghij{}", "a segment in fragments".repeat(12)));
}

/// What becomes of fragments of UDP datagrams, given as (identification, offset, more, bytes).
fn fragments(parts: &[(u16, u16, bool, &[u8])]) -> crate::common::Outcome {
    let run = |addrs: [IpAddr; 2]| {
        let mut talk = Talk::new();
        for &(id, offset, more, bytes) in parts {
            talk.frame(frame::fragment(addrs, id, (offset, more), 17, bytes));
        }
        crate::common::play(&talk.packets, addrs, Config::default()).outcome(addrs[0])
    };
    let got = run(V4);
    assert_eq!(got, run(v6()));
    got
}

fn texts(of: &crate::common::Outcome) -> Vec<String> {
    of.connections.iter().map(|c: &Conversation| c.text(A)).collect()
}

/// A UDP datagram from A with 24 bytes of data.
fn datagram() -> Vec<u8> {
    frame::udp([40000, 80], b"abcdefghABCDEFGH01234567")
}

#[test]
fn fragments_of_several_datagrams_may_be_mixed_and_repeated() {
    let (d, e) = (datagram(), frame::udp([40000, 80], b"another one: 16+"));
    let got = fragments(&[
        (1, 16, false, &d[16..]),
        (2, 0, true, &e[..16]),
        (1, 0, true, &d[..8]),
        (1, 0, true, &d[..8]),
        (2, 16, false, &e[16..]),
        (1, 8, true, &d[8..16]),
    ]);
    assert_eq!(got.only().story(), ["5 A another one: 16+", "6 A abcdefghABCDEFGH01234567"]);
    assert_eq!(got.only().stats[A].packets, 6);
}

#[test]
fn the_first_byte_of_overlapping_fragments_wins() {
    let d = datagram();
    let got = fragments(&[
        (1, 0, true, &d[..16]),
        (1, 8, true, b"xxxxxxxxyyyyyyyy"),
        (1, 16, false, &d[16..]),
    ]);
    assert_eq!(texts(&got), ["abcdefghyyyyyyyy01234567"]);
    assert_eq!(got.totals.fragment_conflicts, 2, "x differs from abc, 012 from what is held");
}

#[test]
fn fragments_that_no_host_sends_harm_nothing() {
    let d = datagram();
    // Beyond the last one's end, two last ones, nothing, and an end that moves.
    let got = fragments(&[
        (1, 16, false, &d[16..]),
        (1, 40, true, b"01234567"),
        (1, 24, false, b"0123456"),
        (1, 8, true, b""),
        (1, 8, true, &d[8..16]),
        (1, 0, true, &d[..8]),
    ]);
    assert_eq!(texts(&got), ["abcdefghABCDEFGH01234567"]);
    assert_eq!((got.set_aside(Reason::Malformed), got.only().stats[A].packets), (2, 4));
}

#[test]
fn fragments_that_never_become_a_datagram_are_set_aside() {
    let d = datagram();
    let got = fragments(&[(1, 0, true, &d[..8]), (1, 16, false, &d[16..]), (2, 8, true, &d[..8])]);
    assert!(got.connections.is_empty());
    assert_eq!(got.set_aside(Reason::IncompleteDatagram), 3);
}

#[test]
fn fragments_hold_no_more_than_their_limit() {
    let limits = Limits { fragments: 64 << 10, ..Limits::default() };
    let d = datagram();
    let mut talk = Talk::new();
    for id in 0..1000 {
        talk.frame(frame::fragment(V4, id, (0, true), 17, &d[..8]));
    }
    // The newest is still there, the oldest is not.
    talk.frame(frame::fragment(V4, 999, (8, false), 17, &d[8..]));
    talk.frame(frame::fragment(V4, 0, (8, false), 17, &d[8..]));
    let got = talk.run_once(Config { limits, ..Config::default() });
    assert_eq!(got.only().text(A), "abcdefghABCDEFGH01234567");
    let given_up = got.limit(Limit::Fragments);
    // Each costs 8 bytes and a few hundred of bookkeeping.
    assert!((700..=900).contains(&given_up), "{given_up} were given up");
    assert_eq!(got.set_aside(Reason::IncompleteDatagram), 1000);
}

#[test]
fn a_snapped_fragment_is_a_hole_in_its_datagram() {
    let d = datagram();
    let mut talk = Talk::new();
    talk.frame(frame::fragment(V4, 1, (0, true), 17, &d[..16])).cut(3);
    talk.frame(frame::fragment(V4, 1, (16, true), 17, &d[16..24])).cut(1);
    talk.frame(frame::fragment(V4, 1, (24, false), 17, &d[24..])).cut(2);
    let got = talk.run_once(Config::default());
    assert_eq!(got.only().text(A), "abcde[3]ABCDEFG[1]012345[2]");
    assert_eq!(got.only().stats[A].packets, 3);
    // The first fragment whole, none of the second.
    let mut talk = Talk::new();
    talk.frame(frame::fragment(V4, 1, (0, true), 17, &d[..16]));
    talk.frame(frame::fragment(V4, 1, (16, false), 17, &d[16..])).cut(16);
    assert_eq!(talk.run_once(Config::default()).only().text(A), "abcdefgh[16]");
}

#[test]
fn a_snapped_fragment_is_a_hole_in_its_segment() {
    let segment = frame::tcp([40000, 80], 1001, 0, FIN, b"abcdefghijklmnopqrst");
    let mut talk = Talk::new();
    talk.syn(A, 1000).syn_ack(B, 5000);
    talk.frame(frame::fragment(V4, 1, (0, true), 6, &segment[..24])).cut(1);
    talk.frame(frame::fragment(V4, 1, (24, false), 6, &segment[24..]));
    talk.ack_to(B, 21);
    let got = crate::common::play(&talk.packets, V4, Config::default()).outcome(V4[0]);
    assert_eq!(got.only().text(A), "abc[1]efghijklmnopqrst");
    // Sent again whole, it fills the hole.
    let mut again = talk.clone();
    again.at(A, 0, "abcdefghijklmnopqrst");
    let got = crate::common::play(&again.packets, V4, Config::default()).outcome(V4[0]);
    assert_eq!(got.only().text(A), "abcdefghijklmnopqrst");
}

#[test]
fn a_conversation_in_a_msdus() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).together(1).syn_ack(B, 5000).together(1);
    talk.ack(A).data(A, "GET ").data(A, "/").together(3);
    talk.ack(B).data(B, "200 ").data(B, "OK").fin(B).together(4).ack(A).fin(A).together(2).ack(B);
    let got = talk.run();
    let got = got.only();
    let want = ["3 A GET ", "3 A /", "4 B 200 ", "4 B OK", "5 settled"];
    assert_eq!(got.story(), want);
    assert_eq!(got.stats.map(|stats| stats.packets), [3, 3], "captured frames");
}

#[test]
fn what_is_not_ip_in_an_a_msdu_harms_nothing() {
    let arp = frame::ethernet(None, 0x0806, &[1; 28]);
    let mut talk = Talk::new();
    talk.frame(arp.clone()).datagram(A, "x").frame(arp.clone()).datagram(A, "y").together(4);
    talk.frame(arp.clone()).frame(arp).together(2);
    let got = talk.run();
    assert_eq!(got.only().story(), ["1 A x", "1 A y"]);
    assert_eq!((got.only().stats[A].packets, got.set_aside(Reason::NotIp)), (1, 1));
}

#[test]
fn connections_of_one_a_msdu_are_apart() {
    let mut talk = Talk::new();
    for port in 1..=40 {
        talk.port(port).syn(A, 1000).at(A, 1, "held");
    }
    talk.together(80);
    for port in 1..=40 {
        talk.port(port).at(A, 0, "-");
    }
    let held = talk.run();
    assert_eq!(held.texts(), vec![["-held", ""]; 40]);
    let ports: Vec<_> = held.connections.iter().map(|c| (c.first, c.stats[A].packets)).collect();
    let want: Vec<_> = (0..40).map(|n| (1, if n == 0 { 2 } else { 1 })).collect();
    assert_eq!(ports, want, "the first datagram counts the frame");
}

#[test]
fn vlan_tags_in_an_a_msdu_count_like_others() {
    let mut talk = Talk::new();
    talk.datagram(A, "x").vlan(7).datagram(A, "y").vlan(8).together(2);
    talk.datagram(A, "z").vlan(8).in_fragments(1, 2, &[0, 1]);
    assert_eq!(talk.run().texts(), [["xyz", ""]]);
    let config = Config { vlan_keys: true, ..Config::default() };
    assert_eq!(talk.run_with(config).texts(), [["x", ""], ["yz", ""]]);
}

#[test]
fn a_cut_a_msdu_gives_what_was_captured() {
    let mut talk = Talk::new();
    talk.datagram(A, "first").datagram(A, "second").datagram(A, "third").together(3);
    // The third subframe has 14 + 8 + 28 + 5 bytes.
    let text = |cut: usize| talk.clone().cut(cut).run_once(Config::default()).only().text(A);
    assert_eq!(text(2), "firstsecondthi[2]");
    assert_eq!(text(55 + 4), "firstse[4]");
}

#[test]
fn fragments_in_a_msdus_are_put_together() {
    for addrs in [V4, v6()] {
        let segment = frame::tcp([40000, 80], 1001, 0, 0, b"a segment in fragments");
        let [first, second, third] = [0, 1, 2].map(|n| {
            let (offset, more, part) = cut(&segment, 16).swap_remove(n);
            frame::fragment(addrs, 9, (offset, more), 6, &part)
        });
        let outcome = |talk: &Talk| {
            crate::common::play(&talk.packets, addrs, Config::default()).outcome(addrs[0])
        };
        // All in one frame; then a frame that has a datagram as well, which counts it.
        let mut talk = Talk::new();
        talk.syn(A, 1000).frame(third.clone()).frame(first.clone()).frame(second.clone());
        talk.together(3);
        let got = outcome(&talk);
        assert_eq!(got.only().story(), ["2 A a segment in fragments"]);
        assert_eq!(got.only().stats[A].packets, 2);
        let mut talk = Talk::new();
        talk.syn(A, 1000).frame(first.clone()).datagram(A, "x").together(2);
        talk.frame(second).frame(third).frame(first).together(3);
        let got = outcome(&talk);
        assert_eq!(got.texts(), [["a segment in fragments", ""], ["x", ""]]);
        assert_eq!([0, 1].map(|i| got.connections[i].stats[A].packets), [2, 1]);
        assert_eq!(got.set_aside(Reason::IncompleteDatagram), 0, "the first one again");
    }
}

#[test]
fn fragments_in_a_msdus_that_never_become_a_datagram_are_set_aside() {
    let d = datagram();
    let part = |id, offset: usize| {
        frame::fragment(V4, id, (offset as u16, true), 17, &d[offset..offset + 8])
    };
    let mut talk = Talk::new();
    talk.frame(part(1, 0)).frame(part(1, 16)).frame(part(2, 8)).together(3);
    talk.frame(part(3, 8)).datagram(A, "x").together(2);
    let got = talk.run_once(Config::default());
    assert_eq!((got.set_aside(Reason::IncompleteDatagram), got.only().stats[A].packets), (1, 1));
}

#[test]
fn a_conversation_in_fragments_of_802_11_frames() {
    let mut talk = Talk::new();
    talk.syn(A, 1000).in_fragments(1, 2, &[1, 0]).syn_ack(B, 5000);
    // The second is repeated, then the last, which was not acknowledged.
    talk.data(A, "a segment in fragments").in_fragments(2, 3, &[0, 1, 1, 2, 2]);
    talk.data(A, "two ").data(A, "segments").together(2).in_fragments(3, 4, &[0, 1, 2, 3]);
    talk.ack(B).fin(B).ack(A);
    let got = talk.run();
    let want = ["7 A a segment in fragments", "12 A two ", "12 A segments"];
    assert_eq!(got.only().story(), want);
    assert_eq!(got.only().stats.map(|stats| stats.packets), [2 + 4 + 4 + 1, 3]);
    assert_eq!(got.set_aside(Reason::IncompleteDatagram), 1);
}

#[test]
fn fragments_of_802_11_frames_that_never_become_whole_are_set_aside() {
    let mut talk = Talk::new();
    talk.datagram(A, "one").in_fragments(1, 3, &[0, 2]);
    talk.datagram(A, "two").in_fragments(2, 3, &[0, 1, 2]);
    // The frame's number is used again later.
    talk.datagram(A, "three").in_fragments(1, 3, &[1]).time(1_600_000_003);
    let got = talk.run();
    assert_eq!(got.only().story(), ["5 A two"]);
    assert_eq!(got.set_aside(Reason::IncompleteDatagram), 3);
    assert_eq!(got.limit(Limit::Fragments), 0);
}

#[test]
fn fragments_of_802_11_frames_that_contradict_each_other_are_malformed() {
    let mut talk = Talk::new();
    talk.datagram(A, "three").in_fragments(1, 3, &[0, 2]);
    talk.datagram(A, "three").in_fragments(1, 4, &[3]);
    talk.datagram(A, "three").in_fragments(1, 3, &[1]);
    let got = talk.run();
    assert_eq!(got.only().story(), ["4 A three"]);
    assert_eq!((got.set_aside(Reason::Malformed), got.only().stats[A].packets), (1, 3));
}

#[test]
fn a_snapped_802_11_fragment_is_a_hole() {
    // LLC, IP, UDP: 36 bytes, then 24 of data, in fragments of 20.
    let mut talk = Talk::new();
    talk.datagram(A, "abcdefghABCDEFGH01234567").in_fragments(1, 3, &[0, 1, 2]);
    let cut = |cuts: [usize; 3]| {
        let mut talk = talk.clone();
        talk.packets.iter_mut().zip(cuts).for_each(|(packet, cut)| packet.cut = cut);
        talk.run_once(Config::default())
    };
    // The second fragment ends with "abcd", the third has the rest.
    let got = cut([0, 1, 2]);
    assert_eq!(got.only().text(A), "abc[1]efghABCDEFGH012345[2]");
    assert_eq!(got.only().stats[A].packets, 3);
    assert_eq!(cut([0, 20, 0]).set_aside(Reason::Truncated), 3, "cut in the UDP header");
}

#[test]
fn ip_fragments_in_fragments_of_802_11_frames() {
    for addrs in [V4, v6()] {
        let mut talk = Talk::new();
        let d = datagram();
        talk.frame(frame::fragment(addrs, 1, (16, false), 17, &d[16..])).in_fragments(
            1,
            2,
            &[0, 1],
        );
        talk.frame(frame::fragment(addrs, 1, (0, true), 17, &d[..8]));
        talk.frame(frame::fragment(addrs, 1, (8, true), 17, &d[8..16])).together(2);
        talk.in_fragments(2, 3, &[0, 1, 2]);
        let got = crate::common::play(&talk.packets, addrs, Config::default()).outcome(addrs[0]);
        assert_eq!(got.only().story(), ["5 A abcdefghABCDEFGH01234567"]);
        assert_eq!(got.only().stats[A].packets, 5);
    }
}

fn idle(seconds: u64) -> Config {
    let timeouts = Some(Timeouts::all(Duration::from_secs(seconds)));
    Config { timeouts, ..Config::default() }
}

#[test]
fn captured_files_are_not_cut_by_time() {
    let mut talk = Talk::new();
    talk.datagram(A, "1").time(0).datagram(A, "2").time(1_000_000_000).datagram(A, "3").time(-5);
    assert_eq!(talk.run().texts(), [["123", ""]]);
}

#[test]
fn idle_connections_end_when_their_next_packet_comes() {
    let mut talk = Talk::new();
    talk.datagram(A, "1").time(100).datagram(A, "2").time(160).datagram(A, "3").time(221);
    let got = talk.run_with(idle(60));
    assert_eq!(got.texts(), [["12", ""], ["3", ""]]);
    assert_eq!(got.connections[0].ended, Ended::Idle);
    assert_eq!([0, 1].map(|i| got.connections[i].closed_at), [3, END]);
}

#[test]
fn idle_tcp_connections_say_what_is_missing() {
    let mut talk = Talk::open();
    talk.lost(A, 2).data(A, "held").data(A, "more").time(1_700_000_000);
    let got = talk.run_with(idle(60));
    assert_eq!(got.texts(), [["[2]held", ""], ["more", ""]]);
    assert_eq!(got.connections[0].ended, Ended::Idle);
}

#[test]
fn a_packet_dated_2061_ends_no_other_flow() {
    // As in pcapng-example.pcapng.
    let mut talk = Talk::new();
    talk.port(1).datagram(A, "1").time(100).port(2).datagram(A, "x").time(2_871_763_200);
    talk.port(1).datagram(A, "2").time(101);
    assert_eq!(talk.run_with(idle(60)).texts(), [["12", ""], ["x", ""]]);
}

#[test]
fn time_that_steps_back_ends_nothing() {
    let mut talk = Talk::new();
    talk.datagram(A, "1").time(2_871_763_200).datagram(A, "2").time(100).datagram(A, "3").time(101);
    assert_eq!(talk.run_with(idle(60)).texts(), [["123", ""]]);
}
