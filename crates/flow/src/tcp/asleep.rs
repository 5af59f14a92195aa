//! A TCP connection that sleeps: all of its state, in the fewest bytes.
//!
//! Nearly all positions of a connection at rest can be foreseen from one another: everything that came
//! was delivered, and acknowledged, and the first acknowledgement was that of the SYN. Only what was not
//! foreseen takes room, so that 15 bytes a direction do where the state itself takes 130; what is unusual
//! takes more, and nothing is lost.

use super::acks::{Acks, Known};
use super::ending::WaitingFin;
use super::position::{self, Mark};
use super::stream::{Disorder, Stream};
use super::{Reset, Tcp};
use crate::varint::{Reader, Writer};
use std::collections::VecDeque;

/// What the flags of a connection mean; a pair each.
const PLAIN_SYN: [u64; 2] = [1, 1 << 1];
const RESET: [u64; 2] = [1 << 2, 1 << 3];
const SETTLED: u64 = 1 << 4;
const SYN_SEEN: u64 = 1 << 5;
/// The sink was not told of a reset yet. (In no ordinary connection: it would take another byte.)
const RESET_WAITS: [u64; 2] = [1 << 6, 1 << 7];

impl Tcp {
    /// Can it sleep? Not while it holds bytes.
    pub(crate) fn can_sleep(&self) -> bool {
        self.cost() == 0 && self.holds_since == 0
    }

    /// Puts it down. It [can sleep](Self::can_sleep).
    pub(crate) fn put(&self, out: &mut Writer<'_>) {
        let set = |flag: u64, holds: bool| if holds { flag } else { 0 };
        let flags = set(PLAIN_SYN[0], self.plain_syn[0])
            | set(PLAIN_SYN[1], self.plain_syn[1])
            | set(RESET[0], self.reset[0] != Reset::No)
            | set(RESET[1], self.reset[1] != Reset::No)
            | set(RESET_WAITS[0], self.reset[0] == Reset::Waits)
            | set(RESET_WAITS[1], self.reset[1] == Reset::Waits)
            | set(SETTLED, self.settled)
            | set(SYN_SEEN, self.syn_seen());
        out.put(flags);
        out.put(self.packets);
        let [low, high] = &self.streams;
        low.put(self.packets, out);
        high.put(self.packets, out);
    }

    /// What was put down, as it was.
    pub(crate) fn take(bytes: &mut Reader<'_>) -> Self {
        let flags = bytes.take();
        let packets = bytes.take();
        let has = |flag: u64| flags & flag != 0;
        let mut tcp = Self {
            streams: [Stream::take(packets, bytes), Stream::take(packets, bytes)],
            plain_syn: PLAIN_SYN.map(has),
            reset: [0, 1].map(|end| match (has(RESET[end]), has(RESET_WAITS[end])) {
                (false, _) => Reset::No,
                (true, true) => Reset::Waits,
                (true, false) => Reset::Told,
            }),
            settled: has(SETTLED),
            in_order: false,
            packets,
            holds_since: 0,
        };
        tcp.note_order();
        tcp
    }

    /// Of what was put down: if it was settled, so that [`Self::finish`] has nothing to say, whether a SYN
    /// was seen.
    pub(crate) fn settled_with_syn(bytes: &Reader<'_>) -> Option<bool> {
        let flags = Reader(bytes.0).take();
        (flags & SETTLED != 0).then_some(flags & SYN_SEEN != 0)
    }
}

/// What there is of a direction beside the numbers.
mod flag {
    pub(super) const ISN_INFERRED: u32 = 1;
    pub(super) const DELIVERED: u32 = 1 << 1;
    pub(super) const SPOKE: u32 = 1 << 2;
    /// What is kept only while something is out of order, though nothing is held now.
    pub(super) const DISORDER: u32 = 1 << 3;
    /// Acknowledgements of bytes that were not delivered.
    pub(super) const EVIDENCE: u32 = 1 << 4;
    /// The first of the bits that say which numbers are there.
    pub(super) const THERE: u32 = 1 << 5;
    /// The first of the bits that say which of them were not foreseen.
    pub(super) const UNFORESEEN: u32 = THERE << super::NUMBERS;
}

/// How many numbers a direction has. Three bits are left of 32.
const NUMBERS: u32 = 12;

/// The numbers of a direction; positions may not be known.
#[derive(Clone, Copy, Default)]
struct Numbers {
    reference: Option<u64>,
    isn: Option<u64>,
    base: Option<u64>,
    next: Option<u64>,
    seen: Option<u64>,
    fin: Option<u64>,
    first_ack: Option<u64>,
    highest_ack: Option<u64>,
    raw_ack: Option<u64>,
    second_ack: Option<u64>,
    raw_ack_count: Option<u64>,
    last_packet: Option<u64>,
}

/// What is done with each number in turn: it is put down, or taken.
trait Pass {
    /// `number` is what is to be put down; what was taken comes back.
    fn number(&mut self, number: Option<u64>, foreseen: u64) -> Option<u64>;
}

impl Numbers {
    /// Goes through all numbers of a direction of a connection of `packets` packets. Each is foreseen from
    /// those before it.
    #[inline(always)]
    fn go_through(self, packets: u64, pass: &mut impl Pass) -> Self {
        let reference = pass.number(self.reference, position::first(0));
        let origin = reference.unwrap_or_default();
        let isn = pass.number(self.isn, origin);
        let base = pass.number(self.base, isn.map_or(origin, |isn| isn.wrapping_add(1)));
        let next = pass.number(self.next, base.unwrap_or_default());
        let reached = next.unwrap_or_default();
        let seen = pass.number(self.seen, reached);
        let fin = pass.number(self.fin, reached);
        let first_ack = pass.number(self.first_ack, base.unwrap_or(origin));
        let end = if base.is_some() { reached } else { origin };
        let end = end.wrapping_add(u64::from(fin.is_some()));
        let highest_ack = pass.number(self.highest_ack, end);
        let raw_ack = pass.number(self.raw_ack, highest_ack.or(first_ack).unwrap_or(end));
        Self {
            reference,
            isn,
            base,
            next,
            seen,
            fin,
            first_ack,
            highest_ack,
            raw_ack,
            second_ack: pass.number(self.second_ack, raw_ack.unwrap_or_default()),
            raw_ack_count: pass.number(self.raw_ack_count, u64::from(raw_ack.is_some())),
            last_packet: pass.number(self.last_packet, packets),
        }
    }
}

/// Puts down those that were not foreseen.
struct Put<'a, 'b> {
    out: &'a mut Writer<'b>,
    head: u32,
    bit: u32,
}

impl Pass for Put<'_, '_> {
    #[inline(always)]
    fn number(&mut self, number: Option<u64>, foreseen: u64) -> Option<u64> {
        if let Some(n) = number {
            self.head |= flag::THERE << self.bit;
            if n != foreseen {
                self.head |= flag::UNFORESEEN << self.bit;
                self.out.put_near(n, foreseen);
            }
        }
        self.bit += 1;
        number
    }
}

/// Takes them.
struct Take<'a, 'b> {
    bytes: &'a mut Reader<'b>,
    head: u32,
    bit: u32,
}

impl Pass for Take<'_, '_> {
    #[inline(always)]
    fn number(&mut self, _: Option<u64>, foreseen: u64) -> Option<u64> {
        let has = |flag: u32| self.head & flag << self.bit != 0;
        let number = match (has(flag::THERE), has(flag::UNFORESEEN)) {
            (false, _) => None,
            (true, false) => Some(foreseen),
            (true, true) => Some(self.bytes.take_near(foreseen)),
        };
        self.bit += 1;
        number
    }
}

impl Stream {
    fn put(&self, packets: u64, out: &mut Writer<'_>) {
        let Known { first, highest, raw, second, raw_count } = self.acks.known();
        let numbers = Numbers {
            reference: self.reference.get(),
            isn: self.isn.get(),
            base: self.base.get(),
            next: Some(self.next),
            seen: self.seen.get(),
            fin: self.fin.get(),
            first_ack: first.get(),
            highest_ack: highest.get(),
            raw_ack: raw.get(),
            second_ack: second.get(),
            raw_ack_count: Some(u64::from(raw_count)),
            last_packet: Some(self.last_packet),
        };
        let set = |flag: u32, holds: bool| if holds { flag } else { 0 };
        let flags = set(flag::ISN_INFERRED, self.isn_inferred)
            | set(flag::DELIVERED, self.delivered)
            | set(flag::SPOKE, self.spoke)
            | set(flag::DISORDER, self.disorder.is_some())
            | set(flag::EVIDENCE, self.acks.has_evidence());
        let start = out.leave_u32();
        let mut pass = Put { out, head: flags, bit: 0 };
        numbers.go_through(packets, &mut pass);
        let head = pass.head;
        out.set_u32(start, head);
        out.put(u64::from(self.syn_len));
        if let Some(disorder) = &self.disorder {
            disorder.put(self.next, out);
        }
        self.acks.put_evidence(self.next, packets, out);
    }

    fn take(packets: u64, bytes: &mut Reader<'_>) -> Self {
        let head = bytes.take_u32();
        let numbers = Numbers::default().go_through(packets, &mut Take { bytes, head, bit: 0 });
        let syn_len = bytes.take() as u32;
        let has = |flag: u32| head & flag != 0;
        let mark = |number: Option<u64>| number.map_or(Mark::default(), Mark::at);
        let next = numbers.next.unwrap_or_default();
        let disorder = has(flag::DISORDER).then(|| Box::new(Disorder::take(next, bytes)));
        let mut acks = Acks::from_known(Known {
            first: mark(numbers.first_ack),
            highest: mark(numbers.highest_ack),
            raw: mark(numbers.raw_ack),
            second: mark(numbers.second_ack),
            raw_count: numbers.raw_ack_count.unwrap_or_default() as u32,
        });
        if has(flag::EVIDENCE) {
            acks.take_evidence(next, packets, bytes);
        }
        Self {
            reference: mark(numbers.reference),
            isn: mark(numbers.isn),
            base: mark(numbers.base),
            next,
            seen: mark(numbers.seen),
            fin: mark(numbers.fin),
            acks,
            last_packet: numbers.last_packet.unwrap_or_default(),
            disorder,
            syn_len,
            isn_inferred: has(flag::ISN_INFERRED),
            delivered: has(flag::DELIVERED),
            spoke: has(flag::SPOKE),
        }
    }
}

impl Disorder {
    /// Puts down all but what is held. `near` is near the positions.
    fn put(&self, near: u64, out: &mut Writer<'_>) {
        out.put(self.held_since);
        out.put(self.weak as u64);
        self.snapped.put(near, out);
        WaitingFin::put(self.fin, out);
        out.put(self.gaps.len() as u64);
        let mut near = near;
        for &(from, to) in self.gaps.iter().rev() {
            out.put_near(to, near);
            out.put_near(from, to);
            near = from;
        }
    }

    fn take(near: u64, bytes: &mut Reader<'_>) -> Self {
        let (held_since, weak) = (bytes.take(), bytes.take() as usize);
        let snapped = Mark::take(near, bytes);
        let fin = WaitingFin::take(bytes);
        let mut gaps = VecDeque::new();
        let mut near = near;
        for _ in 0..bytes.take() {
            let to = bytes.take_near(near);
            near = bytes.take_near(to);
            gaps.push_front((near, to));
        }
        Self { held_since, weak, gaps, snapped, fin, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use proptest::prelude::*;
    use wire::Timestamp;

    /// A connection that was put down and taken again, and how many bytes it took.
    fn again(tcp: &Tcp) -> (Tcp, usize) {
        let mut bytes = Vec::new();
        tcp.put(&mut Writer(&mut bytes));
        let mut reader = Reader(&bytes);
        let again = Tcp::take(&mut reader);
        assert!(reader.0.is_empty());
        (again, bytes.len())
    }

    #[test]
    fn what_is_foreseen_takes_no_room() {
        let stream = |isn: u64, len: u64, acks: u32| {
            let (base, end) = (isn + 1, isn + 1 + len);
            let known = Known {
                first: Mark::at(base),
                highest: Mark::at(end + 1),
                raw: Mark::at(end + 1),
                second: Mark::at(end),
                raw_count: acks,
            };
            Stream {
                reference: Mark::at(isn),
                isn: Mark::at(isn),
                base: Mark::at(base),
                next: end,
                seen: Mark::at(end),
                fin: Mark::at(end),
                acks: Acks::from_known(known),
                last_packet: 11,
                delivered: true,
                spoke: true,
                ..Stream::default()
            }
        };
        let (low, high) = (position::first(u32::MAX - 5), position::first(77_777_777));
        let streams = [stream(low, 500, 1), stream(high, 20_000, 2)];
        let plain_syn = [true, false];
        let mut tcp = Tcp { streams, plain_syn, settled: true, packets: 12, ..Tcp::default() };
        tcp.note_order();
        let (copy, len) = again(&tcp);
        assert_eq!(format!("{copy:?}"), format!("{tcp:?}"));
        assert!(len <= 32, "{len} bytes");
    }

    fn reset() -> impl Strategy<Value = Reset> {
        proptest::sample::select(vec![Reset::No, Reset::Waits, Reset::Told])
    }

    fn mark() -> impl Strategy<Value = Mark> {
        let first = position::first(1000);
        prop_oneof![
            2 => Just(Mark::default()),
            6 => (0..3u64).prop_map(move |n| Mark::at(first + n)),
            1 => (1..u64::MAX).prop_map(Mark::at),
        ]
    }

    fn waiting_fin() -> impl Strategy<Value = WaitingFin> {
        (any::<u64>(), any::<i64>(), 0..1_000_000_000u32, any::<u64>(), any::<u32>()).prop_map(
            |(n, secs, nanos, number, file)| {
                let source = Source::new(Timestamp::fine(secs, nanos), number, file);
                WaitingFin { n, source }
            },
        )
    }

    prop_compose! {
        fn disorder()(
            gaps in proptest::collection::vec(any::<(u64, u64)>(), 0..5),
            (held_since, weak, snapped) in (0..9u64, 0..2usize, mark()),
            fin in proptest::option::of(waiting_fin()),
        ) -> Box<Disorder> {
            let gaps = gaps.into();
            Box::new(Disorder { held_since, weak, gaps, snapped, fin, ..Disorder::default() })
        }
    }

    prop_compose! {
        fn stream()(
            (reference, isn, base, seen, fin) in (mark(), mark(), mark(), mark(), mark()),
            (first, highest, raw, second) in (mark(), mark(), mark(), mark()),
            raw_count in 0..4u32,
            (next, last_packet, syn_len) in (any::<u64>(), 0..9u64, 0..2u32),
            (isn_inferred, delivered, spoke) in any::<(bool, bool, bool)>(),
            disorder in proptest::option::of(disorder()),
            noted in proptest::collection::vec((0..9u64, 0..9u64, any::<bool>()), 0..6),
        ) -> Stream {
            let mut acks = Acks::from_known(Known { first, highest, raw, second, raw_count });
            // Some of these are evidence.
            for (ahead, n, witnessed) in noted {
                acks.note(position::first(1000) + ahead * 30_000_000, n, 5, 5, witnessed);
            }
            Stream {
                reference, isn, base, next, seen, fin, acks, last_packet, disorder, syn_len,
                isn_inferred, delivered, spoke,
            }
        }
    }

    proptest! {
        #[test]
        fn everything_comes_back(
            streams in [stream(), stream()],
            (plain_syn, settled) in any::<([bool; 2], bool)>(),
            reset in [reset(), reset()],
            packets in 0..9u64,
        ) {
            let mut tcp =
                Tcp { streams, plain_syn, reset, settled, packets, ..Tcp::default() };
            tcp.note_order();
            prop_assert_eq!(format!("{:?}", again(&tcp).0), format!("{tcp:?}"));
        }
    }
}
