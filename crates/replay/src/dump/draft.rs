//! A connection while its records are read.

use super::DumpOptions;
use super::error::Reason;
use super::metadata::Metadata;
use super::name::{ConnectionName, Protocol};
use super::record::{Record, classic_gap};
use super::time::Clock;
use crate::{Event, Transport};
use flow::{Endpoint, Side};
use std::path::PathBuf;
use std::rc::Rc;

/// Where a connection was found.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// As messages name the file.
    pub(super) file: Rc<str>,
    /// Its first line, of a connection that is one of several in a file.
    pub(super) line: Option<u64>,
    /// The folder of a file that holds this connection alone.
    pub(super) folder: Option<PathBuf>,
}

/// A chunk, or a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) at: i64,
    pub(super) len: usize,
    pub(super) missing: u64,
    pub(super) packet: u64,
    pub(super) file: u64,
    pub(super) side: Side,
    /// Was a packet told?
    pub(super) has_packet: bool,
    /// Is it a gap of the same packet as the record before it?
    pub(super) same_packet: bool,
}

/// Memory that an entry takes, and later what it becomes, at most.
const ENTRY: usize =
    if size_of::<Entry>() > size_of::<Event>() { size_of::<Entry>() } else { size_of::<Event>() };

/// What is to become of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Replayed(Transport),
    /// Why not.
    LeftOut(String),
    /// Nobody said how the ends talked.
    Unknown,
}

/// A connection, as far as it was read.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) origin: Origin,
    /// What its name tells.
    pub(super) parts: Option<ConnectionName>,
    pub(super) metadata: Metadata,
    pub(super) clock: Clock,
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: Vec<u8>,
    /// Bytes of each side, missing ones counted.
    sent: [u64; 2],
    /// Had its first record neither packet nor offset, as all have that the classic program wrote?
    classic: Option<bool>,
    fate: Fate,
    /// Is it of another transport than the one that was asked for?
    unwanted: bool,
}

impl Draft {
    pub(super) fn new(name: String, origin: Origin) -> Self {
        Self {
            parts: ConnectionName::parse(&name),
            name,
            origin,
            metadata: Metadata::default(),
            clock: Clock::default(),
            entries: Vec::new(),
            bytes: Vec::new(),
            sent: [0; 2],
            classic: None,
            fate: Fate::Unknown,
            unwanted: false,
        }
    }

    /// Is it of another transport than the one that was asked for?
    pub(super) fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    /// Memory that it takes before its first record, its name in a table of names counted.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>().saturating_add(self.name.len().saturating_mul(2))
    }

    /// Makes up its mind with what is known by now. Of connections that are left out, records are not kept.
    pub(super) fn decide(&mut self, options: &DumpOptions) {
        let named = self.parts.as_ref().map(|parts| &parts.protocol);
        let known = named.or(self.metadata.protocol.as_ref());
        self.unwanted = matches!((known, options.transport),
            (Some(Protocol::Known(is)), Some(wanted)) if *is != wanted);
        self.fate = match (known, options.transport) {
            (Some(Protocol::Known(is)), Some(wanted)) if *is != wanted => {
                Fate::LeftOut(format!("it is {is}, and {wanted} was asked for"))
            }
            (Some(Protocol::Known(is)), _) => Fate::Replayed(*is),
            (Some(Protocol::Other(name)), _) => {
                Fate::LeftOut(format!("protocol {name} cannot be replayed: only TCP and UDP can"))
            }
            (None, Some(wanted)) => Fate::Replayed(wanted),
            (None, None) => Fate::Unknown,
        };
    }

    pub(super) fn fate(&self) -> Fate {
        match &self.fate {
            Fate::LeftOut(why) => Fate::LeftOut(why.clone()),
            _ if self.entries.is_empty() => Fate::LeftOut("it has no records".to_owned()),
            other => other.clone(),
        }
    }

    /// Who talked, side 0 first.
    pub(super) fn ends(&self) -> Option<[Endpoint; 2]> {
        self.parts.as_ref().map(|parts| parts.ends).or(self.metadata.ends)
    }

    /// The side that all records are of, if there is one.
    pub(super) fn only_side(&self) -> Option<Side> {
        let side = self.entries.first()?.side;
        self.entries.iter().all(|entry| entry.side == side).then_some(side)
    }

    /// Adds a record with its bytes, and tells how much memory that takes.
    ///
    /// # Errors
    /// When it does not fit to those before it.
    pub(super) fn push(&mut self, record: &Record<'_>, data: &[u8]) -> Result<usize, Reason> {
        if matches!(self.fate, Fate::LeftOut(_)) {
            return Ok(0);
        }
        let before = self.entries.len();
        let bare = record.packet.is_none() && record.offset.is_none();
        let classic = *self.classic.get_or_insert(bare);
        // A datagram is never continued, so it has no such text but its own.
        let is_udp = self.fate == Fate::Replayed(Transport::Udp);
        let gap = if bare && !is_udp { classic_gap(data) } else { None };
        let at = self.clock.at(record.times, classic);

        self.skip_to_offset(record, at)?;
        let (missing, text) = gap.unwrap_or((record.missing, 0));
        let data = data.get(text..).unwrap_or_default();
        if missing > 0 {
            let same_packet = self.entries.len() == before && self.is_of_last_packet(record);
            self.add(record, at, (missing, 0), same_packet)?;
        }
        if !data.is_empty() || missing == 0 {
            self.add(record, at, (0, data.len()), false)?;
            self.bytes.extend_from_slice(data);
        }
        let added = self.entries.len().saturating_sub(before);
        Ok(added.saturating_mul(ENTRY).saturating_add(data.len()))
    }

    /// Bytes between those that came and the offset of the next are missing: somebody took lines out.
    fn skip_to_offset(&mut self, record: &Record<'_>, at: i64) -> Result<(), Reason> {
        let Some(offset) = record.offset else { return Ok(()) };
        let side = record.side;
        let before = self.sent[side.index()];
        match offset.checked_sub(before) {
            None => Err(Reason::StepBack { side, offset, before }),
            Some(0) => Ok(()),
            Some(missing) => self.add(record, at, (missing, 0), false),
        }
    }

    fn is_of_last_packet(&self, record: &Record<'_>) -> bool {
        self.entries.last().is_some_and(|last| {
            let same_place = last.has_packet && record.packet == Some(last.packet);
            same_place && last.side == record.side && last.file == record.file.unwrap_or(0)
        })
    }

    fn add(
        &mut self,
        record: &Record<'_>,
        at: i64,
        (missing, len): (u64, usize),
        same_packet: bool,
    ) -> Result<(), Reason> {
        let sent = &mut self.sent[record.side.index()];
        let more = missing.checked_add(len as u64).and_then(|more| sent.checked_add(more));
        *sent = more.ok_or(Reason::Endless(record.side))?;
        self.entries.push(Entry {
            at,
            len,
            missing,
            packet: record.packet.unwrap_or(0),
            file: record.file.unwrap_or(0),
            side: record.side,
            has_packet: record.packet.is_some(),
            same_packet,
        });
        Ok(())
    }

    /// All its records were read: gives back memory that waits for more.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::samples::{draft, options};

    /// At, side, missing and length of each entry.
    fn entries(draft: &Draft) -> Vec<(i64, usize, u64, usize)> {
        let short = |e: &Entry| (e.at, e.side.index(), e.missing, e.len);
        draft.entries.iter().map(short).collect()
    }

    #[test]
    fn an_entry_takes_no_more_than_an_event() {
        assert_eq!(ENTRY, size_of::<Event>());
    }

    #[test]
    fn a_gap_and_what_follows_it_stand_in_a_row() {
        let draft = draft(
            "a",
            &[
                r#"{"side":1,"data":"ab","packet":4,"offset":0}"#,
                r#"{"side":1,"missing":3,"packet":9,"offset":2}"#,
                r#"{"side":1,"data":"f","packet":7,"offset":5}"#,
            ],
        )
        .unwrap();
        assert_eq!(entries(&draft), [(0, 1, 0, 2), (0, 1, 3, 0), (0, 1, 0, 1)]);
        assert_eq!(draft.bytes, b"abf");
        assert_eq!(draft.only_side(), Some(Side::One));
    }

    #[test]
    fn lines_that_were_taken_out_leave_a_gap() {
        let draft = draft(
            "a",
            &[
                r#"{"side":0,"data":"ab","offset":5}"#,
                r#"{"side":1,"data":"x","offset":0}"#,
                r#"{"side":0,"data":"f","offset":9}"#,
                r#"{"side":0,"missing":4,"offset":12}"#,
                r#"{"side":0,"data":"z"}"#,
                r#"{"side":0,"data":"z","offset":17}"#,
            ],
        )
        .unwrap();
        let expected = [
            (0, 0, 5, 0),
            (0, 0, 0, 2),
            (0, 1, 0, 1),
            (0, 0, 2, 0),
            (0, 0, 0, 1),
            (0, 0, 2, 0),
            (0, 0, 4, 0),
            (0, 0, 0, 1),
            (0, 0, 0, 1),
        ];
        assert_eq!(entries(&draft), expected);
        assert_eq!(draft.only_side(), None);
    }

    #[test]
    fn a_step_back_says_what_to_do() {
        let reason = draft(
            "a",
            &[r#"{"side":0,"data":"123456789","offset":0}"#, r#"{"side":0,"data":"x","offset":5}"#],
        );
        assert_eq!(
            reason.unwrap_err().to_string(),
            "offset is 5, but 9 bytes of side 0 came before; take the offset keys out if the dump \
             was edited by hand"
        );
    }

    #[test]
    fn no_side_sends_more_than_can_be_counted() {
        let all = r#"{"side":1,"missing":18446744073709551615}"#;
        assert!(draft("a", &[all]).is_ok());
        let reason = draft("a", &[all, r#"{"side":1,"data":"x"}"#]).unwrap_err();
        assert_eq!(reason.to_string(), "side 1 sends more than 2^64 bytes");
    }

    #[test]
    fn a_classic_gap_has_the_time_of_the_record_before() {
        let lines = [
            r#"{"side":"0","time":{"abs":"1491516383.93206","conn":"2.01626"},"data":"ab"}"#,
            r#"{"side":"0","time":{"abs":"0.00000","conn":"-1491516381.91580"},"data":"[7 bytes missing]"}"#,
            r#"{"side":"0","time":{"abs":"1491516384.93206","conn":"3.01626"},"data":"[9 bytes missing]!"}"#,
        ];
        let tcp = draft("a", &lines).unwrap();
        let second = 1_000_000_000;
        let expected = [(0, 0, 0, 2), (0, 0, 7, 0), (second, 0, 9, 0), (second, 0, 0, 1)];
        assert_eq!(entries(&tcp), expected);
        assert_eq!(tcp.bytes, b"ab!");
        // A datagram's bytes are its own.
        let udp = draft("20120516001153-UDP-10.0.0.1.5-10.0.0.2.6", &lines).unwrap();
        assert_eq!(udp.bytes, b"ab[7 bytes missing][9 bytes missing]!");
    }

    #[test]
    fn in_our_dumps_the_text_of_a_classic_gap_is_data() {
        for place in [r#""offset":0"#, r#""packet":1"#] {
            let line = format!(r#"{{"side":0,"data":"[7 bytes missing]",{place}}}"#);
            assert_eq!(entries(&draft("a", &[&line]).unwrap()), [(0, 0, 0, 17)]);
        }
    }

    #[test]
    fn a_gap_is_of_the_datagram_before_if_the_packet_is() {
        let same = |first: &str, second: &str| {
            let draft = draft("20120516001153-UDP-10.0.0.1.5-10.0.0.2.6", &[first, second]);
            draft.unwrap().entries[1].same_packet
        };
        let first = r#"{"side":0,"data":"x","packet":3,"file":2}"#;
        assert!(same(first, r#"{"side":0,"missing":5,"packet":3,"file":2}"#));
        assert!(!same(first, r#"{"side":0,"missing":5,"packet":4,"file":2}"#));
        assert!(!same(first, r#"{"side":0,"missing":5,"packet":3,"file":1}"#));
        assert!(!same(first, r#"{"side":1,"missing":5,"packet":3,"file":2}"#));
        assert!(!same(r#"{"side":0,"data":"x"}"#, r#"{"side":0,"missing":5}"#));
        let jump = r#"{"side":0,"missing":5,"packet":3,"file":2,"offset":3}"#;
        let datagram = draft("20120516001153-UDP-10.0.0.1.5-10.0.0.2.6", &[first, jump]).unwrap();
        assert!(datagram.entries.iter().all(|entry| !entry.same_packet));
    }

    #[test]
    fn a_connection_is_replayed_as_its_name_or_metadata_or_the_user_says() {
        let fate = |name: &str, metadata: Option<&str>, transport| {
            let mut draft = draft(name, &[r#"{"side":0,"data":"x"}"#]).unwrap();
            draft.metadata.protocol = metadata.map(Protocol::named);
            draft.decide(&options(transport));
            draft.fate()
        };
        let (tcp, udp) = (Transport::Tcp, Transport::Udp);
        let named = "20120516001153-UDP-10.0.0.1.5-10.0.0.2.6";
        assert_eq!(fate(named, Some("TCP"), None), Fate::Replayed(udp));
        assert_eq!(fate(named, None, Some(udp)), Fate::Replayed(udp));
        let other = Fate::LeftOut("it is UDP, and TCP was asked for".into());
        assert_eq!(fate(named, None, Some(tcp)), other);
        assert_eq!(fate("a", Some("TCP"), None), Fate::Replayed(tcp));
        assert_eq!(fate("a", None, Some(udp)), Fate::Replayed(udp));
        assert_eq!(fate("a", None, None), Fate::Unknown);
        let icmp = Fate::LeftOut("protocol ICMP cannot be replayed: only TCP and UDP can".into());
        assert_eq!(fate("a", Some("ICMP"), Some(udp)), icmp);
    }

    #[test]
    fn of_a_connection_that_is_left_out_nothing_is_kept() {
        let name = "20120516001153-IPV6-ICMP-__1.0-__2.0";
        let draft = draft(name, &[r#"{"side":0,"data":"x"}"#]).unwrap();
        assert!(draft.entries.is_empty() && draft.bytes.is_empty());
        let why = "protocol IPV6-ICMP cannot be replayed: only TCP and UDP can";
        assert_eq!(draft.fate(), Fate::LeftOut(why.into()));
    }

    #[test]
    fn nothing_cannot_be_replayed() {
        let draft = draft("20120516001153-TCP-10.0.0.1.5-10.0.0.2.6", &[]).unwrap();
        assert_eq!(draft.fate(), Fate::LeftOut("it has no records".into()));
    }
}
