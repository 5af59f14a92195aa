//! What decoding one frame costs, from its first byte to its transport's payload.
//!
//!     cargo bench -p pcap2conn-wire --bench decode

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, VlanId};
use std::hint::black_box;
use wire::{Frame, LinkType, decode};

const PAYLOAD: [u8; 1000] = [0x55; 1000];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const V4: [u8; 4] = [10, 0, 0, 1];
const V6: [u8; 16] = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// With the timestamp option, as most segments have it.
fn tcp(headers: PacketBuilderStep<IpHeaders>) -> Vec<u8> {
    let mut frame = Vec::new();
    headers
        .tcp(443, 50_000, 1, 502)
        .options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])
        .expect("three words of options")
        .write(&mut frame, &PAYLOAD)
        .expect("a short packet");
    frame
}

fn udp(headers: PacketBuilderStep<IpHeaders>) -> Vec<u8> {
    let mut frame = Vec::new();
    headers.udp(53, 50_000).write(&mut frame, &PAYLOAD).expect("a short packet");
    frame
}

/// The first fragment of a datagram.
fn fragment(mut frame: Vec<u8>) -> Vec<u8> {
    frame[14 + 6] = 0x20; // more fragments
    frame
}

/// Linux's "cooked" frame around the packet in an Ethernet frame.
fn cooked(ethernet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x08, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6];
    frame.extend([0; 8]);
    frame.extend(&ethernet[14..]);
    frame
}

fn frames() -> Vec<(&'static str, LinkType, Vec<u8>)> {
    let ethernet = || PacketBuilder::ethernet2(MAC, MAC);
    let vlan = || ethernet().single_vlan(VlanId::try_new(7).expect("12 bits"));
    let v4 = || tcp(ethernet().ipv4(V4, V4, 64));
    vec![
        ("ipv4 tcp", LinkType::ETHERNET, v4()),
        ("ipv4 udp", LinkType::ETHERNET, udp(ethernet().ipv4(V4, V4, 64))),
        ("ipv6 tcp", LinkType::ETHERNET, tcp(ethernet().ipv6(V6, V6, 64))),
        ("vlan ipv4 tcp", LinkType::ETHERNET, tcp(vlan().ipv4(V4, V4, 64))),
        ("ipv4 fragment", LinkType::ETHERNET, fragment(v4())),
        ("cooked ipv4 tcp", LinkType::LINUX_SLL2, cooked(&v4())),
    ]
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, link, bytes) in frames() {
        let wire_len = u32::try_from(bytes.len()).expect("a short frame");
        assert!(decode(&Frame { link, bytes: &bytes, wire_len }).is_ok(), "{name} is not read");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let frame = Frame { link, bytes: black_box(&bytes), wire_len };
                black_box(decode(&frame)).is_ok()
            });
        });
    }
}

criterion_group!(benches, decoding);
criterion_main!(benches);
