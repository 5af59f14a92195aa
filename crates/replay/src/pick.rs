//! Which recording a client gets: by its first bytes, or in order.

use crate::hearing::{Heard, Hearing};
use crate::script::{Hear, Piece, Script};
use std::sync::Arc;

/// So many first bytes are looked at.
const MOST: usize = 64 << 10;

/// Recordings to be played, each once or again and again.
#[derive(Debug)]
pub struct Pool {
    scripts: Vec<Arc<Script>>,
    /// How often each was given away.
    times: Vec<u32>,
    left: usize,
    repeat: bool,
    in_order: bool,
}

/// What is known of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// It gets this one.
    Chosen(usize),
    /// Its next bytes may tell; if none come for a while, ask again and say so.
    Open,
    /// All recordings were given away.
    Nothing,
}

/// How the first bytes of a client fit a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fit {
    /// They are its whole first turn, of so many bytes, or more.
    Whole(u64),
    /// They are its beginning.
    Begun,
    /// They are something else after so many bytes.
    Other(u64),
}

impl Pool {
    /// Recordings that are given away once each, or with `repeat` again and again; by the client's first bytes, or
    /// `in_order`.
    pub fn new(scripts: Vec<Arc<Script>>, repeat: bool, in_order: bool) -> Self {
        let (times, left) = (vec![0; scripts.len()], scripts.len());
        Self { scripts, times, left, repeat, in_order }
    }

    /// Are all given away?
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() || (!self.repeat && self.left == 0)
    }

    /// That recording.
    pub fn script(&self, number: usize) -> Option<&Arc<Script>> {
        self.scripts.get(number)
    }

    /// Those that were never given away.
    pub fn never_given(&self) -> impl Iterator<Item = &Arc<Script>> {
        self.scripts.iter().zip(&self.times).filter(|(_, times)| **times == 0).map(|(it, _)| it)
    }

    /// Which one a client gets that has sent `bytes` so far, and no more for a while if it is `silent`. The one
    /// that is chosen is given away.
    pub fn pick(&mut self, bytes: &[u8], silent: bool) -> Pick {
        if self.is_empty() {
            return Pick::Nothing;
        }
        let Some(chosen) = self.choose(bytes, silent || bytes.len() >= MOST) else {
            return Pick::Open;
        };
        self.give(chosen);
        Pick::Chosen(chosen)
    }

    /// Gives the first away to a client that says nothing.
    pub fn pick_any(&mut self) -> Pick {
        let first = self.free().next().map(|(number, _)| number);
        match first {
            Some(first) => {
                self.give(first);
                Pick::Chosen(first)
            }
            None => Pick::Nothing,
        }
    }

    fn give(&mut self, number: usize) {
        if let Some(times) = self.times.get_mut(number) {
            self.left -= usize::from(*times == 0);
            *times = times.saturating_add(1);
        }
    }

    /// Those that may be given away, those first that were least often.
    fn free(&self) -> impl Iterator<Item = (usize, &Arc<Script>)> {
        let least = if self.repeat { self.times.iter().copied().min().unwrap_or(0) } else { 0 };
        let all = move |often: bool| {
            let numbered = self.scripts.iter().enumerate().zip(&self.times);
            numbered.filter(move |(_, times)| (**times > least) == often).map(|(it, _)| it)
        };
        all(false).chain(all(true).filter(|_| self.repeat))
    }

    fn choose(&self, bytes: &[u8], decide: bool) -> Option<usize> {
        let mut free = self.free();
        let first = free.next()?;
        let is_only = free.next().is_none();
        if bytes.is_empty() {
            // Where the server speaks first there is nothing to go by. Who has said nothing may go without a word.
            let (speaks, listens): (Vec<_>, Vec<_>) = match self.in_order || is_only {
                true => vec![first],
                false => self.free().collect(),
            }
            .into_iter()
            .partition(|(_, script)| script.speaks_first());
            let speaks = speaks.first().filter(|_| decide || listens.is_empty());
            return speaks.map(|(number, _)| *number);
        }
        if self.in_order || is_only {
            return Some(first.0);
        }
        self.choose_by(bytes, decide)
    }

    fn choose_by(&self, bytes: &[u8], decide: bool) -> Option<usize> {
        let mut begun: Option<(usize, &[u8])> = None;
        let mut several = false;
        let mut whole: Option<(usize, u64)> = None;
        let mut other: Option<(usize, u64)> = None;
        for (number, script) in self.free() {
            let Some(hear) = script.first_heard() else { continue };
            match fit(script, hear, bytes) {
                Fit::Begun => match begun {
                    Some((_, first)) => several |= first != script.first_bytes(),
                    None => begun = Some((number, script.first_bytes())),
                },
                Fit::Whole(len) if whole.is_none_or(|(_, longest)| len > longest) => {
                    whole = Some((number, len));
                }
                Fit::Other(len) if other.is_none_or(|(_, longest)| len > longest) => {
                    other = Some((number, len));
                }
                Fit::Whole(_) | Fit::Other(_) => {}
            }
        }
        let begun_number = begun.map(|(number, _)| number);
        match (begun_number, whole) {
            // Its next bytes tell them apart.
            (Some(_), Some(_)) if !decide => None,
            (Some(_), None) if several && !decide => None,
            (_, Some((number, _))) => Some(number),
            (Some(number), None) => Some(number),
            (None, None) => {
                other.map(|(number, _)| number).or_else(|| self.free().next().map(|(n, _)| n))
            }
        }
    }
}

/// How `bytes` fit the peer's first turn.
fn fit(script: &Script, hear: &Hear, bytes: &[u8]) -> Fit {
    if let [Piece::Exact(range)] = &*hear.pieces {
        // Nearly all are so, and there may be thousands.
        let expected = script.recording().bytes().get(range.clone()).unwrap_or_default();
        let same = expected.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return match same {
            same if same == expected.len() => Fit::Whole(same as u64),
            same if same == bytes.len() => Fit::Begun,
            same => Fit::Other(same as u64),
        };
    }
    let mut hearing = Hearing::default();
    match hearing.take(script, hear, bytes, &mut []) {
        (taken, Heard::Whole) => Fit::Whole(taken as u64),
        (_, Heard::More) => Fit::Begun,
        (_, Heard::Differs(difference)) => Fit::Other(difference.in_turn),
    }
}
