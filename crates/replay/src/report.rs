//! What became of plays, for people and for programs.

use crate::net::{Dismissed, Played};
use crate::outcome::{Difference, Divergence, Ending, Place, Standstill, Unlike, Waiting};
use flow::Side;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// So many bytes stand in a line.
const WIDTH: usize = 8;

fn side(side: Side) -> u64 {
    side.index() as u64
}

fn place(at: Place) -> String {
    format!("side {}, turn {}, offset {}", side(at.side), at.turn, at.offset)
}

fn plural(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A play in a line, and in others below it what differs. Bytes of the input stand in them as they are.
pub fn lines(played: &Played) -> Vec<String> {
    let outcome = &played.outcome;
    let mut text = format!("{}: {}", played.script.recording().name(), ending(&outcome.ending));
    if outcome.ending != Ending::NotPlayed {
        let _ = write!(
            text,
            "; {} of {}, {} sent, {} received, {:.3} s",
            outcome.turns,
            plural(played.script.turns(), "turn"),
            plural(outcome.sent, "byte"),
            outcome.received,
            outcome.took.as_secs_f64()
        );
    }
    if let Some(differs) = outcome.differs {
        let _ = write!(text, "; the peer's bytes differ from offset {differs} on");
    }
    if outcome.reset && outcome.matched() {
        text.push_str("; the peer broke off in the end");
    }
    let mut lines = vec![text];
    if let Ending::Diverged(Divergence { at, difference }) = &outcome.ending {
        push_difference(&mut lines, at.offset, difference);
    }
    lines
}

/// Somebody who was not played to, as an object of JSON, in a line.
pub fn dismissed(peer: &str, why: &Dismissed) -> String {
    let reason = why.to_string();
    json!({"result": "dismissed", "matched": !why.is_fault(), "peer": peer, "reason": reason})
        .to_string()
}

fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Done => "done".into(),
        Ending::Diverged(Divergence { at, difference }) => {
            let why = match &difference.unlike {
                Unlike::Bytes => "other bytes came".into(),
                Unlike::Pattern(pattern) => format!("what came does not match '{pattern}'"),
                Unlike::Length => "a datagram of another length came".into(),
                Unlike::Surplus => "more came than was recorded".into(),
            };
            format!("diverged at {}: {why}", place(*at))
        }
        Ending::TimedOut(Standstill { at, waiting }) => {
            let what = match waiting {
                Waiting::Turn { come, of } => format!("{come} of {} came", plural(*of, "byte")),
                Waiting::End => "the peer did not end".into(),
                Waiting::Room => "the peer did not take what was sent".into(),
                Waiting::Connection => "no connection".into(),
            };
            format!("timed out at {}: {what}", place(*at))
        }
        Ending::PeerClosed { at, reset: false } => format!("peer closed at {}", place(*at)),
        Ending::PeerClosed { at, reset: true } => format!("peer broke off at {}", place(*at)),
        Ending::Broken(at, why) => format!("broken at {}: {why}", place(*at)),
        Ending::Failed(why) => format!("failed: {why}"),
        Ending::Stopped => "stopped".into(),
        Ending::NotPlayed => "not played".into(),
    }
}

/// Expected and received side by side, from a few bytes before the first that differs.
fn push_difference(lines: &mut Vec<String>, offset: u64, difference: &Difference) {
    let before = &difference.before;
    let [expected, received] =
        [&difference.expected, &difference.received].map(|bytes| [&**before, bytes].concat());
    let start = offset.saturating_sub(before.len() as u64);
    lines.push(format!("    offset    {:<34}received", "expected"));
    let most = expected.len().max(received.len());
    for line in (0..most).step_by(WIDTH) {
        let [left, right] = [&expected, &received]
            .map(|bytes| bytes.get(line..bytes.len().min(line + WIDTH)).unwrap_or_default());
        let mark = if left == right { ' ' } else { '!' };
        lines.push(format!(
            "  {mark} {:08x}  {:<34}{}",
            start + line as u64,
            dump(left),
            dump(right).trim_end()
        ));
    }
}

/// Bytes in hex, then as text.
fn dump(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(4 * WIDTH);
    for at in 0..WIDTH {
        match bytes.get(at) {
            Some(byte) => {
                let _ = write!(line, "{byte:02x} ");
            }
            None => line.push_str("   "),
        }
    }
    line.extend(bytes.iter().map(|&byte| match byte {
        0x20..0x7F => char::from(byte),
        _ => '.',
    }));
    line
}

/// A play as an object of JSON, in a line.
pub fn json(played: &Played) -> String {
    let (recording, outcome) = (played.script.recording(), &played.outcome);
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| {
        all.insert(key.into(), value);
    };
    put("connection", recording.name().into());
    put("protocol", recording.transport().to_string().into());
    put("side", side(played.script.side()).into());
    put("result", result(&outcome.ending).into());
    put("matched", outcome.matched().into());
    put("turns", json!({"played": outcome.turns, "recorded": played.script.turns()}));
    put("sent", outcome.sent.into());
    put("received", outcome.received.into());
    put("seconds", outcome.took.as_secs_f64().into());
    let known = [("local", &played.local), ("peer", &played.peer), ("stored", &played.file)];
    for (key, value) in known {
        if let Some(value) = value {
            put(key, value.as_str().into());
        }
    }
    if let Some(differs) = outcome.differs {
        put("differs_from", differs.into());
    }
    if outcome.reset {
        put("reset", true.into());
    }
    if let Some(at) = place_of(&outcome.ending) {
        put("at", json!({"side": side(at.side), "turn": at.turn, "offset": at.offset}));
    }
    match &outcome.ending {
        Ending::Diverged(divergence) => put("difference", difference(&divergence.difference)),
        Ending::TimedOut(standstill) => put("waited_for", waiting(standstill.waiting)),
        Ending::Failed(why) | Ending::Broken(_, why) => put("reason", why.as_str().into()),
        _ => {}
    }
    Value::Object(all).to_string()
}

fn result(ending: &Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Diverged(_) => "diverged",
        Ending::TimedOut(_) => "timed out",
        Ending::PeerClosed { reset: false, .. } => "peer closed",
        Ending::PeerClosed { reset: true, .. } => "peer reset",
        Ending::Broken(..) => "broken",
        Ending::Failed(_) => "failed",
        Ending::Stopped => "stopped",
        Ending::NotPlayed => "not played",
    }
}

fn place_of(ending: &Ending) -> Option<Place> {
    match ending {
        Ending::Diverged(Divergence { at, .. })
        | Ending::TimedOut(Standstill { at, .. })
        | Ending::PeerClosed { at, .. }
        | Ending::Broken(at, _) => Some(*at),
        Ending::Done | Ending::Failed(_) | Ending::Stopped | Ending::NotPlayed => None,
    }
}

fn difference(difference: &Difference) -> Value {
    let why = match &difference.unlike {
        Unlike::Bytes => "bytes",
        Unlike::Pattern(_) => "pattern",
        Unlike::Length => "length",
        Unlike::Surplus => "surplus",
    };
    let hex = const_hex::encode_upper;
    let mut all = json!({
        "unlike": why,
        "before_hex": hex(&difference.before),
        "expected_hex": hex(&difference.expected),
        "received_hex": hex(&difference.received),
    });
    if let (Unlike::Pattern(pattern), Some(all)) = (&difference.unlike, all.as_object_mut()) {
        all.insert("pattern".into(), pattern.as_str().into());
    }
    all
}

fn waiting(waiting: Waiting) -> Value {
    match waiting {
        Waiting::Turn { come, of } => json!({"what": "turn", "came": come, "of": of}),
        Waiting::End => json!({"what": "end"}),
        Waiting::Room => json!({"what": "room"}),
        Waiting::Connection => json!({"what": "connection"}),
    }
}
