//! What a live capture gives up when its interface is open.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::give_up;
#[cfg(unix)]
pub(crate) use unix::give_up;

use crate::config::Privileges;
use std::path::{Component, Path, PathBuf};

/// Where files go, which must be there, or be made, for the user.
pub(crate) struct Places<'a> {
    /// The output directory, where there is one.
    pub(crate) dir: Option<&'a Path>,
    /// Files that are to be written.
    pub(crate) files: Vec<&'a Path>,
}

/// Where a path leads, seen from outside the directory that will be the root.
pub(crate) fn from_outside(privileges: &Privileges, path: &Path) -> PathBuf {
    let Some(root) = &privileges.root else { return path.into() };
    let mut outside = root.clone();
    for part in path.components() {
        match part {
            Component::Normal(part) => outside.push(part),
            // Nothing is above the root.
            Component::ParentDir if outside != *root => drop(outside.pop()),
            _ => {}
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_root() {
        let within = |root: Option<&str>, path: &str| {
            let privileges = Privileges { user: None, root: root.map(PathBuf::from) };
            from_outside(&privileges, Path::new(path))
        };
        assert_eq!(within(None, "../a"), Path::new("../a"));
        for (path, outside) in [
            ("out", "/var/cap/out"),
            ("/out/a", "/var/cap/out/a"),
            ("../../out", "/var/cap/out"),
            ("a/../../b/.", "/var/cap/b"),
            (".", "/var/cap"),
        ] {
            assert_eq!(within(Some("/var/cap"), path), Path::new(outside));
        }
    }
}
