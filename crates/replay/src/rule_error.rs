//! What is wrong with a rule.

use thiserror::Error;

/// An echo is of so many bytes at most: they are kept for each connection.
pub const MAX_ECHO: u64 = 4096;

/// Why a rule is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RuleError {
    /// A place is not understood.
    #[error("'{0}' is no place: OFFSET:LEN or turn:OFFSET:LEN, in bytes")]
    Mask(String),
    /// A place is not understood.
    #[error("'{0}' is no place: OFFSET:LEN, in bytes of a turn, at most {MAX_ECHO} of them")]
    Echo(String),
    /// It is not understood what to wait for.
    #[error("'{0}' is none of length, bytes, any, none and regex:REGEX")]
    Wait(String),
    /// A regular expression is wrong.
    #[error("regular expression '{0}': {1}")]
    Pattern(String, String),
    /// A regular expression has no group.
    #[error(
        "regular expression '{0}': what is to be carried stands in a group, as in 'id=([0-9]+)'"
    )]
    NoGroup(String),
    /// A line of a file of rules is not understood.
    #[error("line {0}: '{1}' is no rule: mask PLACE, ignore REGEX, echo PLACE, or carry REGEX")]
    Line(usize, String),
    /// A line of a file of rules is wrong.
    #[error("line {0}: {1}")]
    InLine(usize, Box<RuleError>),
}

/// So much of what was typed is shown.
const SHOWN: usize = 80;

/// What was typed, fit for one line.
pub(crate) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    short.escape_debug().to_string()
}
