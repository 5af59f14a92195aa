//! `-e`: BPF filters, and the build that has none.

use crate::common::*;
use crate::stories::{DNS, WEB, web_and_dns};

#[cfg(not(feature = "libpcap"))]
#[test]
fn a_build_without_libpcap_says_so() {
    let place = Place::with(web_and_dns().pcap());
    let outcome: Outcome = place.run("-r a.pcap -o out -e tcp").ends(2);
    assert!(outcome.err.contains("libpcap") && outcome.err.contains("'tcp'"), "{outcome:?}");
    assert!(outcome.out.is_empty());
    assert_eq!(place.names("."), ["a.pcap"], "nothing was created");
    // All else works.
    let names: Vec<_> = place.out("").into_keys().collect();
    assert_eq!(names, [format!("{WEB}.txt"), format!("{DNS}.txt")]);
}

#[cfg(feature = "libpcap")]
mod with_libpcap {
    use super::*;

    /// A run with a filter.
    fn filtered(place: &Place, filter: &str, options: &str) -> Outcome {
        let mut arguments: Vec<_> = options.split_whitespace().collect();
        arguments.extend(["-e", filter]);
        place.run_with(&arguments, b"")
    }

    #[test]
    fn only_what_matches_is_followed() {
        let place = Place::with(web_and_dns().pcap());
        for (filter, name) in [
            ("tcp port 80", WEB),
            ("tcp", WEB),
            ("host 10.0.0.1 and port 40000", WEB),
            ("udp", DNS),
            ("not tcp and not arp", DNS),
        ] {
            filtered(&place, filter, "-q -r a.pcap -o out").says_nothing();
            assert_eq!(place.names("out"), [format!("{name}.txt")], "{filter}");
            std::fs::remove_dir_all(place.path("out")).expect("it was just read");
        }
        let outcome = place.run("-q -r a.pcap -c --filter udp").ends(0);
        assert_eq!(outcome.out, "who?me");
    }

    #[test]
    fn an_empty_filter_matches_everything() {
        let place = Place::with(web_and_dns().pcap());
        assert_eq!(filtered(&place, "", "-q -r a.pcap -c").ends(0).out, "GET /\r\nwho?200 meOK\n");
    }

    #[test]
    fn what_does_not_match_is_set_aside_as_filtered() {
        let place = Place::with(web_and_dns().pcap());
        let summary = place.summary("-r a.pcap -e udp");
        assert_eq!(summary["packets"]["read"], 12);
        assert_eq!(summary["packets"]["assigned"], 2);
        assert_eq!(summary["set_aside"]["filtered"], 10);
    }

    #[test]
    fn a_wrong_filter_gives_libpcaps_words_and_creates_nothing() {
        let place = Place::with(web_and_dns().pcap());
        for (filter, words) in [
            ("tcp port", "syntax error"),
            ("port 99999", "99999"),
            ("host no.such.name.invalid", "no.such.name.invalid"),
            ("tcp and", "syntax error"),
        ] {
            let outcome =
                filtered(&place, filter, "-r a.pcap -o out/deep -m --summary-json s").ends(2);
            assert!(outcome.err.contains(&format!("'{filter}'")), "{outcome:?}");
            assert!(outcome.err.contains(words), "{outcome:?}");
            assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
            assert!(outcome.out.is_empty());
            assert_eq!(place.names("."), ["a.pcap"], "nothing was created");
        }
    }

    #[test]
    fn it_is_compiled_for_the_link_type_of_the_first_input() {
        let raw = Capture::new().at("9.0", udp_packet("10.0.0.1:1", "10.0.0.2:2", "raw"));
        let place = Place::with(raw.pcap_of(101));
        assert_eq!(filtered(&place, "udp port 2", "-q -r a.pcap -c").ends(0).out, "raw");
        let outcome = filtered(&place, "ether host 2:0:0:0:0:1", "-r a.pcap -o out").ends(2);
        assert!(outcome.err.contains("thernet"), "libpcap says why: {outcome:?}");
        assert_eq!(place.names("."), ["a.pcap"]);
        // A wrong one is found even where no input can be read.
        filtered(&place, "tcp port", "-r nosuch -o out").ends(2);
    }

    #[test]
    fn a_first_input_of_an_unknown_link_type_says_nothing_against_it() {
        let unknown = Capture::new().at("1.0", vec![0; 60]).pcap_of(147);
        let place = Place::with(web_and_dns().pcap()).put("unknown", unknown);
        let outcome = filtered(&place, "udp", "-q -r unknown a.pcap -c").ends(3);
        assert_eq!(outcome.out, "who?me");
        assert!(
            outcome.err.starts_with("pcap2conn: unknown: packet 1: link type 147 is not known")
        );
        filtered(&place, "tcp port", "-q -r unknown a.pcap -o out").ends(2);
        assert!(!place.path("out").exists());
    }

    #[test]
    fn where_it_has_no_meaning_packets_are_set_aside_and_the_status_is_3() {
        let (from, to) = ("10.0.0.1:1", "10.0.0.2:2");
        let ethernet = Capture::new().at("9.0", udp(from, to, "ethernet")).pcap();
        let raw = Capture::new()
            .at("10.0", udp_packet(from, to, "raw"))
            .at("10.1", udp_packet(from, to, "raw"));
        let place = Place::with(ethernet).put("raw", raw.pcap_of(101));
        let filter = "ether host 2:0:0:0:0:1";
        let outcome = filtered(&place, filter, "-q -r a.pcap raw -c").ends(3);
        assert_eq!(outcome.out, "ethernet");
        assert_eq!(outcome.err.lines().count(), 1, "it is said once: {outcome:?}");
        assert!(outcome.err.starts_with("pcap2conn: raw: packet 1: "), "{outcome:?}");
        let options = "-q -r a.pcap raw --dry-run --summary-json s";
        filtered(&place, filter, options).ends(3);
        let summary = std::fs::read_to_string(place.path("s")).expect("it was written");
        assert!(summary.contains("\"filter undefined\":2"), "{summary}");
        // Replay says the same of it.
        let listed = filtered(&place, filter, "replay -r a.pcap raw --list").ends(3);
        assert_eq!(listed.err, outcome.err);
        assert_eq!(listed.out.lines().count(), 2, "{listed:?}");
    }

    #[test]
    fn one_pcapng_may_hold_both() {
        let packet = udp_packet("10.0.0.1:1", "10.0.0.2:2", "raw");
        let capture = Ng::new()
            .interface(1, &[])
            .interface(101, &[])
            .packet(0, 1, &ethernet(&packet))
            .packet(1, 2, &packet)
            .packet(0, 3, &ethernet(&packet));
        let place = Place::with(capture.0);
        let outcome = filtered(&place, "ether host 2:0:0:0:0:1", "-q -r a.pcap -c").ends(3);
        assert_eq!(outcome.out, "rawraw");
        assert_eq!(filtered(&place, "udp port 2", "-q -r a.pcap -c").ends(0).out, "rawrawraw");
    }

    #[test]
    fn packets_are_judged_by_their_true_length() {
        // 200 bytes on the wire, 60 captured, and 60 of both.
        let (from, to) = ("10.0.0.1:1", "10.0.0.2:2");
        let capture = Capture::new()
            .at("9.0", udp(from, to, [b'L'; 158]))
            .snapped(60)
            .at("9.1", udp(from, to, "short"));
        let place = Place::with(capture.pcap());
        assert_eq!(filtered(&place, "greater 200", "-q -r a.pcap -c").ends(0).out, "L".repeat(18));
        assert_eq!(filtered(&place, "less 199", "-q -r a.pcap -c").ends(0).out, "short");
        assert_eq!(filtered(&place, "len = 200", "-q -r a.pcap -c").ends(0).out, "L".repeat(18));
        assert_eq!(filtered(&place, "greater 201", "-q -r a.pcap -c").ends(0).out, "");
    }

    #[test]
    fn it_sees_packets_as_captured() {
        // Later fragments have no ports: the datagram does not become whole, as with tcpdump.
        let (from, to) = ("10.0.0.1:1", "10.0.0.2:2");
        let datagram = udp_datagram(from, to, "the first part, and the rest");
        let part = |place: u16, bytes: &[u8]| {
            ethernet(&ipv4(17, end(from).ip(), end(to).ip(), 77, place, bytes))
        };
        let frames = [part(0x2000, &datagram[..16]), part(2, &datagram[16..])];
        let place = Place::with(Capture::all(frames, 9).pcap());
        filtered(&place, "udp port 2", "-q --dry-run -r a.pcap --summary-json s").ends(0);
        let summary = std::fs::read_to_string(place.path("s")).expect("it was written");
        assert!(summary.contains("\"filtered\":1,"), "{summary}");
        assert!(summary.contains("\"incomplete datagram\":1,"), "{summary}");
        let whole = filtered(&place, "udp port 2 or ip[6:2] & 0x1fff != 0", "-q -c -r a.pcap");
        assert_eq!(whole.ends(0).out, "the first part, and the rest");
    }
}
