//! One connection as sinks see it.

use crate::{Endpoint, FlowKey, Side, Source};

/// Who talks to whom, and since when.
#[derive(Clone, Debug)]
pub struct Connection {
    key: FlowKey,
    first: Source,
    /// Is the key's end 1 the initiator?
    swapped: bool,
}

impl Connection {
    /// A connection whose first packet is `first` and whose side 0 is `initiator` (0 or 1, an index
    /// into the key's ends).
    pub fn new(key: FlowKey, initiator: usize, first: Source) -> Self {
        Self { key, first, swapped: initiator != 0 }
    }

    /// The key, the same for both directions.
    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    /// The IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.key.protocol()
    }

    /// The end that is `side`.
    pub fn end(&self, side: Side) -> Endpoint {
        self.key.end(side.index() ^ usize::from(self.swapped))
    }

    /// The first packet.
    pub fn first(&self) -> Source {
        self.first
    }
}
