//! Where the table keeps a connection.

use crate::cells::Class;
use crate::key::KeptKey;

/// Where a connection is, and what an [`Entry`](crate::entry::Entry) that sleeps leaves here. (One that is
/// awake has both too: the sink is given them together with what is there alone.)
#[derive(Debug)]
pub(crate) struct Slot<H> {
    pub(crate) key: KeptKey,
    pub(crate) handle: H,
    /// Its neighbours in its list, the older and the newer one; of no meaning where it is in none.
    pub(crate) links: [u32; 2],
    /// The connection of the same key that was opened before it.
    pub(crate) older: u32,
    /// Its number where it is kept.
    pub(crate) number: u32,
    pub(crate) place: Place,
    pub(crate) list: List,
}

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    /// TCP that may go on, and is among those that spoke last. They are awake.
    Active,
    Aged(Aged),
}

/// A list by age, the least recently active first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aged {
    /// Those of messages that may go on and spoke last. They are awake.
    Messages,
    /// Connections that may go on and have not spoken for long. They sleep, but for those that hold bytes.
    Dormant,
    /// Those that are over and wait for stragglers.
    Lingering,
}

impl List {
    pub(crate) const LINGERING: Self = Self::Aged(Aged::Lingering);

    /// May it go on, and spoke it not long ago?
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Aged(Aged::Messages))
    }
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
