//! The way of nearly every segment: nothing is missing, and what it brings is next.
//!
//! It does what [`Tcp::handle`] does with such a segment, in 60 instructions instead of 400.

use super::position::Mark;
use super::stream::Stream;
use super::{Head, Tcp};
use wire::TcpFlags;

/// Flags that open or break off a connection, and the one without which nothing is acknowledged.
const TELLING: u8 = TcpFlags::SYN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0;

impl Tcp {
    /// Is it such a segment? The connection must be the only one of its key.
    #[inline(always)]
    pub(crate) fn is_next(&self, from: usize, head: &Head) -> bool {
        if !self.in_order || head.flags.0 & TELLING != TcpFlags::ACK.0 {
            return false;
        }
        let (me, peer) = (&self.streams[from & 1], &self.streams[1 - (from & 1)]);
        // How far the acknowledgement is beyond what was delivered: at most that of the FIN.
        let ahead = head.ack.wrapping_sub(peer.next as u32) as i32;
        let alone = head.len == 0 && !head.flags.has(TcpFlags::FIN);
        // No branch asks whether there is data, or which of this holds: it all does, nearly always.
        !head.cut
            & (ahead <= i32::from(peer.fin().is_some()))
            & (alone | ((head.seq == me.next as u32) & me.fin().is_none()))
    }

    /// Notes whether segments can be [next](Self::is_next): neither end has reset the connection, and in both
    /// directions all that came was delivered. To be called when anything but [`Self::take_next`] has
    /// changed it.
    pub(super) fn note_order(&mut self) {
        self.in_order = !self.is_reset() && self.streams.iter().all(Stream::is_in_order);
    }

    /// Takes in a segment that [is next](Self::is_next). Its bytes are next in their direction, and its FIN
    /// behind them: whoever calls this delivers them and tells of it.
    #[inline(always)]
    pub(crate) fn take_next(&mut self, from: usize, head: &Head) {
        let n = self.packets + 1;
        self.packets = n;
        // One end after the other: a choice between two would be a branch that is hard to foresee.
        self.streams[1 - (from & 1)].acknowledge_delivered(head.ack);
        let me = &mut self.streams[from & 1];
        me.spoke = true;
        me.last_packet = n;
        let brings = head.len > 0;
        me.next += u64::from(head.len);
        me.seen = Mark::at(if brings { me.next } else { me.seen.or_zero() });
        me.delivered |= brings;
        if head.flags.has(TcpFlags::FIN) {
            me.fin = Mark::at(me.next);
            let peer = &self.streams[1 - (from & 1)];
            self.settled = peer.fin() == Some(peer.next);
        }
    }
}

impl Stream {
    /// Has it begun, and is nothing missing or held up to its end, if that is known?
    fn is_in_order(&self) -> bool {
        self.base().is_some()
            && self.fin().is_none_or(|fin| fin == self.next)
            && self.seen().is_none_or(|seen| seen == self.next)
            && self.disorder.as_ref().is_none_or(|disorder| disorder.is_at_rest())
            && !self.acks.has_evidence()
    }

    /// An acknowledgement of nothing that was not delivered, but the FIN.
    #[inline(always)]
    fn acknowledge_delivered(&mut self, ack: u32) {
        let ahead = ack.wrapping_sub(self.next as u32) as i32;
        let position = self.next.wrapping_add_signed(i64::from(ahead));
        if self.isn().is_none_or(|isn| position > isn) {
            self.acks.note_delivered(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::outlet::Outlet;
    use crate::tcp::orderly::Orderly;
    use crate::tcp::{Join, Route, State, Step, route};
    use crate::{
        Books, Chunk, Connection, End, EndFlag, Endpoint, FlowKey, Overlap, Side, Sink, Source,
        Totals,
    };
    use proptest::prelude::*;
    use std::convert::Infallible;
    use wire::{Payload, Segment};

    /// What came out.
    #[derive(PartialEq, Eq, Debug)]
    enum Said {
        /// Who sent it, where it stands, the bytes.
        Data(Side, u64, Vec<u8>),
        Ended(Side, EndFlag),
    }

    #[derive(Default)]
    struct Recorder(Vec<Said>);

    impl Sink for Recorder {
        type Handle = ();
        type Error = Infallible;

        fn opened(&mut self, _: &Connection) -> Result<(), Infallible> {
            Ok(())
        }

        fn data(&mut self, _: (), _: &Connection, chunk: &Chunk<'_>) -> Result<(), Infallible> {
            self.0.push(Said::Data(chunk.side, chunk.offset, chunk.bytes.to_vec()));
            Ok(())
        }

        fn ended(&mut self, _: (), _: &Connection, end: &End) -> Result<(), Infallible> {
            self.0.push(Said::Ended(end.side, end.flag));
            Ok(())
        }
    }

    /// A connection, and whether it takes the short way where it can.
    struct Way {
        short: bool,
        taken: usize,
        tcp: State,
        ledger: Ledger,
        connection: Connection,
        said: Recorder,
    }

    impl Way {
        fn new(short: bool) -> Self {
            let end = |last| Endpoint { addr: [10, 0, 0, last].into(), port: 9 };
            let connection =
                Connection::new(FlowKey::new(6, end(1), end(2)).0, 0, Source::default());
            let (tcp, ledger, said) = (State::default(), Ledger::default(), Recorder::default());
            Self { short, taken: 0, tcp, ledger, connection, said }
        }

        fn take(&mut self, from: usize, segment: &Segment<'_>) {
            if self.short && self.take_opening(from, segment) {
                self.taken += 1;
                return;
            }
            let head = Head::of(segment);
            let (was_settled, phase) = (self.tcp.is_settled(), self.tcp.phase());
            let mut asked = None;
            let is_idle = |phase| asked.replace(phase).is_some();
            if self.short
                && let Some(next) = self.tcp.take_if_next(from, &head, is_idle)
            {
                self.taken += 1;
                assert_eq!(asked, Some(phase));
                assert_eq!((next.was_settled, next.settled), (was_settled, self.tcp.is_settled()));
                let (side, bytes) = (self.connection.side(from), segment.payload.bytes);
                if !bytes.is_empty() {
                    let offset = self.ledger.add_chunk(from, bytes.len());
                    self.said.0.push(Said::Data(side, offset, bytes.to_vec()));
                }
                if segment.flags.has(TcpFlags::FIN) {
                    self.said.0.push(Said::Ended(side, EndFlag::Fin));
                }
                return;
            }
            let fin = segment.flags.has(TcpFlags::FIN);
            let n = self.tcp.in_full().packets() + 1;
            let overlap = Overlap::First;
            let step = Step { n, frames: 1, fin, overlap, cap: 1 << 20, far_ahead: 8 };
            let (mut books, mut totals) = (Books::default(), Totals::default());
            let mut out = Outlet {
                sink: &mut self.said,
                handle: (),
                connection: &self.connection,
                ledger: &mut self.ledger,
                books: &mut books,
                totals: &mut totals,
                now: Source::default(),
            };
            self.tcp
                .in_full()
                .handle(from, segment, Join::Plain, &step, &mut out)
                .expect("Infallible");
        }
    }

    impl Way {
        fn take_opening(&mut self, from: usize, segment: &Segment<'_>) -> bool {
            let head = Head::of(segment);
            if self.tcp.to_full().packets() == 0 && head.is_bare_syn() {
                self.tcp.take_syn(from, &head);
                return true;
            }
            let joins = route(&[&*self.tcp.to_full()], from, segment);
            let taken = self.tcp.is_syn_ack(from, &head);
            if taken {
                self.tcp.take_syn_ack(from, &head);
            }
            assert!(!taken || joins == Route::Joins(0, Join::Plain));
            taken
        }
    }

    proptest! {
        /// The short way and the long one end in the same place, segment by segment.
        #[test]
        fn both_ways_lead_to_the_same(
            steps in prop::collection::vec((0..2usize, 0..8u8, 0..4u32, 0..3u32), 1..80),
            opening in 0..6u8,
            isn in prop_oneof![Just(5_u32), Just(u32::MAX - 20)],
        ) {
            let (mut short, mut long) = (Way::new(true), Way::new(false));
            // The next number of each end, as the network sees it.
            let mut next = [isn, isn.wrapping_add(1000)];
            for (i, (from, kind, len, off)) in steps.into_iter().enumerate() {
                // A handshake first, then mostly what is next, and now and then what is not.
                let (from, flags, len) = match (i, kind) {
                    // A SYN that carries something, is repeated, or ends what it opens.
                    (0, _) if opening == 1 => (0, TcpFlags::SYN, len),
                    (0, _) if opening == 2 => (0, TcpFlags::SYN | TcpFlags::FIN, 0),
                    (1, _) if opening == 3 => (0, TcpFlags::SYN, 0),
                    (1, _) if opening == 4 => (1, TcpFlags::SYN, 0),
                    (1, _) if opening == 5 => (1, TcpFlags::SYN | TcpFlags::ACK, len),
                    (0, _) => (0, TcpFlags::SYN, 0),
                    (1, _) => (1, TcpFlags::SYN | TcpFlags::ACK, 0),
                    (_, 0) => (from, TcpFlags::FIN | TcpFlags::ACK, len),
                    (_, 1) if off == 2 => (from, TcpFlags::RST, 0),
                    _ => (from, TcpFlags::ACK, len),
                };
                let seq = match kind {
                    7 => next[from].wrapping_add(off).wrapping_sub(1),
                    _ => next[from],
                };
                let ack = next[1 - from].wrapping_sub(if kind == 6 { off } else { 0 });
                let bytes: Vec<u8> = (0..len).map(|k| seq.wrapping_add(k) as u8).collect();
                let payload = Payload::whole(&bytes);
                let segment = Segment { seq, ack, flags, window: 0, payload };
                let counts = flags.has(TcpFlags::SYN) || flags.has(TcpFlags::FIN);
                if kind != 7 {
                    next[from] = seq.wrapping_add(len + u32::from(counts));
                }
                short.take(from, &segment);
                long.take(from, &segment);
                prop_assert_eq!(format!("{:?}", *short.tcp.to_full()), format!("{:?}", *long.tcp.to_full()), "segment {}", i);
                prop_assert_eq!(&short.said.0, &long.said.0);
                // What is orderly is found to be so in full.
                let found = Orderly::of(&long.tcp.to_full());
                match &short.tcp {
                    State::Orderly(orderly) => prop_assert_eq!(found.as_ref(), Some(orderly)),
                    State::Full(tcp) => if let Some(orderly) = found {
                        prop_assert_eq!(format!("{:?}", Tcp::from(&orderly)), format!("{tcp:?}"));
                    }
                }
                prop_assert_eq!(format!("{:?}", short.ledger), format!("{:?}", long.ledger));
            }
            prop_assert_eq!(long.taken, 0);
        }
    }

    #[test]
    fn a_plain_conversation_goes_the_short_way() {
        let mut way = Way::new(true);
        let mut say = |from, flags: TcpFlags, seq, ack, bytes: &[u8]| {
            let payload = Payload::whole(bytes);
            way.take(from, &Segment { seq, ack, flags, window: 0, payload });
        };
        let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN);
        say(0, syn, 10, 0, b"");
        say(1, syn | ack, 50, 11, b"");
        say(0, ack, 11, 51, b"");
        say(0, ack, 11, 51, b"GET /");
        say(1, ack, 51, 16, b"OK");
        say(1, ack | fin, 53, 16, b"");
        say(0, ack | fin, 16, 54, b"");
        say(1, ack, 54, 17, b"");
        assert_eq!(way.taken, 8, "all");
        assert!(way.tcp.is_settled());
    }
}
