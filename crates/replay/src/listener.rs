//! Listening to the peer, turn by turn. It may be ahead of us: what comes is compared when it comes.

use crate::hearing::{Heard, Hearing};
use crate::outcome::{Difference, Divergence, Place, Unlike};
use crate::recording::Transport;
use crate::rules::Wait;
use crate::script::{Act, Hear, Script, Step};
use std::time::Duration;

/// After a turn that a pattern ends which could go on, or where anything is a turn, nothing has to come for so long.
const QUIET: Duration = Duration::from_millis(100);

/// So many bytes after the recording's end are read, to see whether the peer closes.
const MAX_SURPLUS: usize = 1 << 20;

/// So much of what came after all that was recorded is shown.
const SHOWN_SURPLUS: usize = 48;

/// What the peer says.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The step that is heard next.
    at: usize,
    hearing: Hearing,
    /// What came and belongs to no turn yet.
    waiting: Vec<u8>,
    /// Bytes before those.
    heard: u64,
    /// What comes back in what we say.
    slots: Vec<Vec<u8>>,
    /// The datagram that came last.
    last: Vec<u8>,
    /// When something came last.
    came: Duration,
    /// Did something come since the last turn was over? Where anything is one.
    news: bool,
    /// Where the first byte stood that was another one, though it may be.
    differs: Option<u64>,
}

impl Listener {
    /// To the first turn of the peer.
    pub(crate) fn new(script: &Script) -> Self {
        let mut listener = Self {
            at: 0,
            hearing: Hearing::default(),
            waiting: Vec::new(),
            heard: 0,
            slots: script.slots().iter().map(|_| Vec::new()).collect(),
            last: Vec::new(),
            came: Duration::ZERO,
            news: false,
            differs: None,
        };
        listener.find_turn(script, 0);
        // A turn of which nothing is awaited is over at once.
        let _ = listener.listen(script);
        listener
    }

    /// Is the turn of this step over?
    pub(crate) fn is_past(&self, step: usize) -> bool {
        self.at > step
    }

    /// Bytes of the turn that came.
    pub(crate) fn taken(&self) -> u64 {
        self.hearing.taken()
    }

    /// Where in the turn the next byte stands, missing bytes counted.
    pub(crate) fn place(&self, hear: &Hear) -> u64 {
        hear.with_gaps(self.hearing.taken())
    }

    /// What comes back in what we say.
    pub(crate) fn slots(&self) -> &[Vec<u8>] {
        &self.slots
    }

    /// When something came last.
    pub(crate) fn came(&self) -> Duration {
        self.came
    }

    /// Where in what the peer sent the first byte stood that was another one, though it may be.
    pub(crate) fn differs(&self, script: &Script) -> Option<u64> {
        self.differs.or_else(|| self.differs_now(script))
    }

    /// The same of the turn that is heard now.
    fn differs_now(&self, script: &Script) -> Option<u64> {
        let (step, hear) = self.turn(script)?;
        Some(step.offset.saturating_add(hear.with_gaps(self.hearing.differs()?)))
    }

    /// Something came; what of it is not as it must be.
    pub(crate) fn take(
        &mut self,
        script: &Script,
        bytes: &[u8],
        now: Duration,
    ) -> Option<Divergence> {
        self.came = now;
        let is_datagram = script.recording().transport() == Transport::Udp;
        match (&script.rules().wait, self.turn(script)) {
            (Wait::Any | Wait::None, turn) => {
                // A datagram is a turn at once; of a stream, silence ends it.
                self.news = !is_datagram;
                if let Some((_, hear)) = turn {
                    self.hearing.accept(hear, bytes, &mut self.slots);
                    if is_datagram {
                        self.next_turn(script);
                    }
                }
                None
            }
            (_, turn) if is_datagram => {
                let repeats = !bytes.is_empty() && self.last == bytes;
                let before = repeats.then(|| (self.slots.clone(), self.heard));
                let divergence = self.take_datagram(script, turn, bytes);
                if let (Some(before), Some(_)) = (before, &divergence) {
                    // It says again what it said, since its answer is late: what is awaited may come yet, and nothing
                    // of that has, since a datagram is a turn.
                    (self.slots, self.heard) = before;
                    self.hearing = Hearing::default();
                    return None;
                }
                self.last.clear();
                self.last.extend_from_slice(bytes);
                divergence
            }
            _ => {
                self.waiting.extend_from_slice(bytes);
                self.listen(script)
            }
        }
    }

    /// The turn that is heard now.
    fn turn<'a>(&self, script: &'a Script) -> Option<(&'a Step, &'a Hear)> {
        let step = script.steps().get(self.at)?;
        match &step.act {
            Act::Hear(hear) => Some((step, hear)),
            _ => None,
        }
    }

    /// Goes on to the next turn.
    fn next_turn(&mut self, script: &Script) {
        self.differs = self.differs.or_else(|| self.differs_now(script));
        if let Some((_, hear)) = self.turn(script) {
            self.hearing.carry(hear, &mut self.slots);
        }
        self.hearing = Hearing::default();
        self.find_turn(script, self.at + 1);
    }

    fn find_turn(&mut self, script: &Script, from: usize) {
        let rest = script.steps().get(from..).unwrap_or_default();
        let next = rest.iter().position(|step| matches!(step.act, Act::Hear(_)));
        self.at = next.map_or(script.steps().len(), |next| from + next);
    }

    /// Takes what came into the turns it belongs to.
    fn listen(&mut self, script: &Script) -> Option<Divergence> {
        let is_stream = script.recording().transport() == Transport::Tcp;
        if matches!(script.rules().wait, Wait::Any | Wait::None) || !is_stream {
            return None;
        }
        let (mut at, mut divergence) = (0, None);
        while let Some((step, hear)) = self.turn(script) {
            let rest = self.waiting.get(at..).unwrap_or_default();
            let (taken, heard) = self.hearing.take(script, hear, rest, &mut self.slots);
            at += taken;
            match heard {
                Heard::More => break,
                Heard::Whole => self.next_turn(script),
                Heard::Differs(difference) => {
                    divergence = Some(diverged(script, step, difference));
                    break;
                }
            }
        }
        self.drop_waiting(at);
        let most = if matches!(script.rules().wait, Wait::Bytes) { 0 } else { MAX_SURPLUS };
        let too_much = self.turn(script).is_none() && self.waiting.len() > most;
        divergence.or_else(|| self.surplus(script).filter(|_| too_much))
    }

    /// So many of the bytes that wait belong to turns.
    fn drop_waiting(&mut self, taken: usize) {
        let taken = taken.min(self.waiting.len());
        self.waiting.drain(..taken);
        self.heard = self.heard.saturating_add(taken as u64);
    }

    fn take_datagram(
        &mut self,
        script: &Script,
        turn: Option<(&Step, &Hear)>,
        bytes: &[u8],
    ) -> Option<Divergence> {
        let Some((step, hear)) = turn else {
            return Some(self.surplus_of(script, bytes));
        };
        let (mut taken, mut heard) = self.hearing.take(script, hear, bytes, &mut self.slots);
        if heard == Heard::More {
            let rest = bytes.get(taken..).unwrap_or_default();
            let (more, now) = self.hearing.rest(hear, rest, &mut self.slots);
            (taken, heard) = (taken + more, now);
        }
        self.heard = self.heard.saturating_add(bytes.len() as u64);
        let any_length = matches!(script.rules().wait, Wait::Regex(_));
        match heard {
            Heard::Whole if taken == bytes.len() || any_length => {
                self.next_turn(script);
                None
            }
            Heard::Differs(difference) => Some(diverged(script, step, difference)),
            Heard::Whole | Heard::More => {
                let beyond = bytes.get(taken..).unwrap_or_default();
                let difference = self.hearing.other_length(hear, script, beyond);
                Some(diverged(script, step, difference))
            }
        }
    }

    /// When it is clear that the turn of this step is over, if its silence makes it so.
    pub(crate) fn quiet_until(&mut self, script: &Script, step: usize) -> Option<Duration> {
        let (_, hear) = self.turn(script).filter(|_| self.at == step)?;
        let depends = match script.rules().wait {
            Wait::Any => self.news,
            _ => self.hearing.may_rest(hear),
        };
        depends.then(|| self.came.saturating_add(QUIET))
    }

    /// The peer was silent for that long, or has ended.
    pub(crate) fn take_quiet(&mut self, script: &Script) -> Option<Divergence> {
        let (_, hear) = self.turn(script)?;
        if matches!(script.rules().wait, Wait::Any) {
            self.news = false;
            self.next_turn(script);
            return None;
        }
        let (taken, heard) = self.hearing.rest(hear, &self.waiting, &mut self.slots);
        self.drop_waiting(taken);
        if heard != Heard::Whole {
            return None;
        }
        self.next_turn(script);
        self.listen(script)
    }

    /// What came after all that was recorded.
    pub(crate) fn surplus(&self, script: &Script) -> Option<Divergence> {
        (!self.waiting.is_empty()).then(|| self.surplus_of(script, &self.waiting))
    }

    fn surplus_of(&self, script: &Script, bytes: &[u8]) -> Divergence {
        let difference = Difference {
            unlike: Unlike::Surplus,
            in_turn: 0,
            before: Vec::new(),
            expected: Vec::new(),
            received: bytes.iter().take(SHOWN_SURPLUS).copied().collect(),
        };
        let offset = self.heard.saturating_add(script.left_out());
        let at = Place { side: script.peer(), turn: script.turns() + 1, offset };
        Divergence { at, difference }
    }
}

fn diverged(script: &Script, step: &Step, difference: Difference) -> Divergence {
    let in_turn = match &step.act {
        Act::Hear(hear) => hear.with_gaps(difference.in_turn),
        _ => difference.in_turn,
    };
    let offset = step.offset.saturating_add(in_turn);
    Divergence { at: Place { side: script.peer(), turn: step.turn, offset }, difference }
}
