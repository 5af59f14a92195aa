//! Regular expressions over bytes that come piece by piece.
//!
//! Where a match ends is decided byte by byte, so that it does not depend on how the network cut or joined
//! what the peer sent.

use crate::rule_error::{RuleError, shown};
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, meta};
use std::ops::Range;
use std::sync::Arc;

/// A regular expression over bytes; `.` is any byte but a line feed.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Compiled>);

/// So much memory the states of an expression may take for a connection.
const CACHE: usize = 128 << 10;

#[derive(Debug)]
struct Compiled {
    text: String,
    finder: meta::Regex,
    machine: DFA,
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// It is wrong, or too large.
    pub fn new(text: &str) -> Result<Self, RuleError> {
        let wrong = |why: String| {
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").into();
            RuleError::Pattern(shown(text), why)
        };
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let mut finder = meta::Regex::builder();
        finder.syntax(syntax).configure(meta::Config::new().utf8_empty(false));
        let finder = finder.build(text).map_err(|error| {
            wrong(error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        let mut machine = DFA::builder();
        // Each connection has one, which its peer may fill: then it begins anew.
        let bounded = DFA::config().cache_capacity(CACHE).skip_cache_capacity_check(true);
        machine.configure(bounded);
        machine.syntax(syntax).thompson(thompson::Config::new().utf8(false));
        let machine = machine.build(text).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(Arc::new(Compiled { text: text.into(), finder, machine })))
    }

    /// Compiles one that has a group.
    ///
    /// # Errors
    /// It is wrong, too large, or has none.
    pub fn with_group(text: &str) -> Result<Self, RuleError> {
        let pattern = Self::new(text)?;
        match pattern.0.finder.captures_len() {
            0 | 1 => Err(RuleError::NoGroup(shown(text))),
            _ => Ok(pattern),
        }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where it matches in `bytes`, empty matches left out.
    pub(crate) fn find_all<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        self.0.finder.find_iter(bytes).map(|found| found.range()).filter(|range| !range.is_empty())
    }

    /// Where the first group of each match stands in `bytes`; `None` where it is not part of the match.
    pub(crate) fn groups<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Option<Range<usize>>> + 'a {
        let matches = self.0.finder.captures_iter(bytes);
        matches.map(|found| found.get_group(1).map(|group| group.range()))
    }

    /// How often it ends in `bytes`, as [`Walk::ends_at`] counts, and how many of them come until the last end.
    pub(crate) fn count_ends(&self, bytes: &[u8]) -> (u64, usize) {
        let mut walk = Walk::new(self, Anchored::No);
        let mut ends = (0, 0);
        for (len, &byte) in (1..).zip(bytes) {
            if walk.ends_at(byte) {
                ends = (ends.0 + 1, len);
            }
        }
        ends
    }
}

impl Eq for Pattern {}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

/// A pattern on its way through bytes.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pattern: Pattern,
    anchored: Anchored,
    cache: Cache,
    state: Option<LazyStateID>,
    walked: u64,
    matched: Option<u64>,
}

/// What a byte decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Nothing yet.
    Open,
    /// It matches so many bytes from the beginning, whatever follows.
    Matches(u64),
    /// It does not match, whatever follows.
    Fails,
}

impl Walk {
    /// From its own beginning on, or from anywhere.
    pub(crate) fn new(pattern: &Pattern, anchored: Anchored) -> Self {
        let cache = pattern.0.machine.create_cache();
        let mut walk = Self {
            pattern: pattern.clone(),
            anchored,
            cache,
            state: None,
            walked: 0,
            matched: None,
        };
        walk.begin();
        walk
    }

    fn begin(&mut self) {
        let config = start::Config::new().anchored(self.anchored);
        // There is no state where the expression needs to look behind the beginning with Unicode in mind.
        self.state = self.pattern.0.machine.start_state(&mut self.cache, &config).ok();
    }

    /// The next byte: is decided now where the match that begins here ends?
    pub(crate) fn step(&mut self, byte: u8) -> Decision {
        let machine = &self.pattern.0.machine;
        self.state =
            self.state.and_then(|state| machine.next_state(&mut self.cache, state, byte).ok());
        match self.state {
            Some(state) if state.is_match() => {
                self.matched = Some(self.walked);
                if self.is_settled(state) {
                    return self.decided();
                }
            }
            Some(state) if state.is_dead() || state.is_quit() => return self.decided(),
            Some(_) => {}
            None => return self.decided(),
        }
        self.walked += 1;
        Decision::Open
    }

    /// Can no byte lengthen the match that was found?
    fn is_settled(&mut self, state: LazyStateID) -> bool {
        let machine = &self.pattern.0.machine;
        machine.byte_classes().representatives(0..=255).filter_map(|unit| unit.as_u8()).all(
            |byte| {
                let next = machine.next_state(&mut self.cache, state, byte);
                next.is_ok_and(|next| next.is_dead())
            },
        )
    }

    /// How many bytes it has seen.
    pub(crate) fn walked(&self) -> u64 {
        self.walked
    }

    fn decided(&self) -> Decision {
        self.matched.map_or(Decision::Fails, Decision::Matches)
    }

    /// No more bytes come: where does the match end?
    pub(crate) fn end(&mut self) -> Decision {
        if self.is_whole() {
            self.matched = Some(self.walked);
        }
        self.decided()
    }

    /// Would it match if nothing followed?
    pub(crate) fn is_whole(&mut self) -> bool {
        let machine = &self.pattern.0.machine;
        let last = self.state.and_then(|state| machine.next_eoi_state(&mut self.cache, state).ok());
        last.is_some_and(|state| state.is_match())
    }

    /// The next byte: does a match end with it? The next one begins after it.
    pub(crate) fn ends_at(&mut self, byte: u8) -> bool {
        let machine = &self.pattern.0.machine;
        self.state =
            self.state.and_then(|state| machine.next_state(&mut self.cache, state, byte).ok());
        if self.state.is_none() || self.is_whole() {
            let ends = self.state.is_some();
            self.begin();
            return ends;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is decided, and after how many bytes; one more than there are where only their end decides.
    fn decided(pattern: &str, bytes: &[u8]) -> (Decision, usize) {
        let mut walk = Walk::new(&Pattern::new(pattern).unwrap(), Anchored::Yes);
        for (n, &byte) in (1..).zip(bytes) {
            match walk.step(byte) {
                Decision::Open => {}
                decision => return (decision, n),
            }
        }
        (walk.end(), bytes.len() + 1)
    }

    #[test]
    fn a_match_ends_where_nothing_could_lengthen_it() {
        assert_eq!(decided("[0-9]+", b"123 "), (Decision::Matches(3), 4));
        assert_eq!(decided("[0-9]+", b"123"), (Decision::Matches(3), 4));
        assert_eq!(decided("[0-9]+", b"123\n"), (Decision::Matches(3), 4));
        assert_eq!(decided("[0-9]{3}", b"123\n"), (Decision::Matches(3), 4));
        assert_eq!(decided("Date: .*", b"Date: Mon\n"), (Decision::Matches(9), 10));
        assert_eq!(decided("a|ab", b"ab"), (Decision::Matches(1), 2));
        assert_eq!(decided("[0-9]{2}", b"123"), (Decision::Matches(2), 3));
        assert_eq!(decided("[0-9]+", b"x"), (Decision::Fails, 1));
        assert_eq!(decided("a(b|c.*z)?", b"acxx\n"), (Decision::Matches(1), 5));
        assert_eq!(decided("a(b|c.*z)?", b"acxxz\n"), (Decision::Matches(5), 6));
        assert_eq!(decided("a+?", b"aaa"), (Decision::Matches(1), 2));
        assert_eq!(decided(r"[\x80-\xff]+", b"\xff\x80a"), (Decision::Matches(2), 3));
        assert_eq!(decided("a*", b"b"), (Decision::Matches(0), 1));
        assert_eq!(decided("(?s).*", b"a\nb"), (Decision::Matches(3), 4));
    }

    #[test]
    fn ends_are_counted_byte_by_byte() {
        let count = |pattern: &str, bytes: &[u8]| Pattern::new(pattern).unwrap().count_ends(bytes);
        assert_eq!(count(r"\r\n", b"HELO a\r\nMAIL\r\n"), (2, 14));
        assert_eq!(count(r"\r\n", b"HELO a\r"), (0, 0));
        assert_eq!(count(r"\r\n\r\n", b"GET /\r\nHost: a\r\n\r\nGET"), (1, 18));
        assert_eq!(count(r"\n\.\r?\n", b"text\n.\n"), (1, 7));
    }

    #[test]
    fn matches_are_found_and_empty_ones_are_none() {
        let pattern = Pattern::new("[0-9]*").unwrap();
        assert_eq!(pattern.find_all(b"a12b3").collect::<Vec<_>>(), [1..3, 4..5]);
    }

    #[test]
    fn groups_are_found() {
        let pattern = Pattern::with_group("id=([0-9]+)|none").unwrap();
        let found: Vec<_> = pattern.groups(b"id=12; none; id=3").collect();
        assert_eq!(found, [Some(3..5), None, Some(16..17)]);
        assert!(Pattern::with_group("id=(?:[0-9]+)").is_err());
    }

    #[test]
    fn what_is_wrong_with_one_is_said_in_a_line() {
        let error = Pattern::new("a(b").unwrap_err().to_string();
        assert_eq!(error, "regular expression 'a(b': unclosed group");
        assert!(Pattern::new("(((a{1000}){1000}){1000})").is_err());
    }
}
