//! Nothing that a file may hold stops the program, or makes a message of more than one line.

use crate::{Folder, OPTIONS, TCP, json};
use proptest::prelude::*;
use replay::{DumpOptions, Transport};

/// What lines are made of, and what they had better not be made of.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\u{feff}",
    "\u{1b}[2J",
    "é",
    "null",
    "\"side\":",
    "\"0\"",
    "1",
    "-1",
    "1e9",
    "18446744073709551615",
    "\"time\":",
    "{\"abs\":",
    "\"conn\":",
    "\"-0.5\"",
    "\"size\":",
    "\"data\":",
    "\"data_hex\":",
    "\"6869\"",
    "\"hi\"",
    "\"\\u00e9\"",
    "\"\\ud83d\"",
    "\"missing\":",
    "\"packet\":",
    "\"offset\":",
    "\"file\":",
    "\"connection\":",
    "\"metadata\":",
    "\"protocol\":",
    "\"[9 bytes missing]x\"",
    "{\"side\":0,\"data\":\"a\"}\n",
    "{\"side\":1,\"missing\":18446744073709551615,\"connection\":\"x\"}\n",
];

const GOOD: &str = concat!(
    r#"{"side":"1","time":{"abs":"1563783092.000001","conn":"-0.000002"},"size":"2","data":"$ ","data_hex":"2420","packet":"4","offset":"0"}"#,
    "\n",
    r#"{"side":"0","time":{"abs":"0.0","conn":"1"},"data":"[9 bytes missing]\u00ff"}"#,
    "\n",
    r#"{"side":"0","missing":"5","packet":"9","file":"2","connection":"20261123153736-UDP-__1.5-__2.6_2"}"#,
    "\n",
    r#"{"connection":"x","metadata":{"protocol":"UDP","side_0_end":"[::1]:5","side_1_end":"[::]:6"}}"#,
    "\n",
);

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A good dump with some bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change =
        (0..GOOD.len(), prop_oneof![any::<u8>(), prop::sample::select(&b"0\"{}[],:\\-."[..])]);
    prop::collection::vec(change, 0..4).prop_map(|changes| {
        let mut dump = GOOD.as_bytes().to_vec();
        changes.into_iter().for_each(|(at, byte)| dump[at] = byte);
        dump
    })
}

fn check(dump: &[u8], metadata: &[u8]) -> Result<(), TestCaseError> {
    let folder = Folder::of(&[]);
    for name in [&json(TCP), "b.json"] {
        std::fs::write(folder.path().join(name), dump).unwrap();
    }
    std::fs::write(folder.path().join("b-metadata.json"), metadata).unwrap();
    for transport in [None, Some(Transport::Tcp), Some(Transport::Udp)] {
        let options = DumpOptions { transport, ..OPTIONS };
        for name in [&json(TCP), "b.json", ""] {
            match folder.read(&[name], &options) {
                Ok(dumps) => prop_assert!(!dumps.recordings.is_empty()),
                Err(error) => {
                    prop_assert!(!error.contains(char::is_control), "{error:?}");
                    prop_assert!(error.chars().count() < 500, "{error}");
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        dump in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), pieces(), damaged()],
        metadata in prop_oneof![Just(b"{}".to_vec()), pieces()],
    ) {
        check(&dump, &metadata)?;
    }
}

#[test]
fn the_good_dump_is_good() {
    let folder = Folder::of(&[(&json(TCP), GOOD)]);
    let dumps = folder.read(&[""], &OPTIONS).unwrap();
    assert_eq!((dumps.recordings.len(), dumps.left_out.len()), (2, 1));
}
