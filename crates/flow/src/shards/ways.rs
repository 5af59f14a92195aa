//! The ways of datagrams to their connection: a short one that nearly all segments go, and those for others.

use super::Shards;
use crate::arrival::Label;
use crate::entry::Entry;
use crate::lives::{Live, Lives};
use crate::parcel::Parcel;
use crate::shard::Shard;
use crate::slot::List;
use crate::tcp::{Head, Next};
use crate::timeouts::Phase;
use crate::{Arrival, Chunk, Config, End, EndFlag, Sink};
use wire::{Body, Segment, TcpFlags, Timestamp};

/// What became of a segment on the short way.
enum Taken {
    Done,
    /// Nothing has changed.
    Not(Found),
}

/// Why a segment could not go the short way.
#[derive(Clone, Copy)]
enum Found {
    /// It is not next in this connection, or that was idle.
    IsNotNext(u32),
    /// Its connection is none of the recent ones.
    NoRecent,
}

impl<H: Copy> Shards<H> {
    /// Takes in a datagram, whose shard must be one of these: of another one, its frames are counted, and nothing else.
    ///
    /// # Errors
    /// The sink's own.
    #[inline(always)]
    pub fn handle<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.assigned += u64::from(arrival.label.frames);
        let Body::Tcp(segment) = &arrival.body else {
            return self.handle_message(&arrival.again(), sink);
        };
        let bytes = segment.payload.bytes;
        match self.take_next::<true, _>(&arrival.label, &Head::of(segment), || bytes, sink)? {
            Taken::Done => Ok(()),
            Taken::Not(found) => self.handle_segment(found, &arrival.again(), sink),
        }
    }

    /// Takes in a segment if it goes the way that nearly all go, which it does not where time ends connections. `false`, and
    /// nothing changed, if it does not, and for other datagrams. [`Self::handle`] is for those: whoever makes the datagram
    /// anew for that has less to keep at hand for all others. What is taken in is counted by [`Self::count_usual`].
    ///
    /// # Errors
    /// The sink's own.
    #[inline(always)]
    pub fn handle_usual<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<bool, S::Error> {
        let Body::Tcp(segment) = &arrival.body else { return Ok(false) };
        if self.timed {
            return Ok(false);
        }
        if segment.flags.has(TcpFlags::SYN) {
            return self.handle_syn(&arrival.again(), sink).map(|()| true);
        }
        let bytes = segment.payload.bytes;
        let taken =
            self.take_next::<false, _>(&arrival.label, &Head::of(segment), || bytes, sink)?;
        Ok(matches!(taken, Taken::Done))
    }

    /// So many frames brought what [`Self::handle_usual`] took in, or what the sink failed at there.
    pub fn count_usual(&mut self, frames: u64) {
        self.assigned += frames;
    }

    /// Takes in a datagram of a batch. What stands there is read as it is needed: most of it is not.
    #[inline(always)]
    pub(super) fn handle_parcel<S: Sink<Handle = H>>(
        &mut self,
        parcel: &Parcel,
        buffer: &[u8],
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.assigned += u64::from(parcel.label.frames);
        if !parcel.is_tcp() {
            return self.handle_message(&parcel.open(buffer), sink);
        }
        match self.take_next::<true, _>(
            &parcel.label,
            &parcel.head,
            || parcel.bytes(buffer),
            sink,
        )? {
            Taken::Done => Ok(()),
            Taken::Not(found) => self.handle_segment(found, &parcel.open(buffer), sink),
        }
    }

    /// Takes in a datagram that is none of TCP.
    #[inline(always)]
    fn handle_message<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        match self.at(arrival.label.hash) {
            Some((shard, lives)) => shard.handle_message(lives, arrival, sink),
            None => Ok(()),
        }
    }

    /// Takes in a segment with a SYN, which is next in no connection.
    #[inline(never)]
    fn handle_syn<S: Sink<Handle = H>>(
        &mut self,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Label { key, hash, .. } = &arrival.label;
        let found = match self.lives.recent(key, *hash) {
            Some(live) => Found::IsNotNext(live.entry.index),
            None => Found::NoRecent,
        };
        self.handle_segment(found, arrival, sink)
    }

    /// Takes in a segment that could not go the [short way](Self::take_next).
    #[inline(never)]
    fn handle_segment<S: Sink<Handle = H>>(
        &mut self,
        found: Found,
        arrival: &Arrival<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let Body::Tcp(segment) = &arrival.body else { return Ok(()) };
        let Some((shard, lives)) = self.at(arrival.label.hash) else { return Ok(()) };
        shard.retire(lives);
        let newest = match found {
            Found::IsNotNext(index) => Some(index),
            Found::NoRecent => shard.table.newest(&arrival.label.key),
        };
        if let (Found::NoRecent, Some(index)) = (found, newest)
            && shard.table.note_alone(lives, index, arrival.label.hash)
            && let bytes = segment.payload.bytes
            && let Taken::Done =
                self.take_next::<true, _>(&arrival.label, &Head::of(segment), || bytes, sink)?
        {
            return Ok(());
        }
        let Some((shard, lives)) = self.at(arrival.label.hash) else { return Ok(()) };
        if shard.take_opening(lives, newest, arrival, segment, sink)? {
            return Ok(());
        }
        shard.handle_with_care(lives, newest, arrival, segment, sink)
    }

    /// Gives a segment to its connection on the short way that nearly all go: nothing is missing, and it
    /// is next. `bytes` gives what it carries. Where not even `TIMED`, time ends no connection.
    ///
    /// Its shard is looked at where its connection ends.
    #[inline(always)]
    fn take_next<'b, const TIMED: bool, S: Sink<Handle = H>>(
        &mut self,
        label: &Label,
        head: &Head,
        bytes: impl FnOnce() -> &'b [u8],
        sink: &mut S,
    ) -> Result<Taken, S::Error> {
        let now = self.lives.tick();
        let Some(live) = self.lives.recent(&label.key, label.hash) else {
            return Ok(Taken::Not(Found::NoRecent));
        };
        let Live { entry, tcp } = live;
        let (index, from) = (entry.index, label.from());
        let is_idle =
            |phase| TIMED && self.timed && was_idle(&self.config, entry, phase, label.source.time);
        let Some(Next { was_settled, settled: over }) = tcp.take_if_next(from, head, is_idle)
        else {
            return Ok(Taken::Not(Found::IsNotNext(index)));
        };
        let offset = entry.note_next(label, head.len as usize, now);
        if head.len > 0 {
            let side = entry.connection.side(from);
            let chunk = Chunk { side, offset, bytes: bytes(), source: label.source.again() };
            sink.data(entry.handle, &entry.connection, &chunk)?;
        }
        if head.flags.has(TcpFlags::FIN) {
            let side = entry.connection.side(from);
            let end = End { side, flag: EndFlag::Fin, source: label.source.again() };
            sink.ended(entry.handle, &entry.connection, &end)?;
            if let Some((shard, lives)) = self.at(label.hash) {
                shard.note_closing::<TIMED>(lives, index);
            }
        }
        if !over {
            debug_assert!(
                self.at(label.hash)
                    .is_some_and(|(shard, _)| shard.table.is_in(index, List::Active)),
                "whoever may go on, and is awake with nothing held, is active"
            );
        } else if let Some((shard, lives)) = self.at(label.hash) {
            shard.note_over(lives, index, was_settled, sink)?;
        }
        Ok(Taken::Done)
    }

    /// The shard of a key with this fixed hash, and what is awake.
    #[inline(always)]
    fn at(&mut self, hash: u64) -> Option<(&mut Shard<H>, &mut Lives<H>)> {
        let place = self.place(hash);
        Some((self.shards.get_mut(place)?, &mut self.lives))
    }
}

impl<H: Copy> Shard<H> {
    /// A connection has ended one of its directions, and was [next](Shards::take_next) to do so.
    #[inline(always)]
    fn note_closing<const TIMED: bool>(&mut self, lives: &mut Lives<H>, index: u32) {
        self.table.fetch_slot(index);
        if TIMED && let Some(timeouts) = self.told_time() {
            self.look_after(lives, index, timeouts.closing);
        }
    }

    /// Takes in a segment that opens a connection in the way that nearly all are opened: a SYN that is the
    /// first of its key, or the answer to it. `false`, and nothing changed, where it is neither.
    #[inline(always)]
    fn take_opening<S: Sink<Handle = H>>(
        &mut self,
        lives: &mut Lives<H>,
        newest: Option<u32>,
        arrival: &Arrival<'_>,
        segment: &Segment<'_>,
        sink: &mut S,
    ) -> Result<bool, S::Error> {
        if newest.is_none()
            && Head::of(segment).is_bare_syn()
            && !arrival.label.key.ends_are_equal()
        {
            let index = self.open(lives, true, arrival, arrival.label.from(), sink)?;
            if let Some((entry, Some(tcp))) = self.table.awake(lives, index) {
                entry.initiator_known = true;
                entry.note_packet(&arrival.label);
                tcp.take_syn(arrival.label.from(), &Head::of(segment));
            }
            return Ok(true);
        }
        let (label, head, now) = (&arrival.label, Head::of(segment), lives.tick());
        if let Some(Live { entry, tcp }) = lives.recent(&label.key, label.hash)
            && tcp.is_syn_ack(label.from(), &head)
            && !was_idle(&self.config, entry, tcp.phase(), label.source.time)
        {
            tcp.take_syn_ack(label.from(), &head);
            entry.note_packet(label);
            entry.touched = now;
            let index = entry.index;
            debug_assert!(self.table.is_in(index, List::Active), "it is half open, and awake");
            return Ok(true);
        }
        Ok(false)
    }
}

/// Was a connection silent for too long when a packet came at this time? Where it was, this can be asked again of the
/// same packet; where it was not, the packet is to be taken in.
#[inline(never)]
fn was_idle<H>(config: &Config, entry: &mut Entry<H>, phase: Phase, time: Timestamp) -> bool {
    let idle = config.timeouts.as_ref().map(|timeouts| timeouts.of(phase));
    idle.is_some_and(|idle| entry.was_idle(time, idle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::State;
    use crate::testing::Nothing;
    use crate::{Connection, Report, Source, Timeouts};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;
    use wire::{Datagram, Ends, Payload, VlanIds};

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;

    /// A segment from one of two ends at a second.
    fn segment(from: u32, secs: i64, flags: TcpFlags, seq: u32, ack: u32) -> Arrival<'static> {
        let payload = Payload { bytes: &[], len: 0 };
        let body = Body::Tcp(Segment { seq, ack, flags, window: 0, payload });
        let (ends, vlans) = (Ends::V4 { src: from, dst: 3 - from }, VlanIds::NONE);
        let datagram = Datagram { ends, protocol: 6, src_port: 9, dst_port: 9, vlans, body };
        let source = Source::new(Timestamp::new(secs, 0), 1, 1);
        Arrival::new(source, secs as u64, 1, &datagram)
    }

    fn is_orderly(shards: &mut Shards<()>, arrival: &Arrival<'_>) -> Option<bool> {
        let (shard, lives) = shards.at(arrival.label.hash)?;
        let index = shard.table.newest(&arrival.label.key)?;
        Some(matches!(shard.table.awake_tcp(lives, index)?, State::Orderly(_)))
    }

    #[test]
    fn a_connection_is_orderly_until_something_is_unusual() {
        let live =
            Config { timeouts: Some(Timeouts::all(Duration::from_secs(60))), ..Config::default() };
        for config in [Config::default(), live] {
            let mut shards = Shards::all(config);
            let usual = [
                segment(1, 1, SYN, 10, 0),
                segment(2, 2, SYN | ACK, 50, 11),
                segment(1, 3, ACK, 11, 51),
                segment(1, 4, ACK | TcpFlags::FIN, 11, 51),
            ];
            for arrival in &usual {
                let Ok(()) = shards.handle(arrival, &mut Nothing);
                assert_eq!(is_orderly(&mut shards, arrival), Some(true));
            }
            let repeated = &usual[3];
            let Ok(()) = shards.handle(repeated, &mut Nothing);
            assert_eq!(is_orderly(&mut shards, repeated), Some(false));
            assert_eq!(shards.connections(), 1);
        }
    }

    #[test]
    fn a_connection_sleeps_from_its_last_acknowledgement_on() {
        const FIN: TcpFlags = TcpFlags::FIN;
        let mut shards = Shards::all(Config::default());
        let usual = [
            segment(1, 1, SYN, 10, 0),
            segment(2, 2, SYN | ACK, 50, 11),
            segment(1, 3, ACK | FIN, 11, 51),
            segment(2, 4, ACK | FIN, 51, 12),
            segment(1, 5, ACK, 12, 52),
        ];
        let is_awake = |shards: &mut Shards<()>| {
            let (shard, lives) = shards.at(usual[0].label.hash).unwrap();
            let index = shard.table.newest(&usual[0].label.key);
            index.is_some_and(|index| shard.table.awake(lives, index).is_some())
        };
        let is_fresh = |shards: &mut Shards<()>| {
            shards.at(usual[0].label.hash).is_some_and(|(shard, _)| shard.fresh.is_newest(0))
        };
        for (n, arrival) in usual.iter().enumerate() {
            let Ok(()) = shards.handle(arrival, &mut Nothing);
            assert_eq!(is_awake(&mut shards), n < 4);
        }
        // What was sent again wakes it up; it is none of those that were over last any more.
        assert!(!is_fresh(&mut shards));
        let Ok(()) = shards.handle(&usual[3], &mut Nothing);
        assert!(is_awake(&mut shards) && is_fresh(&mut shards));
        assert_eq!(shards.connections(), 1);
    }

    #[test]
    fn an_answer_that_comes_too_late_opens_another_connection() {
        let timeouts = Timeouts::all(Duration::from_secs(60));
        let wait = timeouts.half_open.as_secs() as i64;
        let mut shards = Shards::all(Config { timeouts: Some(timeouts), ..Config::default() });
        let Ok(()) = shards.handle(&segment(1, 1, SYN, 10, 0), &mut Nothing);
        let late = segment(2, wait + 2, SYN | ACK, 50, 11);
        let Ok(()) = shards.handle(&late, &mut Nothing);
        let (shard, _) = shards.at(late.label.hash).unwrap();
        assert_eq!((shard.totals().connections[6], shard.connections()), (2, 1));
        assert_eq!(is_orderly(&mut shards, &late), Some(false));
    }

    /// What came out of each connection, by its key.
    #[derive(Default)]
    struct Told(BTreeMap<String, Vec<String>>);

    impl Told {
        fn note(&mut self, connection: &Connection, what: impl std::fmt::Debug) {
            self.0.entry(format!("{:?}", connection.key())).or_default().push(format!("{what:?}"));
        }
    }

    impl Sink for Told {
        type Handle = ();
        type Error = std::convert::Infallible;

        fn opened(&mut self, connection: &Connection) -> Result<(), Self::Error> {
            self.note(connection, connection.first());
            Ok(())
        }

        fn data(&mut self, (): (), of: &Connection, chunk: &Chunk<'_>) -> Result<(), Self::Error> {
            self.note(of, chunk);
            Ok(())
        }

        fn ended(&mut self, (): (), of: &Connection, end: &End) -> Result<(), Self::Error> {
            self.note(of, end);
            Ok(())
        }

        fn closed(&mut self, (): (), report: &Report) -> Result<(), Self::Error> {
            let key = format!("{:?}", report.ends.iter().min());
            self.0.entry(key).or_default().push(format!("{report:?}"));
            Ok(())
        }
    }

    proptest! {
        /// How many share the shards says nothing of what comes out, also where those that are awake are few.
        #[test]
        fn whoever_has_the_shards_tells_the_same(
            steps in prop::collection::vec((0..300u32, any::<bool>(), 0..6u8), 1..1500),
            awake in prop::sample::select(vec![0, 64, 256, 1 << 17]),
        ) {
            let mut next: BTreeMap<(u32, bool), u32> = BTreeMap::new();
            let arrivals: Vec<Arrival<'static>> = (1..).zip(&steps).map(|(n, &(pair, back, what))| {
                let seq = *next.get(&(pair, back)).unwrap_or(&100);
                let ack = *next.get(&(pair, !back)).unwrap_or(&100);
                let (flags, bytes): (_, &[u8]) = match what {
                    0 => (SYN, b""),
                    1 => (SYN | ACK, b""),
                    2 => (ACK | TcpFlags::FIN, b""),
                    3 => (ACK, b""),
                    _ => (ACK, b"some"),
                };
                let takes = bytes.len() as u32 + u32::from(what < 3);
                next.insert((pair, back), seq + takes);
                let ends = (pair + 10, pair + 1000);
                let (src, dst) = if back { (ends.1, ends.0) } else { ends };
                let payload = Payload { bytes, len: bytes.len() as u32 };
                let body = Body::Tcp(Segment { seq, ack, flags, window: 0, payload });
                let ends = Ends::V4 { src, dst };
                let vlans = VlanIds::NONE;
                let datagram = Datagram { ends, protocol: 6, src_port: 9, dst_port: 9, vlans, body };
                Arrival::new(Source::new(Timestamp::new(n, 0), n as u64, 1), n as u64, 1, &datagram)
            }).collect();
            let config = Config { awake, ..Config::default() };
            let told = |of: usize| {
                let mut told = Told::default();
                for part in 0..of {
                    let mut shards = Shards::part(config, part, of);
                    for arrival in arrivals.iter().filter(|arrival| arrival.shard() % of == part) {
                        let Ok(taken) = shards.handle_usual(arrival, &mut told);
                        if !taken {
                            let Ok(()) = shards.handle(arrival, &mut told);
                        }
                    }
                    let Ok(()) = shards.finish(&mut told);
                }
                told.0
            };
            let alone = told(1);
            prop_assert!(!alone.is_empty());
            for of in [2, 3, 64] {
                prop_assert_eq!(&alone, &told(of));
            }
        }
    }
}
