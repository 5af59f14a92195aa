//! The rules of following connections, one story each.
//!
//! Every test here was seen to fail with its rule taken out of the engine. Each capture runs over IPv4
//! and IPv6, with either end the lower one, and is checked for what must hold in every run
//! (`common/invariants.rs`).

#[path = "../common/mod.rs"]
mod common;

mod datagrams;
mod ending;
mod flags;
mod gaps;
mod limits;
mod opening;
mod order;
mod overlaps;
mod sequence;
mod silence;
