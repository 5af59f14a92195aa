//! Plays one side of a recorded connection to a program, as the captured peer did.
#![forbid(unsafe_code)]

mod hearing;
mod outcome;
mod pattern;
mod player;
mod recording;
mod rules;
mod script;

pub use outcome::{Difference, Divergence, Ending, Outcome, Place, Standstill, Unlike, Waiting};
pub use pattern::Pattern;
pub use player::{Next, Pace, PeerEnd, Player};
pub use recording::{Event, Finish, Missing, Recording, Transport, What};
pub use rules::{Echo, MAX_ECHO, Mask, RuleError, Rules, Wait};
pub use script::{Fill, HalfClose, Script};
