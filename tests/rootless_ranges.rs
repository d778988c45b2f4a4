//! Ranges of ids for an ordinary user, through newuidmap(1) and newgidmap(1).

use core::time::Duration;
use std::path::Path;

use sandbox_exec::{
    Error, Finished, Identity, Limits, Output, Stdin, UserMap, Verdict, ns::Error as Namespaces,
};
use sandbox_test_support::{
    Setup, boxes, host, in_child,
    mapped::{Open, become_user_with_ranges, mapped, ranges},
    outside, sys,
};

const WALL: Duration = Duration::from_secs(10);

/// Becomes a user with ranges; the uid, and the first id that root has assigned to it.
fn become_user(files: &Path) -> (u32, u32) {
    let uid = Setup::new().identity.uid;
    (uid, become_user_with_ranges(uid, files))
}

fn run(open: &Open, map: UserMap, args: &[&str]) -> Result<Finished, Error> {
    let limits = Limits::default().wall_time(host::patience(10_000));
    let identity = Identity::new(1000, 1000);
    let sandbox = mapped(&open.payload(), map, identity, limits, args)?;
    sandbox.run(Stdin::Null, boxes::KEEP)
}

#[track_caller]
fn said(open: &Open, map: UserMap, args: &[&str]) -> String {
    let finished = run(open, map, args);
    let finished = boxes::ok(finished);
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    boxes::said(&finished)
}

#[test]
fn an_ordinary_users_box_has_users_of_its_own() {
    if !host::has(&["root", "uidmap"]) {
        return;
    }
    let (open, files) = (Open::make(), tempfile::tempdir().expect("a directory"));
    in_child(|| {
        let (_, first) = become_user(files.path());
        let run = |args: &[&str]| said(&open, ranges(first), args);
        let session = run(&["session"]);
        // With a range, setgroups(2) is allowed, and the user's own group is given up.
        boxes::assert_lines(
            &session,
            &[
                "uids: [1000, 1000, 1000]",
                "gids: [1000, 1000, 1000]",
                "groups: ok 0",
            ],
        );
        let map = run(&["read", "/proc/self/uid_map"]);
        let map: Vec<_> = map.split_whitespace().collect();
        assert_eq!(map, ["0", &first.to_string(), "2000"]);
        // init is another user: neither its end nor its limits are in reach.
        let refused = format!("kill: errno {}\n", libc::EPERM);
        assert_eq!(run(&["kill", "1"]), refused);
        let hidden = format!("stat: errno {}\n", libc::ENOENT);
        assert_eq!(run(&["stat", "/proc/1"]), hidden);
        assert_eq!(run(&["loopback", "127.0.0.1"]), "127.0.0.1: ok 4\n");
        let refused = format!("/usr: errno {0}\n/: errno {0}\n/tmp: ok 0\n", libc::EROFS);
        assert_eq!(run(&["try-writes", "/usr", "/", "/tmp"]), refused);
        let status = run(&["status"]);
        assert!(
            status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"),
            "{status}"
        );
    });
}

#[test]
fn on_the_host_the_payload_is_nobody_that_the_user_could_be() {
    if !host::has(&["root", "uidmap"]) {
        return;
    }
    let (open, files) = (Open::make(), tempfile::tempdir().expect("a directory"));
    in_child(|| {
        let (uid, first) = become_user(files.path());
        let limits = Limits::default().wall_time(host::patience(20_000));
        let sandbox = mapped(
            &open.payload(),
            ranges(first),
            Identity::new(1000, 1000),
            limits,
            &["sleep", "200000"],
        );
        let spawned =
            sandbox.and_then(|sandbox| sandbox.spawn(Stdin::Null, Output::Null, Output::Null));
        let running = boxes::ok(spawned);
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(outside::processes_of(uid), [own], "only the embedder");
        assert_eq!(outside::processes_of(first + 1000).len(), 1, "the payload");
        running.canceller().cancel();
        let finished = running.wait().expect("watched");
        assert_eq!(finished.outcome.judgement.verdict, Verdict::Cancelled);
        assert_eq!(outside::processes_of(first + 1000), []);
    });
}

#[test]
fn ids_that_root_has_not_assigned_are_refused_by_the_helper() {
    if !host::has(&["root", "uidmap"]) {
        return;
    }
    let (open, files) = (Open::make(), tempfile::tempdir().expect("a directory"));
    in_child(|| {
        let (uid, first) = become_user(files.path());
        for foreign in [first - 1, first + 1, 0] {
            let refused = run(&open, ranges(foreign), &["marker", "/tmp/ran"]);
            let Err(error @ Error::Namespaces(Namespaces::HelperRefused { .. })) = &refused else {
                panic!("{refused:?}");
            };
            assert!(
                boxes::full(error).contains("not allowed"),
                "{}",
                boxes::full(error)
            );
        }
        assert_eq!(outside::processes_of(uid).len(), 1, "nothing is left");
        said(&open, ranges(first), &["exit"]);
    });
}

#[test]
fn ranges_of_an_ordinary_user_need_the_helpers() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let limits = Limits::default().wall_time(WALL);
        let sandbox = mapped(
            &open.payload(),
            ranges(3_000_000),
            Identity::new(1000, 1000),
            limits,
            &["exit"],
        );
        let refused = sandbox.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP));
        let named = matches!(
            &refused,
            Err(Error::Namespaces(
                Namespaces::HelperMissing { .. } | Namespaces::HelperRefused { .. }
            ))
        );
        assert!(named, "{refused:?}");
    });
}
