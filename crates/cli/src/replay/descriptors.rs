//! How much may be open at once.

use replay::Role;

/// Descriptors, shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    pub(crate) connections: usize,
    /// Of what was said.
    pub(crate) files: usize,
}

impl Descriptors {
    /// So many files of what was said at most.
    const MOST_FILES: usize = 100;
    /// The standard streams, an event loop, sockets that listen, a directory.
    const OTHERS: usize = 16;
    /// So many connections a client makes at once, unless told.
    const AT_ONCE: usize = 1000;

    /// What a run may have.
    pub(crate) fn for_role(role: &Role, at_once: Option<usize>) -> Self {
        let (wanted, doors) = match role {
            Role::Connect(_, scripts) => (scripts.len().min(at_once.unwrap_or(Self::AT_ONCE)), 0),
            // Anybody may come.
            Role::Listen(doors) => (at_once.unwrap_or(usize::MAX), 2 * doors.len()),
        };
        let others = Self::OTHERS + doors;
        let most = descriptor_limit(wanted.saturating_add(Self::MOST_FILES + others));
        let files = Self::MOST_FILES.min(most / 4).max(1);
        let connections = wanted.min(most.saturating_sub(files + others)).max(1);
        Self { connections, files }
    }
}

/// How many descriptors this process may have; the system gives more to whoever asks for them.
#[cfg(target_os = "linux")]
fn descriptor_limit(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    let current = limit.current.unwrap_or(u64::MAX);
    let needed = wanted.min(maximum);
    let limit = match current < needed
        && setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).is_ok()
    {
        true => needed,
        false => current,
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// What systems usually give.
#[cfg(not(target_os = "linux"))]
fn descriptor_limit(_: usize) -> usize {
    256
}
