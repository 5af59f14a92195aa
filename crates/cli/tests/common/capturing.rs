//! The program, capturing.

use super::{Namespace, PATIENCE, Place, Running, skipped};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The program, capturing, in a place of its own.
pub(crate) struct Capturing {
    pub(crate) place: Place,
    pub(crate) running: Running,
}

impl Capturing {
    /// Starts it with output in `out`, and waits until it captures; `None` where it may not.
    pub(crate) fn start(arguments: &str, filter: &str) -> Option<Self> {
        let command = Command::new(env!("CARGO_BIN_EXE_pcap2conn"));
        Self::of(command, arguments, filter)
    }

    /// Starts it in a namespace.
    pub(crate) fn start_in(space: &Namespace, arguments: &str, filter: &str) -> Option<Self> {
        Self::of(space.command(env!("CARGO_BIN_EXE_pcap2conn")), arguments, filter)
    }

    fn of(mut command: Command, arguments: &str, filter: &str) -> Option<Self> {
        let place = Place::new();
        command.args(arguments.split_whitespace()).args(["--verbose", "--utc", "-o", "out"]);
        if !filter.is_empty() {
            command.args(["-e", filter]);
        }
        command.current_dir(place.path("."));
        let mut running = Running::start(command);
        if !running.has_said("capturing on ") {
            let (status, said) = running.ends();
            assert!(said.contains("CAP_NET_RAW"), "{status:?}: {said}");
            skipped(said.trim());
            return None;
        }
        Some(Self { place, running })
    }

    /// Asks it to stop; what it said, when it has ended with this status.
    pub(crate) fn stop(self, status: i32) -> (Place, String) {
        self.running.signal(Signal::TERM);
        self.ends(status)
    }

    /// What it said, when it has ended with this status by itself.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> (Place, String) {
        let (ended, said) = self.running.ends();
        assert_eq!(ended, Some(status), "{said}");
        (self.place, said)
    }

    /// Waits until a file whose name ends so has these contents.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_there: impl Fn(&[u8]) -> bool) {
        let begun = Instant::now();
        while !self.files(name).iter().any(|path| std::fs::read(path).is_ok_and(|b| is_there(&b))) {
            let there = || format!("{:?}: {}", self.files(""), self.running.said());
            assert!(begun.elapsed() < PATIENCE, "no file {name} with that in it: {}", there());
            sleep(Duration::from_millis(20));
        }
    }

    /// Files whose names end so.
    pub(crate) fn files(&self, name: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.place.path("out")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.to_string_lossy().ends_with(name)).collect()
    }
}
