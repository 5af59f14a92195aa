//! What was said in a replay, as it is stored, and that it can be replayed itself.

use super::{Playing, Talk, example, hear_end, report, reports, talk};
use crate::common::Place;
use std::net::Shutdown;

fn exchange() -> Talk {
    Talk::new()
        .client("HELO me\r\n")
        .server("250 hello\r\n")
        .client("BYE\r\n")
        .server("221 bye\r\n")
        .closed()
}

const OPTIONS: &str = "--no-delay --wait bytes --linger 0.3 --report json";

#[track_caller]
fn have_it(playing: &Playing) -> u16 {
    let mut client = playing.client();
    talk(&mut client, "HELO me\r\n", "250 hello\r\n");
    talk(&mut client, "BYE\r\n", "221 bye\r\n");
    client.shutdown(Shutdown::Write).unwrap();
    hear_end(&mut client);
    client.local_addr().unwrap().port()
}

#[test]
fn what_was_stored_is_a_dump_that_is_replayed() {
    let server = Playing::listen(Place::with(exchange().pcap()), &format!("-r a.pcap {OPTIONS}"));
    let (client_port, server_port) = (have_it(&server), server.port());
    let (place, said) = server.ends(0);
    let name = place.names("out").pop().unwrap();
    let report = report(&said);
    assert_eq!(report["stored"], name);
    assert!(
        name.ends_with(&format!("-TCP-127.0.0.1.{client_port}-127.0.0.1.{server_port}.json")),
        "{name}"
    );
    assert_eq!(report["local"], format!("127.0.0.1:{server_port}"));
    assert_eq!(report["peer"], format!("127.0.0.1:{client_port}"));
    let text = &place.files("out")[&name];
    let first = r#"{"side":"0","time":{"abs":""#;
    assert!(text.starts_with(first), "{text}");
    let rest = r#""size":"9","data":"HELO me\r\n","data_hex":"48454C4F206D650D0A""#;
    assert!(text.lines().next().unwrap().contains(rest), "{text}");
    let stored = super::stored(&place);
    assert_eq!(stored, [b"HELO me\r\nBYE\r\n".to_vec(), b"250 hello\r\n221 bye\r\n".to_vec()]);
    // And again, from what was stored.
    let again = Place::new().put(&name, text);
    let server = Playing::listen(again, &format!("{name} {OPTIONS}"));
    have_it(&server);
    let (place, said) = server.ends(0);
    assert_eq!(self::report(&said)["connection"], *name.trim_end_matches(".json"));
    assert_eq!(super::stored(&place), stored);
}

#[test]
fn many_at_once_are_stored_each_in_its_file() {
    let place = Place::new();
    let capture = example("http.pcap");
    let server = Playing::listen(place, &format!("-r {capture} {OPTIONS}"));
    let line = format!("replay -r {capture} {OPTIONS} -o client --utc --connect {}", server.port());
    let client = server.place.run(&line).ends(0);
    assert_eq!(reports(&client.out).len(), 2, "{client:?}");
    let (place, said) = server.ends(0);
    let talks = |folder: &str| {
        let said = |text: String| {
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let lines: Vec<serde_json::Value> = lines.collect();
            let of = |side: &str| -> String {
                let lines = lines.iter().filter(|line| line["side"] == side);
                lines.map(|line| line["data"].as_str().unwrap()).collect()
            };
            [of("0"), of("1")]
        };
        place
            .files(folder)
            .into_iter()
            .map(|(name, text)| (name[15..].to_owned(), said(text)))
            .collect()
    };
    let (theirs, ours): (Vec<_>, Vec<_>) = (talks("client"), talks("out"));
    assert_eq!(ours.len(), 2, "{said}");
    // Both ends tell the same, and of the same ends.
    assert!(ours == theirs);
}

#[test]
fn nothing_is_stored_where_that_was_said() {
    let playing =
        Playing::listen(Place::with(exchange().pcap()), &format!("-r a.pcap --no-store {OPTIONS}"));
    have_it(&playing);
    let (place, said) = playing.ends(0);
    assert_eq!(report(&said).get("stored"), None);
    assert!(!place.path("out").exists());
}

#[test]
fn quiet_tells_only_of_what_did_not_match() {
    let start = || {
        let place = Place::with(exchange().pcap());
        let port = free_port();
        let line = format!("-r a.pcap -q --no-delay --wait bytes --linger 0.3 --listen {port}");
        (Playing::start(place, &line), port)
    };
    let connect = |port: u16| {
        let mut found = None;
        crate::common::wait_until("it listens", || {
            found = std::net::TcpStream::connect(("127.0.0.1", port)).ok();
            found.is_some()
        });
        super::patient(found.unwrap())
    };
    let (playing, port) = start();
    let mut client = connect(port);
    talk(&mut client, "HELO me\r\n", "250 hello\r\n");
    talk(&mut client, "BYE\r\n", "221 bye\r\n");
    drop(client);
    let (_, said) = playing.ends(0);
    assert_eq!(said, "");
    let (playing, port) = start();
    let mut client = connect(port);
    talk(&mut client, "HELO me\r\n", "250 hello\r\n");
    drop(client);
    let (_, said) = playing.ends(4);
    assert!(said.contains(": peer closed at side 0, turn 3, offset 9; "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// One that nobody else has, for now.
fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

#[test]
fn both_ends_may_be_stored_in_one_folder() {
    let place = Place::with(exchange().pcap());
    let server = Playing::listen(place, "-r a.pcap --no-delay --linger 0.3");
    let line = format!("replay --utc -o out -r a.pcap --no-delay --connect {}", server.port());
    assert_eq!(server.place.run(&line).status, Some(0));
    let (place, _) = server.ends(0);
    let names = place.names("out");
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("_2.json")), "{names:?}");
    let listed = place.run("replay out --list").ends(0).out;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}
