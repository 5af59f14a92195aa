//! Where the table keeps a connection.

use crate::cells::Class;
use crate::key::KeptKey;

/// Where a connection is, and what an [`Entry`](crate::entry::Entry) that sleeps leaves here. (One that is
/// awake has both too: the sink is given them together with what is there alone.)
#[derive(Debug)]
pub(crate) struct Slot<H> {
    pub(crate) key: KeptKey,
    pub(crate) handle: H,
    /// Its neighbours in its list, the older and the newer one.
    pub(crate) links: [u32; 2],
    /// The connection of the same key that was opened before it.
    pub(crate) older: u32,
    /// Its number where it is kept.
    pub(crate) number: u32,
    pub(crate) place: Place,
    pub(crate) list: List,
}

/// A list by age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    /// Connections that may go on and spoke last, the least recently active first. They are awake.
    Active,
    /// Those that may go on and have not spoken since; likewise. They sleep, but for those that hold bytes.
    Dormant,
    /// Those that are over and wait for stragglers, likewise.
    Lingering,
}

/// Where what is known of a connection is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Awake; nothing is needed but an [`Entry`](crate::entry::Entry): every datagram is a message.
    Message,
    /// Awake, and TCP.
    Tcp,
    /// Asleep, an ordinary TCP connection that is over.
    Short,
    /// Asleep, any other.
    Asleep(Class),
}

impl Place {
    pub(crate) fn is_asleep(self) -> bool {
        matches!(self, Self::Short | Self::Asleep(_))
    }
}
