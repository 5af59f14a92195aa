//! Which interface is captured from.

use super::{files, in_names, script, summary};
use crate::common::{Capturing, LEFT, Pair, has};
use std::collections::BTreeMap;

/// What connections said, by the ends that listened.
fn texts(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    let text = |(name, bytes): (&String, &Vec<u8>)| {
        let (_, end) = name.rsplit_once('-').unwrap();
        (end.to_owned(), String::from_utf8(bytes.clone()).unwrap())
    };
    files.iter().map(text).collect()
}

#[test]
fn an_address_names_the_interface_on_which_only_what_the_filter_wants_is_captured() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    for (here, there) in pair.addresses() {
        let peer = script("peer.py");
        let _wanted = pair.right.serving(&format!("{peer} echo {there} 7001"), "serving");
        let _other = pair.right.serving(&format!("{peer} echo {there} 7002"), "serving");
        let filter = "udp port 7001";
        let options = format!("-i {here} --summary-json summary.json");
        let Some(capturing) = Capturing::start_in(&pair.left, &options, filter) else { return };
        assert_eq!(capturing.running.said(), "pcap2conn: capturing on v0\n");
        for (port, text) in [(7002, "unwanted"), (7001, "wanted,")] {
            pair.left.run(&format!("{peer} send {there} {port} {text}"));
        }
        let (place, said) = capturing.stop(0);
        let want = [(format!("{}.7001.txt", in_names(there)), "wanted,wanted,".to_owned())];
        assert_eq!(texts(&files(&place)), BTreeMap::from(want), "{said}");
        let summary = summary(&place);
        // The kernel applies the filter.
        assert_eq!(summary["packets"]["read"], 2, "{summary}");
        assert_eq!(summary["set_aside"]["filtered"], 0, "{summary}");
    }
}

#[test]
fn any_is_all_interfaces_of_the_namespace() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let Some(capturing) = Capturing::start_in(&pair.left, "-i any", "udp port 7001") else {
        return;
    };
    let peer = script("peer.py");
    let mut want = BTreeMap::new();
    for (here, there) in pair.addresses() {
        let _over_the_cable = pair.right.serving(&format!("{peer} echo {there} 7001"), "serving");
        let _over_loopback = pair.left.serving(&format!("{peer} echo {here} 7001"), "serving");
        for address in [here, there] {
            pair.left.run(&format!("{peer} send {address} 7001 to-{address},"));
            let name = format!("{}.7001.txt", in_names(address));
            // Once there and once back, and none twice.
            want.insert(name, format!("to-{address},").repeat(2));
        }
    }
    let (place, said) = capturing.stop(0);
    assert_eq!(texts(&files(&place)), want, "{said}");
    assert!(said.contains("Packets read:"), "{said}");
    assert!(want.contains_key(&format!("{}.7001.txt", LEFT[0])));
}
