//! Packets read = packets assigned + packets set aside, on every capture of a folder of real ones that
//! lies beside the project (it is no part of it).

use crate::common::*;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// Where the captures are, if they are.
pub(crate) fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if folder.is_dir() {
        return folder.canonicalize().ok();
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| skipped("no captures at ../shared/corpus beside the project"));
    None
}

/// All captures in a folder and those below it, in order.
pub(crate) fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let end = path.extension().and_then(|end| end.to_str());
        if path.is_dir() {
            found.extend(captures(&path));
        } else if matches!(end, Some("pcap" | "pcapng" | "cap")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn they_balance_on_every_capture() {
    let Some(folder) = corpus() else { return };
    let found = captures(&folder);
    assert!(found.len() > 500, "{} captures are there", found.len());
    let halves = found.split_at(found.len() / 2);
    std::thread::scope(|scope| {
        for half in [halves.0, halves.1] {
            scope.spawn(move || half.iter().for_each(|path| balances(path)));
        }
    });
}

fn balances(path: &Path) {
    let place = Place::new();
    let path = path.to_str().expect("a plain name");
    let arguments = ["-q", "--dry-run", "--summary-json", "s", "-r", path];
    let outcome = place.run_with(&arguments, b"");
    assert!(matches!(outcome.status, Some(0 | 3)), "{path}: {outcome:?}");
    assert_eq!(outcome.out, "", "{path}");
    let text = std::fs::read_to_string(place.path("s")).expect("a summary was written");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a count");
    let packets = &summary["packets"];
    let set_aside: u64 =
        summary["set_aside"].as_object().expect("reasons").values().map(number).sum();
    assert_eq!(number(&packets["set_aside"]), set_aside, "{path}: {text}");
    assert_eq!(
        number(&packets["read"]),
        number(&packets["assigned"]) + set_aside,
        "{path}: {text}"
    );
    assert_eq!(packets["read"], summary["inputs"][0]["packets"], "{path}: {text}");
}
