//! Writing a script: event by event of a recording, from the view of one side.

use super::{Act, Carry, Catch, Fill, HalfClose, Hear, Part, Piece, Said, Slot, Step};
use crate::pattern::Pattern;
use crate::recording::{Event, Finish, Recording, Transport, What};
use crate::rules::{Rules, Wait, overlap};
use flow::Side;
use memchr::memmem;
use std::collections::VecDeque;
use std::ops::Range;

/// Writes a script.
pub(super) struct Writer<'a> {
    recording: &'a Recording,
    rules: &'a Rules,
    side: Side,
    fill: Fill,
    pub(super) steps: Vec<Step>,
    pub(super) slots: Vec<Slot>,
    pub(super) turn: u64,
    /// Whose turn it is.
    speaker: Option<Side>,
    /// What it said so far.
    in_turn: usize,
    /// Where each side is in what it sends.
    offsets: [u64; 2],
    /// The peer's first turn.
    pub(super) first: Option<Box<Hear>>,
    pub(super) first_bytes: Range<usize>,
    /// Where the peer's turns that are heard stand, to be looked up by echoes: the latest last.
    heard: Vec<(usize, Range<usize>)>,
    /// What the peer said that comes back: where it stands, and its slot; the latest last.
    carried: VecDeque<(Range<usize>, usize)>,
}

/// An echo is looked for in so many turns of the peer.
const ECHO_REACH: usize = 64;

/// So many things that the peer said are looked for in what we say.
const CARRIED: usize = 64;

impl<'a> Writer<'a> {
    pub(super) fn new(recording: &'a Recording, rules: &'a Rules, side: Side, fill: Fill) -> Self {
        Self {
            recording,
            rules,
            side,
            fill,
            steps: Vec::new(),
            slots: Vec::new(),
            turn: 0,
            speaker: None,
            in_turn: 0,
            offsets: [0; 2],
            first: None,
            first_bytes: 0..0,
            heard: Vec::new(),
            carried: VecDeque::new(),
        }
    }

    pub(super) fn write(&mut self) {
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
        let act = match event.side == self.side {
            true => Act::Finish(finish),
            false => Act::HearFinish(finish),
        };
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
            self.in_turn = 0;
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
        let said = match <[Part; 1]>::try_from(parts) {
            Ok([part]) => Said::One(part),
            Err(parts) => Said::Many(parts.into()),
        };
        self.add(event, Act::Say(said));
        self.in_turn = self.in_turn.saturating_add(bytes.len());
        self.pass(event.side, bytes.len(), missing);
    }

    fn pass(&mut self, side: Side, bytes: usize, missing: u64) {
        let offset = &mut self.offsets[side.index()];
        *offset = offset.saturating_add(bytes as u64).saturating_add(missing);
    }

    /// Bytes of ours, those that come from the peer taken out.
    fn said(&mut self, bytes: Range<usize>) -> Vec<Part> {
        let mut back = self.echoed(&bytes);
        back.extend(self.carried_in(&bytes));
        // Of those that overlap, whoever begins first; and of two at one place the one that was found first.
        back.sort_by_key(|(place, _)| place.start);
        let mut parts = Vec::with_capacity(1);
        let mut from = bytes.start;
        for (place, slot) in back {
            if place.start >= from {
                push_recorded(&mut parts, from..place.start);
                from = place.end;
                parts.push(Part::Heard(slot, place));
            }
        }
        push_recorded(&mut parts, from..bytes.end);
        parts
    }

    /// Where bytes of ours repeat what the peer said at the same place of its turn.
    fn echoed(&mut self, bytes: &Range<usize>) -> Vec<(Range<usize>, usize)> {
        let rules = self.rules;
        let echoes = rules.echoes.iter().filter_map(|echo| {
            let from = echo.offset.checked_sub(self.in_turn as u64)?;
            let place = within(bytes, from, echo.len)?;
            Some((self.echo_of(place.clone(), echo.offset)?, place))
        });
        echoes.map(|(slot, place)| (place, slot)).collect()
    }

    /// Where bytes of ours have in them what the peer said, the latest first.
    fn carried_in(&self, bytes: &Range<usize>) -> Vec<(Range<usize>, usize)> {
        let all = self.recording.bytes();
        let ours = all.get(bytes.clone()).unwrap_or_default();
        let mut found = Vec::new();
        for (what, slot) in self.carried.iter().rev() {
            let what = all.get(what.clone()).unwrap_or_default();
            let places = memmem::find_iter(ours, what).map(|at| bytes.start + at);
            found.extend(places.map(|at| (at..at + what.len(), *slot)));
        }
        found
    }

    /// What comes back of a turn of the peer.
    fn carries(&mut self, turn: &Range<usize>) -> Vec<Carry> {
        let bytes = self.recording.bytes().get(turn.clone()).unwrap_or_default();
        let mut carries = Vec::new();
        for pattern in &self.rules.carries {
            for (nth, group) in pattern.groups(bytes).take(CARRIED).enumerate() {
                let Some(group) = group.filter(|group| !group.is_empty()) else { continue };
                let slot = self.slots.len();
                self.slots.push(Slot::Group);
                carries.push(Carry { pattern: pattern.clone(), nth, slot });
                self.carried.push_back((turn.start + group.start..turn.start + group.end, slot));
            }
        }
        let too_many = self.carried.len().saturating_sub(CARRIED);
        self.carried.drain(..too_many);
        carries
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
        self.slots.push(Slot::Place(len));
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
        let stretches = stretches(events);
        let begins = self.offsets[first.side.index()];
        let mut hear = self.heard(&stretches, begins, &self.rules.wait);
        let whole = whole(&stretches);
        let len = stretches.iter().map(Stretch::len).fold(0, u64::saturating_add);
        self.offsets[first.side.index()] = begins.saturating_add(len);
        if hear.len == 0 && len > 0 {
            // Nothing of it was captured, and that is skipped.
            return run;
        }
        if self.first.is_none() {
            self.first = Some(Box::new(self.heard(&stretches, begins, &Wait::Bytes)));
            self.first_bytes = whole.clone();
        }
        hear.carries = self.carries(&whole);
        self.remember(whole);
        let at = events.last().unwrap_or(first).at;
        let act = Act::Hear(Box::new(hear));
        self.steps.push(Step { at, turn: self.turn, offset: begins, act });
        run
    }

    /// A turn of the peer that begins at an offset.
    fn heard(&self, stretches: &[Stretch], begins: u64, wait: &Wait) -> Hear {
        let mut hear = Hear::default();
        let mut at = begins;
        for stretch in stretches {
            match stretch {
                Stretch::Bytes(range) => self.expect(&mut hear, wait, range, at, at - begins),
                Stretch::Missing(missing) => hear.miss(*missing, self.fill),
            }
            at = at.saturating_add(stretch.len());
        }
        hear
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
    fn expect(
        &self,
        hear: &mut Hear,
        wait: &Wait,
        range: &Range<usize>,
        offset: u64,
        in_turn: u64,
    ) {
        let Some(bytes) = self.recording.bytes().get(range.clone()) else { return };
        hear.len = hear.len.saturating_add(bytes.len() as u64);
        match wait {
            Wait::Any | Wait::None => {}
            Wait::Length => {
                let any = self.masked(offset, in_turn, bytes.len());
                push_fixed(hear, Piece::Loose, range, 0..bytes.len(), &any);
            }
            Wait::Regex(pattern) => {
                let (ends, until) = pattern.count_ends(bytes);
                hear.push(Piece::Ends(pattern.clone(), ends));
                // What follows the last end, as a prompt does, has its length.
                hear.push(Piece::Loose(range.start + until..range.end));
            }
            Wait::Bytes => {
                let any = self.masked(offset, in_turn, bytes.len());
                let mut from = 0;
                for (pattern, found) in self.ignored(bytes) {
                    push_fixed(hear, Piece::Exact, range, from..found.start, &any);
                    let of_recording = range.start + found.start..range.start + found.end;
                    hear.push(Piece::Pattern(pattern.clone(), of_recording));
                    from = found.end;
                }
                push_fixed(hear, Piece::Exact, range, from..bytes.len(), &any);
            }
        }
    }

    /// What patterns match in the peer's bytes, in order and without overlaps: whoever begins first, the longest
    /// of those.
    fn ignored(&self, bytes: &[u8]) -> Vec<(&'a Pattern, Range<usize>)> {
        let patterns = self.rules.ignores.iter().chain(&self.rules.carries);
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
    fn masked(&self, offset: u64, in_turn: u64, len: usize) -> Vec<Range<usize>> {
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
    pub(super) fn add_half_close(&mut self, half_close: HalfClose) {
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

impl Stretch {
    /// Bytes that it stands for.
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(range) => range.len() as u64,
            Self::Missing(len) => *len,
        }
    }
}

/// All bytes of a run: they stand in the recording without others in between.
fn whole(stretches: &[Stretch]) -> Range<usize> {
    let mut bytes = stretches.iter().filter_map(|stretch| match stretch {
        Stretch::Bytes(range) => Some(range),
        Stretch::Missing(_) => None,
    });
    let Some(first) = bytes.next() else { return 0..0 };
    first.start..bytes.next_back().unwrap_or(first).end
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

/// Bytes that come as they are recorded, but for those in `any`.
fn push_fixed(
    hear: &mut Hear,
    piece: fn(Range<usize>) -> Piece,
    all: &Range<usize>,
    part: Range<usize>,
    any: &[Range<usize>],
) {
    let mut from = part.start;
    let of_recording = |range: Range<usize>| all.start + range.start..all.start + range.end;
    for masked in any {
        let (start, end) = (masked.start.max(from), masked.end.min(part.end));
        if start < end {
            hear.push(piece(of_recording(from..start)));
            hear.push(Piece::Any((end - start) as u64));
            from = end;
        }
    }
    hear.push(piece(of_recording(from..part.end)));
}

impl Hear {
    /// An empty piece is none.
    fn push(&mut self, piece: Piece) {
        let is_empty = match &piece {
            Piece::Exact(range) | Piece::Loose(range) => range.is_empty(),
            Piece::Any(len) | Piece::Ends(_, len) => *len == 0,
            Piece::Pattern(..) => false,
        };
        if !is_empty {
            self.pieces.push(piece);
        }
    }

    /// Bytes that were not captured.
    fn miss(&mut self, missing: u64, fill: Fill) {
        if fill == Fill::Skip {
            self.left_out.push((self.len, missing));
        } else {
            self.len = self.len.saturating_add(missing);
            self.push(Piece::Any(missing));
        }
    }
}
