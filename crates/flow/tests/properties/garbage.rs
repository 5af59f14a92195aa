//! Whatever comes, nothing panics, the books balance and the limits hold: [`play`] checks that.

use crate::common::{Packet, Played, Talk, What, frame, play};
use flow::{Config, Limits, Overlap, Timeouts};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;

const V4: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
];

/// Sequence numbers: mostly near one another, on both sides of the wrap, else anywhere, or just where
/// something changes.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => (0..400u32).prop_map(|n| n.wrapping_sub(200)),
        1 => any::<u32>(),
        1 => prop::sample::select(vec![1 << 16, 1 << 20, 64 << 20, 1 << 30, 1 << 31, 3 << 30]),
    ]
}

fn segment() -> impl Strategy<Value = What> {
    let flags =
        prop_oneof![6 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => Just(4), 1 => any::<u8>()];
    let data = prop_oneof![
        1 => Just(vec![]),
        2 => prop::collection::vec(any::<u8>(), 1..3),
        2 => prop::collection::vec(any::<u8>(), 1..100),
    ];
    (flags, number(), prop::option::weighted(0.8, number()), data)
        .prop_map(|(flags, seq, ack, data)| What::Segment { seq, ack, flags, data })
}

/// What an Ethernet frame may carry.
fn carried() -> impl Strategy<Value = What> {
    let fragment = (0..3u16, 0..6u16, any::<bool>(), 0..4usize, any::<bool>()).prop_map(
        |(id, offset, more, eights, odd)| {
            let part = vec![id as u8; eights * 8 + usize::from(odd && !more)];
            let protocol = if id == 0 { frame::TCP } else { frame::UDP };
            What::Frame(frame::fragment(V4, id, (offset * 8, more), protocol, &part))
        },
    );
    prop_oneof![
        12 => segment(),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(What::Datagram),
        2 => fragment,
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(What::Frame),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let packet = |what| Packet { from: 0, port: 1, what, cut: 0, vlan: None, time: (0, 0) };
    let packets = move || prop::collection::vec(carried().prop_map(packet), 1..4);
    let fragments =
        (packets(), 0..3u8, 1..4u8, 0..4u8).prop_map(|(of, sequence, parts, number)| {
            What::LinkFragment { of, sequence, parts, number }
        });
    let aggregates = packets().prop_map(What::Aggregate);
    prop_oneof![16 => carried(), 2 => aggregates, 2 => fragments, 1 => Just(What::Tick)]
}

fn packet() -> impl Strategy<Value = Packet> {
    let cut = prop_oneof![9 => Just(0), 1 => 0..40usize];
    let time = prop_oneof![9 => 0..100i64, 1 => any::<i64>()];
    let vlan = prop::option::weighted(0.1, 0..3u16);
    (0..2usize, 1..4u16, what(), cut, vlan, time).prop_map(|(from, port, what, cut, vlan, secs)| {
        let packet = Packet { from, port, what, cut, vlan, time: (secs, 0) };
        let cut = cut.min(packet.frame(V4).len());
        Packet { cut, ..packet }
    })
}

fn config() -> impl Strategy<Value = Config> {
    let few = (0..200usize, 0..5usize, 0..4usize, 0..5usize);
    let limits = (0..400usize, 0..3000usize, 0..200_000usize, 0..4000usize, few).prop_map(
        |(connections, buffered_per_direction, buffered, fragments, few)| Limits {
            connections,
            buffered_per_direction,
            buffered,
            fragments,
            fragment_wait: None,
            lingering: few.0,
            per_key: few.1,
            far_ahead: few.2,
            headers: few.3,
        },
    );
    let limits = prop_oneof![Just(Limits::default()), limits];
    let overlap = prop_oneof![Just(Overlap::First), Just(Overlap::Last)];
    let secs = || (0..60u64).prop_map(Duration::from_secs);
    let times = [secs(), secs(), secs(), secs(), secs(), secs()];
    let timeouts = (times, prop::option::of((0..5u64).prop_map(Duration::from_secs))).prop_map(
        |([half_open, established, closing, linger, udp, other], quiet)| Timeouts {
            half_open,
            established,
            closing,
            linger,
            udp,
            other,
            quiet,
        },
    );
    let timeouts = prop::option::weighted(0.4, timeouts);
    (overlap, timeouts, any::<bool>(), limits).prop_map(|(overlap, timeouts, vlan_keys, limits)| {
        Config { overlap, timeouts, vlan_keys, limits, ..Config::default() }
    })
}

fn assert_same(one: &Played, other: &Played) {
    assert_eq!(one.heard, other.heard);
    assert_eq!(one.books, other.books);
    assert_eq!(one.totals, other.totals);
}

proptest! {
    #[test]
    fn garbage_gives_the_same_twice(
        packets in prop::collection::vec(packet(), 0..200),
        config in config(),
        awake in 0..3 * flow::SHARDS,
    ) {
        let played = play(&packets, V4, config);
        assert_same(&played, &play(&packets, V4, config));
        // Nothing but memory hangs on which connections sleep.
        assert_same(&played, &play(&packets, V4, Config { awake, ..config }));
    }

    /// Many short connections, all of them over or not: tables and lists are used to and fro.
    #[test]
    fn connections_come_and_go(
        steps in prop::collection::vec((1..40u16, 0..7u8), 0..300),
        limits in (1..6usize, 1..4usize, prop::option::of(0..6000usize)),
    ) {
        let mut talk = Talk::new();
        for (i, &(port, step)) in steps.iter().enumerate() {
            let seq = 1000 + (i as u32 % 3) * (10 << 20);
            talk.port(port);
            match step {
                0 => talk.raw(0, 2, seq, None, ""),
                1 => talk.raw(1, 2, 5000, Some(seq + 1), ""),
                2 => talk.raw(0, 1, seq + 1, Some(5001), ""),
                3 => talk.raw(1, 1, 5001, Some(seq + 1), ""),
                4 => talk.raw(1, 4, 5001, None, ""),
                5 => talk.raw(0, 1, seq + 3, Some(5002), "z"),
                _ => talk.raw(0, 0, seq + 1, Some(5001), "x"),
            };
        }
        let limits = Limits {
            connections: limits.0 * flow::SHARDS,
            lingering: limits.1 * flow::SHARDS,
            buffered: limits.2.map_or(Limits::default().buffered, |part| part * flow::SHARDS),
            ..Limits::default()
        };
        let config = Config { limits, ..Config::default() };
        let played = play(&talk.packets, V4, config);
        for awake in [0, flow::SHARDS, 2 * flow::SHARDS] {
            assert_same(&played, &play(&talk.packets, V4, Config { awake, ..config }));
        }
    }
}
