//! Properties of following connections, over conversations, captures and garbage made at random.

#[path = "../common/mod.rs"]
mod common;

mod capture;
mod garbage;
mod pathological;
mod reassembly;
