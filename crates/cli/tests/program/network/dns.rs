//! A real server and a real client of DNS.

use super::{chunks, files, in_names};
use crate::common::{Capturing, Pair, has};
use std::net::Ipv6Addr;

/// A question as it stands in a message (RFC 1035, section 4.1.2).
fn question(kind: u8) -> Vec<u8> {
    [&b"\x05alpha\x04test\x00"[..], &[0, kind, 0, 1]].concat()
}

#[test]
fn each_exchange_with_a_name_server_is_a_connection() {
    if !has(&["dnsmasq", "dig"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    for (client, server) in pair.addresses() {
        let record = "--host-record=alpha.test,192.0.2.7,2001:db8::7";
        let _server = pair.right.serving(
            &format!(
                "dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --user=root --group=root \
                 --no-resolv --no-hosts --bind-interfaces --listen-address={server} {record}"
            ),
            "started",
        );
        let Some(capturing) = Capturing::start_in(&pair.left, "-i v0 -j", "udp port 53") else {
            return;
        };
        let six = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        let asked = [("A", 1, "192.0.2.7", &[192, 0, 2, 7][..]), ("AAAA", 28, "2001:db8::7", &six)];
        for (kind, _, text, _) in asked {
            let options = "+short +noedns +tries=1 +timeout=20";
            let said = pair.left.run(&format!("dig @{server} alpha.test {kind} {options}"));
            assert_eq!(said, format!("{text}\n"));
        }
        let (place, said) = capturing.stop(0);
        let files = files(&place);
        assert_eq!(files.len(), 2, "{:?}: {said}", files.keys());
        let (client, server) = (in_names(client), in_names(server));
        for (_, kind, _, data) in asked {
            let chunks = files.iter().map(|(name, file)| (name, chunks(file)));
            let is_asked = |bytes: &[u8]| bytes.ends_with(&question(kind));
            let mut exchanges = chunks.filter(|(_, chunks)| is_asked(&chunks[0].bytes));
            let (name, exchange) = exchanges.next().expect("it was asked");
            assert!(name.starts_with(&format!("UDP-{client}.")), "{name}");
            assert!(name.ends_with(&format!("-{server}.53.json")), "{name}");
            let [asked, answered] = &exchange[..] else { panic!("two messages: {exchange:?}") };
            assert_eq!((asked.side, answered.side), (0, 1));
            assert_eq!(asked.bytes[..2], answered.bytes[..2], "both have the same number");
            assert_eq!((asked.bytes[2] & 0x80, answered.bytes[2] & 0x80), (0, 0x80));
            assert_eq!(answered.bytes[12..][..question(kind).len()], question(kind));
            assert!(answered.bytes.ends_with(data), "{answered:?}");
        }
    }
}
