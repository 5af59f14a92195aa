//! Many connections at once, and few descriptors.

use super::{files, said_by, script};
use crate::common::{Capturing, LEFT, Pair, RIGHT, has, wait_until};

const CONNECTIONS: usize = 400;
const SIZE: usize = 2000;
const ROUNDS: usize = 3;

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

#[test]
fn hundreds_of_connections_at_once_take_no_more_descriptors_than_allowed() {
    if !has(&["python3"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let (peer, [here, _], [there, _]) = (script("peer.py"), LEFT, RIGHT);
    let _server = pair.right.serving(&format!("{peer} echo {there} 7"), "serving");
    let options = "-i v0 -s -m -f 20 --workers 2 --flush-interval 0.5";
    let Some(capturing) = Capturing::start_in(&pair.left, options, "tcp port 7") else { return };
    let pid = capturing.running.pid();
    let at_first = descriptors(pid);
    let mut most = 0;
    let mut client = pair.left.running(&format!("{peer} many {there} 7 {CONNECTIONS} {SIZE}"));
    assert!(client.has_said("ports"), "{}", client.said());
    for round in 1..=ROUNDS {
        client.tell("go on");
        let len = (round * SIZE) as u64;
        let is_written = |path: &std::path::PathBuf| path.metadata().is_ok_and(|m| m.len() == len);
        let mut looks = 0;
        wait_until("all files have the bytes of this round", || {
            most = most.max(descriptors(pid));
            looks += 1;
            // The files are looked at now and then.
            if looks % 8 > 0 {
                return false;
            }
            let files = capturing.files(".txt");
            files.len() == 2 * CONNECTIONS && files.iter().all(is_written)
        });
    }
    let words = client.ends_well();
    let (place, summary) = capturing.stop(0);
    // Those files, the folder, and what is open for a moment.
    assert!((at_first + 1..=at_first + 20 + 4).contains(&most), "{at_first}, then {most}");
    let files = files(&place);
    let ports = words.lines().find_map(|line| line.strip_prefix("ports ")).unwrap();
    assert_eq!(files.len(), 3 * CONNECTIONS, "{summary}");
    for (connection, port) in ports.split(' ').enumerate() {
        let [to, from] = [format!("{here}.{port}-{there}.7"), format!("{there}.7-{here}.{port}")];
        for name in [format!("TCP-{to}.txt"), format!("TCP-{from}.txt")] {
            assert!(files[&name] == said_by(connection, 0..ROUNDS * SIZE), "{name}");
        }
        let metadata = String::from_utf8_lossy(&files[&format!("TCP-{to}-metadata.txt")]);
        assert!(metadata.contains("Ended:                             FIN"), "{metadata}");
    }
}
