//! ICMP, as ping speaks it.

use super::{chunks, files, in_names, summary};
use crate::common::{Capturing, Pair, has};

#[test]
fn echo_requests_and_replies_are_one_connection_with_their_bytes() {
    if !has(&["ping"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    // The types of requests and replies: RFC 792 and RFC 4443, section 4.
    let of_version = [
        ("ICMP", "icmp", [8, 0]),
        ("IPV6-ICMP", "icmp6 and (ip6[40] == 128 or ip6[40] == 129)", [128, 129]),
    ];
    for ((from, to), (protocol, filter, types)) in pair.addresses().zip(of_version) {
        let Some(capturing) = Capturing::start_in(&pair.right, "-i v0 -j", filter) else { return };
        pair.left.run(&format!("ping -c 3 -i 0.01 -W 20 -s 200 -p 5ca1ab1e {to}"));
        let (place, said) = capturing.stop(0);
        let files = files(&place);
        let names: Vec<_> = files.keys().cloned().collect();
        let (from, to) = (in_names(from), in_names(to));
        assert_eq!(names, [format!("{protocol}-{from}.0-{to}.0.json")], "{said}");
        let chunks = chunks(&files[&names[0]]);
        assert_eq!(chunks.len(), 6, "{chunks:?}");
        for (number, pair) in chunks.chunks(2).enumerate() {
            let [request, reply] = pair else { unreachable!("six are three pairs") };
            assert_eq!((request.side, reply.side), (0, 1));
            assert_eq!([request.bytes[0], reply.bytes[0]], types);
            // A header of 8 bytes, the last two the number; then a time of 16 and the pattern.
            assert_eq!(request.bytes[6..8], [0, number as u8 + 1]);
            assert_eq!(request.bytes.len(), 208);
            assert!(request.bytes[24..].chunks(4).all(|four| four == [0x5c, 0xa1, 0xab, 0x1e]));
            assert_eq!(request.bytes[4..], reply.bytes[4..]);
        }
    }
}

#[test]
fn a_ping_larger_than_a_frame_comes_whole() {
    if !has(&["ping"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    // Whoever asks for a neighbour is not fragmented.
    let filters = ["icmp", "ip6[6] == 44"];
    for ((from, to), filter) in pair.addresses().zip(filters) {
        let options = "-i v0 -j --summary-json summary.json";
        let Some(capturing) = Capturing::start_in(&pair.left, options, filter) else { return };
        pair.left.run(&format!("ping -c 1 -W 20 -s 20000 -p 5ca1ab1e {to}"));
        let (place, said) = capturing.stop(0);
        let files = files(&place);
        assert_eq!(files.len(), 1, "{from}: {:?} {said}", files.keys());
        let chunks = chunks(files.values().next().unwrap());
        let [request, reply] = &chunks[..] else { panic!("{from}: {said}") };
        assert_eq!((request.side, reply.side), (0, 1));
        assert_eq!((request.bytes.len(), reply.bytes.len()), (20_008, 20_008));
        assert!(request.bytes[24..].chunks(4).all(|four| four == [0x5c, 0xa1, 0xab, 0x1e]));
        assert!(request.bytes[4..] == reply.bytes[4..]);
        let summary = summary(&place);
        assert_eq!(summary["packets"]["read"], 28, "14 fragments each way: {summary}");
    }
}
