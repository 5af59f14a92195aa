//! One play: what to do next, as what was received and the time have it. It does no I/O and reads no clock.

use crate::listener::Listener;
use crate::outcome::{Ending, Outcome, Place, Standstill, Waiting};
use crate::recording::{Finish, Transport};
use crate::rules::Wait;
use crate::script::{Act, Hear, Part, Said, Script, Slot, Step};
use std::sync::Arc;
use std::time::Duration;

/// When things are done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    /// How many times faster than recorded; `None` is without any delay.
    pub speed: Option<f64>,
    /// How much longer than in the recording a turn of the peer may take, or how long it may take nothing of
    /// what we send; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long the peer has to close when all is said.
    pub linger: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            speed: Some(1.0),
            timeout: Some(Duration::from_secs(30)),
            linger: Duration::from_secs(2),
        }
    }
}

/// How the peer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerEnd {
    /// It sends no more.
    Closed,
    /// It broke off.
    Reset,
}

/// What is to be done next.
#[derive(PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// Send: then say how many bytes were [sent](Player::sent).
    Send {
        /// Of a stream as many of these as go, a datagram as it is.
        bytes: &'a [u8],
        /// Until when it may take, counted from the beginning of the play; then ask again.
        until: Option<Duration>,
    },
    /// Nothing, until something comes or until then, counted from the beginning of the play.
    Wait(Option<Duration>),
    /// The same, for a peer that has ended and is to break off yet: reading does not tell that.
    Watch(Option<Duration>),
    /// End our direction.
    Fin,
    /// Break off when the peer has what was said before, and say how [that went](Player::reset): the play is over then.
    Rst,
    /// The play is over.
    Over,
}

/// Zero bytes for those that were not captured.
static ZEROS: [u8; 1 << 14] = [0; 1 << 14];

/// A recording being played to somebody.
#[derive(Debug)]
pub struct Player {
    script: Arc<Script>,
    pace: Pace,
    /// The step that is to be done, and how many bytes of it were said.
    at: usize,
    said: u64,
    /// What the peer says, and how far it is.
    listener: Listener,
    /// What one packet of ours brings, where it has to be put together: a datagram, or bytes some of which are the
    /// peer's.
    packet: Vec<u8>,
    /// When the step became the next, and which time of the recording that is.
    entered: Duration,
    anchor: (Duration, i64),
    /// When something was sent last.
    progress: Duration,
    peer: Option<PeerEnd>,
    finished: bool,
    ending: Option<Ending>,
    sent: u64,
    received: u64,
    now: Duration,
}

impl Player {
    /// A play that begins now, at time 0.
    pub fn new(script: Arc<Script>, pace: Pace) -> Self {
        Self {
            listener: Listener::new(&script),
            script,
            pace,
            at: 0,
            said: 0,
            packet: Vec::new(),
            entered: Duration::ZERO,
            anchor: (Duration::ZERO, 0),
            progress: Duration::ZERO,
            peer: None,
            finished: false,
            ending: None,
            sent: 0,
            received: 0,
            now: Duration::ZERO,
        }
    }

    /// What is played.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// Is there room for what the peer sends?
    pub fn wants_more(&self) -> bool {
        self.ending.is_none() && self.peer.is_none()
    }

    /// Has our direction ended?
    pub fn has_finished(&self) -> bool {
        self.finished
    }

    /// How it ended, when it is over.
    pub fn outcome(self) -> Outcome {
        // Who waits for an end has had the turn before it.
        let rest = self.script.steps().get(self.at..).unwrap_or_default();
        let next = rest.iter().find(|step| matches!(step.act, Act::Say(_) | Act::Hear(_)));
        let turn = next.map(|step| step.turn.saturating_sub(1));
        Outcome {
            ending: self.ending.unwrap_or(Ending::Stopped),
            turns: turn.unwrap_or(self.script.turns()),
            sent: self.sent,
            received: self.received,
            differs: self.listener.differs(&self.script),
            reset: self.peer == Some(PeerEnd::Reset),
            took: self.now,
        }
    }

    /// The play cannot go on.
    pub fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// We broke off; had the peer all that was said before?
    pub fn reset(&mut self, all_gone: bool, now: Duration) {
        self.now = now;
        let side = self.script.side();
        let at = Place { side, turn: self.script.turns(), offset: self.sent };
        self.end(match all_gone {
            true => Ending::Done,
            false => Ending::TimedOut(Standstill { at, waiting: Waiting::Room }),
        });
    }

    /// The connection broke, for this reason.
    pub fn break_off(&mut self, why: String) {
        let script = self.script.clone();
        let side = script.peer();
        let end = Place { side, turn: script.turns(), offset: self.received };
        let at = script.steps().get(self.at).map_or(end, |step| self.place(step));
        self.end(Ending::Broken(at, why));
    }

    /// The peer has said nothing for too long already.
    pub fn time_out(&mut self) {
        let script = self.script.clone();
        if let Some(step) = script.steps().get(self.at) {
            let at = self.place(step);
            let waiting = match &step.act {
                Act::Hear(hear) => Waiting::Turn { come: self.listener.taken(), of: hear.len },
                Act::HearFinish(_) => Waiting::End,
                Act::Say(_) | Act::Finish(_) => Waiting::Room,
            };
            self.end(Ending::TimedOut(Standstill { at, waiting }));
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Duration) -> Next<'_> {
        self.now = now;
        let todo = loop {
            if let Some(todo) = self.step() {
                break todo;
            }
        };
        match todo {
            Todo::Send(until) => Next::Send { bytes: self.to_send(), until },
            Todo::Wait(until) => Next::Wait(until),
            Todo::Watch(until) => Next::Watch(until),
            Todo::Fin => Next::Fin,
            Todo::Rst => Next::Rst,
            Todo::Over => Next::Over,
        }
    }

    /// Does one thing of the script, or tells what it needs; `None` where there may be more to do at once.
    fn step(&mut self) -> Option<Todo> {
        if self.ending.is_some() {
            return Some(Todo::Over);
        }
        let script = self.script.clone();
        let Some(step) = script.steps().get(self.at) else { return self.drain() };
        match &step.act {
            Act::Hear(hear) => return self.wait_for(step, hear).map(Todo::Wait),
            Act::HearFinish(finish) => {
                let until = self.wait_for_end(step, *finish)?;
                return Some(match self.peer {
                    None => Todo::Wait(until),
                    Some(_) => Todo::Watch(until),
                });
            }
            Act::Say(_) | Act::Finish(_) => {}
        }
        let due = self.due(step);
        if self.now < due {
            return Some(Todo::Wait(Some(due)));
        }
        match &step.act {
            Act::Finish(finish) => Some(self.finish(*finish)),
            Act::Say(said) => self.say(step, said),
            Act::Hear(_) | Act::HearFinish(_) => None,
        }
    }

    /// The next step.
    fn pass(&mut self) {
        self.at += 1;
        self.said = 0;
        self.packet.clear();
        (self.entered, self.progress) = (self.now, self.now);
    }

    /// What the recording has at `at` has come to pass now.
    fn anchor(&mut self, at: i64) {
        self.anchor = (self.now, at);
    }

    /// When the step is to be done, or was done in the recording.
    fn due(&self, step: &Step) -> Duration {
        let Some(speed) = self.pace.speed else { return Duration::ZERO };
        let (then, at) = self.anchor;
        let later = u64::try_from(step.at.saturating_sub(at)).unwrap_or(0);
        let later = Duration::from_nanos(later).as_secs_f64() / speed;
        then.saturating_add(Duration::try_from_secs_f64(later).unwrap_or(Duration::MAX))
    }

    /// Until when something may take that is due then.
    fn deadline(&self, due: Duration) -> Option<Duration> {
        Some(due.max(self.entered).saturating_add(self.pace.timeout?))
    }

    fn say(&mut self, step: &Step, said: &Said) -> Option<Todo> {
        if self.peer == Some(PeerEnd::Reset) {
            self.end(Ending::PeerClosed { at: self.place(step), reset: true });
            return None;
        }
        // Until when the peer may take nothing of it.
        let until = self.deadline(self.due(step).max(self.progress));
        if until.is_some_and(|until| self.now >= until) {
            let at = self.place(step);
            self.end(Ending::TimedOut(Standstill { at, waiting: Waiting::Room }));
            return None;
        }
        if self.said == 0 {
            self.put_together(said);
        }
        Some(Todo::Send(until))
    }

    /// Puts together what goes as one, unless it stands so in the recording.
    fn put_together(&mut self, said: &Said) {
        self.packet.clear();
        let is_datagram = self.script.recording().transport() == Transport::Udp;
        if matches!(said, Said::One(_)) && !is_datagram {
            return;
        }
        for part in said.parts() {
            let left = MAX_DATAGRAM.saturating_sub(self.packet.len());
            match part {
                Part::Zeros(len) => {
                    let len = usize::try_from(*len).unwrap_or(usize::MAX).min(left);
                    self.packet.resize(self.packet.len() + len, 0);
                }
                _ => {
                    let bytes = part_bytes(&self.script, self.listener.slots(), part, 0);
                    self.packet.extend_from_slice(bytes);
                }
            }
        }
    }

    /// What is to be sent now.
    fn to_send(&self) -> &[u8] {
        let Some(Step { act: Act::Say(said), .. }) = self.script.steps().get(self.at) else {
            return &[];
        };
        match said {
            Said::One(part) if self.packet.is_empty() => {
                part_bytes(&self.script, self.listener.slots(), part, self.said)
            }
            _ => {
                let said = usize::try_from(self.said).unwrap_or(usize::MAX);
                self.packet.get(said..).unwrap_or_default()
            }
        }
    }

    /// So many bytes were sent of those that were to be; a datagram is sent as a whole.
    pub fn sent(&mut self, bytes: usize, now: Duration) {
        (self.now, self.progress) = (now, now);
        self.sent += bytes as u64;
        self.said += bytes as u64;
        let script = self.script.clone();
        let Some(Step { act: Act::Say(said), .. }) = script.steps().get(self.at) else { return };
        let all = match said {
            Said::One(part) if self.packet.is_empty() => {
                len_of(&script, self.listener.slots(), part)
            }
            _ => self.packet.len() as u64,
        };
        if self.said >= all || script.recording().transport() == Transport::Udp {
            self.pass();
        }
    }

    fn finish(&mut self, finish: Finish) -> Todo {
        self.pass();
        self.finished = true;
        match finish {
            Finish::Fin => Todo::Fin,
            Finish::Rst => Todo::Rst,
        }
    }

    /// The peer's turn: until when to wait for it; `None` when there is something else to do.
    fn wait_for(&mut self, step: &Step, hear: &Hear) -> Option<Option<Duration>> {
        if matches!(self.script.rules().wait, Wait::None) {
            self.pass();
            return None;
        }
        let deadline = self.deadline(self.due(step));
        let is_late = deadline.is_some_and(|deadline| self.now >= deadline);
        if let Some(quiet) = self.listener.quiet_until(&self.script, self.at) {
            if self.now < quiet && self.peer.is_none() && !is_late {
                return Some(Some(quiet.min(deadline.unwrap_or(quiet))));
            }
            if self.now >= quiet || self.peer.is_some() {
                let divergence = self.listener.take_quiet(&self.script);
                self.ending = self.ending.take().or(divergence.map(Ending::Diverged));
            }
        }
        if self.listener.is_past(self.at) {
            self.pass();
            self.anchor(step.at);
            return None;
        }
        if self.ending.is_some() {
            return None;
        }
        let at = self.place(step);
        if let Some(peer) = self.peer {
            self.end(Ending::PeerClosed { at, reset: peer == PeerEnd::Reset });
            return None;
        }
        if is_late {
            let waiting = Waiting::Turn { come: self.listener.taken(), of: hear.len };
            self.end(Ending::TimedOut(Standstill { at, waiting }));
            return None;
        }
        Some(deadline)
    }

    /// The peer's end: until when to wait for it.
    fn wait_for_end(&mut self, step: &Step, finish: Finish) -> Option<Option<Duration>> {
        if matches!(self.script.rules().wait, Wait::None) {
            self.pass();
            return None;
        }
        let has_ended = match finish {
            Finish::Fin => self.peer.is_some(),
            Finish::Rst => self.peer == Some(PeerEnd::Reset),
        };
        if has_ended {
            self.pass();
            self.anchor(step.at);
            return None;
        }
        let due = self.due(step).max(self.entered);
        let matters = self.at < self.script.said_until() && self.peer.is_none();
        let until = match matters {
            true => self.deadline(due),
            false => Some(due.saturating_add(self.pace.linger)),
        };
        if until.is_some_and(|until| self.now >= until) {
            if matters {
                let at = self.place(step);
                self.end(Ending::TimedOut(Standstill { at, waiting: Waiting::End }));
            } else {
                self.pass();
            }
            return None;
        }
        Some(until)
    }

    /// All is said and heard: the peer may close, and must not say more.
    fn drain(&mut self) -> Option<Todo> {
        if let Some(divergence) = self.listener.surplus(&self.script) {
            self.end(Ending::Diverged(divergence));
            return None;
        }
        let until = self.entered.max(self.listener.came()).saturating_add(self.pace.linger);
        let until = until.min(self.deadline(Duration::ZERO).unwrap_or(Duration::MAX));
        let is_over = self.peer.is_some()
            || self.script.recording().transport() == Transport::Udp
            || self.now >= until;
        if is_over {
            self.end(Ending::Done);
            return None;
        }
        Some(Todo::Wait(Some(until)))
    }

    /// Where a step stands; in a turn of the peer what has come counts.
    fn place(&self, step: &Step) -> Place {
        let (side, come) = match &step.act {
            Act::Say(_) | Act::Finish(_) => (self.script.side(), self.said),
            Act::Hear(hear) => (self.script.peer(), self.listener.place(hear)),
            Act::HearFinish(_) => (self.script.peer(), 0),
        };
        Place { side, turn: step.turn, offset: step.offset.saturating_add(come) }
    }

    /// Something came: bytes of a stream, or a datagram.
    pub fn received(&mut self, bytes: &[u8], now: Duration) {
        self.now = now;
        self.received += bytes.len() as u64;
        if self.ending.is_none()
            && let Some(divergence) = self.listener.take(&self.script, bytes, now)
        {
            self.end(Ending::Diverged(divergence));
        }
    }

    /// The peer ended.
    pub fn peer_ended(&mut self, how: PeerEnd, now: Duration) {
        self.now = now;
        self.peer = Some(how);
    }
}

/// No datagram is larger.
const MAX_DATAGRAM: usize = 65_535;

/// What is to be done, without what it needs.
enum Todo {
    Send(Option<Duration>),
    Wait(Option<Duration>),
    Watch(Option<Duration>),
    Fin,
    Rst,
    Over,
}

/// Bytes of a part, from `said` on; some of them where they are many.
fn part_bytes<'a>(script: &'a Script, slots: &'a [Vec<u8>], part: &Part, said: u64) -> &'a [u8] {
    let all = match part {
        Part::Zeros(len) => {
            let left = usize::try_from(len.saturating_sub(said)).unwrap_or(usize::MAX);
            return ZEROS.get(..left).unwrap_or(&ZEROS);
        }
        Part::Recorded(range) => script.recording().bytes().get(range.clone()).unwrap_or_default(),
        Part::Heard(slot, range) => heard(script, slots, *slot).unwrap_or_else(|| {
            // What the peer did not say is as recorded.
            script.recording().bytes().get(range.clone()).unwrap_or_default()
        }),
    };
    let said = usize::try_from(said).unwrap_or(usize::MAX);
    all.get(said..).unwrap_or_default()
}

/// What the peer said that comes back.
fn heard<'a>(script: &Script, slots: &'a [Vec<u8>], slot: usize) -> Option<&'a [u8]> {
    let heard = slots.get(slot)?;
    let is_there = match script.slots().get(slot)? {
        Slot::Place(len) => heard.len() == *len,
        Slot::Group => !heard.is_empty(),
    };
    is_there.then_some(heard)
}

/// How many bytes a part has.
fn len_of(script: &Script, slots: &[Vec<u8>], part: &Part) -> u64 {
    match part {
        Part::Zeros(len) => *len,
        Part::Recorded(_) | Part::Heard(..) => part_bytes(script, slots, part, 0).len() as u64,
    }
}
