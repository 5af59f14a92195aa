//! Recorded servers of HTTP to a real client, and a recorded client to a real server.

use super::{Playing, Talk, command, example, line_with, report, reports, run, stored};
use crate::common::{Place, Running, has};
use std::io::{Read, Write};
use std::net::TcpStream;

const PAGE: &str =
    "<!doctype html>\n<title>Example</title>\n<p>Numbers are <a href=\"numbers.txt\">here</a>.\n";

/// The second page of the recording.
fn numbers() -> String {
    (1..=5000).map(|n| format!("{n}\n")).collect()
}

/// The recorded servers, played with these options.
fn recorded_server(options: &str) -> Playing {
    let capture = example("http.pcap");
    Playing::listen(Place::new(), &format!("-r {capture} --no-delay --report json {options}"))
}

/// `curl` gets the pages of the recording, one connection for each line, and what it got is in order.
fn curl(playing: &Playing, agent: &str, options: &str, pages: &str) -> Vec<String> {
    let urls: Vec<_> = pages.split(' ').map(|page| format!("http://192.0.2.20/{page}")).collect();
    let outputs: String = (0..urls.len()).map(|n| format!("-o page{n} ")).collect();
    let line = format!(
        "-sS --max-time 20 --noproxy * -A {agent} {options} --connect-to ::127.0.0.1:{} {outputs} {}",
        playing.port(),
        urls.join(" ")
    );
    run(&playing.place, "curl", &line);
    let page = |n| std::fs::read_to_string(playing.place.path(&format!("page{n}"))).unwrap();
    (0..urls.len()).map(page).collect()
}

/// How the recorded `curl` called itself.
const AGENT: &str = "curl/7.88.1";

#[test]
fn curl_gets_the_recorded_pages_whatever_of_its_request_is_looked_at() {
    if !has(&["curl"]) {
        return;
    }
    let ways = [
        (AGENT, ""),
        (AGENT, "--wait bytes"),
        ("a/1", r"--wait regex:\r\n\r\n"),
        ("a/1", "--wait any"),
        ("a/1", r"--ignore User-Agent:[^\r]*"),
        // As long as the recorded one.
        ("curl/9.99.9", "--wait bytes --mask turn:51:6"),
        ("curl/9.99.9", "--wait length"),
    ];
    for (agent, options) in ways {
        // Its second request is 11 bytes longer: what is masked in it would stand elsewhere.
        let masks = options.contains("--mask");
        let options = if masks { format!("{options} --mask turn:62:6") } else { options.into() };
        let playing = recorded_server(&format!("--connection 1 {options}"));
        let pages = curl(&playing, agent, "", " numbers.txt");
        assert!(pages == [PAGE.to_owned(), numbers()], "{agent} {options}: {pages:?}");
        let (place, said) = playing.ends(0);
        let report = report(&said);
        assert_eq!(report["result"], "done", "{agent} {options}: {said}");
        assert_eq!((&report["side"], &report["matched"]), (&1.into(), &true.into()));
        assert_eq!(report["turns"], serde_json::json!({"played": 4, "recorded": 4}));
        assert_eq!(report["sent"], 24_426);
        let [asked, answered] = stored(&place);
        assert_eq!(asked.len() as u64, report["received"].as_u64().unwrap());
        assert_eq!(answered.len(), 24_426);
        assert_eq!(
            report["differs_from"].as_u64(),
            (agent == "curl/9.99.9" && !masks).then_some(51)
        );
    }
}

#[test]
fn each_curl_gets_the_connection_that_begins_as_it_does() {
    if !has(&["curl"]) {
        return;
    }
    let playing = recorded_server("--wait bytes");
    let [missing] = &curl(&playing, AGENT, "", "missing")[..] else { panic!("one page") };
    assert!(missing.contains("404 Not Found"), "{missing}");
    let pages = curl(&playing, AGENT, "", " numbers.txt");
    assert!(pages == [PAGE.to_owned(), numbers()]);
    let (place, said) = playing.ends(0);
    let played: Vec<_> = reports(&said).iter().map(|r| r["connection"].clone()).collect();
    let name = |port| format!("20261123153742-TCP-192.0.2.10.{port}-192.0.2.20.80");
    assert_eq!(played, [name(60180), name(60168)]);
    assert_eq!(place.names("out").len(), 2);
}

#[test]
fn a_request_for_another_page_is_named() {
    if !has(&["curl"]) {
        return;
    }
    let capture = example("http.pcap");
    let options = format!("-r {capture} --no-delay --wait bytes --connection 2");
    let playing = Playing::listen(Place::new(), &options);
    let to = format!("--connect-to ::127.0.0.1:{} http://192.0.2.20/else", playing.port());
    let line = format!("-sS --max-time 20 --noproxy * -A {AGENT} {to}");
    assert!(!command(&playing.place, "curl", &line).output().unwrap().status.success());
    let (_, said) = playing.ends(4);
    assert_eq!(
        line_with(&said, "diverged"),
        "pcap2conn: 20261123153742-TCP-192.0.2.10.60180-192.0.2.20.80: diverged at side 0, turn 1, offset 5: \
         other bytes came; 0 of 2 turns, 0 bytes sent, 78 received"
    );
    let row = "  ! 00000000  47 45 54 20 2f 6d 69 73 GET /mis  47 45 54 20 2f 65 6c 73 GET /els";
    assert!(said.lines().any(|line| line == row), "{said}");
}

/// A real server of files.
struct Server {
    place: Place,
    running: Running,
    port: u16,
}

impl Server {
    fn start(page: &str) -> Self {
        let place = Place::new().put("index.html", page).put("numbers.txt", numbers());
        let serve = "-u -m http.server --bind 127.0.0.1 --protocol HTTP/1.1 0";
        let mut running = Running::with_words(command(&place, "python3", serve));
        assert!(running.has_said("Serving HTTP on "), "{}", running.said());
        let said = running.said();
        let port = said.split(" port ").nth(1).and_then(|rest| rest.split(' ').next());
        let port = port.unwrap().parse().unwrap();
        Self { place, running, port }
    }

    /// The answer to a request after which it closes.
    fn answer(&self, request: &str) -> String {
        let mut stream = super::patient(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn the_recorded_curl_gets_its_pages_from_a_real_server() {
    if !has(&["python3"]) {
        return;
    }
    let server = Server::start(PAGE);
    let capture = example("http.pcap");
    for wait in ["any", r"regex:here</a>\.\n|5000\n|</html>\n"] {
        let line = format!(
            "replay -r {capture} --no-delay --linger 0.3 --connect 127.0.0.1:{} --wait {wait} \
             --report json -o out --utc",
            server.port
        );
        let outcome = server.place.run(&line).ends(0).errs("");
        let reports = reports(&outcome.out);
        let sent: Vec<_> = reports.iter().map(|report| report["sent"].as_u64().unwrap()).collect();
        assert_eq!(sent.len(), 2, "{outcome:?}");
        assert_eq!(sent.iter().sum::<u64>(), 159 + 81, "{outcome:?}");
        assert!(reports.iter().all(|report| report["result"] == "done"), "{outcome:?}");
        let files = server.place.files("out");
        assert_eq!(files.len(), 2, "{:?}", files.keys());
        assert!(files.values().any(|text| text.contains("4999\\n5000\\n")), "{wait}");
        std::fs::remove_dir_all(server.place.path("out")).unwrap();
    }
    let said = server.running.said();
    for got in
        ["\"GET / HTTP/1.1\" 200", "\"GET /numbers.txt HTTP/1.1\" 200", "/missing HTTP/1.1\" 404"]
    {
        assert_eq!(said.matches(got).count(), 2, "{said}");
    }
}

#[test]
fn a_server_must_give_the_recorded_page_but_at_another_date() {
    if !has(&["python3"]) {
        return;
    }
    let server = Server::start(PAGE);
    let request = "GET / HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n";
    let answer = server.answer(request);
    // An older answer.
    let head = |line: &str| {
        let line = answer.lines().find(|all| all.starts_with(line)).unwrap();
        (line.to_owned(), line.find(": ").unwrap())
    };
    let older = ["Date", "Last-Modified"].into_iter().fold(answer.clone(), |answer, name| {
        let (line, colon) = head(name);
        answer.replace(&line, &format!("{}: Mon, 6 May 2024 07:08:09 GMT", &line[..colon]))
    });
    let place = Place::with(Talk::new().client(request).server(&older).fin(1).fin(0).pcap());
    let to = format!("--connect 127.0.0.1:{} --no-store --no-delay", server.port);
    let rules = "# whenever it is\nignore (Date|Last-Modified): [^\\r]*\n";
    let place = place.put("rules", rules);
    let said = place.run(&format!("replay -r a.pcap {to} --rules rules")).ends(0).err;
    assert_eq!(
        line_with(&said, "done"),
        format!(
            "pcap2conn: {}: done; 2 of 2 turns, {} bytes sent, {} received",
            super::recorded::NAME,
            request.len(),
            answer.len()
        )
    );
    let said = place.run(&format!("replay -r a.pcap {to} --wait bytes")).ends(4).err;
    assert!(said.contains(": diverged at side 1, turn 2, offset "), "{said}");
    // Another page, of the same length.
    let server = Server::start(&PAGE.replace("here", "HERE"));
    let to = format!("--connect 127.0.0.1:{} --no-store --no-delay", server.port);
    let said = place.run(&format!("replay -r a.pcap {to} --rules rules")).ends(4).err;
    let offset = answer.find("here</a>").unwrap();
    let where_to =
        format!("diverged at side 1, turn 2, offset {offset}: other bytes came; 1 of 2 turns");
    assert!(said.contains(&where_to), "{said}");
    assert!(said.contains("  48 45 52 45 "), "{said}");
}
