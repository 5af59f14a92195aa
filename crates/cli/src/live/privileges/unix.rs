//! Unix: users, and the root of the file system.
//!
//! What root creates on a way that somebody else may change can end up anywhere, so root makes directories and
//! files only where nobody else can interfere; what is missing elsewhere is made by the user.

use super::Places;
use crate::config::Privileges;
use anyhow::{Context, bail};
use nix::unistd::{AccessFlags, Uid, User, access, chdir, chroot, initgroups, setgid, setuid};
use std::ffi::{CString, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Component, Path, PathBuf, absolute};

/// Gives up the root of the file system and all privileges, and makes directories and files for the user.
///
/// # Errors
/// There is no such user or directory, it is not allowed, or the user could not write.
pub(crate) fn give_up(privileges: &Privileges, places: &Places<'_>) -> anyhow::Result<()> {
    if privileges.user.is_none() && privileges.root.is_none() {
        return Ok(());
    }
    let user = privileges.user.as_deref().map(find).transpose()?;
    if let Some(user) = &user {
        // Who is in which groups is not told inside the new root.
        let name = CString::new(user.name.as_bytes()).context("a user's name has no zero byte")?;
        initgroups(&name, user.gid).with_context(|| cannot_become(user))?;
    }
    if let Some(root) = &privileges.root {
        chroot(root.as_path()).and_then(|()| chdir("/")).with_context(|| {
            format!("--chroot {}: cannot make it the root of the file system", root.display())
        })?;
    }
    let Some(user) = user else { return Ok(()) };
    if nix::unistd::geteuid().is_root() {
        make_for(&user, places)?;
    }
    setgid(user.gid).and_then(|()| setuid(user.uid)).with_context(|| cannot_become(&user))?;
    drop_capabilities().context("cannot give up capabilities")?;
    if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        bail!("{}: root can be had back", cannot_become(&user));
    }
    let may_not =
        |what: &Path| format!("the user '{}' may not write to {}", user.name, what.display());
    if let Some(dir) = places.dir {
        fs::create_dir_all(dir).with_context(|| may_not(dir))?;
        access(dir, AccessFlags::W_OK | AccessFlags::X_OK).with_context(|| may_not(dir))?;
    }
    // What waits for somebody to read it is not to see that.
    let is_plain = |file: &&&Path| fs::metadata(file).map_or(true, |metadata| metadata.is_file());
    for file in places.files.iter().filter(is_plain) {
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.with_context(|| may_not(file))?;
    }
    Ok(())
}

/// Makes for the user what only root may make.
fn make_for(user: &User, places: &Places<'_>) -> anyhow::Result<()> {
    let cannot = |path: &Path| format!("cannot create {}", path.display());
    for file in &places.files {
        make_file_for(user, file).with_context(|| cannot(file))?;
    }
    match places.dir {
        Some(dir) => make_dir_for(user, dir).with_context(|| cannot(dir)),
        None => Ok(()),
    }
}

fn find(name: &str) -> anyhow::Result<User> {
    match User::from_name(name).with_context(|| format!("--relinquish-privileges {name}"))? {
        Some(user) => Ok(user),
        None => bail!("--relinquish-privileges {name}: there is no such user"),
    }
}

fn cannot_become(user: &User) -> String {
    format!("cannot become the user '{}', which only root can", user.name)
}

/// Makes a directory and those above it, as far as nobody else can interfere. New ones are the user's.
fn make_dir_for(user: &User, path: &Path) -> io::Result<()> {
    let Some(Way { there, missing }) = safe_way(path)? else { return Ok(()) };
    let mut made = vec![there];
    for name in missing {
        let next = made[made.len() - 1].join(name);
        fs::create_dir(&next)?;
        made.push(next);
    }
    // From the last one on: in what is the user's, the user may change everything.
    made.iter().skip(1).rev().try_for_each(|dir| give(dir, user))
}

/// Makes a file that is the user's, if nobody else can interfere and it is not there.
fn make_file_for(user: &User, path: &Path) -> io::Result<()> {
    match safe_way(path)? {
        Some(Way { there, missing }) if missing.len() == 1 => {
            let path = there.join(&missing[0]);
            OpenOptions::new().write(true).create_new(true).open(&path)?;
            give(&path, user)
        }
        _ => Ok(()),
    }
}

fn give(path: &Path, user: &User) -> io::Result<()> {
    lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}

/// How far a path is there already, and what is missing.
#[derive(PartialEq, Eq, Debug)]
struct Way {
    there: PathBuf,
    missing: Vec<OsString>,
}

/// More links are not followed.
const MAX_LINKS: usize = 40;

/// How far a path is there, if nobody but root can change anything on the way: `None` else.
fn safe_way(path: &Path) -> io::Result<Option<Way>> {
    let path = absolute(path)?;
    let mut rest: Vec<OsString> = parts(&path).into_iter().rev().collect();
    let (mut there, mut links) = (PathBuf::from("/"), 0);
    loop {
        let above = fs::metadata(&there)?;
        let Some(name) = rest.pop() else { return Ok(Some(Way { there, missing: Vec::new() })) };
        if name == ".." {
            there.pop();
            continue;
        }
        let others_write = above.mode() & 0o022 != 0;
        let sticky = above.mode() & 0o1000 != 0;
        if !above.is_dir() || above.uid() != 0 || others_write && !sticky {
            return Ok(None);
        }
        let next = there.join(&name);
        match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                rest.push(name);
                rest.reverse();
                return Ok(Some(Way { there, missing: rest }));
            }
            // Where others may write, what they wrote is not followed.
            Ok(found) if others_write && found.uid() != 0 => return Ok(None),
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    there = PathBuf::from("/");
                }
                rest.extend(parts(&target).into_iter().rev());
            }
            Ok(_) => there = next,
            Err(error) => return Err(error),
        }
    }
}

/// The names on a way, and `..`.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

/// Whoever is no root may have been given capabilities by the program's file. There are no other threads yet.
#[cfg(target_os = "linux")]
fn drop_capabilities() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn drop_capabilities() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn root_makes_nothing_where_others_can_interfere() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root has a safe way");
            return;
        }
        let temp = tempfile::TempDir::new().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let missing = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
        let way = |path: &str| safe_way(&top.join(path)).unwrap();
        let reaches = |there: &str, names: &[&str]| {
            Some(Way { there: top.join(there).components().collect(), missing: missing(names) })
        };
        fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["roots/deep", "users", "anybodys", "sticky"] {
            fs::create_dir_all(top.join(dir)).unwrap();
        }
        chown(top.join("users"), Some(65534), None).unwrap();
        for (dir, mode) in [("anybodys", 0o777), ("sticky", 0o1777)] {
            fs::set_permissions(top.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("roots/deep", top.join("link")).unwrap();
        symlink(top.join("roots"), top.join("users/link")).unwrap();
        symlink(top.join("roots"), top.join("sticky/link")).unwrap();
        lchown(top.join("sticky/link"), Some(65534), None).unwrap();
        symlink("circle", top.join("circle")).unwrap();

        assert_eq!(way("roots/deep"), reaches("roots/deep", &[]));
        assert_eq!(way("roots/a/b"), reaches("roots", &["a", "b"]));
        assert_eq!(way("link/a"), reaches("roots/deep", &["a"]));
        assert_eq!(way("link/../a"), reaches("roots", &["a"]));
        assert_eq!(way("sticky/a"), reaches("sticky", &["a"]));
        for path in ["users/a", "users/link/a", "anybodys/a", "sticky/link/a", "circle/a"] {
            assert_eq!(way(path), None, "{path}");
        }
    }
}
