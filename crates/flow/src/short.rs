//! An ordinary TCP connection that is over, in 64 bytes of fixed shape.
//!
//! Most connections of most captures were opened by SYNs and closed by FINs, lost nothing, and had few packets.
//! To put such a one down number by number as [`Entry`] and [`State`] do, and to take it again, took more
//! instructions than half of its packets; this takes a tenth of them.

use crate::Source;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::key::KeyRef;
use crate::ledger::{Ledger, ShortLedger};
use crate::tcp::{ShortTcp, State};
use wire::Timestamp;

/// All of it, but the key and the handle, in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Short {
    /// When the first packet came, since 1970: whole seconds, and beyond them.
    secs: u32,
    nanos: Nanos,
    /// When the last one came: whole seconds after the first, and beyond them.
    last_secs: u16,
    last_nanos: Nanos,
    /// The first packet's number, and by how much the last one's is higher.
    number: u32,
    last_ahead: u32,
    /// By how much the number of the frame that opened it is higher than the first packet's.
    opened_ahead: u32,
    /// The file of both packets.
    file: u8,
    /// Is end 1 the initiator?
    swapped: bool,
    ledger: ShortLedger,
    tcp: ShortTcp,
}

/// Nanoseconds past a second; the highest bit is set where the interface resolved finer than a microsecond.
#[derive(Clone, Copy, Debug)]
struct Nanos(u32);

const FINE: u32 = 1 << 31;

impl Nanos {
    fn of(time: Timestamp) -> Self {
        Self(time.subsec_nanos() | if time.is_fine() { FINE } else { 0 })
    }

    fn past(self, secs: i64) -> Timestamp {
        match self.0 & FINE {
            0 => Timestamp::new(secs, self.0),
            _ => Timestamp::fine(secs, self.0 & !FINE),
        }
    }
}

impl Short {
    /// The connection in short, if it is so ordinary.
    pub(crate) fn of<H>(entry: &Entry<H>, tcp: &State) -> Option<Self> {
        let (first, last) = (entry.connection.first(), entry.last);
        if !tcp.is_settled() || !entry.is_ordinary() || first.file() != last.file() {
            return None;
        }
        let ledger = entry.ledger.short()?;
        let tcp = tcp.short(&ledger)?;
        let (secs, number) = (first.time.secs() as u64, first.number());
        let last_secs = (last.time.secs() as u64).wrapping_sub(secs);
        let last_ahead = last.number().wrapping_sub(number);
        let opened_ahead = entry.opened.wrapping_sub(number);
        // All at once: what is negative has its highest bits set.
        let fits = (secs | number | last_ahead | opened_ahead) <= u64::from(u32::MAX)
            && last_secs <= u64::from(u16::MAX)
            && first.file() <= u32::from(u8::MAX);
        fits.then_some(Self {
            secs: secs as u32,
            nanos: Nanos::of(first.time),
            last_secs: last_secs as u16,
            last_nanos: Nanos::of(last.time),
            number: number as u32,
            last_ahead: last_ahead as u32,
            opened_ahead: opened_ahead as u32,
            file: first.file() as u8,
            swapped: entry.connection.is_swapped(),
            ledger,
            tcp,
        })
    }

    /// What it is short for, but the TCP state.
    #[inline(always)]
    pub(crate) fn entry<H>(&self, key: KeyRef<'_>, handle: H) -> Entry<H> {
        let (secs, number, file) = (i64::from(self.secs), u64::from(self.number), self.file.into());
        let first = Source::new(self.nanos.past(secs), number, file);
        let last = self.last_nanos.past(secs + i64::from(self.last_secs));
        let last = Source::new(last, number + u64::from(self.last_ahead), file);
        let connection = Connection::of(key, usize::from(self.swapped), first);
        Entry::ordinary(connection, self.opened(), handle, self.ledger(), last)
    }

    /// What was counted of it.
    #[inline(always)]
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::from_short(&self.ledger)
    }

    /// The TCP state.
    pub(crate) fn tcp(&self) -> State {
        State::from_short(&self.tcp, &self.ledger)
    }

    /// The number of the frame that opened it.
    pub(crate) fn opened(&self) -> u64 {
        u64::from(self.number) + u64::from(self.opened_ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, FlowKey};
    use proptest::prelude::*;

    fn key() -> FlowKey {
        let end = |port| Endpoint { addr: "10.0.0.1".parse().unwrap(), port };
        FlowKey::new(6, end(5), end(1)).0
    }

    /// The connection of a conversation of 300 and 20 000 bytes.
    fn settled() -> State {
        State::settled_of([300, 20_000])
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.add_packets(0, 6);
        ledger.add_packets(1, 6);
        ledger.add_chunk(0, 300);
        ledger.add_chunk(1, 20_000);
        ledger
    }

    prop_compose! {
        fn source()(
            secs in prop_oneof![1_700_000_000..1_700_000_002i64, any::<i64>(), 0..70_000i64],
            nanos in prop_oneof![Just(0), 0..1_000_000_000u32],
            fine in any::<bool>(),
            number in prop_oneof![0..9u64, 0..=Source::MAX_NUMBER],
            file in prop_oneof![Just(1), 0..300u32],
        ) -> Source {
            let make = if fine { Timestamp::fine } else { Timestamp::new };
            Source::new(make(secs, nanos), number, file)
        }
    }

    #[test]
    fn it_is_as_short_as_said() {
        assert_eq!(size_of::<Option<Short>>(), 64);
    }

    #[test]
    fn an_ordinary_connection_can_be_put_in_short() {
        let source = |secs, number| Source::new(Timestamp::new(secs, 5_000), number, 1);
        let connection = Connection::new(key(), 1, source(1_700_000_000, 3_000_000));
        let last = source(1_700_000_060, 3_004_000);
        let entry = Entry::ordinary(connection, 3_000_001, 7, ledger(), last);
        let tcp = settled();
        let short = Short::of(&entry, &tcp).unwrap();
        assert_eq!(format!("{:?}", short.entry(key().view(), 7)), format!("{entry:?}"));
        assert_eq!(format!("{:?}", short.tcp()), format!("{tcp:?}"));
        assert_eq!(short.opened(), 3_000_001);
    }

    proptest! {
        #[test]
        fn what_can_be_put_in_short_comes_back_as_it_was(
            (first, last) in (source(), source()),
            opened in prop_oneof![0..9u64, any::<u64>()],
            initiator in 0..2usize,
        ) {
            let connection = Connection::new(key(), initiator, first);
            let entry = Entry::ordinary(connection, opened, 7, ledger(), last);
            let Some(short) = Short::of(&entry, &settled()) else { return Ok(()) };
            prop_assert_eq!(format!("{:?}", short.entry(key().view(), 7)), format!("{entry:?}"));
            prop_assert_eq!(short.opened(), opened);
        }
    }
}
