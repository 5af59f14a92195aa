//! What is counted of each connection while it lives.
//!
//! Millions of connections may be held, and nearly all of them have little to count: 24 bytes do. What
//! grows beyond, or has anything rare to count, is given its own allocation.

use crate::SideStats;
use crate::varint::{Reader, Writer};

/// What is counted rarely.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    Missing,
    Gaps,
    Retransmitted,
    OutOfOrder,
    Overlapping,
    Conflicting,
    KeepAlive,
    BeforeStart,
    Late,
}

impl Counter {
    fn of(self, stats: &mut SideStats) -> &mut u64 {
        match self {
            Self::Missing => &mut stats.missing,
            Self::Gaps => &mut stats.gaps,
            Self::Retransmitted => &mut stats.retransmitted,
            Self::OutOfOrder => &mut stats.out_of_order,
            Self::Overlapping => &mut stats.overlapping,
            Self::Conflicting => &mut stats.conflicting,
            Self::KeepAlive => &mut stats.keep_alive,
            Self::BeforeStart => &mut stats.before_start,
            Self::Late => &mut stats.late,
        }
    }
}

/// The counts of one connection, by end of the flow key (not by side: which end is side 0 may change).
#[derive(Debug)]
pub(crate) struct Ledger {
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    Few(Few),
    Many(Box<Many>),
}

/// Small numbers, and none of what is rare.
#[derive(Clone, Copy, Debug, Default)]
struct Few {
    bytes: [u32; 2],
    packets: [u16; 2],
    chunks: [u16; 2],
    messages: [u16; 2],
    speaker: Speaker,
}

#[derive(Clone, Copy, Debug)]
struct Many {
    ends: [SideStats; 2],
    speaker: Speaker,
}

/// Who sent the last chunk. A type of its own, since what it leaves unused of its byte tells few
/// counts from many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Speaker {
    #[default]
    Nobody,
    End0,
    End1,
}

impl Speaker {
    #[inline]
    fn of(end: usize) -> Self {
        if end == 0 { Self::End0 } else { Self::End1 }
    }
}

/// The counts of a short connection that nothing rare happened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortLedger {
    bytes: [[u8; 4]; 2],
    packets: [u8; 2],
    chunks: [u8; 2],
    messages: [u8; 2],
    speaker: Speaker,
}

impl ShortLedger {
    /// How many bytes an end sent.
    pub(crate) fn bytes(&self, end: usize) -> u64 {
        u64::from(u32::from_le_bytes(self.bytes[end]))
    }

    /// How many packets there were.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.map(u64::from).iter().sum()
    }
}

impl Ledger {
    /// Nothing yet. (Made of parts where it is needed, it was put together in memory and copied.)
    pub(crate) const NEW: Self = {
        let few = Few {
            bytes: [0; 2],
            packets: [0; 2],
            chunks: [0; 2],
            messages: [0; 2],
            speaker: Speaker::Nobody,
        };
        Self { counts: Counts::Few(few) }
    };
}

impl Default for Ledger {
    fn default() -> Self {
        Self::NEW
    }
}

/// Tells many counts from few ones where they are put down.
const MANY: u64 = 1 << 2;

/// How many counts an end has.
const COUNTS: usize = size_of::<SideStats>() / size_of::<u64>();

/// All counts of an end.
fn counts(stats: &mut SideStats) -> [&mut u64; COUNTS] {
    [
        &mut stats.packets,
        &mut stats.chunks,
        &mut stats.bytes,
        &mut stats.messages,
        &mut stats.missing,
        &mut stats.gaps,
        &mut stats.retransmitted,
        &mut stats.out_of_order,
        &mut stats.overlapping,
        &mut stats.conflicting,
        &mut stats.keep_alive,
        &mut stats.before_start,
        &mut stats.late,
    ]
}

impl Few {
    fn stats(&self, end: usize) -> SideStats {
        SideStats {
            packets: u64::from(self.packets[end]),
            chunks: u64::from(self.chunks[end]),
            bytes: u64::from(self.bytes[end]),
            messages: u64::from(self.messages[end]),
            ..SideStats::default()
        }
    }

    /// Adds packets; `None` where they are too many to be few.
    fn add_packets(&mut self, end: usize, frames: u64) -> Option<()> {
        let packets = u64::from(self.packets[end]).checked_add(frames)?;
        self.packets[end] = u16::try_from(packets).ok()?;
        Some(())
    }

    /// Adds a chunk; `None`, and nothing changed, where something would be too large.
    fn add_chunk(&mut self, end: usize, len: usize) -> Option<()> {
        let bytes = self.bytes[end].checked_add(u32::try_from(len).ok()?)?;
        let chunks = self.chunks[end].checked_add(1)?;
        let turn = u16::from(self.speaker != Speaker::of(end));
        let messages = self.messages[end].checked_add(turn)?;
        (self.bytes[end], self.chunks[end], self.messages[end]) = (bytes, chunks, messages);
        self.speaker = Speaker::of(end);
        Some(())
    }

    /// Can anything of a usual size be added?
    #[inline(always)]
    fn has_room(&self, end: usize) -> bool {
        (self.bytes[end] < 1 << 31) & (self.packets[end] < 1 << 15) & (self.chunks[end] < 1 << 15)
    }

    /// Adds packets and the chunk that they brought, if there is one. There [is room](Self::has_room).
    #[inline(always)]
    fn add_next(&mut self, end: usize, frames: u16, len: u32) -> u32 {
        let offset = self.bytes[end];
        self.packets[end] += frames;
        if len > 0 {
            self.bytes[end] = offset + len;
            self.chunks[end] += 1;
            // No more than there are chunks.
            self.messages[end] += u16::from(self.speaker != Speaker::of(end));
            self.speaker = Speaker::of(end);
        }
        offset
    }
}

impl Ledger {
    /// Adds `n` to a counter of `end`.
    pub(crate) fn add(&mut self, end: usize, counter: Counter, n: u64) {
        if n > 0 {
            *counter.of(&mut self.many().ends[end]) += n;
        }
    }

    /// `frames` captured packets from `end`.
    #[inline]
    pub(crate) fn add_packets(&mut self, end: usize, frames: u64) {
        if let Counts::Few(few) = &mut self.counts
            && few.add_packets(end, frames).is_some()
        {
            return;
        }
        self.many().ends[end].packets += frames;
    }

    /// A chunk of `len` bytes from `end`; where it stands in its stream.
    #[inline]
    pub(crate) fn add_chunk(&mut self, end: usize, len: usize) -> u64 {
        let offset = self.offset(end);
        if let Counts::Few(few) = &mut self.counts
            && few.add_chunk(end, len).is_some()
        {
            return offset;
        }
        let many = self.many();
        let turn = many.speaker != Speaker::of(end);
        many.speaker = Speaker::of(end);
        let stats = &mut many.ends[end];
        stats.chunks += 1;
        stats.bytes += len as u64;
        stats.messages += u64::from(turn);
        offset
    }

    /// Packets from `end`, and a chunk of `len` bytes that they brought, if there are any; where it stands in its
    /// stream. As [`Self::add_packets`] and [`Self::add_chunk`] do, in one step.
    #[inline(always)]
    pub(crate) fn add_next(&mut self, end: usize, frames: u32, len: usize) -> u64 {
        if let Counts::Few(few) = &mut self.counts
            && frames < 1 << 15
            && len < 1 << 30
            && few.has_room(end)
        {
            return few.add_next(end, frames as u16, len as u32).into();
        }
        self.add_next_of_many(end, frames, len)
    }

    #[inline(never)]
    fn add_next_of_many(&mut self, end: usize, frames: u32, len: usize) -> u64 {
        self.add_packets(end, frames.into());
        if len > 0 { self.add_chunk(end, len) } else { self.offset(end) }
    }

    /// Where the next byte of `end` stands in its stream.
    #[inline]
    pub(crate) fn offset(&self, end: usize) -> u64 {
        match &self.counts {
            Counts::Few(few) => u64::from(few.bytes[end]),
            Counts::Many(many) => many.ends[end].bytes + many.ends[end].missing,
        }
    }

    /// `frames` of the packets from `end` turned out to belong to no connection.
    pub(crate) fn take_packets(&mut self, end: usize, frames: u64) {
        let packets = &mut self.many().ends[end].packets;
        *packets = packets.saturating_sub(frames);
    }

    /// Was anything delivered or given up?
    pub(crate) fn has_output(&self) -> bool {
        match &self.counts {
            Counts::Few(few) => few.speaker != Speaker::Nobody,
            Counts::Many(many) => {
                many.speaker != Speaker::Nobody || many.ends.iter().any(|stats| stats.gaps > 0)
            }
        }
    }

    /// All counts of `end`.
    pub(crate) fn stats(&self, end: usize) -> SideStats {
        match &self.counts {
            Counts::Few(few) => few.stats(end),
            Counts::Many(many) => many.ends[end],
        }
    }

    /// Adds the counts of both ends to a sum.
    #[inline(always)]
    pub(crate) fn add_to(&self, sum: &mut SideStats) {
        match &self.counts {
            Counts::Few(few) => {
                let both = |counts: [u16; 2]| u64::from(counts[0]) + u64::from(counts[1]);
                sum.bytes += u64::from(few.bytes[0]) + u64::from(few.bytes[1]);
                sum.packets += both(few.packets);
                sum.chunks += both(few.chunks);
                sum.messages += both(few.messages);
            }
            Counts::Many(many) => many.ends.iter().for_each(|stats| *sum += stats),
        }
    }

    /// The counts in short, if they can be.
    pub(crate) fn short(&self) -> Option<ShortLedger> {
        let Counts::Few(few) = &self.counts else { return None };
        let Few { bytes, packets, chunks, messages, speaker } = *few;
        let all = [packets, chunks, messages].as_flattened().iter().fold(0, |all, n| all | n);
        (all <= u16::from(u8::MAX)).then(|| ShortLedger {
            bytes: bytes.map(u32::to_le_bytes),
            packets: packets.map(|n| n as u8),
            chunks: chunks.map(|n| n as u8),
            messages: messages.map(|n| n as u8),
            speaker,
        })
    }

    /// What they are short for.
    pub(crate) fn from_short(short: &ShortLedger) -> Self {
        let &ShortLedger { bytes, packets, chunks, messages, speaker } = short;
        Self {
            counts: Counts::Few(Few {
                bytes: bytes.map(u32::from_le_bytes),
                packets: packets.map(u16::from),
                chunks: chunks.map(u16::from),
                messages: messages.map(u16::from),
                speaker,
            }),
        }
    }

    /// Puts the counts down in few bytes.
    pub(crate) fn put(&self, out: &mut Writer<'_>) {
        match &self.counts {
            Counts::Few(few) => {
                out.put(few.speaker as u64);
                for end in [0, 1] {
                    out.put(u64::from(few.bytes[end]));
                    for counts in [&few.packets, &few.chunks, &few.messages] {
                        out.put(u64::from(counts[end]));
                    }
                }
            }
            Counts::Many(many) => {
                out.put(many.speaker as u64 | MANY);
                let counts = many.ends.map(|mut stats| counts(&mut stats).map(|n| *n));
                let counts = counts.as_flattened();
                out.put((0..).zip(counts).fold(0, |set, (i, &n)| set | u64::from(n > 0) << i));
                counts.iter().filter(|&&n| n > 0).for_each(|&n| out.put(n));
            }
        }
    }

    /// The counts that were put down.
    pub(crate) fn take(bytes: &mut Reader<'_>) -> Self {
        let head = bytes.take();
        let speaker = match head & !MANY {
            0 => Speaker::Nobody,
            1 => Speaker::End0,
            _ => Speaker::End1,
        };
        if head & MANY == 0 {
            let mut few = Few { speaker, ..Few::default() };
            for end in [0, 1] {
                few.bytes[end] = bytes.take() as u32;
                for counts in [&mut few.packets, &mut few.chunks, &mut few.messages] {
                    counts[end] = bytes.take() as u16;
                }
            }
            return Self { counts: Counts::Few(few) };
        }
        let set = bytes.take();
        let mut ends = [SideStats::default(); 2];
        for (i, count) in ends.iter_mut().flat_map(counts).enumerate() {
            if set >> i & 1 == 1 {
                *count = bytes.take();
            }
        }
        Self { counts: Counts::Many(Box::new(Many { ends, speaker })) }
    }

    /// The counts in their own allocation, moved there if need be.
    fn many(&mut self) -> &mut Many {
        if let Counts::Few(few) = &self.counts {
            let ends = [0, 1].map(|end| few.stats(end));
            self.counts = Counts::Many(Box::new(Many { ends, speaker: few.speaker }));
        }
        match &mut self.counts {
            Counts::Many(many) => many,
            Counts::Few(_) => unreachable!("they were moved just now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_an_unbroken_run_of_chunks() {
        let mut ledger = Ledger::default();
        for end in [0, 0, 1, 0, 1, 1] {
            ledger.add_chunk(end, 10);
        }
        let (a, b) = (ledger.stats(0), ledger.stats(1));
        assert_eq!((a.chunks, a.bytes, a.messages), (3, 30, 2));
        assert_eq!((b.chunks, b.bytes, b.messages), (3, 30, 2));
    }

    #[test]
    fn missing_bytes_count_in_offsets() {
        let mut ledger = Ledger::default();
        assert!(!ledger.has_output());
        ledger.add(1, Counter::Missing, 100);
        ledger.add(1, Counter::Gaps, 1);
        assert!(ledger.has_output());
        assert_eq!(ledger.add_chunk(1, 5), 100);
        assert_eq!((ledger.offset(0), ledger.offset(1)), (0, 105));
    }

    #[test]
    fn few_counts_take_24_bytes_and_no_allocation() {
        assert_eq!(size_of::<Ledger>(), 24);
        let mut ledger = Ledger::default();
        ledger.add(0, Counter::Late, 0);
        ledger.add_packets(0, 1);
        ledger.add_chunk(0, 1);
        assert!(matches!(ledger.counts, Counts::Few(_)));
    }

    #[test]
    fn nothing_is_lost_where_few_become_many() {
        let mut ledger = Ledger::default();
        let mut at_once = Ledger::default();
        for n in 0..70_000 {
            ledger.add_packets(n % 2, 3);
            ledger.add_chunk(n / 2 % 2, 100_000);
            at_once.add_next(n % 2, 3, 0);
            at_once.add_next(n / 2 % 2, 0, 100_000);
        }
        assert_eq!([0, 1].map(|end| at_once.stats(end)), [0, 1].map(|end| ledger.stats(end)));
        ledger.take_packets(0, 5);
        let (a, b) = (ledger.stats(0), ledger.stats(1));
        assert_eq!((a.packets, b.packets), (105_000 - 5, 105_000));
        assert_eq!((a.chunks, a.bytes, a.messages), (35_000, 3_500_000_000, 17_500));
        assert_eq!((b.chunks, b.bytes, b.messages), (35_000, 3_500_000_000, 17_500));
        assert_eq!(ledger.add_chunk(1, 1 << 31), 3_500_000_000);
        assert_eq!(ledger.offset(1), 3_500_000_000 + (1 << 31));
        assert_eq!(ledger.stats(1).messages, 17_500);
    }

    proptest! {
        #[test]
        fn counts_come_back(
            chunks in proptest::collection::vec((0..2usize, 1..90_000usize), 0..9),
            rare in proptest::collection::vec((0..2usize, any::<u64>()), 0..9),
        ) {
            const ALL: [Counter; 9] = [
                Counter::Missing, Counter::Gaps, Counter::Retransmitted, Counter::OutOfOrder,
                Counter::Overlapping, Counter::Conflicting, Counter::KeepAlive,
                Counter::BeforeStart, Counter::Late,
            ];
            let mut ledger = Ledger::default();
            let mut stepwise = Ledger::default();
            for (end, len) in chunks {
                let offset = stepwise.offset(end);
                stepwise.add_packets(end, 3);
                stepwise.add_chunk(end, len);
                prop_assert_eq!(ledger.add_next(end, 3, len), offset);
                prop_assert_eq!(format!("{ledger:?}"), format!("{stepwise:?}"));
            }
            for ((end, n), counter) in rare.into_iter().zip(ALL) {
                ledger.add(end, counter, n);
            }
            let mut bytes = Vec::new();
            ledger.put(&mut Writer(&mut bytes));
            if let Some(short) = ledger.short() {
                prop_assert_eq!(format!("{:?}", Ledger::from_short(&short)), format!("{ledger:?}"));
                prop_assert_eq!(short.bytes(0), ledger.stats(0).bytes);
                prop_assert_eq!(short.packets(), ledger.stats(0).packets + ledger.stats(1).packets);
            }
            let mut sum = ledger.stats(0);
            sum += &ledger.stats(1);
            let mut added = SideStats::default();
            ledger.add_to(&mut added);
            prop_assert_eq!(added, sum);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(format!("{:?}", Ledger::take(&mut reader)), format!("{ledger:?}"));
            prop_assert!(reader.0.is_empty());
        }
    }
}
