//! When time ends connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Duration;
use wire::{Timestamp, protocol};

/// After how long a silence a connection ends, by its protocol and where it stands.
///
/// Captured files have none, unless they are asked for: time between packets proves nothing there. A
/// connection is judged by its own packets' times when its next one comes, and while none comes, by the
/// time that whoever drives the engine [tells it](crate::Shards::handle_timeout).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP of which a SYN was seen, and not that both were acknowledged.
    pub half_open: Duration,
    /// TCP that may go on.
    pub established: Duration,
    /// TCP of which a FIN was seen.
    pub closing: Duration,
    /// TCP that is over: for so long it waits for stragglers.
    pub linger: Duration,
    /// UDP.
    pub udp: Duration,
    /// Any other protocol.
    pub other: Duration,
    /// After such a silence nothing is waited for any more: a hole is a gap, and what has no beginning
    /// begins. `None` where nobody tells the time.
    pub quiet: Option<Duration>,
}

impl Timeouts {
    /// Those of a live capture.
    pub const LIVE: Self = Self {
        half_open: Duration::from_secs(30),
        established: Duration::from_secs(300),
        closing: Duration::from_secs(10),
        linger: Duration::from_secs(10),
        udp: Duration::from_secs(60),
        other: Duration::from_secs(60),
        quiet: Some(Duration::from_secs(1)),
    };

    /// One for all; nobody tells the time.
    pub const fn all(idle: Duration) -> Self {
        Self {
            half_open: idle,
            established: idle,
            closing: idle,
            linger: idle,
            udp: idle,
            other: idle,
            quiet: None,
        }
    }

    /// That of a connection of messages of this protocol.
    pub(crate) fn of_messages(&self, protocol: u8) -> Duration {
        if protocol == protocol::UDP { self.udp } else { self.other }
    }

    /// That of a TCP connection.
    pub(crate) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::HalfOpen => self.half_open,
            Phase::Established => self.established,
            Phase::Closing => self.closing,
            Phase::Over => self.linger,
        }
    }
}

/// Where a TCP connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    HalfOpen,
    Established,
    Closing,
    Over,
}

/// A connection to look at when a time has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Due {
    /// Milliseconds since 1970.
    at: i64,
    /// The number of the frame that opened it, since its slot may be another's by then.
    pub(crate) opened: u64,
    pub(crate) index: u32,
}

/// Connections by when they are to be looked at.
///
/// Packets do not move them: whoever is looked at and was not silent is looked at again later. So a packet
/// costs nothing here, and a connection a look each time that its timeout has passed.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<Due>>);

impl Timers {
    /// A connection is to be looked at when `wait` has passed after `time`.
    pub(crate) fn add(&mut self, index: u32, opened: u64, time: Timestamp, wait: Duration) {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        // Not a moment too early.
        let at = millis(time).saturating_add(wait).saturating_add(1);
        self.0.push(Reverse(Due { at, opened, index }));
    }

    /// Those that are due at `now`, the first to be so first.
    pub(crate) fn all_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(first) = self.0.peek_mut()
            && first.0.at <= millis(now)
        {
            due.push(PeekMut::pop(first).0);
        }
        due
    }

    /// Forgets those for which `is_wanted` does not hold, where they are many more than `connections`: one that
    /// ended for another reason leaves its entries behind, and a flood of such must not fill memory.
    pub(crate) fn tidy(&mut self, connections: usize, is_wanted: impl Fn(&Due) -> bool) {
        if self.0.len() > 4 * connections + 1024 {
            self.0.retain(|Reverse(due)| is_wanted(due));
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn millis(time: Timestamp) -> i64 {
    time.secs().saturating_mul(1000).saturating_add(i64::from(time.subsec_nanos() / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_nobody_wants_are_forgotten_when_they_are_many() {
        let mut timers = Timers::default();
        let now = Timestamp::new(5, 0);
        (0..2000).for_each(|n| timers.add(n, 1, now, Duration::from_secs(n.into())));
        timers.tidy(500, |_| false);
        assert_eq!(timers.0.len(), 2000);
        timers.tidy(100, |due| due.index >= 1990);
        assert_eq!(timers.0.len(), 10);
        assert_eq!(timers.all_due(Timestamp::new(1 << 40, 0))[0].index, 1990);
    }

    #[test]
    fn who_is_due_comes_in_the_order_of_time_and_once() {
        let mut timers = Timers::default();
        let at = |secs, millis: u32| Timestamp::new(secs, millis * 1_000_000);
        timers.add(1, 10, at(5, 0), Duration::from_secs(30));
        timers.add(2, 11, at(6, 0), Duration::from_millis(1500));
        timers.add(3, 12, at(i64::MAX, 0), Duration::MAX);
        let mut due = |secs, millis| {
            let due = timers.all_due(at(secs, millis));
            due.into_iter().map(|due| (due.index, due.opened)).collect::<Vec<_>>()
        };
        assert_eq!(due(7, 500), [], "a connection may be silent for so long");
        assert_eq!(due(7, 501), [(2, 11)]);
        assert_eq!(due(35, 0), []);
        assert_eq!(due(40, 0), [(1, 10)]);
        assert_eq!(due(1 << 40, 0), []);
    }
}
