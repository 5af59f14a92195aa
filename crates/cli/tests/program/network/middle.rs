//! Connections that are older than the capture.

use super::{in_names, said_by, script};
use crate::common::{Capturing, Pair, has};

const SIZE: usize = 5000;

#[test]
fn a_connection_caught_in_the_middle_begins_with_what_is_said_next() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let peer = script("peer.py");
    for (here, there) in pair.addresses() {
        let _server = pair.right.serving(&format!("{peer} echo {there} 7"), "serving");
        let mut client = pair.left.running(&format!("{peer} many {there} 7 2 {SIZE}"));
        client.tell("before");
        assert!(client.has_said(&format!("said {SIZE}\n")), "{}", client.said());
        let options = "-i v0 -s -m --flush-interval 0.5";
        let Some(capturing) = Capturing::start_in(&pair.left, options, "tcp port 7") else {
            return;
        };
        client.tell("after");
        assert!(client.has_said(&format!("said {}\n", 2 * SIZE)), "{}", client.said());
        let said = client.said();
        let ports = said.lines().find_map(|line| line.strip_prefix("ports ")).unwrap();
        let (here, there) = (in_names(here), in_names(there));
        let ends = |port| [format!("{here}.{port}-{there}.7"), format!("{there}.7-{here}.{port}")];
        for (connection, port) in ports.split(' ').enumerate() {
            let wanted = said_by(connection, SIZE..2 * SIZE);
            // Neither closes: after a second of silence nobody waits for a beginning.
            for name in ends(port) {
                capturing.wait_for(&format!("TCP-{name}.txt"), |bytes| bytes == wanted);
            }
        }
        client.ends_well();
        let (place, said) = capturing.stop(0);
        let files = super::files(&place);
        assert_eq!(files.len(), 6, "{:?}: {said}", files.keys());
        let mut all_metadata = files.iter().filter(|(name, _)| name.ends_with("-metadata.txt"));
        assert!(all_metadata.all(|(_, metadata)| {
            let metadata = String::from_utf8_lossy(metadata);
            metadata.contains("Began:                             mid-stream\n")
                && metadata.contains("Ended:                             FIN\n")
                && metadata.contains("Missing bytes in side 1:           0\n")
        }));
    }
}
