//! What one side does in a recording, and what it waits for.

use crate::pattern::Pattern;
use crate::recording::{Event, Finish, Recording, Transport, What};
use crate::rules::{Rules, Wait, overlap};
use flow::Side;
use std::ops::Range;
use std::sync::Arc;

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
    /// How long what the peer sends back in each slot is.
    slots: Vec<usize>,
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

/// What a step is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// We send what one packet brought.
    Say(Vec<Part>),
    /// The peer's turn.
    Hear(Box<Hear>),
    /// We end.
    Finish(Finish),
    /// The peer ends.
    HearFinish,
}

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
    /// What of it comes back in what we say.
    pub(crate) catches: Vec<Catch>,
    /// So many bytes it had.
    pub(crate) len: u64,
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

    /// How many turns there are, of both sides.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Do we begin?
    pub fn speaks_first(&self) -> bool {
        let first = self.steps.iter().find(|step| matches!(step.act, Act::Say(_) | Act::Hear(_)));
        first.is_none_or(|step| matches!(step.act, Act::Say(_)))
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

    pub(crate) fn slots(&self) -> &[usize] {
        &self.slots
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

/// Writes a script.
struct Writer<'a> {
    recording: &'a Recording,
    rules: &'a Rules,
    side: Side,
    fill: Fill,
    steps: Vec<Step>,
    slots: Vec<usize>,
    turn: u64,
    /// Whose turn it is.
    speaker: Option<Side>,
    /// Where each side is in what it sends.
    offsets: [u64; 2],
    /// The peer's first turn.
    first: Option<Box<Hear>>,
    first_bytes: Range<usize>,
    /// Where the peer's turns that are heard stand, to be looked up by echoes: the latest last.
    heard: Vec<(usize, Range<usize>)>,
}

/// An echo is looked for in so many turns of the peer.
const ECHO_REACH: usize = 64;

impl<'a> Writer<'a> {
    fn new(recording: &'a Recording, rules: &'a Rules, side: Side, fill: Fill) -> Self {
        Self {
            recording,
            rules,
            side,
            fill,
            steps: Vec::new(),
            slots: Vec::new(),
            turn: 0,
            speaker: None,
            offsets: [0; 2],
            first: None,
            first_bytes: 0..0,
            heard: Vec::new(),
        }
    }

    fn write(&mut self) {
        let recording = self.recording;
        let mut events = recording.events();
        while let Some((event, _)) = events.split_first() {
            let run = match event.what {
                What::Finish(finish) => {
                    self.finish(event, finish);
                    1
                }
                _ if event.side == self.side => {
                    self.say(event);
                    1
                }
                _ => self.hear(events),
            };
            events = events.get(run..).unwrap_or_default();
        }
    }

    fn finish(&mut self, event: &Event, finish: Finish) {
        let act = if event.side == self.side { Act::Finish(finish) } else { Act::HearFinish };
        self.add(event, act);
    }

    fn add(&mut self, event: &Event, act: Act) {
        let offset = self.offsets[event.side.index()];
        self.steps.push(Step { at: event.at, turn: self.turn, offset, act });
    }

    /// `side` speaks.
    fn turn_of(&mut self, side: Side) {
        if self.speaker != Some(side) || self.recording.transport() == Transport::Udp {
            self.turn += 1;
            self.speaker = Some(side);
        }
    }

    /// What one packet of ours brought.
    fn say(&mut self, event: &Event) {
        self.turn_of(event.side);
        let (bytes, missing) = extent(event.what);
        if bytes.is_empty() && missing > 0 && self.fill == Fill::Skip {
            self.pass(event.side, 0, missing);
            return;
        }
        let mut parts = self.said(bytes.clone());
        if missing > 0 && self.fill == Fill::Zero {
            parts.push(Part::Zeros(missing));
        }
        self.add(event, Act::Say(parts));
        self.pass(event.side, bytes.len(), missing);
    }

    fn pass(&mut self, side: Side, bytes: usize, missing: u64) {
        let offset = &mut self.offsets[side.index()];
        *offset = offset.saturating_add(bytes as u64).saturating_add(missing);
    }

    /// Bytes of ours, those that come from the peer taken out.
    fn said(&mut self, bytes: Range<usize>) -> Vec<Part> {
        let mut parts = Vec::with_capacity(1);
        let mut from = bytes.start;
        for echo in &self.rules.echoes {
            let place = within(&bytes, echo.offset, echo.len);
            let Some(place) = place.filter(|place| place.start >= from) else { continue };
            let Some(slot) = self.echo_of(place.clone(), echo.offset) else { continue };
            push_recorded(&mut parts, from..place.start);
            from = place.end;
            parts.push(Part::Heard(slot, place));
        }
        push_recorded(&mut parts, from..bytes.end);
        parts
    }

    /// The slot for what stands at `place` in our bytes, if the peer said the same there before.
    fn echo_of(&mut self, place: Range<usize>, offset: u64) -> Option<usize> {
        let all = self.recording.bytes();
        let ours = all.get(place.clone())?;
        let len = place.len();
        let mut near = self.heard.iter().rev().take(ECHO_REACH);
        let (step, _) = near.find(|(_, turn)| {
            within(turn, offset, len as u64).is_some_and(|theirs| all.get(theirs) == Some(ours))
        })?;
        let step = *step;
        let Some(Step { act: Act::Hear(hear), .. }) = self.steps.get_mut(step) else { return None };
        let known = hear.catches.iter().find(|catch| (catch.offset, catch.len) == (offset, len));
        if let Some(catch) = known {
            return Some(catch.slot);
        }
        let slot = self.slots.len();
        self.slots.push(len);
        hear.catches.push(Catch { offset, len, slot });
        Some(slot)
    }

    /// An unbroken run of the peer; how many events it has.
    fn hear(&mut self, events: &[Event]) -> usize {
        let Some(first) = events.first() else { return 0 };
        self.turn_of(first.side);
        let run = match self.recording.transport() {
            Transport::Udp => 1,
            Transport::Tcp => events
                .iter()
                .take_while(|event| {
                    event.side == first.side && !matches!(event.what, What::Finish(_))
                })
                .count(),
        };
        let events = events.get(..run).unwrap_or_default();
        let begins = self.offsets[first.side.index()];
        let mut at = begins;
        let mut hear = Hear::default();
        let mut opening = self.first.is_none().then(Hear::default);
        let mut whole: Option<Range<usize>> = None;
        for stretch in stretches(events) {
            match stretch {
                Stretch::Bytes(range) => {
                    if let Some(opening) = &mut opening {
                        self.expect_bytes(opening, range.clone(), at, at - begins);
                    }
                    self.expect(&mut hear, range.clone(), at, at - begins);
                    at = at.saturating_add(range.len() as u64);
                    whole = Some(whole.map_or(range.start, |whole| whole.start)..range.end);
                }
                Stretch::Missing(missing) => {
                    hear.miss(missing, self.fill);
                    if let Some(opening) = &mut opening {
                        opening.miss(missing, self.fill);
                    }
                    at = at.saturating_add(missing);
                }
            }
        }
        self.offsets[first.side.index()] = at;
        if hear.len == 0 && at > begins {
            // Nothing of it was captured, and that is skipped.
            return run;
        }
        let whole = whole.unwrap_or_default();
        if let Some(opening) = opening {
            self.first = Some(Box::new(opening));
            self.first_bytes = whole.clone();
        }
        self.remember(whole);
        let (when, turn) = (events.last().unwrap_or(first).at, self.turn);
        let act = Act::Hear(Box::new(hear));
        self.steps.push(Step { at: when, turn, offset: begins, act });
        run
    }

    /// The next step is this turn of the peer.
    fn remember(&mut self, turn: Range<usize>) {
        if self.rules.echoes.is_empty() {
            return;
        }
        self.heard.push((self.steps.len(), turn));
        if self.heard.len() > 2 * ECHO_REACH {
            self.heard.drain(..ECHO_REACH);
        }
    }

    /// The peer sends these bytes, or what stands for them.
    fn expect(&self, hear: &mut Hear, range: Range<usize>, offset: u64, in_turn: u64) {
        let Some(bytes) = self.recording.bytes().get(range.clone()) else { return };
        hear.len = hear.len.saturating_add(bytes.len() as u64);
        match &self.rules.wait {
            Wait::Any | Wait::None => {}
            Wait::Length => hear.push(Piece::Loose(range)),
            Wait::Regex(pattern) => match pattern.count_ends(bytes) {
                0 => hear.push(Piece::Loose(range)),
                ends => hear.push(Piece::Ends(pattern.clone(), ends)),
            },
            Wait::Bytes => self.expect_bytes(hear, range, offset, in_turn),
        }
    }

    fn expect_bytes(&self, hear: &mut Hear, range: Range<usize>, offset: u64, in_turn: u64) {
        let bytes = self.recording.bytes().get(range.clone()).unwrap_or_default();
        let mut from = 0;
        let fixed = self.fixed(offset, in_turn, bytes.len());
        for (pattern, found) in self.ignored(bytes) {
            push_fixed(hear, &range, from..found.start, &fixed);
            let of_recording = range.start + found.start..range.start + found.end;
            hear.push(Piece::Pattern(pattern.clone(), of_recording));
            from = found.end;
        }
        push_fixed(hear, &range, from..bytes.len(), &fixed);
    }

    /// What patterns match in the peer's bytes, in order and without overlaps: whoever begins first, the longest
    /// of those.
    fn ignored(&self, bytes: &[u8]) -> Vec<(&'a Pattern, Range<usize>)> {
        let patterns = self.rules.ignores.iter();
        let mut all: Vec<_> = patterns
            .flat_map(|pattern| pattern.find_all(bytes).map(move |range| (pattern, range)))
            .collect();
        all.sort_by_key(|(_, range)| (range.start, usize::MAX - range.end));
        let mut from = 0;
        all.retain(|(_, range)| {
            let is_free = range.start >= from;
            from = if is_free { range.end } else { from };
            is_free
        });
        all
    }

    /// What of the peer's bytes may be any, in order, counted from their beginning.
    fn fixed(&self, offset: u64, in_turn: u64, len: usize) -> Vec<Range<usize>> {
        let len = len as u64;
        let masks = self.rules.masks.iter().filter_map(|mask| mask.covers(offset, in_turn, len));
        let echoes = self.rules.echoes.iter().filter_map(|echo| {
            overlap(echo.offset..echo.offset.saturating_add(echo.len), in_turn, len)
        });
        // They fit: they are within a length that does.
        let mut all: Vec<_> =
            masks.chain(echoes).map(|range| range.start as usize..range.end as usize).collect();
        all.sort_by_key(|range| (range.start, range.end));
        all
    }

    /// The recording does not tell when our side ended.
    fn add_half_close(&mut self, half_close: HalfClose) {
        let ours = self.steps.iter().rposition(|step| matches!(step.act, Act::Say(_)));
        let place = match (half_close, ours) {
            (HalfClose::AfterOurs, Some(last)) => last + 1,
            _ => self.steps.len(),
        };
        let before = place.checked_sub(1).and_then(|before| self.steps.get(before));
        let (at, turn) = before.map_or((0, 0), |step| (step.at, step.turn));
        let offset = self.offsets[self.side.index()];
        self.steps.insert(place, Step { at, turn, offset, act: Act::Finish(Finish::Fin) });
    }
}

/// The bytes of an event, and how many are missing after them.
fn extent(what: What) -> (Range<usize>, u64) {
    match what {
        What::Data { start, len, cut } => (start..start.saturating_add(len), cut),
        What::Gap(len) => (0..0, len),
        What::Finish(_) => (0..0, 0),
    }
}

/// A part of a run: bytes that stand together in the recording, or so many that are missing.
enum Stretch {
    Bytes(Range<usize>),
    Missing(u64),
}

/// The parts of one side's run.
fn stretches(events: &[Event]) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for event in events {
        let (range, missing) = extent(event.what);
        match all.last_mut() {
            Some(Stretch::Bytes(before)) if before.end == range.start => before.end = range.end,
            _ if range.is_empty() => {}
            _ => all.push(Stretch::Bytes(range)),
        }
        if missing > 0 {
            all.push(Stretch::Missing(missing));
        }
    }
    all
}

/// `len` bytes at `offset` of those in `range`, if they are all there.
fn within(range: &Range<usize>, offset: u64, len: u64) -> Option<Range<usize>> {
    let start = range.start.checked_add(usize::try_from(offset).ok()?)?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    (end <= range.end).then_some(start..end)
}

fn push_recorded(parts: &mut Vec<Part>, range: Range<usize>) {
    if !range.is_empty() {
        parts.push(Part::Recorded(range));
    }
}

/// Bytes that must come as they are, but for those in `any`.
fn push_fixed(hear: &mut Hear, all: &Range<usize>, part: Range<usize>, any: &[Range<usize>]) {
    let mut from = part.start;
    let exact = |range: Range<usize>| all.start + range.start..all.start + range.end;
    for masked in any {
        let (start, end) = (masked.start.max(from), masked.end.min(part.end));
        if start < end {
            hear.push(Piece::Exact(exact(from..start)));
            hear.push(Piece::Any((end - start) as u64));
            from = end;
        }
    }
    hear.push(Piece::Exact(exact(from..part.end)));
}

impl Hear {
    /// An empty piece is none.
    fn push(&mut self, piece: Piece) {
        let is_empty = match &piece {
            Piece::Exact(range) | Piece::Loose(range) => range.is_empty(),
            Piece::Any(len) => *len == 0,
            Piece::Pattern(..) | Piece::Ends(..) => false,
        };
        if !is_empty {
            self.pieces.push(piece);
        }
    }

    /// Bytes that were not captured.
    fn miss(&mut self, missing: u64, fill: Fill) {
        if fill == Fill::Zero {
            self.len = self.len.saturating_add(missing);
            self.push(Piece::Any(missing));
        }
    }
}
