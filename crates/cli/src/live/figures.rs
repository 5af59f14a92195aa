//! How a capture goes, for people and for Prometheus.

use crate::workers::Counted;
use capture::LiveStats;
use flow::{Census, Limit, Reason};
use sink::{DiskCounts, protocol_name};
use std::fmt::Write;
use std::time::Duration;

/// The figures of a moment.
pub(super) struct Figures {
    pub(super) elapsed: Duration,
    pub(super) packets: u64,
    /// As captured.
    pub(super) bytes: u64,
    pub(super) stats: LiveStats,
    pub(super) counted: Counted,
    /// What files take where that is bounded, and what did not stay.
    pub(super) disk: Option<(u64, DiskCounts)>,
}

impl Figures {
    /// A line for people.
    pub(super) fn line(&self) -> String {
        let Self { packets, bytes, stats, counted, .. } = self;
        let (census, sides) = (&counted.census, self.sides());
        let mut line = format!(
            "{} s: {packets} packets, {bytes} bytes; dropped by the kernel {}, by the interface {}; \
             connections {} (TCP {} half-open, {} established, {} closing, {} over; UDP {}; other {}); \
             {} bytes held, {} gaps",
            self.elapsed.as_secs(),
            stats.dropped,
            stats.dropped_by_interface,
            states(census).map(|(_, count)| count).iter().sum::<u64>(),
            census.half_open,
            census.established,
            census.closing,
            census.lingering,
            census.udp,
            census.other,
            census.buffered,
            sides.gaps,
        );
        if let Some((used, _)) = self.disk {
            line += &format!("; {used} bytes of disk");
        }
        line
    }

    /// What all sides sent, those of connections that go on too.
    fn sides(&self) -> flow::SideStats {
        let mut sides = self.counted.totals.sides;
        sides += &self.counted.census.sides;
        sides
    }

    /// All of them in the text format of Prometheus.
    pub(super) fn exposition(&self) -> String {
        let Self { stats, counted, .. } = self;
        let (census, totals, sides) = (&counted.census, &counted.totals, self.sides());
        let mut out = Exposition::default();
        out.counter("packets", "Packets captured", self.packets);
        out.counter("captured_bytes", "Bytes captured", self.bytes);
        out.counters(
            "dropped_packets",
            "Packets lost before they were read",
            "by",
            [("kernel", stats.dropped), ("interface", stats.dropped_by_interface)],
        );
        let reasons = Reason::ALL.iter().map(|r| (r.label(), counted.books.set_aside(*r)));
        out.counters(
            "set_aside_packets",
            "Packets that belong to no connection",
            "reason",
            reasons,
        );
        out.gauges("connections", "Connections held", "state", states(census));
        let opened = (0..=255).zip(totals.connections).filter(|&(_, count)| count > 0);
        let opened = opened.map(|(protocol, count)| (protocol_name(protocol), count));
        out.counters("opened_connections", "Connections opened", "protocol", opened);
        out.gauge(
            "buffered_bytes",
            "Bytes held out of order, bookkeeping included",
            census.buffered,
        );
        out.counter("delivered_bytes", "Bytes of connections put in order", sides.bytes);
        out.counter("gaps", "Holes in connections", sides.gaps);
        out.counter("missing_bytes", "Bytes in those holes", sides.missing);
        let limits = Limit::ALL.iter().zip(totals.limits).map(|(limit, n)| (limit.label(), n));
        out.counters("limits_reached", "How often a limit was reached", "limit", limits);
        if let Some((used, counts)) = self.disk {
            out.gauge("disk_bytes", "Disk that the files of connections take", used);
            out.counter("removed_files", "Files removed to make room", counts.removed_files);
            out.counter("left_out_bytes", "Bytes not written for want of room", counts.left_out);
        }
        out.0
    }
}

fn states(census: &Census) -> [(&'static str, u64); 6] {
    [
        ("half_open", census.half_open),
        ("established", census.established),
        ("closing", census.closing),
        ("over", census.lingering),
        ("udp", census.udp),
        ("other", census.other),
    ]
}

/// The text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>. No label here needs
/// escapes.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(&format!("{name}_total"), help, "counter");
        self.line(&format!("pcap2conn_{name}_total {value}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(&format!("pcap2conn_{name} {value}"));
    }

    fn counters<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        let name = format!("{name}_total");
        self.head(&name, help, "counter");
        self.labelled(&name, label, values);
    }

    fn gauges<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.head(name, help, "gauge");
        self.labelled(name, label, values);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(&format!("# HELP pcap2conn_{name} {help}\n# TYPE pcap2conn_{name} {kind}"));
    }

    fn labelled<L: AsRef<str>>(
        &mut self,
        name: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        for (value, count) in values {
            let value = value.as_ref();
            let _ = writeln!(self.0, "pcap2conn_{name}{{{label}=\"{value}\"}} {count}");
        }
    }

    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mut counted = Counted::default();
        counted.census.established = 3;
        counted.census.udp = 4;
        counted.census.sides.gaps = 1;
        counted.totals.sides.gaps = 2;
        counted.totals.connections[6] = 9;
        counted.books.count_set_aside(Reason::NotIp, 7);
        let stats = LiveStats { received: 120, dropped: 5, dropped_by_interface: 6 };
        let (elapsed, disk) = (Duration::from_secs(60), Some((4096, DiskCounts::default())));
        Figures { elapsed, packets: 100, bytes: 5000, stats, counted, disk }
    }

    #[test]
    fn a_line_tells_how_it_goes() {
        assert_eq!(
            figures().line(),
            "60 s: 100 packets, 5000 bytes; dropped by the kernel 5, by the interface 6; connections 7 \
             (TCP 0 half-open, 3 established, 0 closing, 0 over; UDP 4; other 0); 0 bytes held, 3 gaps; \
             4096 bytes of disk"
        );
    }

    #[test]
    fn every_figure_has_a_type_and_a_line() {
        let text = figures().exposition();
        for line in [
            "# TYPE pcap2conn_packets_total counter\npcap2conn_packets_total 100\n",
            "pcap2conn_dropped_packets_total{by=\"kernel\"} 5\n",
            "pcap2conn_set_aside_packets_total{reason=\"not IP\"} 7\n",
            "# TYPE pcap2conn_connections gauge\npcap2conn_connections{state=\"half_open\"} 0\n",
            "pcap2conn_opened_connections_total{protocol=\"TCP\"} 9\n",
            "pcap2conn_gaps_total 3\n",
            "pcap2conn_disk_bytes 4096\n",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
        let escapes = |c: char| c == '\\' || !c.is_ascii();
        assert!(!text.contains(escapes) && !text.contains("\n\n"), "{text}");
    }
}
