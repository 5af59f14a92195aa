//! What the peer may do otherwise than in the recording.

use crate::pattern::Pattern;
use crate::rule_error::{MAX_ECHO, RuleError, shown};
use std::ops::Range;

/// When a turn of the peer is over, so that we go on.
#[derive(Clone, Debug, Default)]
pub enum Wait {
    /// As many bytes came as were recorded, or a datagram of the recorded length.
    #[default]
    Length,
    /// The recorded bytes came.
    Bytes,
    /// What ends a turn came as often as it stands in the recorded one.
    Regex(Pattern),
    /// Something came, and then nothing for a moment.
    Any,
    /// At once: nothing is waited for.
    None,
}

/// Bytes of the peer that may be any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask {
    /// From the beginning of each of its turns, not of all it sends.
    pub of_turn: bool,
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub len: u64,
}

/// Bytes of the peer's turn that came back in ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echo {
    /// Where they begin, in both.
    pub offset: u64,
    /// How many they are.
    pub len: u64,
}

/// How a peer is to be listened to.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// When its turns are over.
    pub wait: Wait,
    /// Bytes that may be any.
    pub masks: Vec<Mask>,
    /// What may differ, as long as it looks the same.
    pub ignores: Vec<Pattern>,
    /// What we say back to it, by its place.
    pub echoes: Vec<Echo>,
    /// What we say back to it wherever it stands: what the first group of a pattern matches.
    pub carries: Vec<Pattern>,
}

fn place(text: &str) -> Option<(u64, u64)> {
    let (offset, len) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (offset, len) = (number(offset)?, number(len)?);
    (len > 0 && offset.checked_add(len).is_some()).then_some((offset, len))
}

impl std::str::FromStr for Mask {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (of_turn, rest) = match text.strip_prefix("turn:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (offset, len) = place(rest).ok_or_else(|| RuleError::Mask(shown(text)))?;
        Ok(Self { of_turn, offset, len })
    }
}

impl std::str::FromStr for Echo {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let place = place(text).filter(|(_, len)| *len <= MAX_ECHO);
        let (offset, len) = place.ok_or_else(|| RuleError::Echo(shown(text)))?;
        Ok(Self { offset, len })
    }
}

impl std::str::FromStr for Wait {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text {
            "length" => Ok(Self::Length),
            "bytes" => Ok(Self::Bytes),
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix("regex:") {
                Some(regex) => Ok(Self::Regex(Pattern::new(regex)?)),
                None => Err(RuleError::Wait(shown(text))),
            },
        }
    }
}

impl Mask {
    /// What of `len` bytes it covers, which begin at `offset` of all that the side sends and at `in_turn` of
    /// its turn. Counted from their beginning.
    pub(crate) fn covers(&self, offset: u64, in_turn: u64, len: u64) -> Option<Range<u64>> {
        let from = if self.of_turn { in_turn } else { offset };
        overlap(self.offset..self.offset.saturating_add(self.len), from, len)
    }
}

/// The part of `len` bytes from `from` on that is in `range`, counted from their beginning.
pub(crate) fn overlap(range: Range<u64>, from: u64, len: u64) -> Option<Range<u64>> {
    let start = range.start.max(from) - from;
    let end = range.end.min(from.saturating_add(len)).saturating_sub(from);
    (start < end).then_some(start..end)
}

impl Rules {
    /// Reads lines of rules: `mask PLACE`, `ignore REGEX`, `echo PLACE`, `carry REGEX`; `#` begins a comment line.
    ///
    /// # Errors
    /// A line is none of them.
    pub fn read(&mut self, text: &str) -> Result<(), RuleError> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            self.read_line(line.trim_start().trim_end_matches('\r'), number)?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str, number: usize) -> Result<(), RuleError> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let in_line = |error| RuleError::InLine(number, Box::new(error));
        let rule = line.split_once([' ', '\t']).filter(|(_, what)| !what.trim().is_empty());
        match rule {
            Some(("mask", place)) => self.masks.push(place.trim().parse().map_err(in_line)?),
            Some(("echo", place)) => self.echoes.push(place.trim().parse().map_err(in_line)?),
            Some(("ignore", regex)) => {
                self.ignores.push(Pattern::new(regex.trim_start()).map_err(in_line)?);
            }
            Some(("carry", regex)) => {
                self.carries.push(Pattern::with_group(regex.trim_start()).map_err(in_line)?);
            }
            _ => return Err(RuleError::Line(number, shown(line))),
        }
        Ok(())
    }

    /// Does it say of bytes that they may differ, so that others must not?
    pub fn tolerates(&self) -> bool {
        !self.masks.is_empty() || !self.ignores.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let mask = |of_turn, offset, len| Ok(Mask { of_turn, offset, len });
        assert_eq!("16:4".parse(), mask(false, 16, 4));
        assert_eq!("turn:0:2".parse(), mask(true, 0, 2));
        for wrong in ["", "4", "4:", ":4", "-1:4", "4:0", "+4:1", "turn:", "18446744073709551615:1"]
        {
            assert_eq!(wrong.parse::<Mask>(), Err(RuleError::Mask(wrong.into())));
        }
        assert_eq!("0:2".parse(), Ok(Echo { offset: 0, len: 2 }));
        assert!("0:4097".parse::<Echo>().is_err() && "turn:0:1".parse::<Echo>().is_err());
    }

    #[test]
    fn a_file_has_a_rule_a_line() {
        let mut rules = Rules::default();
        rules.read("# times\r\nignore Date: [^\\r]*\r\n\n mask turn:4:2\necho 0:2\n").unwrap();
        assert_eq!(rules.ignores[0].text(), "Date: [^\\r]*");
        assert_eq!((rules.masks.len(), rules.echoes.len()), (1, 1));
        let wrong = |text: &str| Rules::default().read(text).unwrap_err().to_string();
        assert_eq!(
            wrong("mask 1:1\nmusk 1:1\n"),
            "line 2: 'musk 1:1' is no rule: mask PLACE, ignore REGEX, echo PLACE, or carry REGEX"
        );
        assert!(wrong("mask 1").starts_with("line 1: '1' is no place"), "{}", wrong("mask 1"));
        assert!(wrong("carry id=[0-9]+").starts_with("line 1: regular expression 'id=[0-9]+': "));
        assert!(wrong("ignore (").starts_with("line 1: regular expression '('"));
    }

    #[test]
    fn a_mask_covers_what_overlaps_it() {
        let mask: Mask = "10:5".parse().unwrap();
        assert_eq!(mask.covers(0, 0, 100), Some(10..15));
        assert_eq!(mask.covers(12, 0, 100), Some(0..3));
        assert_eq!(mask.covers(0, 0, 10), None);
        assert_eq!(mask.covers(15, 0, 10), None);
        let mask: Mask = "turn:0:2".parse().unwrap();
        assert_eq!(mask.covers(1000, 0, 100), Some(0..2));
        assert_eq!(mask.covers(1000, 2, 100), None);
    }
}
