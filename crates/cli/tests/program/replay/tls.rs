//! What was said, in TLS.

use super::{Playing, Talk, command, reports, run};
use crate::common::{Place, Running, has};

const REQUEST: &str = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn session() -> Talk {
    Talk::new().client(REQUEST).server(ANSWER).closed()
}

/// A place with that session, and certificates for `localhost` in `one.pem`, `two.pem` and, as people make them, of
/// one that is its own authority, `own.pem`.
fn place() -> Place {
    let place = Place::with(session().pcap());
    for (name, authority) in [("one", "FALSE"), ("two", "FALSE"), ("own", "TRUE")] {
        let to = format!("-keyout {name}.key -out {name}.pem");
        let key = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1";
        let kind = format!("-addext basicConstraints=critical,CA:{authority}");
        let of = format!("-subj /CN={name} {names} {kind}");
        run(&place, "openssl", &format!("req {key} {of} {to}"));
    }
    place
}

const SERVE: &str = "-r a.pcap --no-delay --tls-cert one.pem --tls-key one.key --linger 0.5";

#[test]
fn curl_gets_a_page_in_tls() {
    if !has(&["openssl", "curl"]) {
        return;
    }
    let options = r"--wait regex:\r\n\r\n --tls-alpn http/1.1 --report json";
    let playing = Playing::listen(place(), &format!("{SERVE} {options}"));
    let url = format!("https://localhost:{}/page", playing.port());
    let curl =
        format!("-sS --max-time 20 --noproxy * --resolve localhost:{}:127.0.0.1", playing.port());
    // It believes nobody without being told to.
    let other = command(&playing.place, "curl", &format!("{curl} --cacert two.pem {url}")).output();
    assert_eq!(other.unwrap().status.code(), Some(60));
    assert_eq!(run(&playing.place, "curl", &format!("{curl} --cacert one.pem {url}")), "hello");
    let (place, said) = playing.ends(0);
    let [dismissed, played] = &reports(&said)[..] else { panic!("{said}") };
    assert_eq!((&dismissed["result"], &played["result"]), (&"dismissed".into(), &"done".into()));
    assert!(dismissed["reason"].as_str().unwrap().contains("alert"), "{dismissed}");
    // As it was said, without TLS around it.
    let [asked, answered] = super::stored(&place);
    assert!(asked.starts_with(b"GET /page HTTP/1.1\r\n"));
    assert_eq!(answered, ANSWER.as_bytes());
}

#[test]
fn whoever_speaks_no_tls_takes_no_recording() {
    if !has(&["openssl", "curl"]) {
        return;
    }
    let playing = Playing::listen(place(), SERVE);
    let mut plain = playing.client();
    std::io::Write::write_all(&mut plain, REQUEST.as_bytes()).unwrap();
    std::io::Read::read_to_end(&mut plain, &mut Vec::new()).unwrap();
    drop(playing.client());
    let to = format!("--connect-to ::127.0.0.1:{} https://localhost/page", playing.port());
    let curl = format!("-sS --max-time 20 --noproxy * -k -H User-Agent: -H Accept: {to}");
    assert_eq!(run(&playing.place, "curl", &curl), "hello");
    let (_, said) = playing.ends(0);
    assert_eq!(said.matches(": TLS: ").count(), 2, "{said}");
}

/// `openssl s_server` with a certificate, whose standard input and output are its side of the talk.
struct Server {
    place: Place,
    running: Running,
    port: u16,
}

impl Server {
    fn start(name: &str) -> Self {
        let place = place();
        // It shows what it reads, and says what it is told.
        let with = format!("-cert {name}.pem -key {name}.key -alpn http/1.1 -naccept 1");
        let line = format!("s_server -accept 127.0.0.1:0 {with}");
        let mut running = Running::with_words(command(&place, "openssl", &line));
        assert!(running.has_said("ACCEPT 127.0.0.1:"), "{}", running.said());
        let said = running.said();
        let port = said.split("ACCEPT 127.0.0.1:").nth(1).and_then(|rest| rest.lines().next());
        let port = port.unwrap().trim().parse().unwrap();
        Self { place, running, port }
    }

    /// What the program is told to play to it.
    fn client(&self, host: &str, options: &str) -> String {
        format!(
            "replay -r a.pcap --no-delay --no-store --connect {host}:{} --tls {options}",
            self.port
        )
    }
}

#[test]
fn a_recorded_client_speaks_tls_with_a_real_server() {
    if !has(&["openssl"]) {
        return;
    }
    let ways = [
        ("one", "127.0.0.1", "--tls-ca one.pem"),
        ("own", "localhost", "--tls-ca own.pem"),
        ("one", "127.0.0.1", "--tls-ca one.pem --tls-name localhost --tls-alpn http/1.1"),
        ("one", "localhost", "--tls-insecure --tls-name other.example"),
    ];
    for (name, host, options) in ways {
        let mut server = Server::start(name);
        let arguments = server.client(host, &format!("{options} --wait any --linger 0.2"));
        let program = env!("CARGO_BIN_EXE_pcap2conn");
        let client = Running::with_words(command(&server.place, program, &arguments));
        assert!(server.running.has_said("GET /page HTTP/1.1"), "{}", client.said());
        server.running.tell("an answer of its own");
        let (status, said) = client.ends();
        assert_eq!(status, Some(0), "{options}: {said}");
        assert!(said.contains(": done; 2 of 2 turns, 39 bytes sent, 21 received"), "{said}");
        let said = server.running.said();
        assert_eq!(
            said.contains("ALPN protocols selected: http/1.1"),
            options.contains("alpn"),
            "{said}"
        );
    }
}

#[test]
fn a_client_believes_nobody_whom_it_was_not_told_to() {
    if !has(&["openssl"]) {
        return;
    }
    for (name, options, why) in [
        ("one", "--tls-ca two.pem", "invalid peer certificate: UnknownIssuer"),
        ("one", "--tls-ca own.pem", "invalid peer certificate: UnknownIssuer"),
        ("one", "--tls-ca one.pem --tls-name other.example", "invalid peer certificate: "),
        ("own", "--tls-ca own.pem --tls-name other.example", "invalid peer certificate: "),
    ] {
        let server = Server::start(name);
        let said = server.place.run(&server.client("127.0.0.1", options)).ends(1).err;
        let failed = format!("failed: cannot connect to 127.0.0.1:{}: {why}", server.port);
        assert!(said.contains(&format!("{}: {failed}", super::recorded::NAME)), "{said}");
    }
}

#[test]
fn files_that_are_no_certificates_are_named_before_anything_is_played() {
    if !has(&["openssl"]) {
        return;
    }
    let place = place().put("none.pem", "nothing");
    let of = |options: &str| place.run(&format!("replay -r a.pcap {options}")).ends(1).err;
    let serve =
        |cert: &str, key: &str| of(&format!("--listen 0 --tls-cert {cert} --tls-key {key}"));
    assert_eq!(
        serve("none.pem", "one.key"),
        "pcap2conn: none.pem: no certificate in it (PEM is needed)\n"
    );
    let missing = serve("gone.pem", "one.key");
    assert!(missing.starts_with("pcap2conn: gone.pem: "), "{missing}");
    let swapped = serve("one.pem", "none.pem");
    assert!(swapped.starts_with("pcap2conn: none.pem: "), "{swapped}");
    let other = serve("one.pem", "two.key");
    assert!(other.starts_with("pcap2conn: two.key: "), "{other}");
    let client = of("--connect 9 --tls --tls-ca none.pem");
    assert_eq!(client, "pcap2conn: none.pem: no certificate in it (PEM is needed)\n");
    let name = of("--connect 9 --tls --tls-insecure --tls-name no/name");
    assert_eq!(name, "pcap2conn: 'no/name' is no name of a server: --tls-name NAME\n");
}

#[test]
fn two_programs_play_both_sides_in_tls() {
    if !has(&["openssl"]) {
        return;
    }
    let server = Playing::listen(place(), &format!("{SERVE} --wait bytes"));
    let to = format!("--connect 127.0.0.1:{} --tls --tls-ca one.pem", server.port());
    let line = format!("replay -r a.pcap --no-delay --no-store --wait bytes {to}");
    let said = server.place.run(&line).ends(0).err;
    assert!(said.contains(": done; 2 of 2 turns, 39 bytes sent, 43 received"), "{said}");
    let (_, said) = server.ends(0);
    assert!(said.contains(": done; 2 of 2 turns, 43 bytes sent, 39 received"), "{said}");
}
