//! The way of the two segments that open nearly every connection: a SYN, and the SYN-ACK that answers it.
//!
//! It does what [`Tcp::handle`] does with them, in 30 instructions instead of 400.

use super::Tcp;
use super::position::{self, Mark};
use super::stream::Stream;
use wire::{Segment, TcpFlags};

const TELLING: u8 = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
const SYN: u8 = TcpFlags::SYN.0;
const SYN_ACK: u8 = TcpFlags::SYN.0 | TcpFlags::ACK.0;

/// Is it a SYN that brings nothing and answers nothing?
#[inline]
pub(crate) fn is_bare_syn(segment: &Segment<'_>) -> bool {
    segment.flags.0 & TELLING == SYN && segment.payload.len == 0
}

impl Tcp {
    /// Takes in a [bare SYN](is_bare_syn) that opens the connection, as its first segment.
    #[inline]
    pub(crate) fn take_syn(&mut self, from: usize, segment: &Segment<'_>) {
        self.packets = 1;
        self.plain_syn[from & 1] = true;
        self.ends(from).0.begin_behind(segment.seq, 1);
    }

    /// Takes in the SYN-ACK that answers the [bare SYN](is_bare_syn) from the other end and is the
    /// connection's second segment; `false`, and nothing changed, where it is anything else.
    #[inline]
    pub(crate) fn take_syn_ack(&mut self, from: usize, segment: &Segment<'_>) -> bool {
        if segment.flags.0 & TELLING != SYN_ACK || segment.payload.len > 0 || self.packets != 1 {
            return false;
        }
        let answered = self.plain_syn[1 - (from & 1)];
        let (me, peer) = self.ends(from);
        // Nothing of this end is known but what it says now; of the other one, its SYN.
        if !answered || me.is_known() || !peer.only_sent_syn() || segment.ack != peer.next as u32 {
            return false;
        }
        me.begin_behind(segment.seq, 2);
        let delivered = peer.next;
        peer.acks.note_delivered(delivered);
        self.packets = 2;
        self.in_order = true;
        true
    }
}

impl Stream {
    /// This end's SYN is its first segment, and the connection's `n`th.
    #[inline]
    fn begin_behind(&mut self, seq: u32, n: u64) {
        let isn = position::first(seq);
        (self.reference, self.isn, self.base) = (Mark::at(isn), Mark::at(isn), Mark::at(isn + 1));
        self.next = isn + 1;
        (self.spoke, self.last_packet) = (true, n);
    }

    /// Has anything been heard of this direction, from either end?
    #[inline]
    fn is_known(&self) -> bool {
        self.reference.get().is_some() || self.isn().is_some() || self.acks.first().is_some()
    }

    /// Is a SYN, without bytes, all there is?
    #[inline]
    fn only_sent_syn(&self) -> bool {
        self.isn().is_some_and(|isn| self.base() == Some(isn + 1) && self.next == isn + 1)
            && self.syn_len == 0
            && self.acks.first().is_none()
            && self.seen().is_none()
            && self.fin().is_none()
            && self.disorder.is_none()
    }
}
