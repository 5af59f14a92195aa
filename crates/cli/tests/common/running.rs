//! Programs that run beside a test.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Nothing here takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked whether something is so.
const LOOK: Duration = Duration::from_millis(10);

/// A program that runs, until it ends or the test does.
pub(crate) struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a program whose standard error is kept, and whose standard output nobody reads.
    pub(crate) fn start(mut command: Command) -> Self {
        let (reader, writer) = pipe().expect("there are descriptors");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(writer);
        Self::of(command, reader)
    }

    /// Starts a program all of whose words are kept, and which may be [told](Self::tell) something.
    pub(crate) fn with_words(mut command: Command) -> Self {
        let (reader, writer) = pipe().expect("there are descriptors");
        let other = writer.try_clone().expect("there are descriptors");
        command.stdin(Stdio::piped()).stdout(other).stderr(writer);
        Self::of(command, reader)
    }

    fn of(mut command: Command, from: PipeReader) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // It holds the other ends of the pipe.
        drop(command);
        let said = Arc::new(Mutex::new(String::new()));
        let all = said.clone();
        let reader = spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                *all.lock().expect("no thread panics with it") +=
                    &(String::from_utf8_lossy(&line) + "\n");
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("no thread panics with it").clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, which nobody reads.
    pub(crate) fn unread(&self) -> &ChildStdout {
        self.child.stdout.as_ref().expect("it is piped")
    }

    /// Waits until it has said this; `false` where it ended without.
    pub(crate) fn has_said(&mut self, words: &str) -> bool {
        let begun = Instant::now();
        while !self.said().contains(words) {
            if self.has_ended().is_some() {
                return self.all_said().contains(words);
            }
            assert!(begun.elapsed() < PATIENCE, "'{words}' was not said: {}", self.said());
            sleep(LOOK);
        }
        true
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{line}").unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it was not waited for");
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is a child")
    }

    /// Waits for its end: its exit status, and what it said.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        // Who waits for more input has it all.
        drop(self.child.stdin.take());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.has_ended() {
                return (status.code(), self.all_said());
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            sleep(LOOK);
        }
    }

    /// Waits for its end, which must be a good one; what it said.
    pub(crate) fn ends_well(self) -> String {
        let (status, said) = self.ends();
        assert_eq!(status, Some(0), "{said}");
        said
    }

    /// What it said, when it has ended.
    fn all_said(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it does not panic");
        }
        self.said()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(LOOK);
    }
}
