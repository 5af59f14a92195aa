//! What the files of a connection are called.

use crate::protocol::push_protocol_in_file_name;
use crate::text::push_u64;
use crate::time::{Clock, WallSecond};
use crate::used::Used;
use flow::{Connection, Endpoint, Report, Side};
use std::io::Write;
use std::net::IpAddr;
use wire::Timestamp;

/// What a name is made of: a connection's, or at its end that of its report.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) protocol: u8,
    /// Side 0 first.
    pub(crate) ends: [Endpoint; 2],
    pub(crate) first: Timestamp,
}

impl From<&Connection> for Parts {
    fn from(connection: &Connection) -> Self {
        Self {
            protocol: connection.protocol(),
            // (With `Side::BOTH.map` they were put together elsewhere, and copied.)
            ends: [connection.end(Side::Zero), connection.end(Side::One)],
            first: connection.first().time,
        }
    }
}

impl From<&Report> for Parts {
    fn from(report: &Report) -> Self {
        Self { protocol: report.protocol, ends: report.ends, first: report.first.time }
    }
}

/// Names connections, never two alike.
///
/// A name shows `YYYYMMDDHHMMSS-PROTO-SRC.SPORT-DST.DPORT`. Connections that would show the same are
/// numbered in the order of their first packets, and all but the first carry their number: `_2`,
/// `_3`, … Which end is side 0 may still change after the first packet, and with one file a side
/// both orders are names, so connections that differ in nothing but the order count as alike.
pub(crate) struct Namer {
    clock: Clock,
    /// The second that the last name showed, and how: many names in a row show the same.
    shown: (WallSecond, [u8; 14]),
    used: Used,
}

/// Names connections as their files are named, for others to call them by.
pub struct Names(Namer);

impl Names {
    /// Names with times of the local zone or UTC.
    pub fn new(utc: bool) -> Self {
        Self(Namer::new(utc))
    }

    /// The same, for a run that may go on for weeks: the latest names alone are remembered.
    pub fn endless(self, endless: bool) -> Self {
        Self(self.0.endless(endless))
    }

    /// The number of a connection that was just opened among those that look like it; from 1. To be asked once for
    /// each, in the order in which they are opened.
    pub fn number(&mut self, connection: &Connection) -> u32 {
        self.0.number(connection)
    }

    /// The name of the connection with this number, without an extension.
    pub fn name(&mut self, connection: &Connection, number: u32) -> String {
        let mut name = Vec::new();
        self.0.push(&mut name, &connection.into(), Side::Zero, number);
        // It is ASCII.
        String::from_utf8_lossy(&name).into_owned()
    }
}

/// So many names are remembered at least by a run that may go on for weeks. They take 2 to 4 MiB, and three times as
/// much where all are given more than once.
const REMEMBERED: usize = 1 << 18;

impl Namer {
    /// A namer that shows times of the local zone or UTC.
    pub(crate) fn new(utc: bool) -> Self {
        let mut clock = if utc { Clock::utc() } else { Clock::local() };
        let second = clock.show(Timestamp::default());
        Self { clock, shown: (second, second.compact()), used: Used::default() }
    }

    /// The same, for a run that may go on for weeks: it remembers the latest names only.
    pub(crate) fn endless(self, endless: bool) -> Self {
        if endless { Self { used: Used::remembering(REMEMBERED), ..self } } else { self }
    }

    /// The number of a connection that was just opened among those that look like it; from 1.
    pub(crate) fn number(&mut self, connection: &Connection) -> u32 {
        // Only what a name shows: a key may tell connections apart by more than that.
        let second = self.clock.show(connection.first().time).id();
        self.used.count(second, connection.fixed_hash())
    }

    /// Appends the name with `from`'s end first, without an extension: ASCII, and nothing that
    /// leads out of a directory.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, parts: &Parts, from: Side, number: u32) {
        let second = self.show(parts.first);
        if second != self.shown.0 {
            self.shown = (second, second.compact());
        }
        out.extend_from_slice(&self.shown.1);
        out.push(b'-');
        push_protocol_in_file_name(out, parts.protocol);
        out.push(b'-');
        push_end(out, parts.ends[from.index()]);
        out.push(b'-');
        push_end(out, parts.ends[1 - from.index()]);
        if number > 1 {
            out.push(b'_');
            push_u64(out, u64::from(number));
        }
    }

    /// What the clock of the names shows at `time`.
    pub(crate) fn show(&mut self, time: Timestamp) -> WallSecond {
        self.clock.show(time)
    }
}

/// Appends `ADDRESS.PORT`, with `_` for the colons of IPv6.
fn push_end(out: &mut Vec<u8>, end: Endpoint) {
    let start = out.len();
    push_addr(out, end.addr);
    if end.addr.is_ipv6() {
        for byte in &mut out[start..] {
            if *byte == b':' {
                *byte = b'_';
            }
        }
    }
    out.push(b'.');
    push_u64(out, u64::from(end.port));
}

/// Each number of an IPv4 address as it is written, with the dot that follows; and how long that is.
static OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut n = 0;
    while n < 256 {
        let len = if n < 10 {
            1
        } else if n < 100 {
            2
        } else {
            3
        };
        let (mut at, mut rest) = (len, n);
        while at > 0 {
            at -= 1;
            octets[n].0[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        octets[n].1 = len + 1;
        n += 1;
    }
    octets
};

/// Appends an address as usually written.
pub(crate) fn push_addr(out: &mut Vec<u8>, addr: IpAddr) {
    match addr {
        IpAddr::V4(v4) => {
            for n in v4.octets() {
                let (text, len) = OCTETS[usize::from(n)];
                // Always four bytes, which take one instruction.
                let end = out.len() + len;
                out.extend_from_slice(&text);
                out.truncate(end);
            }
            out.pop();
        }
        IpAddr::V6(v6) => {
            let written = write!(out, "{v6}");
            written.expect("a Vec takes every write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{connection, source};
    use flow::FlowKey;

    fn named(namer: &mut Namer, connection: &Connection) -> String {
        let number = namer.number(connection);
        let mut out = Vec::new();
        namer.push(&mut out, &connection.into(), Side::Zero, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_name_shows_time_protocol_and_ends() {
        let mut namer = Namer::new(true);
        let telnet = connection(6, "192.168.56.1:58783", "192.168.56.203:23", 1_563_783_090);
        assert_eq!(
            named(&mut namer, &telnet),
            "20190722081130-TCP-192.168.56.1.58783-192.168.56.203.23"
        );
        let mut swapped = Vec::new();
        namer.push(&mut swapped, &(&telnet).into(), Side::One, 2);
        assert_eq!(swapped, b"20190722081130-TCP-192.168.56.203.23-192.168.56.1.58783_2");
    }

    #[test]
    fn every_number_of_an_address_is_written() {
        for n in 0..=255 {
            let mut out = Vec::new();
            let addr = IpAddr::from([n, 255 - n, n / 2, n]);
            push_addr(&mut out, addr);
            assert_eq!(String::from_utf8(out).unwrap(), addr.to_string());
        }
    }

    #[test]
    fn colons_of_ipv6_become_underscores() {
        let mut namer = Namer::new(true);
        let http = connection(
            6,
            "[2001:618:400::5199:cc70]:35997",
            "[2001:618:1:8000::5]:80",
            1_147_551_796,
        );
        assert_eq!(
            named(&mut namer, &http),
            "20060513202316-TCP-2001_618_400__5199_cc70.35997-2001_618_1_8000__5.80"
        );
        let mapped = connection(58, "[::ffff:1.2.3.4]:0", "[::]:0", 0);
        assert_eq!(named(&mut namer, &mapped), "19700101000000-IPV6-ICMP-__ffff_1.2.3.4.0-__.0");
    }

    #[test]
    fn connections_alike_are_numbered_whichever_end_began() {
        let mut namer = Namer::new(true);
        let there = connection(17, "10.0.0.1:53", "10.0.0.2:53", 9);
        let back = connection(17, "10.0.0.2:53", "10.0.0.1:53", 9);
        assert_eq!(named(&mut namer, &there), "19700101000009-UDP-10.0.0.1.53-10.0.0.2.53");
        assert_eq!(named(&mut namer, &back), "19700101000009-UDP-10.0.0.2.53-10.0.0.1.53_2");
        assert_eq!(named(&mut namer, &there), "19700101000009-UDP-10.0.0.1.53-10.0.0.2.53_3");
        let later = connection(17, "10.0.0.1:53", "10.0.0.2:53", 10);
        assert_eq!(named(&mut namer, &later), "19700101000010-UDP-10.0.0.1.53-10.0.0.2.53");
        let tcp = connection(6, "10.0.0.1:53", "10.0.0.2:53", 9);
        assert_eq!(named(&mut namer, &tcp), "19700101000009-TCP-10.0.0.1.53-10.0.0.2.53");
    }

    #[test]
    fn what_counts_is_the_second_as_printed() {
        // An hour apart, but the clock went back in between; and two times beyond the year 9999.
        let mut namer = Namer::new(true);
        namer.clock = Clock::in_zone(jiff::tz::TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap());
        let change = 1_730_613_600;
        let ends = ("10.0.0.1:1", "10.0.0.2:2");
        let name = named(&mut namer, &connection(6, ends.0, ends.1, change - 3600));
        assert_eq!(name, "20241103010000-TCP-10.0.0.1.1-10.0.0.2.2");
        assert_eq!(named(&mut namer, &connection(6, ends.0, ends.1, change)), name.clone() + "_2");
        let last = named(&mut namer, &connection(6, ends.0, ends.1, i64::MAX));
        assert_eq!(last, "99991231235959-TCP-10.0.0.1.1-10.0.0.2.2");
        assert_eq!(named(&mut namer, &connection(6, ends.0, ends.1, i64::MAX - 7)), last + "_2");
    }

    #[test]
    fn a_name_is_one_path_component_of_plain_ascii() {
        let mut namer = Namer::new(false);
        for protocol in 0..=255 {
            let c = connection(protocol, "[fe80::9c09:b416:768:ff42]:0", "[ff02::16]:0", -5);
            let name = named(&mut namer, &c);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.()+".contains(c);
            assert!(name.chars().all(plain), "{name}");
            assert!(name.len() < 160, "{name}");
        }
    }

    #[test]
    fn the_number_does_not_hang_on_the_key_but_on_what_is_shown() {
        let mut namer = Namer::new(true);
        let c = connection(6, "10.0.0.1:1", "10.0.0.2:2", 3);
        let (key, at) = FlowKey::new(6, c.end(Side::Zero), c.end(Side::One));
        let same = Connection::new(key, 1 - at, source(3, 500, 77));
        assert_eq!((namer.number(&c), namer.number(&same)), (1, 2));
    }
}
