//! Plays one side of a recorded connection to a program, as the captured peer did.
#![forbid(unsafe_code)]

mod dump;
mod recording;

pub use dump::{DumpError, DumpOptions, Dumps, LeftOut, read_dumps};
pub use recording::{Event, Finish, Missing, Recording, Transport, What};
