//! What a run did, for people and for programs.

use crate::disk::DiskCounts;
use crate::protocol::protocol_name;
use crate::text::{push_json_str, push_label, push_line, push_one_line, push_u64};
use flow::{Books, Limit, Reason, SideStats, Totals};
use std::path::Path;
use std::time::Duration;

/// One input, as far as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InputSummary<'a> {
    /// Its number on the command line, from 1.
    pub number: u32,
    /// Where it is.
    pub path: &'a Path,
    /// Packets read.
    pub packets: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Why it was not read to its end; `None` if it was.
    pub problem: Option<&'a str>,
    /// Of a live capture, what was lost before it was read.
    pub dropped: Option<Dropped>,
}

/// Packets of a live capture that were lost before they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// They came faster than they were read.
    pub by_kernel: u64,
    /// By the interface or its driver.
    pub by_interface: u64,
}

/// What a run did.
///
/// Everything but the timing depends on the input alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary<'a> {
    /// What became of every packet.
    pub books: &'a Books,
    /// Sums over all connections.
    pub totals: &'a Totals,
    /// The inputs, in the order of the command line.
    pub inputs: &'a [InputSummary<'a>],
    /// How long it took.
    pub elapsed: Duration,
    /// Where the disk is bounded, what did not stay on it.
    pub disk: Option<DiskCounts>,
}

/// The counts of all sides together: the label in the text, the key in JSON, the count.
type Count = (&'static str, &'static str, fn(&SideStats) -> u64);
const COUNTS: [Count; 12] = [
    ("Bytes", "bytes", |s| s.bytes),
    ("Chunks", "chunks", |s| s.chunks),
    ("Messages", "messages", |s| s.messages),
    ("Missing bytes", "missing", |s| s.missing),
    ("Gaps", "gaps", |s| s.gaps),
    ("Retransmitted", "retransmitted", |s| s.retransmitted),
    ("Out of order", "out_of_order", |s| s.out_of_order),
    ("Overlapping", "overlapping", |s| s.overlapping),
    ("Conflicting", "conflicting", |s| s.conflicting),
    ("Keep-alive", "keep_alive", |s| s.keep_alive),
    ("Bytes before start", "before_start", |s| s.before_start),
    ("Bytes too late", "late", |s| s.late),
];

/// How many of [`COUNTS`] the text shows even when they are 0.
const ALWAYS_SHOWN: usize = 5;

impl Summary<'_> {
    /// The summary as `Label:   value` lines. What is zero is left out, the most telling counts
    /// apart.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        push_line(&mut out, "Connections", self.connections());
        for (protocol, count) in self.by_protocol() {
            push_line(&mut out, &format!("  {}", protocol_name(protocol)), count);
        }
        for (i, (label, _, count)) in COUNTS.into_iter().enumerate() {
            let count = count(&self.totals.sides);
            if count > 0 || i < ALWAYS_SHOWN {
                push_line(&mut out, label, count);
            }
        }
        if self.totals.fragment_conflicts > 0 {
            push_line(&mut out, "Conflicting fragments", self.totals.fragment_conflicts);
        }
        self.push_books(&mut out);
        self.push_lost(&mut out);
        let limits = || self.limits().filter(|&(limit, count)| count > 0 && !limit.is_routine());
        let reached: u64 = limits().map(|(_, count)| count).sum();
        if reached > 0 {
            push_line(&mut out, "Limits reached", reached);
        }
        for (limit, count) in limits() {
            push_line(&mut out, &format!("  {}", limit.label()), count);
        }
        for input in self.inputs {
            if let Some(problem) = input.problem {
                push_label(&mut out, &format!("Input {}", input.number));
                push_one_line(&mut out, &format!("{}: {problem}", input.path.display()));
                out.push(b'\n');
            }
        }
        self.push_timing(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn push_books(&self, out: &mut Vec<u8>) {
        push_label(out, "Packets read");
        push_u64(out, self.books.read());
        out.extend_from_slice(b" = ");
        push_u64(out, self.books.assigned());
        out.extend_from_slice(b" assigned + ");
        push_u64(out, self.all_set_aside());
        out.extend_from_slice(b" set aside\n");
        for (reason, count) in self.set_aside().filter(|&(_, count)| count > 0) {
            push_line(out, &format!("  {}", reason.label()), count);
        }
    }

    /// What was lost before it was read, and what did not stay on the disk.
    fn push_lost(&self, out: &mut Vec<u8>) {
        if let Some(dropped) = self.dropped() {
            push_line(out, "Dropped by the kernel", dropped.by_kernel);
            push_line(out, "Dropped by the interface", dropped.by_interface);
        }
        let Some(disk) = &self.disk else { return };
        for (label, count) in [
            ("Files removed", disk.removed_files),
            ("Bytes removed", disk.removed_bytes),
            ("Bytes not written", disk.left_out),
        ] {
            if count > 0 {
                push_line(out, label, count);
            }
        }
    }

    /// The sum over all inputs that are live captures, if any is.
    fn dropped(&self) -> Option<Dropped> {
        self.inputs.iter().filter_map(|input| input.dropped).reduce(|sum, dropped| Dropped {
            by_kernel: sum.by_kernel + dropped.by_kernel,
            by_interface: sum.by_interface + dropped.by_interface,
        })
    }

    fn push_timing(&self, out: &mut Vec<u8>) {
        push_label(out, "Time");
        let timing = format!(
            "{:.3} s, {} packets/s, {:.1} MB/s\n",
            self.elapsed.as_secs_f64(),
            self.per_second(self.books.read()),
            self.per_second(self.bytes_read()) as f64 / 1e6,
        );
        out.extend_from_slice(timing.as_bytes());
    }

    /// The summary as one JSON object with a line's end, numbers as numbers. Every count is there,
    /// zero or not; only protocols that did not occur are left out.
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        out.extend_from_slice(b"{\n\t\"connections\":{\"total\":");
        push_u64(&mut out, self.connections());
        out.extend_from_slice(b",\"by_protocol\":");
        push_object(&mut out, self.by_protocol().map(|(p, count)| (protocol_name(p), count)));
        out.push(b'}');
        for (_, key, count) in COUNTS {
            out.extend_from_slice(format!(",\n\t\"{key}\":").as_bytes());
            push_u64(&mut out, count(&self.totals.sides));
        }
        out.extend_from_slice(b",\n\t\"packets\":{\"read\":");
        push_u64(&mut out, self.books.read());
        out.extend_from_slice(b",\"assigned\":");
        push_u64(&mut out, self.books.assigned());
        out.extend_from_slice(b",\"set_aside\":");
        push_u64(&mut out, self.all_set_aside());
        out.extend_from_slice(b"},\n\t\"set_aside\":");
        push_object(&mut out, self.set_aside().map(|(reason, n)| (reason.label(), n)));
        out.extend_from_slice(b",\n\t\"limits\":");
        push_object(&mut out, self.limits().map(|(limit, n)| (limit.label(), n)));
        out.extend_from_slice(b",\n\t\"fragment_conflicts\":");
        push_u64(&mut out, self.totals.fragment_conflicts);
        if let Some(disk) = &self.disk {
            out.extend_from_slice(b",\n\t\"disk\":");
            let counts = [
                ("removed_files", disk.removed_files),
                ("removed_bytes", disk.removed_bytes),
                ("left_out_bytes", disk.left_out),
            ];
            push_object(&mut out, counts.into_iter());
        }
        self.push_json_inputs(&mut out);
        let timing = format!(
            ",\n\t\"timing\":{{\"seconds\":{:.6},\"packets_per_second\":{},\"bytes_per_second\":{}}}\n}}\n",
            self.elapsed.as_secs_f64(),
            self.per_second(self.books.read()),
            self.per_second(self.bytes_read()),
        );
        out.extend_from_slice(timing.as_bytes());
        String::from_utf8_lossy(&out).into_owned()
    }

    fn push_json_inputs(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\n\t\"inputs\":[");
        for (i, input) in self.inputs.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"\n\t\t" } else { b",\n\t\t" });
            out.extend_from_slice(format!("{{\"file\":{},\"path\":", input.number).as_bytes());
            push_json_str(out, &input.path.to_string_lossy());
            let counts = format!(",\"packets\":{},\"bytes\":{}", input.packets, input.bytes);
            out.extend_from_slice(counts.as_bytes());
            if let Some(dropped) = input.dropped {
                out.extend_from_slice(b",\"dropped\":");
                let by = [("kernel", dropped.by_kernel), ("interface", dropped.by_interface)];
                push_object(out, by.into_iter());
            }
            out.extend_from_slice(b",\"status\":");
            push_json_str(out, input.problem.unwrap_or("complete"));
            out.push(b'}');
        }
        out.extend_from_slice(if self.inputs.is_empty() { b"]" } else { b"\n\t]" });
    }

    fn connections(&self) -> u64 {
        self.totals.connections.iter().sum()
    }

    /// Protocols that occurred, by number.
    fn by_protocol(&self) -> impl Iterator<Item = (u8, u64)> {
        (0..=255).zip(self.totals.connections).filter(|&(_, count)| count > 0)
    }

    fn set_aside(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().map(|&reason| (reason, self.books.set_aside(reason)))
    }

    fn all_set_aside(&self) -> u64 {
        self.set_aside().map(|(_, count)| count).sum()
    }

    fn limits(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.iter().copied().zip(self.totals.limits)
    }

    fn bytes_read(&self) -> u64 {
        self.inputs.iter().map(|input| input.bytes).sum()
    }

    /// `n` for the time it took, a second; 0 if it took none.
    fn per_second(&self, n: u64) -> u64 {
        let rate = u128::from(n) * 1_000_000_000;
        let rate = rate.checked_div(self.elapsed.as_nanos()).unwrap_or(0);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// Appends `{"key":n,…}`.
fn push_object<K: AsRef<str>>(out: &mut Vec<u8>, entries: impl Iterator<Item = (K, u64)>) {
    out.push(b'{');
    for (i, (key, count)) in entries.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_json_str(out, key.as_ref());
        out.push(b':');
        push_u64(out, count);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let mut books = Books::default();
        books.count_read(5000);
        books.count_assigned(4900);
        books.count_set_aside(Reason::NotIp, 90);
        books.count_set_aside(Reason::Malformed, 10);
        books
    }

    fn totals() -> Totals {
        let mut totals = Totals::default();
        totals.connections[6] = 1000;
        totals.connections[17] = 234;
        totals.connections[253] = 1;
        totals.sides.bytes = 123_456;
        totals.sides.chunks = 789;
        totals.sides.messages = 12;
        totals.sides.retransmitted = 7;
        totals.limits[1] = 4;
        totals
    }

    fn inputs() -> [InputSummary<'static>; 2] {
        let whole = InputSummary {
            number: 1,
            path: Path::new("a \"b\".pcap"),
            packets: 4000,
            bytes: 1_000_000,
            problem: None,
            dropped: None,
        };
        let cut = InputSummary {
            number: 2,
            path: Path::new("c\nd.pcap"),
            packets: 1000,
            bytes: 500_000,
            problem: Some("cut in record 1001"),
            dropped: None,
        };
        [whole, cut]
    }

    #[test]
    fn the_text_leaves_out_what_did_not_happen() {
        let (books, totals, inputs) = (books(), totals(), inputs());
        let elapsed = Duration::from_millis(500);
        let summary =
            Summary { books: &books, totals: &totals, inputs: &inputs, elapsed, disk: None };
        assert_eq!(
            summary.text(),
            "\
Connections:                       1235
  TCP:                             1000
  UDP:                             234
  IP(253):                         1
Bytes:                             123456
Chunks:                            789
Messages:                          12
Missing bytes:                     0
Gaps:                              0
Retransmitted:                     7
Packets read:                      5000 = 4900 assigned + 100 set aside
  not IP:                          90
  malformed:                       10
Limits reached:                    4
  buffered per direction:          4
Input 2:                           c\\nd.pcap: cut in record 1001
Time:                              0.500 s, 10000 packets/s, 3.0 MB/s
"
        );
    }

    #[test]
    fn the_json_has_every_count_as_a_number() {
        let (books, totals, inputs) = (books(), totals(), inputs());
        let elapsed = Duration::from_millis(500);
        let summary =
            Summary { books: &books, totals: &totals, inputs: &inputs, elapsed, disk: None };
        let json: serde_json::Value = serde_json::from_str(&summary.json()).unwrap();
        let expected = serde_json::json!({
            "connections": {"total": 1235, "by_protocol": {"TCP": 1000, "UDP": 234, "IP(253)": 1}},
            "bytes": 123_456, "chunks": 789, "messages": 12, "missing": 0, "gaps": 0,
            "retransmitted": 7, "out_of_order": 0, "overlapping": 0, "conflicting": 0,
            "keep_alive": 0, "before_start": 0, "late": 0,
            "packets": {"read": 5000, "assigned": 4900, "set_aside": 100},
            "set_aside": {
                "filtered": 0, "filter undefined": 0, "unknown link type": 0,
                "unknown interface": 0, "not IP": 90, "encrypted": 0,
                "cut inside a header": 0, "malformed": 10, "nested too deep": 0,
                "incomplete datagram": 0, "implausible": 0,
            },
            "limits": {
                "connections": 0, "buffered per direction": 4, "buffered": 0, "fragments": 0,
                "remembered after their end": 0,
                "connections with the same ends": 0, "far ahead": 0,
            },
            "fragment_conflicts": 0,
            "inputs": [
                {"file": 1, "path": "a \"b\".pcap", "packets": 4000, "bytes": 1_000_000,
                 "status": "complete"},
                {"file": 2, "path": "c\nd.pcap", "packets": 1000, "bytes": 500_000,
                 "status": "cut in record 1001"},
            ],
            "timing": {
                "seconds": 0.5, "packets_per_second": 10_000, "bytes_per_second": 3_000_000,
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_was_lost_is_told() {
        let (books, totals, [mut first, mut second]) = (books(), totals(), inputs());
        first.dropped = Some(Dropped { by_kernel: 3, by_interface: 0 });
        second.dropped = Some(Dropped { by_kernel: 4, by_interface: 5 });
        let inputs = [first, second];
        let disk = Some(DiskCounts { removed_files: 7, removed_bytes: 8, left_out: 0 });
        let elapsed = Duration::from_millis(500);
        let summary = Summary { books: &books, totals: &totals, inputs: &inputs, elapsed, disk };
        let text = summary.text();
        for line in [
            "Dropped by the kernel:             7\n",
            "Dropped by the interface:          5\n",
            "Files removed:                     7\n",
            "Bytes removed:                     8\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("not written"));
        let json: serde_json::Value = serde_json::from_str(&summary.json()).unwrap();
        assert_eq!(json["inputs"][1]["dropped"], serde_json::json!({"kernel": 4, "interface": 5}));
        let disk = serde_json::json!({"removed_files": 7, "removed_bytes": 8, "left_out_bytes": 0});
        assert_eq!(json["disk"], disk);
    }

    #[test]
    fn a_run_without_input_or_duration_has_a_summary() {
        let (books, totals) = (Books::default(), Totals::default());
        let summary = Summary {
            books: &books,
            totals: &totals,
            inputs: &[],
            elapsed: Duration::ZERO,
            disk: None,
        };
        assert!(summary.text().contains("Packets read:                      0 = 0 assigned + 0"));
        let json: serde_json::Value = serde_json::from_str(&summary.json()).unwrap();
        assert_eq!(json["inputs"], serde_json::json!([]));
        assert_eq!(json["timing"]["packets_per_second"], 0);
    }
}
