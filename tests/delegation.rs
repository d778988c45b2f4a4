//! Boxes in a group of v2 that was handed over, with the supervisor in the way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sandbox_exec::{
    Basis, Bytes, CgroupParent, Errno, Error, Finished, Hierarchies, Identity, Limits, Policy,
    Reading, Sandbox, Stdin, Unavailable, UserMap, Verdict,
    cgroup::{Cgroup, Error as Cgroups},
};
use sandbox_test_support::{
    Setup, assert_judged, boxes,
    delegated::{self, Delegated},
    host, in_fresh_child,
    mapped::{self, Open},
    scene, sys,
};

const NEEDS: [&str; 4] = ["root", "v2:memory", "v2:pids", "v2:cpuacct"];

/// Runs `inside` in a child, which alone is in a fresh group that this user was given.
fn alone_in_a_group(uid: u32, inside: impl FnOnce(&Delegated)) {
    if !host::has(&NEEDS) {
        return;
    }
    let group = Delegated::to(uid);
    in_fresh_child(|| {
        group.enter();
        inside(&group);
    });
}

fn limits() -> Limits {
    boxes::limits().memory(Bytes::mib(64)).processes(4)
}

/// A run of the payload in a user namespace.
fn run_mapped(open: &Open, map: UserMap, id: u32, args: &[&str]) -> Result<Finished, Error> {
    let sandbox = Sandbox::builder()
        .user_map(map)
        .cgroup_parent(CgroupParent::Own)
        .root(mapped::root(&open.payload()))
        .identity(Identity::new(id, id))
        .limits(limits())
        .policy(Policy::judge())
        .command(&boxes::command(args))?;
    sandbox.run(Stdin::Null, boxes::KEEP)
}

/// A run of the payload by root, without a user namespace.
fn run_as_root(args: &[&str]) -> Result<Finished, Error> {
    let sandbox = Sandbox::builder()
        .cgroup_parent(CgroupParent::Own)
        .root(boxes::root())
        .identity(boxes::identity())
        .limits(limits())
        .policy(Policy::judge())
        .command(&boxes::command(args))?;
    sandbox.run(Stdin::Null, boxes::KEEP)
}

/// The limits hold: one payload ends for memory, one for processes, one has room enough.
#[track_caller]
fn assert_limited(run: impl Fn(&[&str]) -> Result<Finished, Error>) {
    let run = |args: &[&str]| run(args).unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
    assert_judged(
        &run(&["memory", "128"]),
        Verdict::MemoryLimit,
        Basis::OomKill,
    );
    assert_judged(&run(&["memory", "16"]), Verdict::Ok, Basis::ExitStatus);
    // The main thread is the first of the four.
    assert_eq!(boxes::said(&run(&["thread-bomb", "12"])), "threads 3\n");
}

/// Refused, because this very process is in the way.
#[track_caller]
fn assert_in_the_way(refused: Result<Finished, Error>) {
    let Err(error @ Error::Cgroup(_)) = refused else {
        panic!("{refused:?}");
    };
    let text = boxes::full(&error);
    assert!(
        text.contains("without processes") && text.contains("EBUSY"),
        "{text}"
    );
}

#[test]
fn a_service_of_root_makes_room_and_takes_it_back() {
    alone_in_a_group(0, |group| {
        let before = delegated::own_group();
        assert_in_the_way(run_as_root(&["exit"]));

        let mut delegation = Hierarchies::delegate_self().expect("it is ours");
        assert!(delegation.has_moved());
        assert_eq!(
            delegated::own_group(),
            format!("{before}/sandbox-supervisor")
        );
        assert_eq!(group.read("cgroup.procs"), "");
        assert_limited(run_as_root);
        // Once is enough, and whoever did not move has nothing to undo.
        let mut second = Hierarchies::delegate_self().expect("nothing to do");
        assert!(!second.has_moved());
        second.undo().expect("nothing to undo");

        delegation.undo().expect("no box is left");
        assert_eq!(delegated::own_group(), before);
        assert_eq!(group.read("cgroup.subtree_control"), "");
        assert!(!group.path().join("sandbox-supervisor").exists());
        assert_in_the_way(run_as_root(&["exit"]));
    });
}

#[test]
fn an_ordinary_user_has_limits_in_a_subtree_of_their_own() {
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    alone_in_a_group(uid, |group| {
        sys::become_user(uid);
        let run = |args: &[&str]| run_mapped(&open, UserMap::own(), 0, args);
        assert_in_the_way(run(&["exit"]));
        let mut delegation = Hierarchies::delegate_self().expect("it was handed over");
        assert_limited(run);
        delegation.undo().expect("no box is left");
        assert_eq!(group.read("cgroup.subtree_control"), "");
    });
}

#[test]
fn so_has_a_user_with_ranges_of_ids() {
    if !host::has(&["uidmap"]) {
        return;
    }
    let (open, files) = (Open::make(), tempfile::tempdir().expect("a directory"));
    let uid = Setup::new().identity.uid;
    alone_in_a_group(uid, |_| {
        let first = mapped::become_user_with_ranges(uid, files.path());
        let mut delegation = Hierarchies::delegate_self().expect("it was handed over");
        assert_limited(|args| run_mapped(&open, mapped::ranges(first), 1000, args));
        delegation.undo().expect("no box is left");
    });
}

#[test]
fn a_user_whose_group_is_not_theirs_is_told_so() {
    let uid = Setup::new().identity.uid;
    alone_in_a_group(0, |group| {
        sys::become_user(uid);
        let before = delegated::own_group();
        let refused = Hierarchies::delegate_self().expect_err("root has it");
        assert_eq!(
            refused.errno().map(|errno| errno.raw()),
            Some(libc::EACCES),
            "{refused}"
        );
        assert!(refused.to_string().contains("not delegated"), "{refused}");
        assert_eq!(delegated::own_group(), before);
        assert!(!group.path().join("sandbox-supervisor").exists());
    });
}

#[test]
fn a_container_whose_root_is_its_own_group_makes_room() {
    alone_in_a_group(0, |_| {
        scene::unshare_mounts();
        delegated::contain();
        assert_eq!(delegated::own_group(), "/");
        assert_in_the_way(run_as_root(&["exit"]));
        let mut delegation = Hierarchies::delegate_self().expect("it is the container's");
        assert!(delegation.has_moved());
        assert_eq!(delegated::own_group(), "/sandbox-supervisor");
        assert_limited(run_as_root);
        delegation.undo().expect("no box is left");
        assert_eq!(delegated::own_group(), "/");
        let given = fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control");
        assert_eq!(given.expect("the container sees it").trim_end(), "");
    });
}

#[test]
fn others_are_not_moved() {
    alone_in_a_group(0, |group| {
        let mut other = Command::new("/bin/sleep")
            .arg("600")
            .spawn()
            .expect("it starts");
        let refused = Hierarchies::delegate_self().expect_err("another one is in the way");
        let there = group.read("cgroup.procs");
        other.kill().expect("ours");
        other.wait().expect("ours");
        assert!(
            matches!(refused, Cgroups::NotAlone { others: 1, .. }),
            "{refused}"
        );
        assert_eq!(there.lines().count(), 2, "nobody was moved: {there}");
        assert_eq!(group.read("cgroup.subtree_control"), "");
        assert!(!group.path().join("sandbox-supervisor").exists());
        // Its end makes the same call work.
        assert!(Hierarchies::delegate_self().expect("alone now").has_moved());
    });
}

#[test]
fn room_is_not_taken_back_from_under_a_box() {
    alone_in_a_group(0, |group| {
        let mut delegation = Hierarchies::delegate_self().expect("it is ours");
        let hierarchies = Hierarchies::discover().expect("/proc is mounted");
        let held = Cgroup::create(&hierarchies, &CgroupParent::Own, &limits()).expect("room");
        let refused = delegation.undo().expect_err("a group is there");
        let path: PathBuf = held.paths().next().expect("one group").into();
        assert_eq!(
            refused,
            Cgroups::HoldsGroups {
                child: path.clone()
            }
        );
        let max = fs::read_to_string(path.join("memory.max")).expect("still limited");
        assert_eq!(max.trim_end(), (64 << 20).to_string());
        held.destroy().expect("nothing is in it");
        delegation.undo().expect("now it is free");
        assert_eq!(group.read("cgroup.subtree_control"), "");
    });
}

/// Takes CPU accounting away from v1 for this process, so that v2 serves it on every host.
fn account_on_v2() {
    scene::unshare_mounts();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    for line in mounts.lines() {
        let (fields, kind) = line.split_once(" - ").expect("as documented");
        if kind.starts_with("cgroup ") && kind.split(',').any(|one| one == "cpuacct") {
            let point = fields.split(' ').nth(4).expect("as documented");
            scene::mount_tmpfs_on(Path::new(point));
        }
    }
}

/// The group is the user's, but what a process leaves on its way there is not: the kernel lets nobody move it.
#[test]
fn a_user_outside_of_the_group_that_was_given_goes_without_accounting_and_without_limits() {
    if !host::has(&["root"]) {
        return;
    }
    let (open, uid) = (Open::make(), Setup::new().identity.uid);
    let group = Delegated::to(uid);
    in_fresh_child(|| {
        account_on_v2();
        sys::become_user(uid);
        let run = |limits: Limits| {
            let parent = group.path().file_name().expect("below the root");
            let sandbox = Sandbox::builder()
                .user_map(UserMap::own())
                .cgroup_parent(CgroupParent::Path(parent.into()))
                .root(mapped::root(&open.payload()))
                .identity(Identity::new(0, 0))
                .limits(limits.wall_time(host::patience(10_000)))
                .policy(Policy::judge())
                .command(&boxes::command(&["exit"]));
            sandbox.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP))
        };
        let free = run(Limits::default());
        let free = free.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        assert_judged(&free, Verdict::Ok, Basis::ExitStatus);
        let refused = Unavailable::Failed(Errno::from_raw(libc::EACCES));
        let evidence = free.outcome.evidence;
        assert_eq!(evidence.cpu_time, Reading::Unavailable(refused));
        assert!(
            evidence.controllers.is_empty(),
            "{:?}",
            evidence.controllers
        );

        let limits = Limits::default().cpu_time(host::patience(5_000));
        let Err(error @ Error::Cgroup(_)) = run(limits) else {
            panic!("it cannot be held");
        };
        let text = boxes::full(&error);
        for part in ["limit cpu_time", "Cpuacct", "cgroup.procs", "EACCES"] {
            assert!(text.contains(part), "{text}");
        }
    });
}
