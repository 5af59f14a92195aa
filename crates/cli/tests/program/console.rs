//! `-c`: everything to standard output, nothing to files.

use crate::common::*;
use crate::stories::{DNS, WEB, web, web_and_dns};

#[test]
fn chunks_of_all_connections_come_in_the_order_of_delivery() {
    let place = Place::with(web_and_dns().pcap());
    assert_eq!(place.shown(""), "GET /\r\nwho?200 meOK\n");
    assert_eq!(place.shown("-s"), "GET /\r\nwho?200 meOK\n", "-s has no effect");
}

#[test]
fn headers_stand_before_chunks() {
    let place = Place::with(web().pcap());
    let expected = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"7\"}\r\nGET /\r\n\
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"4\"}\r\n200 \
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\nOK\n";
    assert_eq!(place.shown("-d"), expected);
    assert_eq!(place.shown("-d -s"), expected);
}

/// What `-c -j` shows of `web_and_dns`.
fn json_lines() -> String {
    let line = |line: &str, name: &str| format!("{line},\"connection\":\"{name}\"}}\n");
    [
        line(
            r#"{"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"7","data":"GET /\r\n","data_hex":"474554202F0D0A","packet":"4","offset":"0""#,
            WEB,
        ),
        line(
            r#"{"side":"0","time":{"abs":"1563783092.390000","conn":"0.000000"},"size":"4","data":"who?","data_hex":"77686F3F","packet":"5","offset":"0""#,
            DNS,
        ),
        line(
            r#"{"side":"1","time":{"abs":"1563783092.400000","conn":"1.835730"},"size":"4","data":"200 ","data_hex":"32303020","packet":"7","offset":"0""#,
            WEB,
        ),
        line(
            r#"{"side":"1","time":{"abs":"1563783092.400000","conn":"0.010000"},"size":"2","data":"me","data_hex":"6D65","packet":"8","offset":"0""#,
            DNS,
        ),
        line(
            r#"{"side":"1","time":{"abs":"1563783092.400001","conn":"1.835731"},"size":"3","data":"OK\n","data_hex":"4F4B0A","packet":"9","offset":"4""#,
            WEB,
        ),
    ]
    .concat()
}

#[test]
fn json_lines_name_their_connection_last() {
    let place = Place::with(web_and_dns().pcap());
    for options in ["-j", "-js", "-jd", "-csj"] {
        let options = options.replace('c', "");
        assert_eq!(place.shown(&options), json_lines(), "{options}");
    }
}

#[test]
fn several_inputs_put_the_file_before_the_connection() {
    let place = Place::with(web().pcap()).put("b", Capture::new().pcap());
    let outcome = place.run("-q -cj -r a.pcap b").ends(0);
    let end = format!(r#","packet":"4","offset":"0","file":"1","connection":"{WEB}"}}"#);
    assert!(outcome.out.lines().next().is_some_and(|line| line.ends_with(&end)), "{outcome:?}");
}

#[test]
fn a_gap_is_a_line_too() {
    let place = Place::with(crate::stories::lossy().pcap());
    let gap = format!(
        r#"{{"side":"1","time":{{"abs":"1563783093.000000","conn":"2.435730"}},"size":"0","data":"","data_hex":"","missing":"6","packet":"7","offset":"5","connection":"{WEB}"}}"#
    );
    assert_eq!(place.shown("-j").lines().nth(2), Some(gap.as_str()));
}

#[test]
fn metadata_is_a_line_with_j() {
    let place = Place::with(web_and_dns().pcap());
    let counts = |packets: &str| {
        format!(
            "{{\"packets\":\"{packets}\",\"retransmitted\":\"0\",\"out_of_order\":\"0\",\
             \"overlapping\":\"0\",\"conflicting\":\"0\",\"keep_alive\":\"0\",\"missing\":\"0\",\
             \"gaps\":\"0\",\"before_start\":\"0\",\"late\":\"0\"}}"
        )
    };
    let web = format!(
        "{{\"connection\":\"{WEB}\",\"metadata\":{{\
         \"total\":{{\"bytes\":\"14\",\"packets\":\"3\",\"messages\":\"2\"}},\
         \"side_0\":{{\"bytes\":\"7\",\"packets\":\"1\",\"messages\":\"1\"}},\
         \"side_1\":{{\"bytes\":\"7\",\"packets\":\"2\",\"messages\":\"1\"}},\
         \"protocol\":\"TCP\",\"side_0_end\":\"10.0.0.2:40000\",\"side_1_end\":\"10.0.0.1:80\",\
         \"first_packet\":{{\"time\":\"1563783090.564270\",\"packet\":\"1\",\"file\":\"1\"}},\
         \"last_packet\":{{\"time\":\"1563783093.000200\",\"packet\":\"12\",\"file\":\"1\"}},\
         \"duration\":\"2.435930\",\"began\":\"SYN seen\",\"ended\":\"FIN\",\
         \"side_0_packets\":{},\"side_1_packets\":{}}}}}\n",
        counts("5"),
        counts("4")
    );
    let dns = format!(
        "{{\"connection\":\"{DNS}\",\"metadata\":{{\
         \"total\":{{\"bytes\":\"6\",\"packets\":\"2\",\"messages\":\"2\"}},\
         \"side_0\":{{\"bytes\":\"4\",\"packets\":\"1\",\"messages\":\"1\"}},\
         \"side_1\":{{\"bytes\":\"2\",\"packets\":\"1\",\"messages\":\"1\"}},\
         \"protocol\":\"UDP\",\"side_0_end\":\"10.0.0.2:5353\",\"side_1_end\":\"10.0.0.9:53\",\
         \"first_packet\":{{\"time\":\"1563783092.390000\",\"packet\":\"5\",\"file\":\"1\"}},\
         \"last_packet\":{{\"time\":\"1563783092.400000\",\"packet\":\"8\",\"file\":\"1\"}},\
         \"duration\":\"0.010000\",\"began\":\"first packet\",\"ended\":\"input ended\",\
         \"side_0_packets\":{},\"side_1_packets\":{}}}}}\n",
        counts("1"),
        counts("1")
    );
    assert_eq!(place.shown("-jm"), json_lines() + &web + &dns);
}

#[test]
fn metadata_is_text_on_standard_error_without_j() {
    let place = Place::with(web().pcap());
    for options in ["-m", "-dm"] {
        let outcome = place.run(&format!("-q -r a.pcap -c {options}")).ends(0);
        assert!(outcome.err.starts_with(&format!("{WEB}\nNumber of data packets in side 0:  1\n")));
        assert!(outcome.err.contains("\nTotal number of messages:          2\n\nProtocol:"));
        assert!(!outcome.out.contains("Number"), "{outcome:?}");
    }
    let outcome = place.run("-q -r a.pcap -cm").ends(0);
    assert_eq!(outcome.out, "GET /\r\n200 OK\n");
}

#[test]
fn nothing_is_created() {
    let place = Place::with(web().pcap());
    for options in ["-c", "-cm", "-cmsj", "--write-to-console"] {
        place.run(&format!("-q -r a.pcap -o out/deep {options}")).ends(0);
        assert_eq!(place.names("."), ["a.pcap"], "{options}");
    }
}

#[test]
fn what_is_said_to_people_does_not_mix_with_the_bytes() {
    let outcome = Place::with(web().pcap()).run("-r a.pcap -c").ends(0);
    assert_eq!(outcome.out, "GET /\r\n200 OK\n");
    assert!(outcome.err.starts_with("Connections:                       1\n"), "{outcome:?}");
}

#[test]
fn a_packet_is_shown_before_the_next_one_comes() {
    // The first capture is fed in two parts: what the first part completes must not wait.
    let place = Place::with(web().pcap());
    let script = "mkfifo in out; $P -q -c -r in >out & exec 4<out 3>in
        head -c 500 a.pcap >&3
        timeout 20 head -c 7 <&4 >first
        tail -c +501 a.pcap >&3; exec 3>&-
        timeout 20 cat <&4 >rest; wait";
    place.shell(script).ends(0).errs("");
    let files = place.files(".");
    assert_eq!((files["first"].as_str(), files["rest"].as_str()), ("GET /\r\n", "200 OK\n"));
}
