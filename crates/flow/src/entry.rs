//! What is known of one connection, whatever its transport.

use crate::arrival::Label;
use crate::connection::Connection;
use crate::key::KeyRef;
use crate::ledger::Ledger;
use crate::varint::{Reader, Writer};
use crate::{Began, Ended, Report, Side, Source};
use std::time::Duration;
use wire::Timestamp;

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Entry<H> {
    pub(crate) connection: Connection,
    pub(crate) handle: H,
    pub(crate) ledger: Ledger,
    pub(crate) last: Source,
    /// The number of the frame that opened it.
    pub(crate) opened: u64,
    /// When it last was active, by the [clock](crate::lives::Lives::clock); of no meaning while it sleeps.
    pub(crate) touched: u64,
    /// Its slot, while it is awake.
    pub(crate) index: u32,
    /// Whole seconds, rounded up, by which `last` lies behind the latest time of this connection;
    /// counted only where time can end it.
    behind: u16,
    /// A SYN says who the initiator is, so that no later one can.
    pub(crate) initiator_known: bool,
}

impl<H> Entry<H> {
    /// That of a connection whose first packet came in the frame with the number `opened`. Read number by number: see
    /// [`Label::again`].
    #[inline(always)]
    pub(crate) fn new(connection: Connection, opened: u64, handle: H) -> Self {
        let last = connection.first().again();
        let connection = connection.again();
        let (ledger, touched, index, behind, initiator_known) = (Ledger::NEW, 0, 0, 0, false);
        Self { connection, handle, ledger, last, opened, touched, index, behind, initiator_known }
    }

    /// One that [is ordinary](Self::is_ordinary).
    pub(crate) fn ordinary(
        connection: Connection,
        opened: u64,
        handle: H,
        ledger: Ledger,
        last: Source,
    ) -> Self {
        let (touched, index, behind, initiator_known) = (0, 0, 0, true);
        Self { connection, handle, ledger, last, opened, touched, index, behind, initiator_known }
    }

    /// Did a SYN say who the initiator is, and did its times never step back (or did nobody look)?
    pub(crate) fn is_ordinary(&self) -> bool {
        self.initiator_known && self.behind == 0
    }

    /// A packet belongs to it.
    #[inline]
    pub(crate) fn note_packet(&mut self, label: &Label) {
        self.last = label.source.again();
        self.ledger.add_packets(label.from(), label.frames.into());
    }

    /// A packet belongs to it that brings the next `len` bytes of its sender, at `touched` by the clock; where
    /// they stand in their stream.
    #[inline(always)]
    pub(crate) fn note_next(&mut self, label: &Label, len: usize, touched: u64) -> u64 {
        self.touched = touched;
        self.last = label.source.again();
        self.ledger.add_next(label.from(), label.frames, len)
    }

    /// Is a packet of this time later than `idle` after all that came before? To be asked of each
    /// packet: it notes how far the times step back, so that the next one is not taken for late.
    ///
    /// Steps back of more than 18 hours are not measured: until the times are back where they were,
    /// nothing is late.
    pub(crate) fn was_idle(&mut self, now: Timestamp, idle: Duration) -> bool {
        const SECOND: i128 = 1_000_000_000;
        let quiet = now.nanos_since(self.last.time) - i128::from(self.behind) * SECOND;
        let lost = self.behind == u16::MAX;
        self.behind = match u16::try_from(-quiet.div_euclid(SECOND)) {
            _ if quiet >= 0 => 0,
            Ok(seconds) if !lost => seconds,
            _ => u16::MAX,
        };
        !lost && quiet > i128::try_from(idle.as_nanos()).unwrap_or(i128::MAX)
    }

    /// Was it silent for longer than `idle` when it is `now`? Unlike [`Self::was_idle`] this changes nothing.
    pub(crate) fn is_idle(&self, now: Timestamp, idle: Duration) -> bool {
        let quiet = now.nanos_since(self.latest());
        quiet > i128::try_from(idle.as_nanos()).unwrap_or(i128::MAX)
    }

    /// The latest time that is known of it, to the second where its packets' times stepped back.
    pub(crate) fn latest(&self) -> Timestamp {
        self.last.time.later_by(u32::from(self.behind))
    }

    /// All that is known, now that it has ended. (As a function of its own it took 1 % more, for connections of two
    /// packets; with `Side::BOTH.map` up to 5 %, since the compiler does not always see through it.)
    #[inline(always)]
    pub(crate) fn report(&self, began: Began, ended: Ended) -> Report {
        let [zero, one] = [Side::Zero, Side::One].map(|side| self.connection.index(side));
        Report {
            protocol: self.connection.protocol(),
            vlans: self.connection.vlans(),
            ends: [self.connection.end(Side::Zero), self.connection.end(Side::One)],
            first: self.connection.first(),
            last: self.last,
            began,
            ended,
            sides: [self.ledger.stats(zero), self.ledger.stats(one)],
        }
    }
}

/// What the flags of a sleeping connection mean.
mod flag {
    /// End 1 is the initiator.
    pub(super) const SWAPPED: u64 = 1;
    pub(super) const INITIATOR_KNOWN: u64 = 1 << 1;
    /// Both times are whole microseconds, as such.
    pub(super) const MICROS: u64 = 1 << 2;
    /// Both packets are in the first file.
    pub(super) const FIRST_FILE: u64 = 1 << 3;
    pub(super) const BEHIND: u64 = 1 << 4;
}

/// A connection that sleeps: everything but the key and the handle, in the fewest bytes.
impl<H> Entry<H> {
    /// Puts it down.
    pub(crate) fn put(&self, out: &mut Writer<'_>) {
        let (first, last) = (self.connection.first(), self.last);
        let micros = micros(first.time).zip(micros(last.time));
        let first_file = (first.file(), last.file()) == (1, 1);
        let set = |flag: u64, holds: bool| if holds { flag } else { 0 };
        let flags = set(flag::SWAPPED, self.connection.index(Side::Zero) == 1)
            | set(flag::INITIATOR_KNOWN, self.initiator_known)
            | set(flag::MICROS, micros.is_some())
            | set(flag::FIRST_FILE, first_file)
            | set(flag::BEHIND, self.behind > 0);
        out.put(first.number());
        out.put_near(self.opened, first.number());
        out.put(flags);
        out.put_near(last.number(), first.number());
        if !first_file {
            out.put(u64::from(first.file()));
            out.put_near(u64::from(last.file()), u64::from(first.file()));
        }
        if self.behind > 0 {
            out.put(u64::from(self.behind));
        }
        match micros {
            Some((first, last)) => {
                out.put_near(first, 0);
                out.put_near(last, first);
            }
            None => {
                put_time(first.time, 0, out);
                put_time(last.time, first.time.secs() as u64, out);
            }
        }
        self.ledger.put(out);
    }

    /// The number of the frame that opened what was put down.
    pub(crate) fn take_opened(bytes: &mut Reader<'_>) -> u64 {
        let number = bytes.take();
        bytes.take_near(number)
    }

    /// What was put down, as it was.
    pub(crate) fn take(key: KeyRef<'_>, handle: H, bytes: &mut Reader<'_>) -> Self {
        let number = bytes.take();
        let opened = bytes.take_near(number);
        let flags = bytes.take();
        let has = |flag: u64| flags & flag != 0;
        let last_number = bytes.take_near(number);
        let (mut file, mut last_file) = (1, 1);
        if !has(flag::FIRST_FILE) {
            file = bytes.take();
            last_file = bytes.take_near(file);
        }
        let behind = if has(flag::BEHIND) { bytes.take() as u16 } else { 0 };
        let (first_time, last_time) = if has(flag::MICROS) {
            let first = bytes.take_near(0);
            (at_micros(first), at_micros(bytes.take_near(first)))
        } else {
            let first = take_time(0, bytes);
            (first, take_time(first.secs() as u64, bytes))
        };
        let first = Source::new(first_time, number, file as u32);
        Self {
            connection: Connection::of(key, usize::from(has(flag::SWAPPED)), first),
            handle,
            ledger: Ledger::take(bytes),
            last: Source::new(last_time, last_number, last_file as u32),
            opened,
            touched: 0,
            index: 0,
            behind,
            initiator_known: has(flag::INITIATOR_KNOWN),
        }
    }
}

/// Microseconds since 1970, as the bits of an `i64`, if the time is no finer and not from another era.
fn micros(time: Timestamp) -> Option<u64> {
    let nanos = time.subsec_nanos();
    let whole = !time.is_fine() && nanos.is_multiple_of(1000);
    let micros = time.secs().checked_mul(1_000_000).filter(|_| whole)?;
    Some(micros.checked_add(i64::from(nanos / 1000))? as u64)
}

fn at_micros(micros: u64) -> Timestamp {
    const SECOND: i64 = 1_000_000;
    let micros = micros as i64;
    Timestamp::new(micros.div_euclid(SECOND), micros.rem_euclid(SECOND) as u32 * 1000)
}

/// Puts down a time as it is; its seconds for a reader who knows `near`.
pub(crate) fn put_time(time: Timestamp, near: u64, out: &mut Writer<'_>) {
    out.put_near(time.secs() as u64, near);
    out.put(u64::from(time.subsec_nanos()) << 1 | u64::from(time.is_fine()));
}

pub(crate) fn take_time(near: u64, bytes: &mut Reader<'_>) -> Timestamp {
    let secs = bytes.take_near(near) as i64;
    let nanos = bytes.take();
    let make = if nanos & 1 == 1 { Timestamp::fine } else { Timestamp::new };
    make(secs, (nanos >> 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Counter;
    use crate::{Endpoint, FlowKey};
    use proptest::prelude::*;

    fn key() -> FlowKey {
        let end = |port| Endpoint { addr: "10.0.0.1".parse().unwrap(), port };
        FlowKey::new(6, end(5), end(1)).0
    }

    #[test]
    fn time_is_counted_from_the_latest_packet() {
        let mut entry = Entry::new(Connection::new(key(), 0, Source::default()), 1, ());
        let mut late = |secs| {
            let time = Timestamp::new(secs, 0);
            let late = entry.was_idle(time, Duration::from_secs(30));
            entry.last = Source::new(time, 1, 1);
            late
        };
        assert_eq!([100, 130, 60, 160].map(&mut late), [true, false, false, false]);
        assert_eq!([100, 50, 191].map(&mut late), [false, false, true]);
        // Out of 1970 and back.
        let now = 1_700_000_000;
        assert_eq!(
            [now, 0, 3, now + 900, now + 931].map(&mut late),
            [true, false, false, false, true]
        );
    }

    #[test]
    fn an_ordinary_connection_is_short() {
        let source = |secs, number| Source::new(Timestamp::new(secs, 123_456_000), number, 1);
        let mut entry =
            Entry::new(Connection::new(key(), 1, source(1_700_000_000, 3_000_000)), 3_000_001, 7);
        entry.last = source(1_700_000_002, 3_004_000);
        for (end, len) in [(1, 300), (0, 1460), (0, 1460), (0, 900)] {
            entry.ledger.add_packets(end, 3);
            entry.ledger.add_chunk(end, len);
        }
        let mut bytes = Vec::new();
        entry.put(&mut Writer(&mut bytes));
        assert!(bytes.len() <= 32, "{} bytes", bytes.len());
    }

    prop_compose! {
        fn source()(
            secs in prop_oneof![Just(1_700_000_000), any::<i64>(), 0..9i64],
            nanos in prop_oneof![(0..1_000_000u32).prop_map(|us| us * 1000), 0..1_000_000_000u32],
            fine in any::<bool>(),
            number in prop_oneof![0..9u64, 0..=Source::MAX_NUMBER],
            file in prop_oneof![Just(1), 0..=Source::MAX_FILE],
        ) -> Source {
            let make = if fine { Timestamp::fine } else { Timestamp::new };
            Source::new(make(secs, nanos), number, file)
        }
    }

    proptest! {
        #[test]
        fn a_connection_comes_back_as_it_was(
            first in source(),
            last in source(),
            opened in prop_oneof![0..9u64, any::<u64>()],
            (initiator, behind, initiator_known) in (0..2usize, any::<u16>(), any::<bool>()),
            rare in proptest::option::of(any::<u64>()),
        ) {
            let mut entry = Entry::new(Connection::new(key(), initiator, first), opened, 7);
            (entry.last, entry.behind, entry.initiator_known) = (last, behind, initiator_known);
            entry.ledger.add_chunk(1, 300);
            if let Some(n) = rare {
                entry.ledger.add(0, Counter::Late, n);
            }
            let mut bytes = Vec::new();
            entry.put(&mut Writer(&mut bytes));
            let mut reader = Reader(&bytes);
            let again = Entry::take(key().view(), 7, &mut reader);
            prop_assert!(reader.0.is_empty());
            prop_assert_eq!(format!("{again:?}"), format!("{entry:?}"));
            prop_assert_eq!(Entry::<()>::take_opened(&mut Reader(&bytes)), opened);
        }
    }
}
