//! Captures made by hand, and the program run on them.
//!
//! A test reads like the trace that it is: packets with their times, then what must come out. Nothing
//! here uses the project's own code to make or to read packets.

mod capture;
mod frame;
mod place;

pub(crate) use capture::{Capture, Ng};
pub(crate) use frame::*;
pub(crate) use place::{Outcome, Place, latin1, lines, skipped};
