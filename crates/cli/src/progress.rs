//! The progress bar of long runs.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt;
use std::io::{IsTerminal, Write, stderr, stdout};

/// Below this many bytes a run is over before anybody could read a bar.
const LONG: u64 = 64 << 20;

/// A bar on standard error, where that is a terminal and the input is long.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar for `length` bytes of input; for input of unknown length where it is `None`.
    pub(crate) fn new(length: Option<u64>, quiet: bool, console: bool) -> Self {
        let shows = !quiet
            && stderr().is_terminal()
            && !(console && stdout().is_terminal())
            && length.is_none_or(|bytes| bytes >= LONG);
        Self { bar: shows.then(|| bar(length)) }
    }

    /// No bar.
    pub(crate) fn none() -> Self {
        Self { bar: None }
    }

    /// Shows how far the run is: bytes read, connections held.
    pub(crate) fn show(&self, bytes: u64, connections: usize) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{connections} connections"));
            bar.set_position(bytes);
        }
    }

    /// Prints a line on standard error without disturbing the bar.
    pub(crate) fn line(&self, line: &str) {
        let line = one_line(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| say(format_args!("{line}\n"))),
            None => say(format_args!("{line}\n")),
        }
    }

    /// The run is over.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Says something to people on standard error. Nobody has to listen: where it is full or closed, the
/// run goes on.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let _ = stderr().write_fmt(text);
}

/// A text without anything that would break the line or the terminal it is printed on: names of files
/// may hold what they like.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn bar(length: Option<u64>) -> ProgressBar {
    let template = match length {
        Some(_) => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {msg}, {eta} left",
        None => "{spinner} {bytes}, {bytes_per_sec}, {msg}",
    };
    let bar = match length {
        Some(bytes) => ProgressBar::new(bytes),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
