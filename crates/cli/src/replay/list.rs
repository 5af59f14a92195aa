//! What can be played.

use super::plan::Numbered;
use flow::Side;
use replay::{Recording, What};
use std::io::{self, Write, stdout};

/// Lists recordings on standard output.
///
/// # Errors
/// It cannot be written to.
pub(crate) fn list(recordings: &[Numbered], as_json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(stdout().lock());
    let written = write(&mut out, recordings, as_json).and_then(|()| out.flush());
    match written {
        // Whoever reads it has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn write(out: &mut impl Write, recordings: &[Numbered], as_json: bool) -> io::Result<()> {
    if !as_json {
        writeln!(
            out,
            "{:>6}  {:<8}  {:>9}  {:>12}  {:>12}  {:>9}  connection",
            "number", "protocol", "turns", "side 0", "side 1", "missing"
        )?;
    }
    for (number, recording) in recordings {
        let [zero, one] = Side::BOTH.map(|side| recording.len_of(side));
        let missing: u64 =
            recording.missing().map(|missing| missing.len).fold(0, u64::saturating_add);
        let (turns, name) = (turns(recording), recording.name());
        if as_json {
            let line = serde_json::json!({
                "number": number, "connection": name, "protocol": recording.transport().to_string(),
                "turns": turns, "bytes": [zero, one], "missing": missing,
            });
            writeln!(out, "{line}")?;
        } else {
            let name = crate::progress::one_line(name);
            let protocol = recording.transport();
            writeln!(
                out,
                "{number:>6}  {:<8}  {turns:>9}  {zero:>12}  {one:>12}  {missing:>9}  {name}",
                protocol.to_string()
            )?;
        }
    }
    Ok(())
}

/// Unbroken runs of one side, or datagrams.
fn turns(recording: &Recording) -> u64 {
    let mut turns = 0;
    let mut speaker = None;
    for event in recording.events() {
        if matches!(event.what, What::Finish(_)) {
            continue;
        }
        let goes_on =
            recording.transport() == replay::Transport::Tcp && speaker == Some(event.side);
        turns += u64::from(!goes_on);
        speaker = Some(event.side);
    }
    turns
}
