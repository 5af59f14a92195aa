//! Users, and the root of the file system.

use super::{Server, bytes};
use crate::common::{Capturing, Place, skipped};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What every Debian has, and may do nothing.
const USER: &str = "nobody";

/// Its number and that of its group, and where only root may ask, that this is root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return None;
    }
    let place = Place::new();
    let number = |option: &str| {
        let outcome = place.shell(&format!("id {option} {USER}"));
        outcome.ends(0).out.trim().parse().unwrap()
    };
    Some((number("-u"), number("-g")))
}

/// The words of a line of `/proc/PID/status`.
fn status(capturing: &Capturing, name: &str) -> Vec<String> {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", capturing.running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_whitespace().map(str::to_owned).collect()
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

#[test]
fn privileges_are_gone_and_files_belong_to_the_user() {
    let Some((uid, gid)) = user() else { return };
    let server = Server::start();
    let arguments = format!(
        "-i lo -s --relinquish-privileges {USER} --summary-json summary.json --write-pcapng all.pcapng"
    );
    let Some(capturing) = Capturing::start(&arguments, &server.filter()) else { return };
    let all = |number: u32| vec![number.to_string(); 4];
    assert_eq!((status(&capturing, "Uid"), status(&capturing, "Gid")), (all(uid), all(gid)));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&capturing, set), ["0000000000000000"], "{set}");
    }
    assert!(status(&capturing, "Groups").iter().all(|group| *group == gid.to_string()));
    let client = server.ask(50_000);
    server.wait_for_answer(&capturing, client, 50_000);
    let (place, said) = capturing.stop(0);
    for name in ["out", "summary.json", "all.pcapng"] {
        assert_eq!(owner(&place.path(name)), (uid, gid), "{name}");
    }
    for name in place.names("out") {
        assert_eq!(owner(&place.path("out").join(&name)), (uid, gid), "{name}");
    }
    assert!(said.contains("Missing bytes:                     0"), "{said}");
    assert!(std::fs::read(place.path("summary.json")).unwrap().starts_with(b"{"));
}

#[test]
fn paths_begin_at_the_new_root() {
    let Some((uid, gid)) = user() else { return };
    let server = Server::start();
    let jail = Place::new();
    let root = jail.path(".").canonicalize().unwrap();
    let arguments = format!(
        "-i lo -s --chroot {} --relinquish-privileges {USER} --summary-json /log/summary.json",
        root.display()
    );
    std::fs::create_dir(root.join("log")).unwrap();
    let Some(capturing) = Capturing::start(&arguments, &server.filter()) else { return };
    let link = std::fs::read_link(format!("/proc/{}/root", capturing.running.pid())).unwrap();
    assert_eq!(link, root);
    let client = server.ask(50_000);
    let (place, said) = capturing.stop(0);
    assert_eq!(place.names("."), [""; 0], "{said}");
    let answer = server.answer_to(client);
    let name = jail.names("out").into_iter().find(|name| name.ends_with(&answer)).unwrap();
    assert!(std::fs::read(jail.path("out").join(&name)).unwrap() == bytes(50_000));
    assert_eq!(owner(&jail.path("out").join(&name)), (uid, gid));
    assert!(jail.names("log").contains(&"summary.json".into()));
}

#[test]
fn what_cannot_be_given_up_is_told() {
    if user().is_none() {
        return;
    }
    let place = Place::new();
    std::fs::create_dir(place.path("rootly")).unwrap();
    for (options, status, said) in [
        (
            "--relinquish-privileges nosuchuser",
            1,
            "--relinquish-privileges nosuchuser: there is no such user",
        ),
        ("--chroot no/such", 1, "--chroot no/such: cannot make it the root of the file system: "),
        (
            "-o rootly --relinquish-privileges nobody",
            1,
            "the user 'nobody' may not write to rootly: ",
        ),
    ] {
        let outcome = place.run(&format!("-i lo -e tcp {options}"));
        if outcome.err.contains("CAP_NET_RAW") {
            return skipped(outcome.err.trim());
        }
        let outcome = outcome.ends(status);
        assert!(outcome.err.contains(said), "{outcome:?}");
    }
    assert_eq!(place.names("rootly"), [""; 0]);
}
