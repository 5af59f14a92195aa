//! TCP in which all goes as it should: a SYN, the SYN-ACK that answers it, and then nothing but what is next.
//!
//! That is nearly every connection of nearly every capture, to its end. Of such a one so little need be known that
//! it takes 56 bytes, and each segment takes a few dozen instructions instead of 400. What does not go as
//! it should is left to [`Tcp`], whose state is the one that [stands here](Tcp::from) told in full.

use super::acks::{Acks, Known};
use super::position::{self, Mark};
use super::stream::Stream;
use super::{Head, Tcp};
use crate::timeouts::Phase;
use wire::TcpFlags;

const SYN: u8 = TcpFlags::SYN.0;
const ACK: u8 = TcpFlags::ACK.0;
const FIN: u8 = TcpFlags::FIN.0;
const RST: u8 = TcpFlags::RST.0;

/// The FINs of both ends.
const BOTH: u8 = 3;

/// A direction of so many bytes is not orderly any more: its numbers are not told apart so easily.
const MOST: u32 = 1 << 31;

/// Such a connection, from before its first segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Orderly {
    ends: [End; 2],
    packets: u32,
    /// Which ends sent the SYN without ACK.
    plain_syn: [bool; 2],
    /// Which ends sent a FIN, a bit each. (As two bytes, which are written one by one and read together, they were
    /// waited for.)
    fins: u8,
    /// Was the SYN answered? From then on, it may go on.
    answered: bool,
}

/// What is known of a direction. Positions are counted from its SYN's; 0 is that of something that was not seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct End {
    /// The SYN's sequence number.
    pub(super) isn: u32,
    /// The next byte, or the FIN behind the last one. All before that was delivered.
    pub(super) next: u32,
    /// The highest acknowledgement, how often it came, and the highest below it. The first one was of the SYN.
    pub(super) acked: u32,
    pub(super) count: u32,
    pub(super) second: u32,
    /// The number of this end's last packet in the connection.
    pub(super) last_packet: u32,
}

impl End {
    #[inline(always)]
    fn begin(isn: u32, n: u32) -> Self {
        Self { isn, next: 1, last_packet: n, ..Self::default() }
    }

    /// The position that a sequence number names.
    #[inline(always)]
    fn place(&self, seq: u32) -> u32 {
        seq.wrapping_sub(self.isn)
    }

    /// An acknowledgement of nothing that was not delivered. Without branches: whether it is a new one is as hard to
    /// foresee for a processor as for anybody else.
    #[inline(always)]
    fn note_acked(&mut self, ack: u32) {
        let &mut Self { acked, count, second, .. } = self;
        let (higher, again) = (if_so(acked < ack), if_so(acked == ack));
        // What is below the highest one, of itself and what comes: nothing new if that came again.
        let below = second.max(ack & !again);
        self.second = (acked & higher) | (below & !higher);
        self.count = (1 & higher) | (count.saturating_add(1 & again) & !higher);
        self.acked = acked.max(ack);
    }
}

/// All bits, if so. (Of a choice between two numbers, compilers make a branch where they think it is easy to foresee.)
#[inline(always)]
fn if_so(so: bool) -> u32 {
    0_u32.wrapping_sub(u32::from(so))
}

impl Orderly {
    /// What stands [in short](super::ShortTcp): both ends have sent so many bytes and a FIN.
    pub(super) fn over(ends: [End; 2], packets: u32, plain_syn: [bool; 2]) -> Self {
        Self { ends, packets, plain_syn, fins: BOTH, answered: true }
    }

    pub(super) fn ends(&self) -> &[End; 2] {
        &self.ends
    }

    /// Segments up to now.
    pub(super) fn packets(&self) -> u32 {
        self.packets
    }

    pub(super) fn plain_syn(&self) -> [bool; 2] {
        self.plain_syn
    }

    /// Is everything up to both FINs delivered?
    #[inline(always)]
    pub(super) fn is_settled(&self) -> bool {
        self.fins == BOTH
    }

    /// Did an end send a FIN?
    #[inline(always)]
    fn has_fin(&self, end: usize) -> bool {
        self.fins >> (end & 1) & 1 == 1
    }

    /// Was a FIN seen?
    pub(super) fn is_closing(&self) -> bool {
        self.fins != 0
    }

    /// Where it stands.
    pub(super) fn phase(&self) -> Phase {
        match () {
            () if self.is_settled() => Phase::Over,
            () if self.is_closing() => Phase::Closing,
            () if self.syn_seen() && !self.is_established() => Phase::HalfOpen,
            () => Phase::Established,
        }
    }

    /// Was a SYN seen?
    pub(super) fn syn_seen(&self) -> bool {
        self.packets > 0
    }

    /// Has each end been heard by the other one?
    pub(super) fn is_established(&self) -> bool {
        self.ends.iter().all(|end| end.next > 1 || end.acked > 0)
    }

    /// Takes in a [bare SYN](Head::is_bare_syn) that opens the connection, as its first head.
    #[inline(always)]
    pub(super) fn take_syn(&mut self, from: usize, head: &Head) {
        self.packets = 1;
        self.plain_syn[from & 1] = true;
        self.ends[from & 1] = End::begin(head.seq, 1);
    }

    /// Is it the SYN-ACK that answers the [bare SYN](Head::is_bare_syn) from the other end, and the connection's second
    /// segment?
    #[inline(always)]
    pub(super) fn is_syn_ack(&self, from: usize, head: &Head) -> bool {
        head.flags.0 & (SYN | ACK | FIN | RST) == SYN | ACK
            && head.len == 0
            && self.packets == 1
            && self.plain_syn[1 - (from & 1)]
            && self.ends[1 - (from & 1)].place(head.ack) == 1
    }

    /// Takes in a segment that [is the SYN-ACK](Self::is_syn_ack).
    #[inline(always)]
    pub(super) fn take_syn_ack(&mut self, from: usize, head: &Head) {
        self.ends[1 - (from & 1)].note_acked(1);
        self.ends[from & 1] = End::begin(head.seq, 2);
        (self.packets, self.answered) = (2, true);
    }

    /// Is it next, with nothing about it that would be unusual? The connection must be the only one of its key.
    #[inline(always)]
    pub(super) fn is_next(&self, from: usize, head: &Head) -> bool {
        if !self.answered || head.flags.0 & (SYN | RST | ACK) != ACK {
            return false;
        }
        let (me, peer) = (&self.ends[from & 1], &self.ends[1 - (from & 1)]);
        let (over, peer_over) = (self.has_fin(from), self.has_fin(1 - (from & 1)));
        let len = head.len;
        let alone = len == 0 && !head.flags.has(TcpFlags::FIN);
        let acked = peer.place(head.ack);
        // No branch asks whether there is data, or which of this holds: it all does, nearly always.
        !head.cut
            & (alone | ((me.place(head.seq) == me.next) & !over))
            // At most the FIN, at least the SYN; at first that alone.
            & (acked.wrapping_sub(1) < peer.next + u32::from(peer_over))
            & ((peer.acked > 0) | (acked == 1))
            & (len < MOST - me.next)
            & (self.packets < u32::MAX)
    }

    /// Takes in a segment that [is next](Self::is_next). Its bytes are next in their direction, and its FIN
    /// behind them: whoever calls this delivers them and tells of it.
    #[inline(always)]
    pub(super) fn take_next(&mut self, from: usize, head: &Head) {
        self.packets += 1;
        let peer = &mut self.ends[1 - (from & 1)];
        peer.note_acked(peer.place(head.ack));
        let me = &mut self.ends[from & 1];
        me.last_packet = self.packets;
        me.next += head.len;
        self.fins |= u8::from(head.flags.has(TcpFlags::FIN)) << (from & 1);
    }
}

/// The same, told in full.
impl From<&Orderly> for Tcp {
    fn from(orderly: &Orderly) -> Self {
        let &Orderly { ends: [low, high], packets, plain_syn, answered, .. } = orderly;
        Self {
            streams: [low.in_full(orderly.has_fin(0)), high.in_full(orderly.has_fin(1))],
            plain_syn,
            settled: orderly.is_settled(),
            in_order: answered,
            packets: packets.into(),
            ..Self::default()
        }
    }
}

impl End {
    /// The direction, whose FIN was seen or not.
    fn in_full(&self, fin: bool) -> Stream {
        let &Self { isn, next, acked, count, second, last_packet } = self;
        if next == 0 {
            return Stream::default();
        }
        let isn = position::first(isn);
        let mark = |at: u32| if at > 0 { Mark::at(isn + u64::from(at)) } else { Mark::default() };
        let known = Known {
            first: if acked > 0 { Mark::at(isn + 1) } else { Mark::default() },
            highest: mark(acked),
            raw: mark(acked),
            second: mark(second),
            raw_count: count,
        };
        Stream {
            reference: Mark::at(isn),
            isn: Mark::at(isn),
            base: Mark::at(isn + 1),
            next: isn + u64::from(next),
            seen: if next > 1 { mark(next) } else { Mark::default() },
            fin: if fin { mark(next) } else { Mark::default() },
            acks: Acks::from_known(known),
            last_packet: last_packet.into(),
            delivered: next > 1,
            spoke: true,
            ..Stream::default()
        }
    }

    /// What is known of a direction, if nothing of it is unusual; and whether its FIN was seen.
    fn of(stream: &Stream) -> Option<(Self, bool)> {
        let Some(isn) = stream.isn() else {
            let is_new = stream.reference.get().is_none() && !stream.spoke;
            let is_new = is_new && stream.acks.first().is_none() && stream.disorder.is_none();
            return is_new.then(|| (Self::default(), false));
        };
        let place = |mark: Mark| match mark.get() {
            None => Some(0),
            Some(at) => u32::try_from(at.checked_sub(isn)?).ok().filter(|&at| at < MOST),
        };
        let Known { highest, second, raw_count, .. } = stream.acks.known();
        let end = Self {
            isn: isn as u32,
            next: place(Mark::at(stream.next))?,
            acked: place(highest)?,
            count: raw_count,
            second: place(second)?,
            last_packet: u32::try_from(stream.last_packet).ok()?,
        };
        let fin = stream.fin().is_some();
        // Nothing that this does not tell may be there.
        let same = !stream.acks.has_evidence()
            && stream.disorder.is_none()
            && stream.is_same(&end.in_full(fin));
        same.then_some((end, fin))
    }
}

impl Orderly {
    /// The connection, if it is orderly.
    pub(super) fn of(tcp: &Tcp) -> Option<Self> {
        let [(low, low_fin), (high, high_fin)] =
            [End::of(&tcp.streams[0])?, End::of(&tcp.streams[1])?];
        let orderly = Self {
            ends: [low, high],
            packets: u32::try_from(tcp.packets).ok()?,
            plain_syn: tcp.plain_syn,
            fins: u8::from(low_fin) | u8::from(high_fin) << 1,
            answered: tcp.in_order,
        };
        let same = !tcp.is_reset()
            && tcp.holds_since == 0
            && tcp.settled == orderly.is_settled()
            && (tcp.in_order || tcp.packets == 1)
            && tcp.packets > 0;
        same.then_some(orderly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection after its handshake.
    fn opened() -> Orderly {
        let head = |seq, ack, flags| Head { seq, ack, len: 0, flags: TcpFlags(flags), cut: false };
        let mut orderly = Orderly::default();
        orderly.take_syn(0, &head(u32::MAX, 0, SYN));
        assert!(orderly.is_syn_ack(1, &head(7, 0, SYN | ACK)));
        orderly.take_syn_ack(1, &head(7, 0, SYN | ACK));
        orderly.take_next(0, &head(0, 8, ACK));
        orderly
    }

    #[test]
    fn what_grows_too_large_for_it_is_not_orderly() {
        let mut orderly = opened();
        let next = |orderly: &Orderly, len| {
            let seq = orderly.ends[0].isn.wrapping_add(orderly.ends[0].next);
            Head { seq, ack: 8, len, flags: TcpFlags(ACK), cut: false }
        };
        while orderly.ends[0].next < MOST - (1 << 30) {
            let head = next(&orderly, 1 << 29);
            assert!(orderly.is_next(0, &head));
            orderly.take_next(0, &head);
        }
        let left = MOST - orderly.ends[0].next;
        assert!(!orderly.is_next(0, &next(&orderly, left)));
        let last = next(&orderly, left - 1);
        assert!(orderly.is_next(0, &last));
        orderly.take_next(0, &last);
        assert_eq!(Orderly::of(&Tcp::from(&orderly)), Some(orderly));
        assert!(!orderly.is_next(0, &next(&orderly, 1)));
        assert!(orderly.is_next(0, &next(&orderly, 0)));
        orderly.packets = u32::MAX;
        assert!(!orderly.is_next(0, &next(&orderly, 0)));
    }

    #[test]
    fn an_acknowledgement_is_of_what_was_delivered() {
        let orderly = opened();
        let acks = |ack| Head { seq: 8, ack, len: 0, flags: TcpFlags(ACK), cut: false };
        // Before the SYN, of the SYN, beyond it.
        assert_eq!(
            [u32::MAX, 0, 1].map(|ack| orderly.is_next(1, &acks(ack))),
            [false, true, false]
        );
    }
}
