//! What is kept of a connection that is over, for stragglers (rule 4).
//!
//! A connection that is over holds nothing out of order, and its positions lie close together: in
//! nearly all of them everything that will ever be asked for fits 56 bytes, where a live one has 280.
//! A few do not fit (4 GiB long, with data in the SYN, reset before their bytes came in order), and
//! stay as they are.

use super::Tcp;
use super::acks::{Acks, Known};
use super::position::{self, Mark};
use super::stream::Stream;
use crate::Ended;

/// A connection that is over, and all of it that matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tombstone {
    directions: [Direction; 2],
    packets: u32,
    flags: Flags,
}

/// One direction. Distances are from the reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Direction {
    /// The sequence number at the reference.
    reference: u32,
    /// The anchor; without one, the peer's first acknowledgement.
    start: i32,
    /// The next byte; without an anchor, the FIN.
    end: i32,
    /// The peer's highest acknowledgement.
    acked: i32,
    /// Packets since the last one of this end.
    silent_for: u32,
    flags: Flags,
}

/// Which of several things hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Flags(u16);

impl Flags {
    // Of a direction.
    const LOCATED: u16 = 1;
    const ANCHORED: u16 = 1 << 1;
    /// The SYN stands before the anchor.
    const ISN: u16 = 1 << 2;
    const ISN_INFERRED: u16 = 1 << 3;
    /// Everything up to `end` was seen.
    const SEEN: u16 = 1 << 4;
    /// The FIN stands at `end`.
    const FIN: u16 = 1 << 5;
    const DELIVERED: u16 = 1 << 6;
    const SPOKE: u16 = 1 << 7;
    /// `start` is the first acknowledgement.
    const FIRST_ACK: u16 = 1 << 8;
    const ACKED: u16 = 1 << 9;
    const RAW_ACKED: u16 = 1 << 10;
    const RAW_REPEATED: u16 = 1 << 11;
    // Of the connection; a pair each.
    const PLAIN_SYN: [u16; 2] = [1, 1 << 1];
    const RESET: [u16; 2] = [1 << 2, 1 << 3];
    const SETTLED: u16 = 1 << 4;

    fn with(self, flag: u16, holds: bool) -> Self {
        Self(if holds { self.0 | flag } else { self.0 })
    }

    fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }
}

impl Tombstone {
    /// The tombstone of a connection, if it is over and all that matters of it fits.
    pub(crate) fn of(tcp: &Tcp) -> Option<Self> {
        if !tcp.is_over() || tcp.holds_since != 0 {
            return None;
        }
        let packets = u32::try_from(tcp.packets).ok()?;
        let [low, high] = &tcp.streams;
        let directions = [Direction::of(low, packets)?, Direction::of(high, packets)?];
        let mut flags = Flags::default().with(Flags::SETTLED, tcp.settled);
        for end in [0, 1] {
            flags = flags.with(Flags::PLAIN_SYN[end], tcp.plain_syn[end]);
            flags = flags.with(Flags::RESET[end], tcp.reset[end]);
        }
        Some(Self { directions, packets, flags })
    }

    /// How its ends ended it.
    pub(crate) fn ended(&self) -> Ended {
        if self.flags.has(Flags::SETTLED) { Ended::Fin } else { Ended::Rst }
    }

    /// Was a SYN seen?
    pub(crate) fn syn_seen(&self) -> bool {
        let seen = |flags: Flags| flags.has(Flags::ISN) && !flags.has(Flags::ISN_INFERRED);
        self.directions.iter().any(|direction| seen(direction.flags))
    }

    /// The connection as it was.
    pub(crate) fn revive(&self) -> Tcp {
        let flags = self.flags;
        Tcp {
            streams: self.directions.map(|direction| direction.revive(self.packets)),
            plain_syn: Flags::PLAIN_SYN.map(|flag| flags.has(flag)),
            reset: Flags::RESET.map(|flag| flags.has(flag)),
            settled: flags.has(Flags::SETTLED),
            // The next segment finds out.
            in_order: false,
            packets: u64::from(self.packets),
            holds_since: 0,
        }
    }
}

impl Direction {
    fn of(stream: &Stream, packets: u32) -> Option<Self> {
        let reference = stream.reference.get();
        let zero = reference.unwrap_or_default();
        let known = stream.acks.known()?;
        let anchor = stream.base();
        let (start, end) = match anchor {
            Some(base) => (Some(base), Some(stream.next)),
            None => (known.first.get(), stream.fin()),
        };
        let acked = known.highest.get().or(known.raw.get());
        let fits = stream.disorder.is_none()
            && stream.syn_len == 0
            && stream.seen().is_none_or(|seen| anchor.is_some() && Some(seen) == end)
            && stream.fin().is_none_or(|fin| Some(fin) == end)
            && stream.isn().is_none_or(|isn| Some(isn + 1) == anchor)
            && stream.is_acknowledged_no_further()
            && (anchor.is_none() || stream.spoke || known.first.get().is_none())
            && [known.highest, known.raw]
                .iter()
                .all(|ack| ack.get().is_none_or(|a| Some(a) == acked));
        if !fits {
            return None;
        }
        let flags = Flags::default()
            .with(Flags::LOCATED, reference.is_some())
            .with(Flags::ANCHORED, anchor.is_some())
            .with(Flags::ISN, stream.isn().is_some())
            .with(Flags::ISN_INFERRED, stream.isn_inferred)
            .with(Flags::SEEN, stream.seen().is_some())
            .with(Flags::FIN, stream.fin().is_some())
            .with(Flags::DELIVERED, stream.delivered)
            .with(Flags::SPOKE, stream.spoke)
            .with(Flags::FIRST_ACK, anchor.is_none() && known.first.get().is_some())
            .with(Flags::ACKED, known.highest.get().is_some())
            .with(Flags::RAW_ACKED, known.raw.get().is_some())
            .with(Flags::RAW_REPEATED, known.raw_repeated);
        let distance = |position: Option<u64>| match position {
            Some(position) => i32::try_from(position.wrapping_sub(zero) as i64).ok(),
            None => Some(0),
        };
        Some(Self {
            reference: zero as u32,
            start: distance(start)?,
            end: distance(end)?,
            acked: distance(acked)?,
            silent_for: packets.checked_sub(u32::try_from(stream.last_packet).ok()?)?,
            flags,
        })
    }

    fn revive(&self, packets: u32) -> Stream {
        let zero = position::first(self.reference);
        let flags = self.flags;
        let at = |flag: u16, distance: i32| match flags.has(flag) {
            true => Mark::at(zero.wrapping_add_signed(i64::from(distance))),
            false => Mark::default(),
        };
        let anchored = flags.has(Flags::ANCHORED);
        Stream {
            reference: at(Flags::LOCATED, 0),
            isn: at(Flags::ISN, self.start.wrapping_sub(1)),
            base: at(Flags::ANCHORED, self.start),
            next: at(Flags::ANCHORED, self.end).get().unwrap_or_default(),
            seen: at(Flags::SEEN, self.end),
            fin: at(Flags::FIN, self.end),
            acks: Acks::from_known(Known {
                first: if anchored { Mark::default() } else { at(Flags::FIRST_ACK, self.start) },
                highest: at(Flags::ACKED, self.acked),
                raw: at(Flags::RAW_ACKED, self.acked),
                raw_repeated: flags.has(Flags::RAW_REPEATED),
            }),
            last_packet: u64::from(packets.saturating_sub(self.silent_for)),
            disorder: None,
            syn_len: 0,
            isn_inferred: flags.has(Flags::ISN_INFERRED),
            delivered: flags.has(Flags::DELIVERED),
            spoke: flags.has(Flags::SPOKE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two directions that are delivered up to their FINs.
    fn settled() -> Tcp {
        let stream = |isn: u64, len: u64| {
            let (base, end) = (isn + 1, isn + 1 + len);
            let known = Known {
                first: Mark::default(),
                highest: Mark::at(end + 1),
                raw: Mark::at(end + 1),
                raw_repeated: true,
            };
            Stream {
                reference: Mark::at(position::first(isn as u32)),
                isn: Mark::at(isn),
                base: Mark::at(base),
                next: end,
                seen: Mark::at(end),
                fin: Mark::at(end),
                acks: Acks::from_known(known),
                last_packet: 7,
                delivered: true,
                spoke: true,
                ..Stream::default()
            }
        };
        let streams =
            [stream(position::first(u32::MAX - 5), 100), stream(position::first(77), 1 << 30)];
        let plain_syn = [true, false];
        Tcp { streams, plain_syn, settled: true, packets: 12, ..Tcp::default() }
    }

    /// Everything there is, in words.
    fn all(tcp: &Tcp) -> String {
        format!("{tcp:?}")
    }

    #[test]
    fn a_connection_comes_back_as_it_was() {
        let mut tcp = settled();
        assert_eq!(all(&tcp.entomb().unwrap().revive()), all(&tcp));
        // Reset in the middle: no FIN on one side, nothing at all from the other.
        tcp.streams[0].fin = Mark::default();
        tcp.streams[1] = Stream {
            reference: Mark::at(position::first(9)),
            spoke: true,
            last_packet: 12,
            ..Stream::default()
        };
        (tcp.settled, tcp.reset) = (false, [false, true]);
        assert_eq!(all(&tcp.entomb().unwrap().revive()), all(&tcp));
        // A port that was closed: only the reference and the first acknowledgement are known.
        let known =
            Known { first: Mark::at(position::first(9) + 1), raw_repeated: false, ..nothing() };
        tcp.streams[1].acks = Acks::from_known(known);
        assert_eq!(all(&tcp.entomb().unwrap().revive()), all(&tcp));
    }

    fn nothing() -> Known {
        let mark = Mark::default();
        Known { first: mark, highest: mark, raw: mark, raw_repeated: false }
    }

    #[test]
    fn what_does_not_fit_stays() {
        let changes: [fn(&mut Tcp); 7] = [
            |tcp| tcp.settled = false,
            |tcp| tcp.packets = 1 << 32,
            |tcp| tcp.streams[0].syn_len = 3,
            |tcp| tcp.streams[0].seen = Mark::at(tcp.streams[0].next + 1),
            |tcp| tcp.streams[0].base = Mark::at(tcp.streams[0].next - 3),
            |tcp| tcp.streams[0].disorder().snapped = Mark::at(5),
            |tcp| {
                let stream = &mut tcp.streams[0];
                stream.next += 4 << 30;
                (stream.seen, stream.fin) = (Mark::at(stream.next), Mark::at(stream.next));
            },
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut tcp = settled();
            change(&mut tcp);
            assert_eq!(tcp.entomb(), None, "change {i}");
        }
    }

    fn mark() -> impl Strategy<Value = Mark> {
        let first = position::first(1000);
        prop_oneof![
            2 => Just(Mark::default()),
            6 => (0..3u64).prop_map(move |n| Mark::at(first + n)),
            1 => any::<u32>().prop_map(move |n| Mark::at(first + u64::from(n))),
        ]
    }

    prop_compose! {
        fn stream()(
            (isn, base, seen, fin) in (mark(), mark(), mark(), mark()),
            (first, highest, raw, raw_repeated) in (mark(), mark(), mark(), any::<bool>()),
            (next, last_packet, syn_len) in (0..3u64, 0..5u64, 0..2u32),
            (isn_inferred, delivered, spoke) in any::<(bool, bool, bool)>(),
        ) -> Stream {
            let reference = Mark::at(position::first(1000));
            // What no stream is: a next byte without an anchor, a repetition of nothing.
            let next = base.get().map_or(0, |base| base + next);
            let raw_repeated = raw_repeated && raw.get().is_some();
            let acks = Acks::from_known(Known { first, highest, raw, raw_repeated });
            let disorder = None;
            Stream {
                reference, isn, base, next, seen, fin, acks, last_packet, disorder, syn_len,
                isn_inferred, delivered, spoke,
            }
        }
    }

    proptest! {
        /// Whatever was kept as a tombstone is the same when it comes back, but for the first
        /// acknowledgement of what has its anchor, which nobody asks for any more.
        #[test]
        fn nothing_that_fits_is_changed(
            low in stream(),
            high in stream(),
            (plain_syn, reset) in any::<([bool; 2], [bool; 2])>(),
            packets in 0..9u64,
        ) {
            let streams = [low, high];
            let mut tcp = Tcp {
                streams, plain_syn, reset, settled: true, in_order: false, packets, holds_since: 0,
            };
            if let Some(tombstone) = tcp.entomb() {
                for stream in &mut tcp.streams {
                    if stream.base().is_some() {
                        let known = stream.acks.known().unwrap();
                        stream.acks = Acks::from_known(Known { first: Mark::default(), ..known });
                    }
                }
                prop_assert_eq!(all(&tombstone.revive()), all(&tcp));
                prop_assert_eq!(tombstone.syn_seen(), tcp.syn_seen());
                prop_assert_eq!(Some(tombstone.ended()), tcp.ended());
            }
        }
    }
}
