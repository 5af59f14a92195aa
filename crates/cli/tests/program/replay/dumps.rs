//! Dumps instead of captures: those that the program writes, in files, folders and streams; classic ones; and
//! ones that somebody wrote by hand.

use super::{Playing, Talk, example, hear, hear_end, hear_nothing, line_with, reports, talk};
use crate::common::{Place, lines};
use std::io::Write;
use std::net::Shutdown;

/// The recorded connection to Redis, as it is dumped.
const REDIS: &str = "20261123153744-TCP-2001_db8__10.57406-2001_db8__20.6379";

#[test]
fn a_dump_is_played_as_its_capture_is() {
    let place = Place::new();
    let capture = example("redis-ipv6.pcap");
    place.run(&format!("-q --utc -r {capture} -e tcp -j -o dumps")).says_nothing();
    let dump = format!("dumps/{REDIS}.json");
    let options = "--no-delay --wait bytes --report json --linger 0.3";
    let server = Playing::listen(place, &format!("-r {capture} --tcp {options}"));
    let line = format!("replay {dump} {options} --no-store --connect {}", server.port());
    let client = server.place.run(&line).ends(0);
    assert_eq!(reports(&client.out)[0]["connection"], REDIS, "{client:?}");
    assert_eq!(reports(&client.out)[0]["turns"]["played"], 22);
    let (_, said) = server.ends(0);
    assert_eq!(reports(&said)[0]["turns"]["played"], 22, "{said}");
}

#[test]
fn a_stream_has_many_connections_to_choose_from() {
    let place = Place::new();
    let captures = [example("http.pcap"), example("dns.pcap")].join(" ");
    let stream = place.run(&format!("-q --utc -r {captures} -c -j")).ends(0).out;
    // As it is on disk: `out` is each byte one character, and dumps are ASCII.
    let place = place.put("stream.json", &stream);
    let list = |options: &str| {
        let out =
            place.run(&format!("replay stream.json --list --report json {options}")).ends(0).out;
        reports(&out).iter().map(|report| report["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(list("--connection 2-4 --connection 9"), [2, 3, 4, 9]);
    assert_eq!(list("--connection 20261123153743-TCP-192.0.2.10.46085-192.0.2.20.53"), [9]);
    let missing = "--connection 20261123153742-TCP-192.0.2.10.60180-192.0.2.20.80";
    let options = format!("stream.json {missing} --no-delay --wait bytes --linger 0.2");
    let playing = Playing::listen(Place::new().put("stream.json", &stream), &options);
    let request = "GET /missing HTTP/1.1\r\nHost: 192.0.2.20\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    let mut client = playing.client();
    talk(&mut client, request, "HTTP/1.1 404 Not Found\r\n");
    drop(client);
    let (_, said) = playing.ends(0);
    assert!(
        line_with(&said, "done").contains("2 of 2 turns, 475 bytes sent, 81 received"),
        "{said}"
    );
    // The same from standard input.
    let words = ["replay", "-", "--list", "--connection", "3"];
    assert_eq!(place.run_with(&words, stream.as_bytes()).ends(0).out.lines().count(), 2);
}

#[test]
fn a_folder_stands_for_its_dumps() {
    let exchange = |port: u16, question: &str, answer: &str| {
        let client = format!("10.0.0.1:{port}");
        Talk::between(&client, "10.0.0.2:80").client(question).server(answer).closed()
    };
    let all = exchange(5001, "one?", "1").then(exchange(5002, "two?", "2"));
    for layout in ["-j", "-j -s", "-j -m", "-j --bin-dirs 1"] {
        let place = Place::with(all.pcap());
        place.run(&format!("-q --utc -r a.pcap -o dumps {layout}")).says_nothing();
        let options = "dumps --no-delay --wait bytes --linger 0.3";
        let playing = Playing::listen(place, options);
        for (question, answer) in [("two?", "2"), ("one?", "1")] {
            let mut client = playing.client();
            talk(&mut client, question, answer);
            client.shutdown(Shutdown::Write).unwrap();
            hear_end(&mut client);
        }
        let (_, said) = playing.ends(0);
        assert_eq!(said.matches(": done; 2 of 2 turns").count(), 2, "{layout}: {said}");
    }
}

#[test]
fn what_the_classic_program_wrote_is_played() {
    // Its lines end as Windows has it; times, sizes and packets are text, and bytes are characters.
    let line = |side, time, size: usize, data: &str| {
        format!(
            "{{\"side\":\"{side}\",\"time\":{{\"abs\":\"1200000000.{time}\",\"conn\":\"0.{time}\"}},\"size\":\"{size}\",\"data\":\"{data}\"}}\r\n"
        )
    };
    let dump = [
        line(1, "000100", 12, "220 hello\\r\\n\\u0000"),
        line(0, "000200", 6, "QUIT\\r\\n"),
        line(1, "000300", 4, "\\u00FF\\u0080\\r\\n"),
    ];
    let name = "20080110212000-TCP-10.0.0.1.5000-10.0.0.2.25.json";
    let place = Place::new().put(name, dump.concat());
    let playing = Playing::listen(place, &format!("{name} --wait bytes --linger 0.3"));
    let mut client = playing.client();
    hear(&mut client, "220 hello\r\n\0");
    client.write_all(b"QUIT\r\n").unwrap();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut rest).unwrap();
    assert_eq!(rest, b"\xff\x80\r\n");
    drop(client);
    let (place, said) = playing.ends(0);
    assert!(line_with(&said, "done").contains("3 of 3 turns, 16 bytes sent, 6 received"), "{said}");
    assert_eq!(
        super::stored(&place),
        [b"QUIT\r\n".to_vec(), b"220 hello\r\n\0\xff\x80\r\n".to_vec()]
    );
}

/// Two questions and answers, by hand.
fn by_hand() -> Place {
    let dump = lines(&[
        r#"{"side":0,"data":"one?\n"}"#,
        r#"{"side":1,"data_hex":"310a"}"#,
        "",
        r#"{"side":0,"data":"two?\n"}"#,
        r#"{"side":1,"data":"2\n"}"#,
    ]);
    Place::new().put("talk.json", dump)
}

#[test]
fn a_dump_by_hand_needs_little() {
    let playing = Playing::listen(by_hand(), "talk.json --tcp --wait bytes --linger 0.3");
    let mut client = playing.client();
    talk(&mut client, "one?\n", "1\n");
    talk(&mut client, "two?\n", "2\n");
    // A dump does not tell when the server ended: it has said its last.
    hear_end(&mut client);
    drop(client);
    let (_, said) = playing.ends(0);
    assert!(line_with(&said, "done").starts_with("pcap2conn: talk: done; 4 of 4 turns"), "{said}");
}

#[test]
fn a_client_of_a_dump_ends_after_its_last_word_or_after_all() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    for (options, ends_early) in [("", true), ("--close ours", true), ("--close all", false)] {
        let line = format!("talk.json --tcp --linger 0.3 --connect {to} {options}");
        let playing = Playing::start(by_hand(), &line);
        let mut server = super::accepted(&listener);
        hear(&mut server, "one?\n");
        server.write_all(b"1\n").unwrap();
        hear(&mut server, "two?\n");
        if ends_early {
            hear_end(&mut server);
        } else {
            hear_nothing(&mut server);
        }
        server.write_all(b"2\n").unwrap();
        hear_end(&mut server);
        drop(server);
        playing.ends(0);
    }
}

#[test]
fn a_dump_tells_times_too() {
    let dump = lines(&[
        r#"{"side":0,"data":"go","time":{"conn":"0.0"}}"#,
        r#"{"side":1,"data":"gone","time":{"conn":"0.4"}}"#,
    ]);
    let place = Place::new().put("talk.json", dump);
    let playing = Playing::listen(place, "talk.json --tcp --linger 0.3");
    let mut client = playing.client();
    let begun = std::time::Instant::now();
    talk(&mut client, "go", "gone");
    assert!(begun.elapsed() > std::time::Duration::from_millis(390), "{:?}", begun.elapsed());
    drop(client);
    playing.ends(0);
}
