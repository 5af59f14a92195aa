//! What became of a play.

use flow::Side;
use std::time::Duration;

/// How a play ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// All was said, and all was heard as it had to be.
    Done,
    /// The peer said something else.
    Diverged(Divergence),
    /// The peer was silent, or took nothing, for too long.
    TimedOut(Standstill),
    /// The peer ended before the recording does.
    PeerClosed {
        /// Where.
        at: Place,
        /// It broke off.
        reset: bool,
    },
    /// The connection broke, by what the peer sent or the network did.
    Broken(Place, String),
    /// The system refused something.
    Failed(String),
    /// The program was asked to stop.
    Stopped,
    /// Nobody came to whom it could be played.
    NotPlayed,
}

/// Where in a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Whose bytes.
    pub side: Side,
    /// The turn, from 1: an unbroken run of one side, or a datagram.
    pub turn: u64,
    /// In what the side sent.
    pub offset: u64,
}

/// The peer said something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Where.
    pub at: Place,
    /// What.
    pub difference: Difference,
}

/// In which way it was something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unlike {
    /// Other bytes.
    Bytes,
    /// This pattern does not match.
    Pattern(String),
    /// A datagram of another length.
    Length,
    /// Bytes came after all that was recorded.
    Surplus,
}

/// Expected and received, from the first byte that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// In which way.
    pub unlike: Unlike,
    /// So many bytes of the turn were right.
    pub in_turn: u64,
    /// The last of those.
    pub before: Vec<u8>,
    /// What the recording has, or the beginning of it.
    pub expected: Vec<u8>,
    /// What came, or the beginning of it.
    pub received: Vec<u8>,
}

/// What was waited for in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standstill {
    /// Where.
    pub at: Place,
    /// What should have come or gone.
    pub waiting: Waiting,
}

/// What can be waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// The rest of a turn, which has so many bytes in the recording.
    Turn {
        /// Bytes of it that came.
        come: u64,
        /// Bytes of it.
        of: u64,
    },
    /// The peer's end.
    End,
    /// The peer takes what we send.
    Room,
    /// A connection.
    Connection,
}

/// What a play did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Turns that were played to their end, of both sides.
    pub turns: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Where in what the peer sent the first byte stood that was not as recorded, though it may be.
    pub differs: Option<u64>,
    /// Did the peer break off in the end?
    pub reset: bool,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// That of a play that came to nothing.
    pub fn unplayed(ending: Ending) -> Self {
        Self {
            ending,
            turns: 0,
            sent: 0,
            received: 0,
            differs: None,
            reset: false,
            took: Duration::ZERO,
        }
    }

    /// Was everything as it had to be?
    pub fn matched(&self) -> bool {
        self.ending == Ending::Done
    }
}
