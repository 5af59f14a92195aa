//! Recorded name servers to a real resolver.

use super::{Playing, example, report, reports, run};
use crate::common::{Place, has};

/// What `dig` is told, and what it must show then.
const QUESTIONS: [(&str, &str); 5] = [
    ("www.example.com A", "192.0.2.80"),
    ("www.example.com AAAA", "2001:db8::80"),
    ("example.com MX", "10 mail.example.com."),
    ("example.com TXT", "\"v=spf1 -all\""),
    ("nowhere.example.com A", ""),
];

fn dig(playing: &Playing, what: &str) -> String {
    let port = playing.port();
    run(&playing.place, "dig", &format!("@127.0.0.1 -p {port} +tries=1 +time=10 +short {what}"))
}

fn name_server(options: &str) -> Playing {
    let capture = example("dns.pcap");
    Playing::listen(Place::new(), &format!("-r {capture} --no-delay --report json {options}"))
}

#[test]
fn dig_gets_the_recorded_answers_in_any_order() {
    if !has(&["dig"]) {
        return;
    }
    let bytes = "--wait bytes --mask turn:0:2 --echo 0:2";
    // The cookie stands at the end, and is made anew each time.
    let cookies = ["44:8", "48:8", "52:8"].map(|place| format!(" --mask turn:{place}")).concat();
    for options in ["--echo 0:2".to_owned(), bytes.to_owned() + &cookies] {
        let playing = name_server(&format!("--udp --connection 1-5 {options}"));
        for (question, answer) in QUESTIONS.iter().rev() {
            assert_eq!(dig(&playing, question).trim(), *answer, "{options}: {question}");
        }
        let (place, said) = playing.ends(0);
        let reports = reports(&said);
        assert_eq!(reports.len(), 5, "{said}");
        for report in reports {
            assert_eq!((&report["result"], &report["protocol"]), (&"done".into(), &"UDP".into()));
        }
        assert_eq!(place.names("out").len(), 5);
    }
}

#[test]
fn dig_gets_a_long_answer_and_one_over_tcp() {
    if !has(&["dig"]) {
        return;
    }
    let playing = name_server("--udp --connection 6 --echo 0:2");
    let long = dig(&playing, "+bufsize=4096 big.example.com TXT");
    assert_eq!(long.lines().count(), 10, "{long}");
    let (_, said) = playing.ends(0);
    assert_eq!(report(&said)["sent"], 2245);
    let playing = name_server("--tcp --echo 2:2");
    assert_eq!(dig(&playing, "+tcp www.example.com A").trim(), "192.0.2.80");
    let (_, said) = playing.ends(0);
    let report = report(&said);
    assert_eq!((&report["protocol"], &report["sent"]), (&"TCP".into(), &62.into()), "{said}");
}

#[test]
fn another_question_is_another_datagram() {
    if !has(&["dig"]) {
        return;
    }
    let capture = example("dns.pcap");
    let options = "--udp --connection 1 --echo 0:2 --wait bytes --mask turn:0:2";
    let line = format!("-r {capture} --no-delay {options}");
    let playing = Playing::listen(Place::new(), &line);
    let port = playing.port();
    let dig = format!("dig @127.0.0.1 -p {port} +tries=1 +timeout=1 ftp.example.com || true");
    playing.place.shell(&dig).ends(0);
    let (_, said) = playing.ends(4);
    let diverged = "diverged at side 0, turn 1, offset 13: other bytes came; 0 of 2 turns";
    assert!(said.contains(diverged), "{said}");
}
