//! What connections are held at a moment.

use crate::lives::Lives;
use crate::shard::Shard;
use crate::slot::List;
use crate::timeouts::Phase;
use crate::{Side, SideStats};
use std::ops::AddAssign;
use wire::protocol;

/// The connections held at a moment, by where they stand, and what is known of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// TCP of which a SYN was seen, and not that both were acknowledged.
    pub half_open: u64,
    /// TCP that may go on.
    pub established: u64,
    /// TCP of which a FIN was seen.
    pub closing: u64,
    /// TCP that is over, and waits for stragglers.
    pub lingering: u64,
    /// UDP.
    pub udp: u64,
    /// Other protocols.
    pub other: u64,
    /// Bytes held out of order, bookkeeping included.
    pub buffered: u64,
    /// What their sides sent, which is [in no total](crate::Totals::sides) yet.
    pub sides: SideStats,
}

impl AddAssign<&Self> for Census {
    fn add_assign(&mut self, other: &Self) {
        self.half_open += other.half_open;
        self.established += other.established;
        self.closing += other.closing;
        self.lingering += other.lingering;
        self.udp += other.udp;
        self.other += other.other;
        self.buffered += other.buffered;
        self.sides += &other.sides;
    }
}

impl<H: Copy> Shard<H> {
    /// Looks at every connection, which takes 50 ns for each that sleeps: for now and then.
    pub(crate) fn census(&self, lives: &Lives<H>) -> Census {
        let mut census = Census { buffered: self.buffered() as u64, ..Census::default() };
        self.table.for_each(lives, |list, entry, tcp| {
            for side in Side::BOTH {
                census.sides += &entry.ledger.stats(entry.connection.index(side));
            }
            let count = match tcp.map(|tcp| tcp.phase()) {
                _ if list == List::LINGERING => &mut census.lingering,
                Some(Phase::Over) => &mut census.lingering,
                Some(Phase::HalfOpen) => &mut census.half_open,
                Some(Phase::Established) => &mut census.established,
                Some(Phase::Closing) => &mut census.closing,
                None if entry.connection.protocol() == protocol::UDP => &mut census.udp,
                None => &mut census.other,
            };
            *count += 1;
        });
        census
    }
}
