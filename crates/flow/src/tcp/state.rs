//! The state of a TCP connection: in few words as long as all goes as it should, in full from then on.

use super::orderly::Orderly;
use super::{Head, ShortTcp, Tcp};
use crate::ledger::ShortLedger;
use crate::timeouts::Phase;
use crate::varint::{Reader, Writer};
use crate::{Ended, Sink, outlet::Outlet};

/// The state of a connection.
#[derive(Debug)]
pub(crate) enum State {
    Orderly(Orderly),
    Full(Box<Tcp>),
}

impl Default for State {
    fn default() -> Self {
        Self::Orderly(Orderly::default())
    }
}

/// The short ways of segments.
impl State {
    /// Takes in a [bare SYN](Head::is_bare_syn) that opens the connection, as its first segment.
    #[inline(always)]
    pub(crate) fn take_syn(&mut self, from: usize, head: &Head) {
        if let Self::Orderly(orderly) = self {
            orderly.take_syn(from, head);
        }
    }

    /// Is it the SYN-ACK that answers the [bare SYN](Head::is_bare_syn) from the other end, and the connection's second
    /// segment?
    #[inline(always)]
    pub(crate) fn is_syn_ack(&self, from: usize, head: &Head) -> bool {
        match self {
            Self::Orderly(orderly) => orderly.is_syn_ack(from, head),
            Self::Full(_) => false,
        }
    }

    /// Takes in a segment that [is the SYN-ACK](Self::is_syn_ack).
    #[inline(always)]
    pub(crate) fn take_syn_ack(&mut self, from: usize, head: &Head) {
        if let Self::Orderly(orderly) = self {
            orderly.take_syn_ack(from, head);
        }
    }

    /// Takes in a segment if nothing need be known of it but that it is next, and its connection is not found to be
    /// `idle` then. Its bytes are next in their direction, and its FIN behind them: whoever calls this delivers them and
    /// tells of it. The connection must be the only one of its key.
    #[inline(always)]
    pub(crate) fn take_if_next(
        &mut self,
        from: usize,
        head: &Head,
        is_idle: impl FnOnce(Phase) -> bool,
    ) -> Option<Next> {
        match self {
            Self::Orderly(orderly) => {
                if !orderly.is_next(from, head) || is_idle(orderly.phase()) {
                    return None;
                }
                let was_settled = orderly.is_settled();
                orderly.take_next(from, head);
                Some(Next { was_settled, settled: orderly.is_settled() })
            }
            Self::Full(tcp) => {
                if !tcp.is_next(from, head) || is_idle(tcp.phase()) {
                    return None;
                }
                let was_settled = tcp.is_settled();
                tcp.take_next(from, head);
                Some(Next { was_settled, settled: tcp.is_settled() })
            }
        }
    }
}

/// What a segment that was next has made of a connection: was everything up to both FINs delivered before it, and is it
/// now?
pub(crate) struct Next {
    pub(crate) was_settled: bool,
    pub(crate) settled: bool,
}

/// What is asked of it.
impl State {
    /// Was a SYN seen?
    pub(crate) fn syn_seen(&self) -> bool {
        match self {
            Self::Orderly(orderly) => orderly.syn_seen(),
            Self::Full(tcp) => tcp.syn_seen(),
        }
    }

    /// How the ends ended it, if they did.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self {
            Self::Orderly(orderly) => orderly.is_settled().then_some(Ended::Fin),
            Self::Full(tcp) => tcp.ended(),
        }
    }

    /// Is everything up to both FINs delivered?
    #[inline(always)]
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Orderly(orderly) => orderly.is_settled(),
            Self::Full(tcp) => tcp.is_settled(),
        }
    }

    /// Is it over, or closing in both directions?
    pub(crate) fn is_ending(&self) -> bool {
        match self {
            Self::Orderly(orderly) => orderly.is_settled(),
            Self::Full(tcp) => tcp.is_ending(),
        }
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Full(tcp) => tcp.phase(),
            Self::Orderly(orderly) => orderly.phase(),
        }
    }

    /// What it costs to hold bytes out of order, in bytes; 0 where none are held.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Orderly(_) => 0,
            Self::Full(tcp) => tcp.cost(),
        }
    }

    /// The owner's note: when, by its count, it last spoke while bytes are held; 0 where none are.
    pub(crate) fn holds_since(&self) -> u64 {
        match self {
            Self::Orderly(_) => 0,
            Self::Full(tcp) => tcp.holds_since,
        }
    }
}

/// What is done with it on the long ways.
impl State {
    /// In full, from now on.
    pub(crate) fn in_full(&mut self) -> &mut Tcp {
        if let Self::Orderly(orderly) = self {
            *self = Self::Full(Box::new(Tcp::from(&*orderly)));
        }
        match self {
            Self::Full(tcp) => tcp,
            Self::Orderly(_) => unreachable!("it was just made full"),
        }
    }

    /// In full, to look at.
    pub(crate) fn to_full(&self) -> Full<'_> {
        match self {
            Self::Orderly(orderly) => Full::Made(Box::new(Tcp::from(orderly))),
            Self::Full(tcp) => Full::Is(tcp),
        }
    }

    /// In full, for good.
    pub(crate) fn into_full(self) -> Box<Tcp> {
        match self {
            Self::Orderly(orderly) => Box::new(Tcp::from(&orderly)),
            Self::Full(tcp) => tcp,
        }
    }

    /// Nothing more will come: see [`Tcp::finish`].
    pub(crate) fn finish<S: Sink>(
        &mut self,
        order: [usize; 2],
        out: &mut Outlet<'_, S>,
    ) -> Result<(), S::Error> {
        match self {
            // Nothing is missing, and both ends' FINs are told of.
            Self::Orderly(_) => Ok(()),
            Self::Full(tcp) => tcp.finish(order, out),
        }
    }

    /// Can it sleep? Not while it holds bytes.
    pub(crate) fn can_sleep(&self) -> bool {
        match self {
            Self::Orderly(_) => true,
            Self::Full(tcp) => tcp.can_sleep(),
        }
    }

    /// In short, if it can be. `ledger` is what was counted.
    pub(crate) fn short(&self, ledger: &ShortLedger) -> Option<ShortTcp> {
        match self {
            Self::Orderly(orderly) => orderly.short(ledger),
            Self::Full(tcp) => Orderly::of(tcp)?.short(ledger),
        }
    }

    /// What it is short for.
    pub(crate) fn from_short(short: &ShortTcp, ledger: &ShortLedger) -> Self {
        Self::Orderly(Orderly::from_short(short, ledger))
    }

    /// Puts it down. It [can sleep](Self::can_sleep).
    pub(crate) fn put(&self, out: &mut Writer<'_>) {
        match self {
            Self::Orderly(orderly) => Tcp::from(orderly).put(out),
            Self::Full(tcp) => tcp.put(out),
        }
    }

    /// What was put down.
    pub(crate) fn take(bytes: &mut Reader<'_>) -> Self {
        let tcp = Tcp::take(bytes);
        match Orderly::of(&tcp) {
            Some(orderly) => Self::Orderly(orderly),
            None => Self::Full(Box::new(tcp)),
        }
    }
}

/// A state in full, to look at.
pub(crate) enum Full<'a> {
    Is(&'a Tcp),
    Made(Box<Tcp>),
}

impl std::ops::Deref for Full<'_> {
    type Target = Tcp;

    fn deref(&self) -> &Tcp {
        match self {
            Self::Is(tcp) => tcp,
            Self::Made(tcp) => tcp,
        }
    }
}
