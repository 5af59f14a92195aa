//! What is known of a connection at its end, as text and as JSON.
//!
//! Both begin with the classic program's counts, in its layout; what else is known follows.

use crate::name::{Namer, push_addr};
use crate::protocol::{has_ports, push_protocol};
use crate::text::{push_label, push_line, push_quoted, push_u64};
use crate::time::{push_since, push_time};
use flow::{Endpoint, Report, SideStats, Source};
use std::io::Write;

/// Each side's further counts: the label in the text, the key in JSON, the count.
type Count = (&'static str, &'static str, fn(&SideStats) -> u64);
const COUNTS: [Count; 10] = [
    ("Packets", "packets", |s| s.packets),
    ("Retransmitted", "retransmitted", |s| s.retransmitted),
    ("Out of order", "out_of_order", |s| s.out_of_order),
    ("Overlapping", "overlapping", |s| s.overlapping),
    ("Conflicting", "conflicting", |s| s.conflicting),
    ("Keep-alive", "keep_alive", |s| s.keep_alive),
    ("Missing bytes", "missing", |s| s.missing),
    ("Gaps", "gaps", |s| s.gaps),
    ("Bytes before start", "before_start", |s| s.before_start),
    ("Bytes too late", "late", |s| s.late),
];

/// Appends `Label:   value` lines.
pub(crate) fn push_text(out: &mut Vec<u8>, report: &Report, namer: &mut Namer) {
    type Classic = (&'static str, &'static str, fn(&SideStats) -> u64);
    let classic: [Classic; 3] = [
        ("Number of data packets", "Total number of data packets", |s| s.chunks),
        ("Number of bytes", "Total number of bytes", |s| s.bytes),
        ("Number of messages", "Total number of messages", |s| s.messages),
    ];
    for (label, total, count) in classic {
        let counts = report.sides.map(|side| count(&side));
        push_side_lines(out, label, counts);
        push_line(out, total, counts[0].saturating_add(counts[1]));
        out.push(b'\n');
    }
    push_general_lines(out, report, namer);
    out.push(b'\n');
    for (label, _, count) in COUNTS {
        push_side_lines(out, label, report.sides.map(|side| count(&side)));
    }
}

fn push_side_lines(out: &mut Vec<u8>, label: &str, counts: [u64; 2]) {
    for (side, count) in counts.into_iter().enumerate() {
        push_line(out, &format!("{label} in side {side}"), count);
    }
}

fn push_general_lines(out: &mut Vec<u8>, report: &Report, namer: &mut Namer) {
    push_label(out, "Protocol");
    push_protocol(out, report.protocol);
    out.push(b'\n');
    if !report.vlans.is_empty() {
        push_label(out, "VLAN");
        push_display(out, report.vlans);
        out.push(b'\n');
    }
    for (label, end) in ["Side 0", "Side 1"].into_iter().zip(report.ends) {
        push_label(out, label);
        push_end(out, end, has_ports(report.protocol));
        out.push(b'\n');
    }
    for (label, source) in [("First packet", report.first), ("Last packet", report.last)] {
        push_label(out, label);
        push_packet(out, source, namer);
        out.push(b'\n');
    }
    push_label(out, "Duration in seconds");
    push_since(out, report.last.time, report.first.time);
    out.push(b'\n');
    push_label(out, "Began");
    push_display(out, report.began);
    out.push(b'\n');
    push_label(out, "Ended");
    push_display(out, report.ended);
    out.push(b'\n');
}

/// Appends `10.0.0.1:80`, `[::1]:80`, or the address alone.
fn push_end(out: &mut Vec<u8>, end: Endpoint, with_port: bool) {
    if !with_port {
        return push_addr(out, end.addr);
    }
    if end.addr.is_ipv6() {
        out.push(b'[');
        push_addr(out, end.addr);
        out.push(b']');
    } else {
        push_addr(out, end.addr);
    }
    out.push(b':');
    push_u64(out, u64::from(end.port));
}

/// Appends `1563783092.387930 (2019-07-22 08:11:32), packet 12 of input 1`; the time in brackets is
/// that of the names.
fn push_packet(out: &mut Vec<u8>, source: Source, namer: &mut Namer) {
    push_time(out, source.time);
    out.extend_from_slice(b" (");
    namer.show(source.time).push_readable(out);
    out.extend_from_slice(b"), packet ");
    push_u64(out, source.number());
    out.extend_from_slice(b" of input ");
    push_u64(out, u64::from(source.file()));
}

fn push_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let written = write!(out, "{value}");
    written.expect("a Vec takes every write");
}

/// How a JSON object is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// As the classic program's metadata files: a key a line, tabs before it.
    Lines,
    /// All in one line, without its end.
    OneLine,
}

/// Appends a JSON object.
pub(crate) fn push_json(out: &mut Vec<u8>, report: &Report, layout: Layout) {
    let lines = layout == Layout::Lines;
    let separator: &[u8] = if lines { b",\n\t" } else { b"," };
    // The classic program has a blank after this key and after no other.
    let start: &[u8] = if lines { b"{\n\t\"total\": " } else { b"{\"total\":" };
    out.extend_from_slice(start);
    let [zero, one] = &report.sides;
    let total = SideStats {
        bytes: zero.bytes.saturating_add(one.bytes),
        chunks: zero.chunks.saturating_add(one.chunks),
        messages: zero.messages.saturating_add(one.messages),
        ..SideStats::default()
    };
    push_classic_counts(out, &total);
    for (key, side) in [("\"side_0\":", zero), ("\"side_1\":", one)] {
        out.extend_from_slice(separator);
        out.extend_from_slice(key.as_bytes());
        push_classic_counts(out, side);
    }
    push_general_keys(out, report, separator);
    for (key, side) in [("\"side_0_packets\":", zero), ("\"side_1_packets\":", one)] {
        out.extend_from_slice(separator);
        out.extend_from_slice(key.as_bytes());
        for (i, (_, key, count)) in COUNTS.into_iter().enumerate() {
            out.push(if i == 0 { b'{' } else { b',' });
            push_quoted(out, key, count(side));
        }
        out.push(b'}');
    }
    out.extend_from_slice(if lines { b"\n}\n" } else { b"}" });
}

fn push_classic_counts(out: &mut Vec<u8>, side: &SideStats) {
    out.push(b'{');
    push_quoted(out, "bytes", side.bytes);
    out.push(b',');
    push_quoted(out, "packets", side.chunks);
    out.push(b',');
    push_quoted(out, "messages", side.messages);
    out.push(b'}');
}

fn push_general_keys(out: &mut Vec<u8>, report: &Report, separator: &[u8]) {
    let key = |out: &mut Vec<u8>, key: &str| {
        out.extend_from_slice(separator);
        push_display(out, format_args!("\"{key}\":\""));
    };
    key(out, "protocol");
    push_protocol(out, report.protocol);
    out.push(b'"');
    if !report.vlans.is_empty() {
        key(out, "vlan");
        push_display(out, report.vlans);
        out.push(b'"');
    }
    for (name, end) in ["side_0_end", "side_1_end"].into_iter().zip(report.ends) {
        key(out, name);
        push_end(out, end, has_ports(report.protocol));
        out.push(b'"');
    }
    for (name, source) in [("first_packet", report.first), ("last_packet", report.last)] {
        out.extend_from_slice(separator);
        push_display(out, format_args!("\"{name}\":{{\"time\":\""));
        push_time(out, source.time);
        out.extend_from_slice(b"\",");
        push_quoted(out, "packet", source.number());
        out.push(b',');
        push_quoted(out, "file", u64::from(source.file()));
        out.push(b'}');
    }
    key(out, "duration");
    push_since(out, report.last.time, report.first.time);
    out.push(b'"');
    key(out, "began");
    push_display(out, report.began);
    out.push(b'"');
    key(out, "ended");
    push_display(out, report.ended);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{connection, report, source};
    use flow::{Began, Ended, Source};

    fn telnet() -> Report {
        let connection = connection(6, "192.168.56.1:58783", "192.168.56.203:23", 1_563_783_090);
        let mut report = report(&connection);
        let last = source(1_563_783_123, 265_110, 57);
        report.last = Source::new(last.time, 57, 2);
        report.ended = Ended::InputEnded;
        report.sides[0] =
            SideStats { packets: 303, chunks: 303, bytes: 1818, messages: 1, ..report.sides[0] };
        report.sides[1] = SideStats {
            packets: 9,
            missing: 1420,
            gaps: 1,
            retransmitted: 2,
            out_of_order: 3,
            overlapping: 4,
            conflicting: 5,
            keep_alive: 6,
            before_start: 7,
            late: 8,
            ..report.sides[1]
        };
        report
    }

    const TEXT: &str = "\
Number of data packets in side 0:  303
Number of data packets in side 1:  0
Total number of data packets:      303

Number of bytes in side 0:         1818
Number of bytes in side 1:         0
Total number of bytes:             1818

Number of messages in side 0:      1
Number of messages in side 1:      0
Total number of messages:          1

Protocol:                          TCP
Side 0:                            192.168.56.1:58783
Side 1:                            192.168.56.203:23
First packet:                      1563783090.000000 (2019-07-22 08:11:30), packet 1 of input 1
Last packet:                       1563783123.265110 (2019-07-22 08:12:03), packet 57 of input 2
Duration in seconds:               33.265110
Began:                             SYN seen
Ended:                             input ended

Packets in side 0:                 303
Packets in side 1:                 9
Retransmitted in side 0:           0
Retransmitted in side 1:           2
Out of order in side 0:            0
Out of order in side 1:            3
Overlapping in side 0:             0
Overlapping in side 1:             4
Conflicting in side 0:             0
Conflicting in side 1:             5
Keep-alive in side 0:              0
Keep-alive in side 1:              6
Missing bytes in side 0:           0
Missing bytes in side 1:           1420
Gaps in side 0:                    0
Gaps in side 1:                    1
Bytes before start in side 0:      0
Bytes before start in side 1:      7
Bytes too late in side 0:          0
Bytes too late in side 1:          8
";

    #[test]
    fn the_text_begins_as_the_classic_one() {
        let mut out = Vec::new();
        push_text(&mut out, &telnet(), &mut Namer::new(true));
        assert_eq!(String::from_utf8(out).unwrap(), TEXT);
    }

    const JSON: &str = r#"{
	"total": {"bytes":"1818","packets":"303","messages":"1"},
	"side_0":{"bytes":"1818","packets":"303","messages":"1"},
	"side_1":{"bytes":"0","packets":"0","messages":"0"},
	"protocol":"TCP",
	"side_0_end":"192.168.56.1:58783",
	"side_1_end":"192.168.56.203:23",
	"first_packet":{"time":"1563783090.000000","packet":"1","file":"1"},
	"last_packet":{"time":"1563783123.265110","packet":"57","file":"2"},
	"duration":"33.265110",
	"began":"SYN seen",
	"ended":"input ended",
	"side_0_packets":{"packets":"303","retransmitted":"0","out_of_order":"0","overlapping":"0","conflicting":"0","keep_alive":"0","missing":"0","gaps":"0","before_start":"0","late":"0"},
	"side_1_packets":{"packets":"9","retransmitted":"2","out_of_order":"3","overlapping":"4","conflicting":"5","keep_alive":"6","missing":"1420","gaps":"1","before_start":"7","late":"8"}
}
"#;

    #[test]
    fn the_json_begins_as_the_classic_one_and_is_json() {
        let mut lines = Vec::new();
        push_json(&mut lines, &telnet(), Layout::Lines);
        assert_eq!(String::from_utf8(lines.clone()).unwrap(), JSON);
        let mut one_line = Vec::new();
        push_json(&mut one_line, &telnet(), Layout::OneLine);
        assert!(!one_line.contains(&b'\n'));
        let parsed: serde_json::Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!(parsed, serde_json::from_slice::<serde_json::Value>(&one_line).unwrap());
    }

    #[test]
    fn ends_show_ports_only_where_there_are_any() {
        let mut out = Vec::new();
        let icmp = connection(58, "[fe80::1]:0", "[ff02::1]:0", -2);
        let mut report = report(&icmp);
        report.began = Began::FirstPacket;
        push_general_lines(&mut out, &report, &mut Namer::new(true));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("Side 0:                            fe80::1\n"), "{text}");
        assert!(text.contains("Began:                             first packet\n"), "{text}");
        assert!(text.contains(" -2.000000 (1969-12-31 23:59:58), packet 1"), "{text}");
        let mut out = Vec::new();
        push_end(&mut out, crate::samples::endpoint("[::1]:53"), true);
        assert_eq!(out, b"[::1]:53");
    }
}
