//! Tests of players without a network.

mod plays;
mod properties;
mod table;
