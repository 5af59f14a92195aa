//! Tags of VLANs, which the kernel takes off and hands over beside the packet.

use super::{chunks, said, script};
use crate::common::{Capturing, Pair, has};

#[test]
fn a_tag_that_the_kernel_took_off_is_there_again() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let start = |filter: &str| Capturing::start_in(&pair.right, "-i v0 -j -m --key vlan", filter);
    let Some(of_five) = start("vlan 5 and udp port 7") else { return };
    let Some(of_all) = start("vlan and udp port 7") else { return };
    for (vlan, text) in [(4, "four"), (5, "five"), (5, "again")] {
        pair.left.run(&format!("{} tag v0 7 {vlan} {text}", script("peer.py")));
    }
    let of = |vlan: &str, texts: &[&str]| (vlan.to_owned(), texts.concat().into_bytes());
    let wanted =
        [vec![of("5", &["five", "again"])], vec![of("4", &["four"]), of("5", &["five", "again"])]];
    for (capturing, wanted) in [of_five, of_all].into_iter().zip(wanted) {
        let (place, words) = capturing.stop(0);
        // Their names differ by the second, or have a number if they do not.
        let files = place.files("out");
        let all_metadata = files.iter().filter(|(name, _)| name.contains("-metadata"));
        let texts = all_metadata.map(|(name, metadata)| {
            let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
            let data = &files[&name.replace("-metadata", "")];
            (metadata["vlan"].as_str().unwrap().to_owned(), said(&chunks(data.as_bytes()), 0))
        });
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        assert_eq!(texts, wanted, "{words}");
    }
}
