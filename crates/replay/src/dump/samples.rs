//! Connections for tests.

use super::DumpOptions;
use super::draft::{Draft, Origin};
use super::error::Reason;
use super::record::Line;
use crate::Transport;

pub(super) fn options(transport: Option<Transport>) -> DumpOptions {
    DumpOptions { transport, most: 1 << 20 }
}

/// A connection of these records.
pub(super) fn draft(name: &str, lines: &[&str]) -> Result<Draft, Reason> {
    let origin = Origin { file: "a.json".into(), line: None, folder: Some("folder".into()) };
    let mut draft = Draft::new(name.to_owned(), origin);
    draft.decide(&options(None));
    let mut data = Vec::new();
    for line in lines {
        match Line::parse(line.as_bytes(), &mut data)? {
            Line::Record(record) => draft.push(&record, &data)?,
            Line::Metadata(..) => panic!("no record: {line}"),
        };
    }
    Ok(draft)
}
