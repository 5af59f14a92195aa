//! A capture builder, a sink that records, and the invariants that hold in every run.
#![allow(dead_code, reason = "no test program needs all of it")]
#![allow(unused_imports, reason = "likewise")]

pub(crate) mod frame;
mod invariants;
mod record;
mod talk;

pub(crate) use record::{Conversation, END, Event, Heard, Outcome, Played, Recorder, play};
pub(crate) use talk::{A, ACK, B, FIN, Numbers, Packet, RST, SYN, Talk, What};
