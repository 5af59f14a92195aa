//! Plays one side of a recorded connection to a program, as the captured peer did.
#![forbid(unsafe_code)]

mod recording;

pub use recording::{Event, Finish, Missing, Recording, Transport, What};
