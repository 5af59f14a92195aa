//! The program, run in a folder of its own.

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// No run of a test takes nearly as long, even in a debug build on a busy machine: it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder in which the program runs.
pub(crate) struct Place {
    folder: TempDir,
    zone: &'static str,
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("there is room for a folder"), zone: "UTC" }
    }

    /// A folder with the capture `a.pcap`.
    pub(crate) fn with(capture: impl AsRef<[u8]>) -> Self {
        Self::new().put("a.pcap", capture)
    }

    /// Puts a file into the folder.
    pub(crate) fn put(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), bytes).expect("there is room for a file");
        self
    }

    /// Runs happen in another time zone than UTC.
    pub(crate) fn in_zone(mut self, zone: &'static str) -> Self {
        self.zone = zone;
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with the arguments in `line`, cut at blanks.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.run_with(&line.split_whitespace().collect::<Vec<_>>(), b"")
    }

    /// The program with these arguments and this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_pcap2conn"));
        command.args(arguments).write_stdin(input);
        Outcome::of(&mut command)
    }

    /// A shell script in which `$P` is the program.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        let mut command = self.command("sh");
        command.args(["-c", script]).env("P", env!("CARGO_BIN_EXE_pcap2conn"));
        Outcome::of(&mut command)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("TZ", self.zone).timeout(PATIENCE);
        command
    }

    /// The files of a folder below this one, each byte one character; a folder as `NAME/`, and what
    /// is neither (reading a pipe would wait for ever) without its bytes.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(self.path(folder))
            .unwrap_or_else(|error| panic!("{folder}: {error}"))
            .map(|entry| entry.expect("a folder of ours can be read").path());
        entries
            .map(|path| {
                let name = path.file_name().expect("an entry has a name").to_string_lossy();
                if path.is_dir() {
                    return (format!("{name}/"), String::new());
                }
                if !path.is_file() {
                    return (name.into_owned(), String::new());
                }
                (name.into_owned(), latin1(&std::fs::read(&path).expect("a file of ours")))
            })
            .collect()
    }

    /// The names of the files of a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        self.files(folder).into_keys().collect()
    }

    /// Runs with `-o out` and `options` on `a.pcap`, which must go well, and gives what is in `out`.
    pub(crate) fn out(&self, options: &str) -> BTreeMap<String, String> {
        self.run(&format!("-q -r a.pcap -o out {options}")).says_nothing();
        let files = self.files("out");
        std::fs::remove_dir_all(self.path("out")).expect("the folder was just read");
        files
    }

    /// Runs with `options` on `a.pcap`, which must go well, and gives the one file that came out.
    pub(crate) fn only(&self, options: &str) -> (String, String) {
        let files = self.out(options);
        assert_eq!(files.len(), 1, "{:?}", files.keys());
        files.into_iter().next().expect("there is one")
    }

    /// Runs with `-q -c` and `options` on `a.pcap`, which must go well, and gives what was shown.
    pub(crate) fn shown(&self, options: &str) -> String {
        let outcome = self.run(&format!("-q -r a.pcap -c {options}"));
        assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
        outcome.out
    }

    /// The summary of a run with `options`, as JSON, whatever its exit status.
    pub(crate) fn summary(&self, options: &str) -> serde_json::Value {
        let outcome = self.run(&format!("-q --dry-run --summary-json summary.json {options}"));
        assert!(outcome.out.is_empty(), "{outcome:?}");
        read_json(&self.path("summary.json"))
    }
}

impl Outcome {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the program can be started");
        let (out, err) = (latin1(&output.stdout), String::from_utf8_lossy(&output.stderr).into());
        Self { status: output.status.code(), out, err }
    }

    /// The run went well and said nothing.
    pub(crate) fn says_nothing(&self) {
        assert_eq!((self.status, self.out.as_str(), self.err.as_str()), (Some(0), "", ""));
    }

    /// The run ended with `status`.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    /// Exactly this stands on standard error.
    #[track_caller]
    pub(crate) fn errs(self, text: &str) -> Self {
        assert_eq!(self.err, text);
        self
    }
}

pub(crate) fn read_json(path: &Path) -> serde_json::Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("a summary is JSON")
}

/// Says that a test could not be made here, and why: past the test program's own hiding of what tests
/// print.
pub(crate) fn skipped(why: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Each byte one character.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A file of lines, each with its end.
pub(crate) fn lines(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
