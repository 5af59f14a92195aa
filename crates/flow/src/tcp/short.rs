//! TCP that went as it should and is over, in a few bytes of fixed shape.

use super::Tcp;
use super::acks::{Acks, Known};
use super::position::{self, Mark};
use super::stream::Stream;
use crate::ledger::ShortLedger;

/// The state of a connection in which nothing is unusual: each end opened by a SYN and closed by a FIN, all
/// bytes and both FINs were delivered and acknowledged, and nothing else is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortTcp {
    /// Which ends sent a SYN without ACK, a bit each.
    plain_syn: u8,
    streams: [ShortStream; 2],
}

/// One direction.
#[derive(Clone, Copy, Debug)]
struct ShortStream {
    /// The SYN's sequence number.
    isn: [u8; 4],
    /// By how much the second-highest acknowledgement lies below the highest; 0 where there is none.
    second_behind: [u8; 4],
    /// How often the highest came.
    raw_count: u8,
    /// By how much the number of its last packet is below that of the connection's.
    last_packet_behind: u8,
}

impl Tcp {
    /// The state in short, if it can be. `ledger` is what was counted.
    pub(crate) fn short(&self, ledger: &ShortLedger) -> Option<ShortTcp> {
        let ordinary = self.settled
            && self.in_order
            && !self.is_reset()
            && self.holds_since == 0
            && self.packets == ledger.packets();
        if !ordinary {
            return None;
        }
        let [low, high] = &self.streams;
        let (low, high) =
            (low.short(ledger.bytes(0), self.packets)?, high.short(ledger.bytes(1), self.packets)?);
        let [first, second] = self.plain_syn.map(u8::from);
        Some(ShortTcp { plain_syn: first | second << 1, streams: [low, high] })
    }

    /// What it is short for.
    pub(crate) fn from_short(short: &ShortTcp, ledger: &ShortLedger) -> Self {
        let packets = ledger.packets();
        let [low, high] = &short.streams;
        Self {
            streams: [
                Stream::from_short(low, ledger.bytes(0), packets),
                Stream::from_short(high, ledger.bytes(1), packets),
            ],
            plain_syn: [1, 2].map(|bit| short.plain_syn & bit != 0),
            reset: Default::default(),
            settled: true,
            in_order: true,
            packets,
            holds_since: 0,
        }
    }
}

/// The known positions of a direction with this ISN that delivered so many bytes: its anchor, its end, the
/// acknowledgement of its FIN.
fn positions(isn: u64, bytes: u64) -> [u64; 3] {
    let base = isn + 1;
    [base, base + bytes, base + bytes + 1]
}

impl Stream {
    /// The direction in short, if it can be: it delivered so many bytes, in a connection of so many packets.
    fn short(&self, bytes: u64, packets: u64) -> Option<ShortStream> {
        let isn = self.isn()?;
        let seq = isn as u32;
        let [base, end, fin_acked] = positions(isn, bytes);
        let Known { first, highest, raw, second, raw_count } = self.acks.known();
        let ordinary = isn == position::first(seq)
            && self.reference.get() == Some(isn)
            && !self.isn_inferred
            && self.base() == Some(base)
            && self.next == end
            && self.seen.or_zero() == if bytes > 0 { end } else { 0 }
            && self.fin() == Some(end)
            && self.delivered == (bytes > 0)
            && self.spoke
            && self.syn_len == 0
            && self.disorder.is_none()
            && !self.acks.has_evidence()
            && first.get() == Some(base)
            && highest.get() == Some(fin_acked)
            && raw.get() == Some(fin_acked);
        if !ordinary {
            return None;
        }
        let second_behind = match second.get() {
            None => 0,
            Some(second) => {
                u32::try_from(fin_acked.checked_sub(second)?).ok().filter(|&n| n > 0)?
            }
        };
        Some(ShortStream {
            isn: seq.to_le_bytes(),
            second_behind: second_behind.to_le_bytes(),
            raw_count: u8::try_from(raw_count).ok()?,
            last_packet_behind: u8::try_from(packets.checked_sub(self.last_packet)?).ok()?,
        })
    }

    fn from_short(short: &ShortStream, bytes: u64, packets: u64) -> Self {
        let isn = position::first(u32::from_le_bytes(short.isn));
        let [base, end, fin_acked] = positions(isn, bytes);
        let second = match u32::from_le_bytes(short.second_behind) {
            0 => Mark::default(),
            behind => Mark::at(fin_acked - u64::from(behind)),
        };
        let acks = Acks::from_known(Known {
            first: Mark::at(base),
            highest: Mark::at(fin_acked),
            raw: Mark::at(fin_acked),
            second,
            raw_count: u32::from(short.raw_count),
        });
        Self {
            reference: Mark::at(isn),
            isn: Mark::at(isn),
            base: Mark::at(base),
            next: end,
            seen: if bytes > 0 { Mark::at(end) } else { Mark::default() },
            fin: Mark::at(end),
            acks,
            last_packet: packets - u64::from(short.last_packet_behind),
            disorder: None,
            syn_len: 0,
            isn_inferred: false,
            delivered: bytes > 0,
            spoke: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use proptest::prelude::*;
    use wire::{Payload, Segment, TcpFlags};

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN: TcpFlags = TcpFlags::FIN;

    /// A connection with what was counted of it.
    struct Said {
        tcp: Tcp,
        ledger: Ledger,
        next: [u32; 2],
    }

    impl Said {
        fn new(isns: [u32; 2]) -> Self {
            Self { tcp: Tcp::default(), ledger: Ledger::default(), next: isns }
        }

        /// `from` says this much; `acknowledging` how many bytes less than there were.
        fn say(&mut self, from: usize, flags: TcpFlags, len: u32, behind: u32) {
            let (seq, ack) = (self.next[from], self.next[1 - from].wrapping_sub(behind));
            let bytes = vec![7; len as usize];
            let payload = Payload::whole(&bytes);
            let segment = Segment { seq, ack, flags, window: 0, payload };
            let counts = u32::from(flags.has(SYN)) + u32::from(flags.has(FIN));
            self.next[from] = seq.wrapping_add(len + counts);
            self.ledger.add_packets(from, 1);
            if flags.has(SYN) && flags.has(ACK) {
                assert!(self.tcp.take_syn_ack(from, &segment));
            } else if flags.has(SYN) {
                self.tcp.take_syn(from, &segment);
            } else {
                assert!(self.tcp.is_next(from, &segment));
                self.tcp.take_next(from, &segment);
            }
            if len > 0 {
                self.ledger.add_chunk(from, bytes.len());
            }
        }
    }

    impl Tcp {
        /// A connection whose ends have sent so many bytes, in twelve packets.
        pub(crate) fn settled_of(bytes: [u32; 2]) -> Self {
            let mut said = Said::new([u32::MAX - 5, 77_777]);
            said.say(0, SYN, 0, 0);
            said.say(1, SYN | ACK, 0, 0);
            said.say(0, ACK, 0, 0);
            said.say(0, ACK, bytes[0], 0);
            said.say(1, ACK, bytes[1] / 2, 0);
            said.say(0, ACK, 0, 0);
            said.say(1, ACK, bytes[1] - bytes[1] / 2, 0);
            said.say(1, ACK, 0, 0);
            said.say(0, ACK, 0, 0);
            said.say(1, ACK | FIN, 0, 0);
            said.say(0, ACK | FIN, 0, 0);
            said.say(1, ACK, 0, 0);
            said.tcp
        }
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(
            isns in any::<[u32; 2]>(),
            opener in 0..2usize,
            turns in prop::collection::vec((0..2usize, 0..3000u32, 0..9u32), 0..40),
            last in 0..4u32,
        ) {
            let mut said = Said::new(isns);
            said.say(opener, SYN, 0, 0);
            said.say(1 - opener, SYN | ACK, 0, 0);
            for (from, len, behind) in turns {
                said.say(from, ACK, len, behind);
            }
            said.say(opener, ACK | FIN, 0, last % 2);
            said.say(1 - opener, ACK | FIN, 0, 0);
            prop_assert!(said.tcp.is_settled());
            // Without the last acknowledgement, something is left to be expected.
            for _ in 0..last {
                said.say(opener, ACK, 0, 0);
            }
            let short = said.ledger.short().and_then(|ledger| Some((said.tcp.short(&ledger)?, ledger)));
            if let Some((short, ledger)) = short {
                let again = Tcp::from_short(&short, &ledger);
                prop_assert_eq!(format!("{again:?}"), format!("{:?}", said.tcp));
            }
            if last == 0 {
                prop_assert!(short.is_none());
            }
        }
    }

    #[test]
    fn an_ordinary_connection_can_be_put_in_short() {
        let tcp = Tcp::settled_of([300, 20_000]);
        let mut ledger = Ledger::default();
        ledger.add_packets(0, 12);
        ledger.add_chunk(0, 300);
        ledger.add_chunk(1, 20_000);
        let ledger = ledger.short().unwrap();
        let short = tcp.short(&ledger).unwrap();
        assert_eq!(format!("{:?}", Tcp::from_short(&short, &ledger)), format!("{tcp:?}"));
    }
}
