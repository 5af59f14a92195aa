//! Several rings.

use super::{Server, bytes};
use crate::common::{Capturing, wait_until};
use std::collections::HashSet;
use std::net::UdpSocket;
use std::path::PathBuf;

#[test]
fn several_rings_lose_nothing_and_take_nothing_twice() {
    let server = Server::start();
    for workers in [1, 3] {
        let arguments = format!(
            "-i lo -s -m --rings 3 --buffer-size 2 --workers {workers} --summary-json summary.json \
             --write-pcapng all.pcapng"
        );
        let Some(capturing) = Capturing::start(&arguments, &server.filter()) else { return };
        let clients: Vec<u16> = (0..40).map(|n| server.ask(n * 1000 + 1)).collect();
        let (place, said) = capturing.stop(0);
        let names = place.names("out");
        assert_eq!(names.len(), 40 * 3, "{said}");
        for (n, client) in clients.into_iter().enumerate() {
            let answer = server.answer_to(client);
            let name = names.iter().find(|name| name.ends_with(&answer)).unwrap();
            assert!(std::fs::read(place.path("out").join(name)).unwrap() == bytes(n * 1000 + 1));
        }
        let summary = std::fs::read(place.path("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
        assert_eq!(summary["connections"]["total"], 40, "{said}");
        assert_eq!(summary["retransmitted"], 0, "{said}");
        let packets: Vec<u64> =
            (0..3).map(|ring| summary["inputs"][ring]["packets"].as_u64().unwrap()).collect();
        assert!(packets.iter().filter(|&&packets| packets > 0).count() >= 2, "{packets:?}");
        assert_eq!(summary["packets"]["read"], packets.iter().sum::<u64>());
        // All rings are recorded in one file.
        let again = place.run("-q -s -m --utc -o again -r all.pcapng --summary-json -").ends(0).out;
        let again: serde_json::Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["packets"]["read"], summary["packets"]["read"]);
        let without_numbers = |folder: &str| -> HashSet<(String, Vec<u8>)> {
            let names = place.names(folder).into_iter().filter(|name| !name.contains("-metadata"));
            names
                .map(|name| (name.clone(), std::fs::read(place.path(folder).join(name)).unwrap()))
                .collect()
        };
        assert!(without_numbers("out") == without_numbers("again"));
    }
}

#[test]
fn a_number_of_packets_is_that_of_all_rings() {
    let server = Server::start();
    let arguments = "-i lo --rings 2 --buffer-size 2 --max-packets 20 --summary-json summary.json";
    let Some(capturing) = Capturing::start(arguments, &server.filter()) else { return };
    for _ in 0..10 {
        server.ask(10);
    }
    let (place, said) = capturing.ends(0);
    let summary = std::fs::read(place.path("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["packets"]["read"], 20, "{said}");
}

#[test]
fn time_goes_on_for_all_rings() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let arguments = "-i lo -m --rings 4 --buffer-size 2 --udp-timeout 1";
    let Some(capturing) = Capturing::start(arguments, &format!("udp port {port}")) else { return };
    // All at once, so that no two have the same port: those would be one connection.
    let senders: Vec<_> = (0..31).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let send = |n: usize| senders[n].send_to(&[n as u8; 10], ("127.0.0.1", port)).unwrap();
    let ended = || {
        let metadata = capturing.files("-metadata.txt");
        let is_idle =
            |path: &&PathBuf| std::fs::read_to_string(path).is_ok_and(|t| t.contains("idle"));
        metadata.iter().filter(is_idle).count()
    };
    // One that is old, in one ring, when the others come in all.
    send(0);
    wait_until("the first has ended", || ended() == 1);
    (1..31).for_each(|n| assert_eq!(send(n), 10));
    wait_until("all have ended", || ended() == 31);
    capturing.stop(0);
}
