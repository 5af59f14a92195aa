//! Network namespaces, joined by cables (veth): networks of their own, where nobody else speaks.

use super::{Running, skipped};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the names of namespaces begin with, the process and a number after it.
const PREFIX: &str = "p2c-test-";

/// A network namespace, deleted with this.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Why there is none where that may not be.
    fn new() -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        forget_those_left();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let this = Self { name: format!("{PREFIX}{}-{number}", id()) };
        ip(&[], &format!("netns add {}", this.name))?;
        this.ip("link set lo up")?;
        Ok(this)
    }

    /// `ip` in here, with lines of commands.
    pub(crate) fn ip(&self, lines: &str) -> Result<(), String> {
        ip(&["-n", &self.name], lines)
    }

    /// A program that runs in here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs what blanks cut into a program and its arguments; what it said, when it has ended well.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.running(line).ends_well()
    }

    /// Starts what blanks cut into a program and its arguments.
    pub(crate) fn running(&self, line: &str) -> Running {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        command.args(words);
        Running::with_words(command)
    }

    /// Starts a server, and waits until it says that it serves.
    #[track_caller]
    pub(crate) fn serving(&self, line: &str, words: &str) -> Running {
        let mut server = self.running(line);
        assert!(server.has_said(words), "{line}: {}", server.said());
        server
    }

    /// From now on no packet on an interface is larger than the network's, and all checksums are right.
    pub(crate) fn without_offloads(&self, interface: &str) -> Result<(), String> {
        let line = format!("ethtool -K {interface} tso off gso off gro off tx off rx off");
        match self.running(&line).ends() {
            (Some(0), _) => Ok(()),
            (_, said) => Err(format!("{line}: {said}")),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where it was not made, this says so to nobody.
        let _ = ip(&[], &format!("netns del {}", self.name));
    }
}

/// Deletes those of test programs that were killed before they could.
fn forget_those_left() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let process = process.and_then(|digits| digits.parse::<u32>().ok());
        if process.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another test may be at it too.
            let _ = ip(&[], &format!("netns del {name}"));
        }
    }
}

/// Runs `ip` with lines of commands; why one failed.
fn ip(options: &[&str], lines: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(options).args(["-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("ip: {error}"))?;
    let mut input = child.stdin.take().expect("it is piped");
    // Where it reads no more, it says why.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    let output = child.wait_with_output().map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip: {}", said.lines().next().unwrap_or_default()))
        }
    }
}

/// Addresses of both ends of a cable, by IP version.
pub(crate) const LEFT: [&str; 2] = ["10.77.0.1", "fd00:77::1"];
pub(crate) const RIGHT: [&str; 2] = ["10.77.0.2", "fd00:77::2"];

/// Two namespaces with a cable between them, whose ends are the interface `v0` in each.
pub(crate) struct Pair {
    pub(crate) left: Namespace,
    pub(crate) right: Namespace,
    /// How many versions of IP there are.
    versions: usize,
}

impl Pair {
    /// `None` where that may not be, which was said.
    pub(crate) fn new() -> Option<Self> {
        made(Self::make(|left, right| cable((left, "v0"), (right, "v0"))))
    }

    /// The two are joined by whatever `join` makes.
    fn make(
        join: impl FnOnce(&Namespace, &Namespace) -> Result<(), String>,
    ) -> Result<Self, String> {
        let (left, right) = (Namespace::new()?, Namespace::new()?);
        join(&left, &right)?;
        let mut versions = 2;
        for (space, [v4, v6]) in [(&left, LEFT), (&right, RIGHT)] {
            space.ip(&format!("addr add {v4}/24 dev v0"))?;
            if let Err(why) = space.ip(&format!("addr add {v6}/64 dev v0 nodad")) {
                skipped(format!("no IPv6: {why}"));
                versions = 1;
            }
        }
        Ok(Self { left, right, versions })
    }

    /// The addresses of left and right, for each version of IP.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        LEFT.into_iter().zip(RIGHT).take(self.versions)
    }
}

/// A pair, in whose cable a third namespace stands: `f0` leads to the left, `f1` to the right, and what is sent to
/// `m0` comes out of `m1`.
pub(crate) struct Detour {
    pub(crate) pair: Pair,
    pub(crate) middle: Namespace,
}

impl Detour {
    /// `None` where that may not be, which was said.
    pub(crate) fn new() -> Option<Self> {
        made(Self::make())
    }

    fn make() -> Result<Self, String> {
        let middle = Namespace::new()?;
        cable((&middle, "m0"), (&middle, "m1"))?;
        let pair = Pair::make(|left, right| {
            cable((left, "v0"), (&middle, "f0"))?;
            cable((&middle, "f1"), (right, "v0"))
        })?;
        Ok(Self { pair, middle })
    }
}

/// Joins two interfaces, each the namespace and its name.
fn cable(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<(), String> {
    let (a, b) = (one.1, other.1);
    let (here, there) = (&one.0.name, &other.0.name);
    ip(&[], &format!("link add {a} netns {here} type veth peer name {b} netns {there}"))?;
    for (space, name) in [one, other] {
        // No address that nobody gave it: the system would speak by itself.
        space.ip(&format!("link set {name} addrgenmode none\nlink set {name} up"))?;
    }
    Ok(())
}

fn made<T>(made: Result<T, String>) -> Option<T> {
    made.map_err(|why| skipped(format!("no network of its own: {why}"))).ok()
}

/// Are these programs there? Says which one is not.
pub(crate) fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let missing = programs.iter().find(|program| !is_there(program));
    missing.inspect(|program| skipped(format!("no {program}"))).is_none()
}
