//! The books: what became of every packet.

use std::ops::AddAssign;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them, in the order in which they are listed to people.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that people read.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

named! {
    /// Why a packet belongs to no connection.
    Reason {
        /// The BPF filter did not match.
        Filtered = "filtered",
        /// The BPF filter has no meaning for the packet's link type.
        FilterUndefined = "filter undefined",
        /// The link type is none that is read.
        UnknownLink = "unknown link type",
        /// It names an interface that the file does not describe.
        UnknownInterface = "unknown interface",
        /// It carries no IP.
        NotIp = "not IP",
        /// An encrypted 802.11 frame.
        Encrypted = "encrypted",
        /// The capture ends inside a header.
        Truncated = "cut inside a header",
        /// A header contradicts itself.
        Malformed = "malformed",
        /// Too many headers in one another.
        TooDeep = "nested too deep",
        /// A fragment of a datagram, or of an 802.11 frame, that never became whole.
        IncompleteDatagram = "incomplete datagram",
        /// A TCP segment so far ahead that nothing confirmed it.
        Implausible = "implausible",
    }
}

named! {
    /// A limit that was reached.
    Limit {
        /// Connections held: the least recently active one was ended.
        Connections = "connections",
        /// Bytes held out of order by one direction: its first hole was given up.
        BufferedPerDirection = "buffered per direction",
        /// Bytes held out of order in all: the connection that spoke longest ago gave up its hole.
        Buffered = "buffered",
        /// Fragments: the oldest datagram, or 802.11 frame, was given up.
        Fragments = "fragments",
        /// Connections that are over: the one that rested longest was forgotten.
        Lingering = "remembered after their end",
        /// Connections with the same ends: the oldest one was ended.
        PerKey = "connections with the same ends",
        /// Segments far ahead of their stream: the oldest was given up.
        FarAhead = "far ahead",
    }
}

impl Limit {
    /// Does reaching it cost nothing but memory of the past, as happens in every long run?
    pub fn is_routine(self) -> bool {
        self == Self::Lingering
    }
}

/// What became of every packet: read = assigned + set aside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    read: u64,
    assigned: u64,
    set_aside: [u64; Reason::ALL.len()],
}

impl Books {
    /// `n` packets were read.
    pub fn count_read(&mut self, n: u64) {
        self.read += n;
    }

    /// `n` packets belong to a connection.
    pub fn count_assigned(&mut self, n: u64) {
        self.assigned += n;
    }

    /// `n` packets belong to none.
    pub fn count_set_aside(&mut self, reason: Reason, n: u64) {
        self.set_aside[reason as usize] += n;
    }

    /// A packet that was assigned turned out to belong to none. Where others have counted that it was assigned,
    /// these books balance with theirs alone.
    pub fn move_to_set_aside(&mut self, reason: Reason, n: u64) {
        self.assigned = self.assigned.wrapping_sub(n);
        self.count_set_aside(reason, n);
    }

    /// Packets read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Packets assigned to a connection.
    pub fn assigned(&self) -> u64 {
        self.assigned
    }

    /// Packets set aside for one reason.
    pub fn set_aside(&self, reason: Reason) -> u64 {
        self.set_aside[reason as usize]
    }

    /// Is every packet accounted for?
    pub fn balance(&self) -> bool {
        self.read == self.assigned.wrapping_add(self.set_aside.iter().sum())
    }
}

impl AddAssign<&Books> for Books {
    fn add_assign(&mut self, other: &Books) {
        self.read += other.read;
        self.assigned = self.assigned.wrapping_add(other.assigned);
        for (mine, theirs) in self.set_aside.iter_mut().zip(other.set_aside) {
            *mine += theirs;
        }
    }
}

/// Sums over all connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Connections opened, by IP protocol number.
    pub connections: [u64; 256],
    /// The sum of both sides of every connection that is over.
    pub sides: crate::SideStats,
    /// How often each limit was reached, in the order of [`Limit::ALL`].
    pub limits: [u64; Limit::ALL.len()],
    /// Fragments whose bytes differ from those that came before for the same place.
    pub fragment_conflicts: u64,
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        let counts = self.connections.iter_mut().zip(other.connections);
        for (mine, theirs) in counts.chain(self.limits.iter_mut().zip(other.limits)) {
            *mine += theirs;
        }
        self.sides += &other.sides;
        self.fragment_conflicts += other.fragment_conflicts;
    }
}

impl Default for Totals {
    fn default() -> Self {
        let (sides, limits) = (crate::SideStats::default(), [0; Limit::ALL.len()]);
        Self { connections: [0; 256], sides, limits, fragment_conflicts: 0 }
    }
}
