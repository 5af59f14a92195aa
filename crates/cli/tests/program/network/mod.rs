//! Live capture of what real programs say to each other, each test in network namespaces of its own. Skipped
//! where the process may not make such, or a program is missing.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

mod any;
mod descriptors;
mod dns;
mod gone;
mod http;

mod loss;
mod middle;
mod ping;
mod stop;
mod vlan;

use crate::common::Place;
use std::collections::BTreeMap;
use std::ops::Range;

/// A script of this folder, as a program for a namespace.
fn script(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/network");
    assert!(!folder.contains(char::is_whitespace), "commands of tests are cut at blanks");
    format!("python3 -u {folder}/{name}")
}

/// What `peer.py` says in a connection, from one byte to another.
fn said_by(connection: usize, bytes: Range<usize>) -> Vec<u8> {
    bytes.map(|k| (31 * connection + k + k / 251) as u8).collect()
}

/// An address as the names of files have it.
fn in_names(address: &str) -> String {
    address.replace(':', "_")
}

/// The files that came out, without their times; each name once.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in place.names("out") {
        let bytes = std::fs::read(place.path("out").join(&name)).unwrap();
        let (_, rest) = name.split_once('-').unwrap();
        assert!(files.insert(rest.to_owned(), bytes).is_none(), "{name} is there twice");
    }
    files
}

/// What `--summary-json summary.json` wrote.
fn summary(place: &Place) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(place.path("summary.json")).unwrap()).unwrap()
}

/// A JSON line: a chunk, or a gap.
#[derive(Debug)]
struct Chunk {
    side: usize,
    offset: usize,
    bytes: Vec<u8>,
    /// 0 for a chunk.
    missing: usize,
}

/// The lines of a JSON file.
fn chunks(file: &[u8]) -> Vec<Chunk> {
    let text = std::str::from_utf8(file).unwrap();
    let chunk = |line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| line[key].as_str().map_or(0, |digits| digits.parse().unwrap());
        // Each character is a byte.
        let bytes: Vec<u8> = line["data"].as_str().unwrap().chars().map(|c| c as u8).collect();
        assert_eq!(bytes.len(), number("size"));
        Chunk { side: number("side"), offset: number("offset"), bytes, missing: number("missing") }
    };
    text.lines().map(chunk).collect()
}

/// All that a side said.
fn said(chunks: &[Chunk], side: usize) -> Vec<u8> {
    let of_side = chunks.iter().filter(|chunk| chunk.side == side);
    of_side.flat_map(|chunk| chunk.bytes.clone()).collect()
}

/// Bytes that nobody would make by mistake.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + i / 65_537) as u8).collect()
}
