//! Unix: users, and the root of the file system.

use super::{Places, from_outside};
use crate::config::Privileges;
use anyhow::{Context, bail};
use nix::unistd::{AccessFlags, Uid, User, access, chdir, chroot, initgroups, setgid, setuid};
use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::unix::fs::chown;
use std::path::Path;

/// Makes directories and files for the user, and gives up the root of the file system and all privileges.
///
/// # Errors
/// There is no such user or directory, it is not allowed, or the user could not write.
pub(crate) fn give_up(privileges: &Privileges, places: &Places<'_>) -> anyhow::Result<()> {
    if privileges.user.is_none() && privileges.root.is_none() {
        return Ok(());
    }
    let user = privileges.user.as_deref().map(find).transpose()?;
    if let Some(root) = privileges.root.as_ref().filter(|root| !root.is_dir()) {
        bail!("--chroot {}: there is no such directory", root.display());
    }
    if let Some(dir) = places.dir {
        let outside = from_outside(privileges, dir);
        make_dir(&outside, user.as_ref())
            .with_context(|| format!("cannot create {}", outside.display()))?;
    }
    for path in &places.files {
        let outside = from_outside(privileges, path);
        make_file(&outside, user.as_ref())
            .with_context(|| format!("cannot write {}", outside.display()))?;
    }
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
    if let Some(user) = &user {
        setgid(user.gid).and_then(|()| setuid(user.uid)).with_context(|| cannot_become(user))?;
        drop_capabilities().context("cannot give up capabilities")?;
        if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            bail!("{}: root can be had back", cannot_become(user));
        }
        if let Some(dir) = places.dir {
            access(dir, AccessFlags::W_OK | AccessFlags::X_OK).with_context(|| {
                format!("the user '{}' may not write to {}", user.name, dir.display())
            })?;
        }
    }
    Ok(())
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

/// Makes a directory and those above it; new ones are the user's.
fn make_dir(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_dir(above, user)?;
    }
    std::fs::create_dir(path)?;
    give(path, user)
}

/// Makes a file, which is the user's where it is new.
fn make_file(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    let is_new = !path.exists();
    OpenOptions::new().append(true).create(true).open(path)?;
    if is_new { give(path, user) } else { Ok(()) }
}

fn give(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        None => Ok(()),
    }
}

/// Whoever is no root may have been given capabilities by the program's file. Threads that are started later
/// have none either.
#[cfg(target_os = "linux")]
fn drop_capabilities() -> std::io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn drop_capabilities() -> std::io::Result<()> {
    Ok(())
}
