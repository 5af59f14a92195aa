//! Many connections at once, and what a process has room for.

use super::recorded::{CLIENT, SERVER};
use super::{Playing, Talk, hear, hear_end, patient, reports, talk};
use crate::common::{Place, wait_until};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A thousand connections as one dump: questions that begin alike, and answers half a second later.
fn thousand() -> String {
    let line = |n: usize, side: u8, at: &str, bytes: &str| {
        let name = format!("20240102030405-TCP-10.0.0.1.{}-10.0.0.2.80", 10_000 + n);
        format!(
            "{{\"connection\":\"{name}\",\"side\":{side},\"time\":{{\"abs\":\"{at}\",\"conn\":\"{at}\"}},\
             \"data\":\"{bytes}\"}}\n"
        )
    };
    let ask = (0..1000).map(|n| line(n, 0, "0.0", &format!("GET /{n:04} please")));
    let answer = (0..1000).map(|n| line(n, 1, "0.5", &format!("this is {n:04}")));
    ask.chain(answer).collect()
}

#[test]
fn a_thousand_connections_are_played_at_once() {
    let place = Place::new().put("all.json", thousand());
    let begun = Instant::now();
    let server = Playing::listen(place, "all.json --wait bytes --report json");
    let client = Place::new().put("all.json", thousand());
    let to = format!("all.json --wait bytes --report json --connect {}", server.port());
    let client = Playing::start(client, &to);
    for playing in [client, server] {
        let (place, said) = playing.ends(0);
        let reports = reports(&said);
        assert_eq!(reports.iter().filter(|report| report["matched"] == true).count(), 1000);
        assert_eq!(place.names("out").len(), 1000);
    }
    // One after the other they would take 500 seconds.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn whoever_finds_no_room_waits_for_it() {
    let place = Place::with(Talk::new().client("ask").server("answer").closed().pcap());
    let program = env!("CARGO_BIN_EXE_pcap2conn");
    // It has room for 32 descriptors, thus for a few clients and files.
    let script = format!(
        "ulimit -n 32; exec {program} replay --utc -o out -r a.pcap --no-delay --linger 0.3 --repeat \
         --listen 127.0.0.1:0"
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(place.path("."));
    let running = crate::common::Running::with_words(command);
    let playing = Playing { place, running }.listening();
    let mut clients: Vec<TcpStream> = (0..100).map(|_| playing.client()).collect();
    for client in &mut clients {
        client.write_all(b"ask").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for mut client in clients {
        hear(&mut client, "answer");
        hear_end(&mut client);
    }
    wait_until("all are stored", || playing.place.names("out").len() == 100);
    playing.running.signal(rustix::process::Signal::INT);
    let (_, said) = playing.ends(0);
    assert!(!said.contains("stored"), "{said}");
}

#[test]
fn a_client_may_think_as_long_as_it_did() {
    let slow = Talk::new().pause(Duration::from_secs(1)).client("ask").server("answer").closed();
    let place = Place::with(slow.pcap());
    let playing = Playing::listen(place, "-r a.pcap --linger 0.3 --timeout 0.7");
    let mut client = playing.client();
    std::thread::sleep(Duration::from_millis(1100));
    talk(&mut client, "ask", "answer");
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    playing.ends(0);
}

#[test]
fn a_rst_does_not_overtake_what_was_said_before() {
    let all = "x".repeat(1_500_000);
    let playing = Playing::server_of(Talk::new().client("ask").server(&all).rst(1), "");
    let mut client = playing.client();
    client.write_all(b"ask").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let mut heard = Vec::new();
    let error = client.read_to_end(&mut heard).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(heard.len(), all.len());
    playing.ends(0);
}

#[test]
fn a_peer_that_asks_again_takes_no_other_recording() {
    let one = Talk::of_datagrams(CLIENT, SERVER, &["Q", "A"]);
    let other = Talk::of_datagrams("10.0.0.1:5001", SERVER, &["R", "B"]);
    let place = Place::with(one.pcap()).put("b.pcap", other.pcap());
    let playing = Playing::listen(place, "-r a.pcap b.pcap --no-delay --report json");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", playing.port())).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut answer = [0; 9];
    for (question, expected) in [("Q", Some(b'A')), ("Q", None), ("R", Some(b'B'))] {
        client.send(question.as_bytes()).unwrap();
        let heard = client.recv(&mut answer).ok().map(|_| answer[0]);
        assert_eq!(heard, expected, "{question}");
    }
    let (_, said) = playing.ends(0);
    assert!(reports(&said).iter().all(|report| report["result"] == "done"), "{said}");
}

#[test]
fn names_are_looked_up_and_all_their_addresses_tried() {
    // Whatever localhost is here first, the server is on 127.0.0.1.
    let place = Place::with(Talk::new().client("ask").server("answer").closed().pcap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = format!("-r a.pcap --no-delay --linger 0.3 --connect localhost:{port}");
    let playing = Playing::start(place, &to);
    let mut client = patient(listener.accept().unwrap().0);
    hear(&mut client, "ask");
    client.write_all(b"answer").unwrap();
    drop(client);
    playing.ends(0);
}
