//! How it goes, on standard error and for Prometheus.

use super::Server;
use crate::common::{Capturing, PATIENCE, Place, skipped};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// A port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What is answered to a request: the status line, and what comes after the headers.
fn ask(port: u16, request: &str) -> (String, String) {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(client, "{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// The value on the line that begins so.
fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn prometheus_is_told_all_figures() {
    let (server, port) = (Server::start(), free_port());
    let arguments = format!("-i lo -s --metrics 127.0.0.1:{port} --max-disk 10");
    let Some(capturing) = Capturing::start(&arguments, &server.filter()) else { return };
    // One that goes on, and some that are over.
    let mut open = server.connect();
    open.write_all(b"0000").unwrap();
    for _ in 0..3 {
        let client = server.ask(10_000);
        server.wait_for_answer(&capturing, client, 10_000);
    }
    let (status, text) = ask(port, "GET /metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(value(&text, "pcap2conn_connections{state=\"established\"}"), 1, "{text}");
    assert_eq!(value(&text, "pcap2conn_connections{state=\"over\"}"), 3);
    assert_eq!(value(&text, "pcap2conn_opened_connections_total{protocol=\"TCP\"}"), 4);
    assert_eq!(value(&text, "pcap2conn_delivered_bytes_total"), 3 * 10_009 + 4);
    assert!(value(&text, "pcap2conn_packets_total") > 4 * 3);
    assert!(value(&text, "pcap2conn_captured_bytes_total") > 30_000);
    assert!(value(&text, "pcap2conn_disk_bytes") >= 3 * 12_288);
    for name in [
        "dropped_packets_total{by=\"kernel\"}",
        "dropped_packets_total{by=\"interface\"}",
        "buffered_bytes",
        "gaps_total",
    ] {
        assert_eq!(value(&text, &format!("pcap2conn_{name}")), 0);
    }
    // They are of this moment.
    open.write_all(b"0005\n").unwrap();
    open.read_to_end(&mut Vec::new()).unwrap();
    drop(open);
    let is_over =
        || value(&ask(port, "GET /metrics?a").1, "pcap2conn_connections{state=\"over\"}") == 4;
    crate::common::wait_until("the connection is over", is_over);
    assert_eq!(ask(port, "GET /").0, "HTTP/1.1 404 Not Found");
    assert_eq!(ask(port, "POST /metrics").0, "HTTP/1.1 405 Method Not Allowed");
    check_with_a_parser(&text);
    capturing.stop(0);
}

/// What a parser of Prometheus' own project makes of it.
fn check_with_a_parser(text: &str) {
    let script = "import sys\n\
        from prometheus_client.parser import text_string_to_metric_families as families\n\
        for family in families(sys.stdin.read()):\n    \
            assert family.documentation and family.type in ('counter', 'gauge'), family\n    \
            print(family.name, len(family.samples))\n";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
        return skipped("no python3");
    };
    // Where it reads nothing, it says why.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    if err.contains("No module named") {
        return skipped("no python3-prometheus-client");
    }
    assert!(output.status.success(), "{err}");
    assert!(
        out.contains("pcap2conn_packets 1\n") && out.contains("pcap2conn_connections 6\n"),
        "{out}"
    );
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Place::new();
    let outcome = place.run(&format!("-i lo -o out --metrics {address}")).ends(1);
    if outcome.err.contains("CAP_NET_RAW") {
        return skipped(outcome.err.trim());
    }
    let said = format!("pcap2conn: --metrics {address}: cannot listen: ");
    assert!(outcome.err.starts_with(&said), "{outcome:?}");
    assert_eq!(place.names("."), [""; 0]);
}

#[test]
fn people_are_told_now_and_then() {
    let server = Server::start();
    let arguments = "-i lo --stats-interval 1 --summary-json summary.json";
    let Some(mut capturing) = Capturing::start(arguments, &server.filter()) else { return };
    server.ask(1000);
    assert!(capturing.running.has_said("pcap2conn: 1 s: "));
    assert!(capturing.running.has_said("pcap2conn: 2 s: "));
    let (place, said) = capturing.stop(0);
    let line = said.lines().find(|line| line.starts_with("pcap2conn: 2 s: ")).unwrap();
    for part in [
        " packets, ",
        "; dropped by the kernel 0, by the interface 0; connections 1 (TCP 0 half-open, 0 established, ",
        "0 closing, 1 over; UDP 0; other 0); 0 bytes held, 0 gaps",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(said.contains("\nDropped by the kernel:             0\n"), "{said}");
    assert!(said.contains("\nDropped by the interface:          0\n"), "{said}");
    let summary = std::fs::read(place.path("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    let dropped = serde_json::json!({"kernel": 0, "interface": 0});
    assert_eq!(summary["inputs"][0]["dropped"], dropped);
}
