//! TCP that went as it should and is over, in a few bytes of fixed shape.

use super::orderly::{End, Orderly};
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
    /// The second-highest acknowledgement, counted from the SYN's; 0 where there is none.
    second: [u8; 4],
    /// How often the highest came.
    raw_count: u8,
    /// By how much the number of its last packet is below that of the connection's.
    last_packet_behind: u8,
}

impl Orderly {
    /// The state in short, if it can be. `ledger` is what was counted.
    pub(super) fn short(&self, ledger: &ShortLedger) -> Option<ShortTcp> {
        if !self.is_settled() || ledger.packets() != u64::from(self.packets()) {
            return None;
        }
        let [low, high] = self.ends();
        let low = low.short(ledger.bytes(0), self.packets())?;
        let high = high.short(ledger.bytes(1), self.packets())?;
        let [first, second] = self.plain_syn().map(u8::from);
        Some(ShortTcp { plain_syn: first | second << 1, streams: [low, high] })
    }

    /// What it is short for.
    pub(super) fn from_short(short: &ShortTcp, ledger: &ShortLedger) -> Self {
        // As many as two bytes count.
        let packets = ledger.packets() as u32;
        let end = |end: usize| End::from_short(&short.streams[end], ledger.bytes(end), packets);
        Self::over([end(0), end(1)], packets, [1, 2].map(|bit| short.plain_syn & bit != 0))
    }
}

impl End {
    /// The direction in short, if it can be: it delivered so many bytes and its FIN, which was acknowledged, in a
    /// connection of so many packets.
    #[inline(always)]
    fn short(&self, bytes: u64, packets: u32) -> Option<ShortStream> {
        let &Self { isn, next, acked, count, second, last_packet } = self;
        let last_packet_behind = packets.wrapping_sub(last_packet);
        let fits = u64::from(next) == bytes + 1
            && acked == next + 1
            && (count | last_packet_behind) <= u32::from(u8::MAX);
        fits.then_some(ShortStream {
            isn: isn.to_le_bytes(),
            second: second.to_le_bytes(),
            raw_count: count as u8,
            last_packet_behind: last_packet_behind as u8,
        })
    }

    fn from_short(short: &ShortStream, bytes: u64, packets: u32) -> Self {
        // It was made of one with so many bytes.
        let next = bytes as u32 + 1;
        Self {
            isn: u32::from_le_bytes(short.isn),
            next,
            acked: next + 1,
            count: u32::from(short.raw_count),
            second: u32::from_le_bytes(short.second),
            last_packet: packets - u32::from(short.last_packet_behind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::tcp::{Head, State};
    use proptest::prelude::*;
    use wire::{Payload, Segment, TcpFlags};

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN: TcpFlags = TcpFlags::FIN;

    /// A connection with what was counted of it.
    struct Said {
        tcp: Orderly,
        ledger: Ledger,
        next: [u32; 2],
    }

    impl Said {
        fn new(isns: [u32; 2]) -> Self {
            Self { tcp: Orderly::default(), ledger: Ledger::default(), next: isns }
        }

        /// `from` says this much; `acknowledging` how many bytes less than there were.
        fn say(&mut self, from: usize, flags: TcpFlags, len: u32, behind: u32) {
            // Nothing before the SYN is acknowledged.
            let behind = behind.min(self.tcp.ends()[1 - from].next.saturating_sub(1));
            let (seq, ack) = (self.next[from], self.next[1 - from].wrapping_sub(behind));
            let bytes = vec![7; len as usize];
            let payload = Payload::whole(&bytes);
            let segment = Head::of(&Segment { seq, ack, flags, window: 0, payload });
            let counts = u32::from(flags.has(SYN)) + u32::from(flags.has(FIN));
            self.next[from] = seq.wrapping_add(len + counts);
            self.ledger.add_packets(from, 1);
            if flags.has(SYN) && flags.has(ACK) {
                assert!(self.tcp.is_syn_ack(from, &segment));
                self.tcp.take_syn_ack(from, &segment);
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

    impl State {
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
            Self::Orderly(said.tcp)
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
            said.say(opener, ACK, 0, 0);
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
                let again = Orderly::from_short(&short, &ledger);
                prop_assert_eq!(again, said.tcp);
            }
            if last == 0 {
                prop_assert!(short.is_none());
            }
        }
    }

    #[test]
    fn an_ordinary_connection_can_be_put_in_short() {
        let State::Orderly(tcp) = State::settled_of([300, 20_000]) else { panic!("it is orderly") };
        let mut ledger = Ledger::default();
        ledger.add_packets(0, 12);
        ledger.add_chunk(0, 300);
        ledger.add_chunk(1, 20_000);
        let ledger = ledger.short().unwrap();
        let short = tcp.short(&ledger).unwrap();
        assert_eq!(Orderly::from_short(&short, &ledger), tcp);
    }
}
