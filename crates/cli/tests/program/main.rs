//! The program as people meet it: its arguments, its files, its words and its exit status, all through
//! the built binary.
//!
//! What is expected stands here as literal bytes, written down from the description of the formats
//! (README.md) and not from what the program printed.
#![allow(clippy::needless_raw_string_hashes, reason = "JSON lines look alike")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod books;
mod bounds;
mod chunk_headers;
mod classic;
mod console;
mod failing_output;
mod filter;
mod gaps;
mod inputs;
mod json_lines;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod live;
mod metadata;
mod names;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod network;
mod options;
mod raw;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
mod replay;
mod stories;
mod summary;
mod usage;
mod wlan;
mod workers;
