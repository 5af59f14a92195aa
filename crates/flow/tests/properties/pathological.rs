//! What an attacker, or a broken tap, may send a lot of. All of it takes a few seconds without
//! optimisation; what would take quadratic time does not end.

use crate::common::{A, B, Talk};
use flow::{Config, Limit, Limits};

/// That many one-byte segments cost less than a direction may hold.
const MANY: u32 = 50_000;

#[test]
fn one_byte_segments_in_reverse_order() {
    let mut talk = Talk::open();
    for offset in (0..MANY).rev() {
        talk.bytes_at(A, offset, &[offset as u8]);
        if offset % 1000 == 0 {
            talk.silent(B, 1);
        }
    }
    let got = talk.run_once(Config::default());
    let want: Vec<u8> = (0..MANY).map(|offset| offset as u8).collect();
    assert!(got.only().bytes(A) == want);
    assert_eq!((got.only().stats[A].gaps, got.limit(Limit::BufferedPerDirection)), (0, 0));
}

#[test]
fn one_byte_segments_in_reverse_order_beyond_the_limit() {
    let limits = Limits { buffered_per_direction: 1 << 20, ..Limits::default() };
    let mut talk = Talk::open();
    for offset in (0..MANY).rev() {
        talk.bytes_at(A, offset, b"x");
    }
    let got = talk.run_once(Config { limits, ..Config::default() });
    let stats = got.only().stats[A];
    // What was given up to make room comes too late; nothing is lost without being counted.
    assert!(got.limit(Limit::BufferedPerDirection) > 0);
    assert_eq!(stats.bytes + stats.missing, u64::from(MANY));
    assert!(stats.late > 0 && stats.late <= stats.missing);
}

#[test]
fn every_other_byte() {
    // As many holes as bytes, then all of them filled by large segments.
    let mut talk = Talk::open();
    for offset in (1..MANY).step_by(2) {
        talk.bytes_at(A, offset, &[offset as u8]);
        if offset % 1000 == 1 {
            // Else it would be a capture of one side, where holes are given up.
            talk.silent(B, 1);
        }
    }
    let all: Vec<u8> = (0..MANY).map(|offset| offset as u8).collect();
    for (i, part) in all.chunks(1460).enumerate() {
        talk.bytes_at(A, i as u32 * 1460, part);
    }
    let got = talk.run_once(Config::default());
    assert!(got.only().bytes(A) == all);
    assert_eq!(got.only().stats[A].conflicting, 0);
}

#[test]
fn the_same_segment_again_and_again() {
    let mut talk = Talk::open();
    talk.at(A, 5, "world");
    for _ in 0..20_000 {
        talk.repeat();
    }
    talk.at(B, 0, "x").at(A, 0, "hello");
    // 20 001 packets of one side are more than the 1024 that give up the hole.
    let got = talk.run_once(Config::default());
    assert_eq!(got.only().text(A), "[5]world");
    assert_eq!((got.only().stats[A].retransmitted, got.only().stats[A].late), (20_000, 5));
}

#[test]
fn a_flood_of_syns_between_two_ports() {
    let mut talk = Talk::new();
    for i in 0..20_000_u32 {
        talk.raw(A, 2, i.wrapping_mul(0x9e37_79b9), None, "");
        talk.raw(B, 2, i.wrapping_mul(0x85eb_ca6b), Some(i.wrapping_mul(0x9e37_79b9) + 1), "");
    }
    let got = talk.run_once(Config::default());
    assert_eq!(got.limit(Limit::PerKey) as usize, got.connections.len() - 16);
}

#[test]
fn a_flood_of_connections() {
    let limits = Limits { connections: 64 * 8, ..Limits::default() };
    let mut talk = Talk::new();
    for port in 0..20_000 {
        talk.port(port).data(A, "x");
    }
    let got = talk.run_once(Config { limits, ..Config::default() });
    assert_eq!(got.connections.len(), 20_000);
    assert_eq!(got.limit(Limit::Connections), 20_000 - 64 * 8);
}
