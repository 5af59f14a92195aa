//! What one side does in a recording, and what it waits for.

mod writer;

use crate::pattern::Pattern;
use crate::recording::{Finish, Recording, Transport, What};
use crate::rules::Rules;
use flow::Side;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use writer::Writer;

/// What to do about bytes that were not captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// Zero bytes are sent for them, and any bytes awaited.
    Zero,
    /// They are neither sent nor awaited.
    Skip,
}

/// When our side ends what it sends, where the recording does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HalfClose {
    /// After the last it has to say.
    #[default]
    AfterOurs,
    /// When the peer has said its last, too.
    AfterAll,
}

/// A recording from the view of one side: step by step what it does and what it waits for.
#[derive(Debug)]
pub struct Script {
    recording: Arc<Recording>,
    rules: Arc<Rules>,
    side: Side,
    steps: Vec<Step>,
    /// What the peer sends that comes back in what we say.
    slots: Vec<Slot>,
    /// How many turns there are, of both sides.
    turns: u64,
    /// The step after the last in which we say something.
    said_until: usize,
    /// The first turn of the peer, as it is told apart from others.
    first: Option<Box<Hear>>,
    first_bytes: Range<usize>,
}

/// A step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// When it was done in the recording, in nanoseconds since its first packet.
    pub(crate) at: i64,
    /// Which turn it is a part of, from 1: an unbroken run of one side, or a datagram.
    pub(crate) turn: u64,
    /// Where it begins in what its side sent, missing bytes counted.
    pub(crate) offset: u64,
    pub(crate) act: Act,
}

/// Something that the peer sends and that comes back in what we say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// So many bytes at a place.
    Place(usize),
    /// What a group of a pattern matched.
    Group,
}

/// What a step is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// We send what one packet brought.
    Say(Said),
    /// The peer's turn.
    Hear(Box<Hear>),
    /// We end.
    Finish(Finish),
    /// The peer ends.
    HearFinish(Finish),
}

/// What one packet of ours brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// As nearly all are.
    One(Part),
    /// Some of it comes from the peer, or was not captured.
    Many(Box<[Part]>),
}

impl Said {
    pub(crate) fn parts(&self) -> &[Part] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts,
        }
    }
}

/// What an allocation takes beside what is asked for, about.
const ALLOCATION: usize = 16;

/// A part of what we say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Bytes of the recording.
    Recorded(Range<usize>),
    /// Zero bytes for those that were not captured.
    Zeros(u64),
    /// What the peer sent, for the same bytes of the recording.
    Heard(usize, Range<usize>),
}

/// A turn of the peer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hear {
    /// What must come, in order.
    pub(crate) pieces: Vec<Piece>,
    /// What of it comes back in what we say, by its place, and by patterns.
    pub(crate) catches: Vec<Catch>,
    pub(crate) carries: Vec<Carry>,
    /// So many bytes it had, without those that are left out.
    pub(crate) len: u64,
    /// After how many bytes some were not captured and are left out, and how many.
    pub(crate) left_out: Vec<(u64, u64)>,
}

impl Hear {
    /// Where the byte that comes after so many stood in the recorded turn.
    pub(crate) fn with_gaps(&self, come: u64) -> u64 {
        let before = self.left_out.iter().filter(|(after, _)| *after <= come);
        before.map(|(_, len)| len).fold(come, |sum, len| sum.saturating_add(*len))
    }
}

/// A part of what the peer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// These bytes of the recording.
    Exact(Range<usize>),
    /// As many bytes; it is noted if they are not the same.
    Loose(Range<usize>),
    /// So many bytes, any.
    Any(u64),
    /// What a pattern matches.
    Pattern(Pattern, Range<usize>),
    /// As many ends of a turn.
    Ends(Pattern, u64),
}

/// A place in the peer's turn that comes back in what we say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Catch {
    /// Where, from the beginning of the turn.
    pub(crate) offset: u64,
    pub(crate) len: usize,
    pub(crate) slot: usize,
}

/// What the group of a pattern's match in the peer's turn stands for comes back in what we say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Carry {
    pub(crate) pattern: Pattern,
    /// Which of its matches, from 0.
    pub(crate) nth: usize,
    pub(crate) slot: usize,
}

impl Script {
    /// What `side` does in a recording. Missing bytes are to be dealt with before, or filled.
    pub fn new(
        recording: Arc<Recording>,
        side: Side,
        rules: Arc<Rules>,
        fill: Fill,
        half_close: HalfClose,
    ) -> Self {
        let mut writer = Writer::new(&recording, &rules, side, fill);
        writer.write();
        if recording.transport() == Transport::Tcp && !recording.knows_finishes() {
            writer.add_half_close(half_close);
        }
        let Writer { steps, slots, turn: turns, first, first_bytes, .. } = writer;
        let last = steps.iter().rposition(|step| matches!(step.act, Act::Say(_)));
        let said_until = last.map_or(0, |last| last + 1);
        Self { recording, rules, side, steps, slots, turns, said_until, first, first_bytes }
    }

    /// What is played.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The side that we are.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The other one.
    pub(crate) fn peer(&self) -> Side {
        Side::BOTH[1 - self.side.index()]
    }

    /// How many turns there are, of both sides.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Do we begin?
    pub fn speaks_first(&self) -> bool {
        let first = self.steps.iter().find(|step| matches!(step.act, Act::Say(_) | Act::Hear(_)));
        first.is_none_or(|step| matches!(step.act, Act::Say(_)))
    }

    /// Did the peer break off before anything was said?
    pub(crate) fn is_refused(&self) -> bool {
        let reset = What::Finish(Finish::Rst);
        let first = self.recording.events().first();
        self.turns == 0
            && first.is_some_and(|event| event.side == self.peer() && event.what == reset)
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn said_until(&self) -> usize {
        self.said_until
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How long after the first packet the peer was heard first.
    pub(crate) fn first_silence(&self) -> Duration {
        let heard = self.steps.iter().find(|step| matches!(step.act, Act::Hear(_)));
        Duration::from_nanos(heard.map_or(0, |step| u64::try_from(step.at).unwrap_or(0)))
    }

    /// Bytes of the peer that were not captured and are left out.
    pub(crate) fn left_out(&self) -> u64 {
        let heard = self.steps.iter().filter_map(|step| match &step.act {
            Act::Hear(hear) => Some(hear.left_out.iter().map(|(_, len)| len)),
            _ => None,
        });
        heard.flatten().fold(0, |sum, len| sum.saturating_add(*len))
    }

    /// Memory that it takes beside the recording, about.
    pub fn cost(&self) -> usize {
        let of_step = |step: &Step| match &step.act {
            Act::Say(Said::One(_)) | Act::Finish(_) | Act::HearFinish(_) => 0,
            Act::Say(Said::Many(parts)) => parts.len() * size_of::<Part>() + ALLOCATION,
            Act::Hear(hear) => {
                let pieces = hear.pieces.len() * size_of::<Piece>();
                let others = (hear.catches.len() + hear.carries.len()) * size_of::<Carry>();
                size_of::<Hear>() + pieces + others + 2 * ALLOCATION
            }
        };
        let steps: usize = self.steps.iter().map(of_step).sum();
        self.steps.capacity() * size_of::<Step>() + steps + 1024
    }

    /// The captured bytes of the peer's first turn.
    pub(crate) fn first_bytes(&self) -> &[u8] {
        self.recording.bytes().get(self.first_bytes.clone()).unwrap_or_default()
    }

    /// The first turn of the peer, as it is told apart from others: by its bytes, whatever is waited for.
    pub(crate) fn first_heard(&self) -> Option<&Hear> {
        self.first.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is a client refused in a recording with these?
    fn is_refused(write: impl Fn(&mut Recording)) -> bool {
        let mut recording = Recording::new("a", Transport::Tcp).with_finishes();
        write(&mut recording);
        let (recording, rules) = (Arc::new(recording), Arc::new(Rules::default()));
        Script::new(recording, Side::Zero, rules, Fill::Zero, HalfClose::AfterOurs).is_refused()
    }

    #[test]
    fn a_client_is_refused_where_the_server_breaks_off_before_a_word() {
        assert!(is_refused(|it| it.push_finish(Side::One, 0, Finish::Rst)));
        assert!(!is_refused(|it| it.push_finish(Side::One, 0, Finish::Fin)));
        assert!(!is_refused(|it| it.push_finish(Side::Zero, 0, Finish::Rst)));
        assert!(!is_refused(|it| {
            it.push_data(Side::Zero, 0, b"GET");
            it.push_finish(Side::One, 0, Finish::Rst);
        }));
        assert!(!is_refused(|_| {}));
    }
}
