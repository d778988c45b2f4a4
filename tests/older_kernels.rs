//! Boxes as on a kernel that lacks what this one has: each way round a missing feature is taken.
//!
//! A process probes its kernel once, so each case is a child of its own, and this program itself never does.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use sandbox_exec::{
    Basis, Bytes, CgroupParent, Controller, Error, Hierarchies, HierarchyVersion, Limits, Reading,
    Unavailable, Verdict, cgroup::Cgroup, core::Host,
};
use sandbox_test_support::{Setup, assert_judged, boxes, host, in_child};

/// Runs `inside` in a child whose kernel lacks something.
fn without(take_away: impl FnOnce(&mut Host), inside: impl FnOnce(&Host)) {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    in_child(|| {
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

#[test]
fn everything_at_once_is_a_kernel_of_2021() {
    without(
        |host| {
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
    let cases: [fn(&mut Host); 3] = [
        |host| host.openat2 = false,
        |host| host.close_range = false,
        |host| host.mount_setattr = false,
    ];
    for (take_away, name) in
        cases
            .into_iter()
            .zip(["openat2(2)", "close_range(2)", "mount_setattr(2)"])
    {
        in_child(|| {
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
