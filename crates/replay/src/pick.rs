//! Which recording a client gets: by its first bytes, or in order.

use crate::hearing::{Heard, Hearing};
use crate::script::{Piece, Script};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// So many first bytes are looked at.
const MOST: usize = 64 << 10;

/// Recordings to be played, each once or again and again.
#[derive(Debug)]
pub struct Pool {
    scripts: Vec<Arc<Script>>,
    /// Those that may be given away: how often they were, and their number.
    free: BTreeSet<Place>,
    /// Those of them in which we speak first.
    speaking: BTreeSet<Place>,
    /// Those of them whose first turn must be these bytes: there may be thousands.
    plain: BTreeMap<First, BTreeSet<Place>>,
    /// The lengths of these turns, and how many have them.
    lengths: BTreeMap<usize, usize>,
    /// Those whose first turn may be any of many.
    ruled: BTreeSet<Place>,
    /// How often each was given away.
    times: Vec<u32>,
    /// The longest that the peer was silent at the beginning.
    silence: Duration,
    repeat: bool,
    in_order: bool,
}

/// A first turn that must be these bytes, as it stands in its recording.
#[derive(Debug)]
struct First(Arc<Script>);

impl Borrow<[u8]> for First {
    fn borrow(&self) -> &[u8] {
        plain_first(&self.0).unwrap_or_default()
    }
}

impl PartialEq for First {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for First {}

impl PartialOrd for First {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for First {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        ours.cmp(theirs)
    }
}

/// How often a recording was given away, and its number: who is next comes first.
type Place = (u32, usize);

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

/// Recordings that the first bytes of a client fit.
#[derive(Debug, Default)]
struct Fits {
    /// They are its whole first turn, of so many bytes, or more: the longest such.
    whole: Option<(usize, Place)>,
    /// They are its beginning; and is there another one that they begin?
    begun: Option<(Place, bool)>,
    /// They are something else after so many bytes: the one that is longest alike.
    other: Option<(usize, Place)>,
}

impl Pool {
    /// Recordings that are given away once each, or with `repeat` again and again; by the client's first bytes, or
    /// `in_order`.
    pub fn new(scripts: Vec<Arc<Script>>, repeat: bool, in_order: bool) -> Self {
        let times = vec![0; scripts.len()];
        let silence = scripts.iter().map(|script| script.first_silence()).max().unwrap_or_default();
        let mut pool = Self {
            scripts,
            free: BTreeSet::new(),
            speaking: BTreeSet::new(),
            plain: BTreeMap::new(),
            lengths: BTreeMap::new(),
            ruled: BTreeSet::new(),
            times,
            silence,
            repeat,
            in_order,
        };
        (0..pool.scripts.len()).for_each(|number| pool.put((0, number)));
        pool
    }

    /// Are all given away?
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
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
        match self.choose(bytes, silent || bytes.len() >= MOST) {
            Some(chosen) => self.give(chosen),
            None => Pick::Open,
        }
    }

    /// Which one the peer gets that has sent this datagram.
    pub fn pick_datagram(&mut self, datagram: &[u8]) -> Pick {
        let next = self.free.first().copied();
        let fits = self.fits(datagram);
        let whole = fits.whole.filter(|(len, _)| *len == datagram.len()).map(|(_, place)| place);
        let begun = || fits.begun.map(|(place, _)| place);
        let other = || fits.other.map(|(_, place)| place);
        let chosen = match self.in_order {
            true => next,
            false => whole.or_else(begun).or_else(other).or(next),
        };
        chosen.map_or(Pick::Nothing, |chosen| self.give(chosen))
    }

    /// The longest time that the peer was silent at the beginning of a recording, at this speed.
    pub fn longest_silence(&self, speed: Option<f64>) -> Duration {
        let Some(speed) = speed else { return Duration::ZERO };
        let seconds = self.silence.as_secs_f64() / speed;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Gives the next away to a client that says nothing.
    pub fn pick_any(&mut self) -> Pick {
        self.free.first().copied().map_or(Pick::Nothing, |next| self.give(next))
    }

    fn give(&mut self, place: Place) -> Pick {
        let (times, number) = place;
        self.take(place);
        if let Some(given) = self.times.get_mut(number) {
            *given = times.saturating_add(1);
        }
        if self.repeat {
            self.put((times.saturating_add(1), number));
        }
        Pick::Chosen(number)
    }

    /// A recording may be given away.
    fn put(&mut self, place: Place) {
        let Some(script) = self.scripts.get(place.1) else { return };
        self.free.insert(place);
        if script.speaks_first() {
            self.speaking.insert(place);
        }
        match plain_first(script) {
            Some(first) => {
                let len = first.len();
                let alike = self.plain.entry(First(script.clone())).or_default();
                if alike.is_empty() {
                    *self.lengths.entry(len).or_default() += 1;
                }
                alike.insert(place);
            }
            None => {
                self.ruled.insert(place);
            }
        }
    }

    /// It may not any more.
    fn take(&mut self, place: Place) {
        self.free.remove(&place);
        self.speaking.remove(&place);
        self.ruled.remove(&place);
        let Some(script) = self.scripts.get(place.1).cloned() else { return };
        let Some(first) = plain_first(&script) else { return };
        let Some(alike) = self.plain.get_mut(first) else { return };
        alike.remove(&place);
        if alike.is_empty() {
            self.plain.remove(first);
            if let Some(many) = self.lengths.get_mut(&first.len()) {
                *many -= 1;
                if *many == 0 {
                    self.lengths.remove(&first.len());
                }
            }
        }
    }

    fn choose(&self, bytes: &[u8], decide: bool) -> Option<Place> {
        let next = self.free.first().copied();
        if self.in_order {
            return next;
        }
        if bytes.is_empty() {
            // Where the server speaks first there is nothing to go by. Who has said nothing may go without a word.
            let all_speak = self.speaking.len() == self.free.len();
            return self.speaking.first().copied().filter(|_| decide || all_speak);
        }
        if self.free.len() == 1 {
            return next;
        }
        let fits = self.fits(bytes);
        match (fits.begun, fits.whole) {
            // Its next bytes tell them apart.
            (Some(_), Some(_)) | (Some((_, true)), None) if !decide => None,
            (_, Some((_, place))) | (Some((place, _)), None) => Some(place),
            (None, None) => fits.other.map(|(_, place)| place).or(next),
        }
    }

    /// Those that the bytes fit.
    fn fits(&self, bytes: &[u8]) -> Fits {
        let mut fits = self.fits_plain(bytes);
        self.add_ruled(&mut fits, bytes);
        fits
    }

    /// Those whose first turn must be certain bytes.
    fn fits_plain(&self, bytes: &[u8]) -> Fits {
        let next = |alike: &BTreeSet<Place>| alike.first().copied();
        let whole = self.lengths.range(..=bytes.len()).rev().find_map(|(len, _)| {
            let alike = self.plain.get(bytes.get(..*len)?)?;
            Some((*len, next(alike)?))
        });
        fn bytes_of(first: &First) -> &[u8] {
            first.borrow()
        }
        let from = (Bound::Included(bytes), Bound::Unbounded);
        let mut longer =
            self.plain.range::<[u8], _>(from).filter(|(first, _)| bytes_of(first) != bytes);
        let mut begun = longer.by_ref().take_while(|(first, _)| bytes_of(first).starts_with(bytes));
        let first = begun.next().and_then(|(_, alike)| next(alike));
        let begun = first.map(|first| (first, begun.next().is_some()));
        // What is longest alike stands beside them.
        let after = self.plain.range::<[u8], _>(from).next();
        let until = (Bound::Unbounded, Bound::Excluded(bytes));
        let before = self.plain.range::<[u8], _>(until).next_back();
        let beside = [before, after].into_iter().flatten();
        let other =
            beside.filter_map(|(first, alike)| Some((same(bytes_of(first), bytes), next(alike)?)));
        Fits {
            whole,
            begun,
            other: other.max_by_key(|(same, place)| (*same, std::cmp::Reverse(*place))),
        }
    }

    /// The others.
    fn add_ruled(&self, fits: &mut Fits, bytes: &[u8]) {
        for place in &self.ruled {
            let Some(script) = self.scripts.get(place.1) else { continue };
            let Some(hear) = script.first_heard() else { continue };
            let mut hearing = Hearing::default();
            match hearing.take(script, hear, bytes, &mut []) {
                (len, Heard::Whole) if fits.whole.is_none_or(|(longest, _)| len > longest) => {
                    fits.whole = Some((len, *place));
                }
                (_, Heard::More) => {
                    let several = fits.begun.is_some_and(|(other, several)| {
                        let other = self.scripts.get(other.1).map(|other| other.first_bytes());
                        several || other != Some(script.first_bytes())
                    });
                    fits.begun = Some((fits.begun.map_or(*place, |(first, _)| first), several));
                }
                (_, Heard::Differs(difference)) => {
                    let len = usize::try_from(difference.in_turn).unwrap_or(usize::MAX);
                    if fits.other.is_none_or(|(longest, _)| len > longest) {
                        fits.other = Some((len, *place));
                    }
                }
                (_, Heard::Whole) => {}
            }
        }
    }
}

/// The peer's first turn, where it must be just these bytes.
fn plain_first(script: &Script) -> Option<&[u8]> {
    match &*script.first_heard()?.pieces {
        [Piece::Exact(range)] => script.recording().bytes().get(range.clone()),
        _ => None,
    }
}

/// How many bytes at their beginning are the same.
fn same(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
