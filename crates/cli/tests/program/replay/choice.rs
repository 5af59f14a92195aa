//! Which recording a client gets, and where.

use super::recorded::SERVER;
use super::{Playing, Talk, hear, hear_end, line_with, reports, talk};
use crate::common::Place;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};

/// A connection in which the client says one thing and gets another, from a port of its own.
fn exchange(port: u16, question: &str, answer: &str) -> Talk {
    Talk::between(&format!("10.0.0.1:{port}"), SERVER).client(question).server(answer).closed()
}

fn three() -> Talk {
    let talk = exchange(5001, "GET /one\n", "1").then(exchange(5002, "GET /two\n", "2"));
    talk.then(exchange(5003, "GET /one more\n", "3"))
}

/// Asks, and hears this answer and the end.
#[track_caller]
fn ask(playing: &Playing, question: &str, answer: &str) {
    let mut client = playing.client();
    talk(&mut client, question, answer);
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
}

/// The client's ports of the connections that were played, in order.
fn played(said: &str) -> Vec<String> {
    let name = |report: &serde_json::Value| report["connection"].as_str().unwrap().to_owned();
    let port = |name: String| name.split('.').nth(4).unwrap().split('-').next().unwrap().to_owned();
    reports(said).iter().map(name).map(port).collect()
}

#[test]
fn a_client_gets_the_recording_that_begins_with_what_it_says() {
    let playing = Playing::server_of(three(), "--wait bytes --report json");
    ask(&playing, "GET /two\n", "2");
    ask(&playing, "GET /one more\n", "3");
    ask(&playing, "GET /one\n", "1");
    let (_, said) = playing.ends(0);
    assert_eq!(played(&said), ["5002", "5003", "5001"]);
}

#[test]
fn first_bytes_are_waited_for_until_they_tell() {
    let playing = Playing::server_of(three(), "--wait bytes --report json");
    let mut client = playing.client();
    client.write_all(b"GET /").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    talk(&mut client, "two\n", "2");
    drop(client);
    ask(&playing, "GET /one\n", "1");
    ask(&playing, "GET /one more\n", "3");
    playing.ends(0);
}

#[test]
fn the_last_recording_left_is_for_whoever_comes() {
    let playing = Playing::server_of(three(), "--wait bytes --report json");
    ask(&playing, "GET /two\n", "2");
    ask(&playing, "GET /one\n", "1");
    let mut client = playing.client();
    client.write_all(b"GET /two\n").unwrap();
    hear_end(&mut client);
    let (_, said) = playing.ends(4);
    assert_eq!(reports(&said)[2]["result"], "diverged", "{said}");
    assert_eq!(reports(&said)[2]["at"]["offset"], 5);
}

#[test]
fn in_order_is_in_order() {
    let playing = Playing::server_of(three(), "--in-order --report json");
    ask(&playing, "GET /two\n", "1");
    ask(&playing, "GET /six\n", "2");
    ask(&playing, "GET /one more\n", "3");
    let (_, said) = playing.ends(0);
    assert_eq!(played(&said), ["5001", "5002", "5003"]);
}

#[test]
fn where_the_server_speaks_first_clients_come_in_order() {
    let greeting = |port, words: &str| {
        let talk = Talk::between(&format!("10.0.0.1:{port}"), SERVER).server(words);
        talk.client("QUIT\n").closed()
    };
    let both = greeting(5001, "220 first\n").then(greeting(5002, "220 second\n"));
    let playing = Playing::server_of(both, "--wait bytes --report json");
    for greeting in ["220 first\n", "220 second\n"] {
        let mut client = playing.client();
        hear(&mut client, greeting);
        client.write_all(b"QUIT\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        hear_end(&mut client);
    }
    let (_, said) = playing.ends(0);
    assert_eq!(played(&said), ["5001", "5002"]);
}

#[test]
fn clients_are_played_to_at_once() {
    let playing = Playing::server_of(three(), "--wait bytes --report json");
    let questions = ["GET /one\n", "GET /two\n", "GET /one more\n"];
    let mut clients = questions.map(|_| playing.client());
    for (client, question) in clients.iter_mut().zip(questions) {
        client.write_all(question.as_bytes()).unwrap();
    }
    for (client, answer) in clients.iter_mut().zip(["1", "2", "3"]).rev() {
        hear(client, answer);
    }
    drop(clients);
    playing.ends(0);
}

#[test]
fn nobody_is_listened_to_when_all_were_given_away() {
    let playing = Playing::server_of(exchange(5001, "ask", "answer"), "");
    let mut client = playing.client();
    talk(&mut client, "ask", "answer");
    let port = playing.port();
    crate::common::wait_until("others are refused", || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    drop(client);
    playing.ends(0);
}

#[test]
fn each_recorded_port_is_listened_on() {
    // Ports that nobody else has, for now.
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = free.map(|listener| listener.local_addr().unwrap().port());
    let to = |port, client, answer| {
        let server = format!("10.0.0.2:{port}");
        Talk::between(&format!("10.0.0.1:{client}"), &server).client("who?").server(answer).closed()
    };
    let all = to(one, 5001, "one").then(to(two, 5002, "two")).then(to(one, 5003, "one again"));
    let place = Place::with(all.pcap());
    let options = "-r a.pcap --no-delay --linger 0.3 --report json --listen-all 127.0.0.1";
    let playing = Playing::start(place, options).listening();
    let said = playing.running.said();
    assert!(said.contains(&format!("127.0.0.1:{one} (TCP), recordings: 2\n")), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{two} (TCP), recordings: 1\n")), "{said}");
    for (port, answer) in [(two, "two"), (one, "one"), (one, "one again")] {
        let mut client = super::patient(TcpStream::connect(("127.0.0.1", port)).unwrap());
        talk(&mut client, "who?", answer);
    }
    let (_, said) = playing.ends(0);
    assert_eq!(played(&said), ["5002", "5001", "5003"]);
}

#[test]
fn connections_of_a_capture_are_chosen_by_number_or_name() {
    let all = [("GET /one\n", "1"), ("GET /two\n", "2"), ("GET /one more\n", "3")];
    for (chosen, numbers) in [
        ("--connection 2", &[2][..]),
        ("--connection 2-3", &[2, 3]),
        ("--connection 3 --connection 1", &[1, 3]),
        ("--connection 20240102030405-TCP-10.0.0.1.5003-10.0.0.2.80", &[3]),
        ("-e tcp[0:2]=5002||tcp[2:2]=5002", &[2]),
    ] {
        let playing = Playing::server_of(three(), &format!("--in-order --wait bytes {chosen}"));
        for (question, answer) in numbers.iter().map(|number| all[number - 1]) {
            ask(&playing, question, answer);
        }
        let (_, said) = playing.ends(0);
        assert_eq!(said.matches(": done; ").count(), numbers.len(), "{said}");
    }
}

#[test]
fn datagrams_are_played_in_both_roles() {
    let words = ["ask", "answer", "ask again", "answered"];
    let talk = Talk::of_datagrams("10.0.0.1:5000", "10.0.0.2:53", &words);
    let options = "-r a.pcap --no-delay --linger 0.2 --wait bytes";
    let place = Place::with(talk.pcap());
    let playing = Playing::listen(place, options);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    client.connect(("127.0.0.1", playing.port())).unwrap();
    let mut buffer = [0; 100];
    for pair in words.chunks(2) {
        client.send(pair[0].as_bytes()).unwrap();
        let len = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], pair[1].as_bytes());
    }
    let (place, said) = playing.ends(0);
    assert!(
        line_with(&said, "done").ends_with("4 of 4 turns, 14 bytes sent, 12 received"),
        "{said}"
    );
    assert!(place.names("out")[0].contains("-UDP-127.0.0.1."));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let to = server.local_addr().unwrap();
    let playing = Playing::start(Place::with(talk.pcap()), &format!("{options} --connect {to}"));
    for pair in words.chunks(2) {
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], pair[0].as_bytes());
        server.send_to(pair[1].as_bytes(), from).unwrap();
    }
    let (_, said) = playing.ends(0);
    assert!(
        line_with(&said, "done").ends_with("4 of 4 turns, 12 bytes sent, 14 received"),
        "{said}"
    );
}

#[test]
fn datagrams_may_not_be_cut_nor_come_to_nobody() {
    let talk = Talk::of_datagrams("10.0.0.1:5000", "10.0.0.2:53", &["ask", "answer"]);
    let place = Place::with(talk.pcap());
    let playing = Playing::listen(place, "-r a.pcap --no-delay --wait bytes");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"as", ("127.0.0.1", playing.port())).unwrap();
    let (place, said) = playing.ends(4);
    let why =
        "diverged at side 0, turn 1, offset 2: a datagram of another length came; 0 of 2 turns";
    assert!(said.contains(why), "{said}");
    // Nobody is at that port any more.
    let port = client.local_addr().unwrap().port();
    drop(client);
    let to = format!("replay -r a.pcap --no-store --no-delay --timeout 5 --connect {port}");
    let said = place.run(&to).ends(4).err;
    assert!(said.contains("peer broke off at side 1, turn 2, offset 0"), "{said}");
}

#[test]
fn a_port_speaks_both_protocols_and_both_versions_of_ip() {
    let datagrams = Talk::of_datagrams("10.0.0.1:5000", "10.0.0.2:53", &["ask", "answer"]);
    let mut both = exchange(5001, "ask", "answer").pcap();
    // Its packets, without the header of the file.
    both.extend(&datagrams.pcap()[24..]);
    for address in ["127.0.0.1", "[::1]"] {
        let Ok(free) = TcpListener::bind(format!("{address}:0")) else {
            crate::common::skipped(format!("no {address}"));
            continue;
        };
        let at = free.local_addr().unwrap();
        drop(free);
        let line = format!("-r a.pcap --no-delay --linger 0.2 --report json --listen {at}");
        let playing = Playing::start(Place::with(&both), &line).listening();
        let client = UdpSocket::bind(format!("{address}:0")).unwrap();
        client.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        client.send_to(b"ask", at).unwrap();
        let mut buffer = [0; 100];
        let (len, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"answer"[..], at));
        let mut client = super::patient(TcpStream::connect(at).unwrap());
        talk(&mut client, "ask", "answer");
        drop(client);
        let (_, said) = playing.ends(0);
        let protocols: Vec<_> = reports(&said).iter().map(|r| r["protocol"].clone()).collect();
        assert_eq!(protocols, ["UDP", "TCP"], "{said}");
    }
}
