//! Plays one side of a recorded connection to a program, as the captured peer did.
#![forbid(unsafe_code)]

mod dump;
mod recording;
pub mod report;
mod rules;
mod script;
mod store;
mod tap;

pub use dump::{DumpError, DumpOptions, Dumps, LeftOut, read_dumps};
pub use recording::{Event, Finish, Missing, Recording, Transport, What};
pub use rules::{Echo, MAX_ECHO, Mask, RuleError, Rules, Wait};
pub use script::{Fill, HalfClose, Script};
pub use store::Store;
pub use tap::{Tap, TooMuch, Wanted};
