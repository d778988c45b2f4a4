//! Boxes as on a kernel that lacks what this one has: each way round a missing feature is taken.
//!
//! A process probes its kernel once, so each case is a child of its own, and this program itself never does.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use sandbox_exec::{
    Basis, Bytes, CgroupParent, Controller, Error, Hierarchies, HierarchyVersion, Limits,
    MountFlags, Reading, Stage, Stdin, Unavailable, Verdict, cgroup::Cgroup, core::Host,
};
use sandbox_test_support::{
    Setup, assert_judged, boxes, host, in_fresh_child, inject::Injection, scene,
};

/// Runs `inside` in a child whose kernel lacks something.
fn without(take_away: impl FnOnce(&mut Host), inside: impl FnOnce(&Host)) {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    in_fresh_child(|| {
        let found = Host::probe_without(take_away).expect("no box needs it");
        inside(found);
    });
}

/// The payload is in its groups, however it got there.
fn assert_limited() {
    let setup = Setup::new().limits(|limits| limits.memory = Some(Bytes::mib(64)));
    let setup = setup.limits(|limits| limits.processes = Some(4));
    let bomb = setup.run(&["memory", "128"]);
    assert_judged(&bomb, Verdict::MemoryLimit, Basis::OomKill);
    assert_judged(
        &setup.run(&["memory", "16"]),
        Verdict::Ok,
        Basis::ExitStatus,
    );
    assert_eq!(
        boxes::said(&setup.run(&["thread-bomb", "12"])),
        "threads 3\n"
    );
}

fn is_v2(controller: Controller) -> bool {
    let hierarchies = Hierarchies::host().expect("/proc is mounted");
    hierarchies.version(controller) == Some(HierarchyVersion::V2)
}

#[test]
fn without_clone_into_cgroup_the_payload_joins_by_writing() {
    without(
        |host| host.clone_into_cgroup = false,
        |found| {
            assert!(!found.clone_into_cgroup);
            assert_limited();
        },
    );
}

#[test]
fn without_cgroup_kill_a_tree_is_killed_one_by_one() {
    without(
        |host| host.cgroup_kill = false,
        |_| {
            let hierarchies = Hierarchies::host().expect("/proc is mounted");
            let limits = Limits::default().processes(40);
            let cgroup = Cgroup::create(hierarchies, &CgroupParent::Root, &limits);
            let cgroup = cgroup.expect("root can make groups");
            let mut tree = Command::new("/bin/sh")
                .args([
                    "-c",
                    "read go; sh -c 'sleep 600 & sleep 600 & echo up; wait' & wait",
                ])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            for group in cgroup.paths() {
                let pid = tree.id().to_string();
                fs::write(group.join("cgroup.procs"), pid).expect("root may move it");
            }
            let mut stdin = tree.stdin.take().expect("piped");
            stdin.write_all(b"go\n").expect("it reads");
            let mut stdout = tree.stdout.take().expect("piped");
            stdout
                .read_exact(&mut [0; 3])
                .expect("it says that all are up");

            cgroup.kill().expect("root may kill");
            let mut rest = String::new();
            stdout
                .read_to_string(&mut rest)
                .expect("a pipe can be read");
            assert_eq!(rest, "", "every holder of the pipe is dead");
            tree.wait().expect("ours");
            for group in cgroup.paths() {
                let left = fs::read_to_string(group.join("cgroup.procs")).expect("readable");
                assert_eq!(left, "", "{}", group.display());
            }
            cgroup.destroy().expect("nothing is in it");
            assert_limited();
        },
    );
}

#[test]
fn without_the_files_of_peaks_a_reading_is_absent_and_the_limits_hold() {
    without(
        |host| {
            host.memory_peak = false;
            host.pids_peak = false;
        },
        |_| {
            assert_limited();
            let evidence = Setup::new().run(&["memory", "16"]).outcome.evidence;
            let too_old = Unavailable::KernelTooOld;
            assert_eq!(evidence.processes_peak, Reading::Unavailable(too_old));
            // v1 has had its own file from the beginning.
            match is_v2(Controller::Memory) {
                true => assert_eq!(evidence.memory_peak, Reading::Unavailable(too_old)),
                false => assert!(evidence.memory_peak.value() > Some(Bytes::mib(16))),
            }
        },
    );
}

/// A directory that everybody may write to, with a tmpfs below that everybody may write to, and a box that has it.
fn over_a_submount(flags: MountFlags) -> (tempfile::TempDir, Setup) {
    scene::unshare_mounts();
    scene::mount_tmpfs_on(&env::temp_dir());
    let dir = tempfile::tempdir().expect("a directory");
    let below = dir.path().join("below");
    fs::create_dir(&below).expect("our directory");
    scene::mount_tmpfs_on(&below);
    for path in [dir.path(), &below] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("our directory");
    }
    let setup = Setup::new().root(|root| root.bind(dir.path(), "box", flags));
    (dir, setup)
}

#[test]
fn without_mount_setattr_a_bind_is_read_only_at_every_level() {
    for (flags, outcome) in [
        (MountFlags::empty(), format!("errno {}", libc::EROFS)),
        (MountFlags::WRITABLE, "ok 0".to_owned()),
    ] {
        without(
            |host| host.mount_setattr = false,
            |found| {
                assert!(!found.mount_setattr);
                let (_dir, setup) = over_a_submount(flags);
                let said = boxes::said(&setup.run(&["try-writes", "/box", "/box/below", "/tmp"]));
                let expected = format!("/box: {outcome}\n/box/below: {outcome}\n/tmp: ok 0\n");
                assert_eq!(said, expected);
            },
        );
    }
}

/// A kernel that says yes and does nothing: what is asked for is not believed, it is read back.
#[test]
fn a_mount_that_does_not_take_its_flags_stops_the_start() {
    without(
        |host| host.mount_setattr = false,
        |_| {
            let (dir, setup) = over_a_submount(MountFlags::empty());
            let sandbox = setup.sandbox(&["try-writes", "/box"]);
            let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
            let flags = flags | libc::MS_REMOUNT | libc::MS_BIND;
            Injection::new(libc::SYS_mount, 0)
                .when(3, u32::try_from(flags).expect("low bits"))
                .install();
            let Err(Error::Setup(failure)) = sandbox.run(Stdin::Null, boxes::KEEP) else {
                panic!("the box has started");
            };
            assert_eq!(failure.stage, Stage::Root);
            assert_eq!(failure.errno.raw(), libc::EROFS);
            assert!(failure.operation.starts_with("bind "), "{failure}");
            assert!(!dir.path().join("written").exists());
        },
    );
}

#[test]
fn everything_at_once_is_a_kernel_of_2020() {
    without(
        |host| {
            host.mount_setattr = false;
            host.clone_into_cgroup = false;
            host.cgroup_kill = false;
            host.memory_peak = false;
            host.pids_peak = false;
        },
        |_| {
            assert_limited();
            let finished = Setup::new().run(&["daemon", "60"]);
            assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        },
    );
}

#[test]
fn what_every_box_needs_is_missed_by_name() {
    if !host::has(&["root"]) {
        return;
    }
    let cases: [fn(&mut Host); 2] = [|host| host.openat2 = false, |host| host.close_range = false];
    for (take_away, name) in cases.into_iter().zip(["openat2(2)", "close_range(2)"]) {
        in_fresh_child(|| {
            let missed = Host::probe_without(take_away).expect_err("it was taken away");
            assert!(missed.feature.starts_with(name), "{missed}");
            let refused = boxes::builder(boxes::limits()).command(&boxes::command(&["exit"]));
            let Err(error @ Error::Host(_)) = &refused else {
                panic!("{refused:?}");
            };
            let text = boxes::full(error);
            assert!(text.contains(name) && text.contains("ENOSYS"), "{text}");
        });
    }
}
