//! The examples of README.md, run as they stand there.
//!
//! Every block marked `console` is a session: lines that begin with `$ ` are commands, what follows
//! is what they print on both standard streams. A line of `...` stands for any number of lines, and
//! the measured line of a summary (`Time:`) for any such line. Words after `console` say more: `one`,
//! that the first line alone is a command (recorded sessions have prompts too); `needs=TOOL`, that
//! the block is left out, with a note, where the tool is not installed.
#![cfg(all(unix, feature = "libpcap"))]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

use std::io::{BufRead, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A command of the document and what it is said to print.
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// A block of the document.
struct Session {
    needs: Option<String>,
    steps: Vec<Step>,
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sessions(document: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let (mut inside, mut one) = (false, false);
    for (number, line) in document.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            let mut words = info.split(' ');
            inside = !inside && words.next() == Some("console");
            if inside {
                one = words.clone().any(|word| word == "one");
                let needs = words.find_map(|word| word.strip_prefix("needs=")).map(str::to_owned);
                sessions.push(Session { needs, steps: Vec::new() });
            }
        } else if inside {
            let steps = &mut sessions.last_mut().unwrap().steps;
            match line.strip_prefix("$ ") {
                Some(command) if !one || steps.is_empty() => steps.push(Step {
                    line: number + 1,
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                _ => steps.last_mut().unwrap().expected.push(line.to_owned()),
            }
        }
    }
    sessions
}

/// A shell that is to run a command, both streams in one.
fn shell(command: &str, folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pcap2conn"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec 2>&1\n{command}"))
        .current_dir(folder)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    shell
}

/// What a shell prints for a command.
fn run(command: &str, folder: &Path) -> Vec<String> {
    let output = shell(command, folder).output().unwrap();
    // A pager of one's own shows no carriage returns, and neither does the document.
    String::from_utf8_lossy(&output.stdout).lines().map(|l| l.replace('\r', "")).collect()
}

/// A command that goes on beside others.
struct Beside {
    child: Child,
    lines: std::io::Lines<BufReader<PipeReader>>,
}

impl Beside {
    fn start(command: &str, folder: &Path) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        // The shell makes way for the program, so that there is one to be ended.
        let mut shell = shell(&format!("exec {command}"), folder);
        let child = shell.stdout(writer).spawn().unwrap();
        Self { child, lines: BufReader::new(reader).lines() }
    }

    /// So many lines of what it prints, or all.
    fn prints(&mut self, lines: usize) -> Vec<String> {
        self.lines.by_ref().take(lines).map(Result::unwrap).collect()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is what was printed what the document says?
fn matches(expected: &[String], printed: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return printed.is_empty() };
    if first == "..." {
        return (0..=printed.len()).any(|from| matches(rest, &printed[from..]));
    }
    let Some((line, further)) = printed.split_first() else { return false };
    let begins = first.strip_suffix("...").is_some_and(|begin| line.starts_with(begin));
    let same = first == line || begins || (first.starts_with("Time:") && line.starts_with("Time:"));
    same && matches(rest, further)
}

fn is_installed(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn every_session_prints_what_the_document_says() {
    let document = std::fs::read_to_string(project().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(project().join("examples"), folder.path().join("examples")).unwrap();
    let sessions = sessions(&document);
    assert!(sessions.len() >= 5, "README.md has lost its sessions");
    for session in sessions {
        if let Some(tool) = session.needs.filter(|tool| !is_installed(tool)) {
            println!("skipped: a session of README.md needs {tool}");
            continue;
        }
        let mut beside = None;
        for Step { line, command, expected } in session.steps {
            let printed = match (command.strip_suffix(" &"), &mut beside) {
                (Some(command), _) => {
                    beside.insert(Beside::start(command, folder.path())).prints(expected.len())
                }
                (None, Some(beside)) if command == "wait" => beside.prints(usize::MAX),
                _ => run(&command, folder.path()),
            };
            assert!(
                matches(&expected, &printed),
                "README.md, line {line}: $ {command}\nsaid:\n{}\nprinted:\n{}",
                expected.join("\n"),
                printed.join("\n")
            );
        }
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let document = std::fs::read_to_string(project().join(name)).unwrap();
        for target in document.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { name } else { file };
            let found = project().join(file).exists() && has_heading(file, heading);
            if !found {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Has the document a heading with this anchor? An empty one is its beginning.
fn has_heading(file: &str, anchor: &str) -> bool {
    if anchor.is_empty() {
        return true;
    }
    let document = std::fs::read_to_string(project().join(file)).unwrap();
    let mut headings = document.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
    })
}

#[test]
fn every_option_is_in_the_document() {
    let document = std::fs::read_to_string(project().join("README.md")).unwrap();
    let help = run("pcap2conn --help; pcap2conn replay --help", Path::new("."));
    let words = help.iter().flat_map(|line| line.split_whitespace());
    let mut options: Vec<&str> = words
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(|word| word.trim_matches([',', '.', '(', ')', ';']))
        .collect();
    options.sort_unstable();
    options.dedup();
    assert!(options.len() > 20, "{options:?}");
    let explains = |option: &&&str| {
        document.contains(&format!("| `{option}` |"))
            || document.contains(&format!(", `{option}` |"))
    };
    let missing: Vec<_> = options.iter().filter(|option| !explains(option)).collect();
    assert!(missing.is_empty(), "README.md does not explain {missing:?}");
}
