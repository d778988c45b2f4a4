//! Ends: killed, destroyed, dropped.

use std::{fs, path::PathBuf};

use sandbox_cgroup::{Cgroup, Error};
use sandbox_core::{Bytes, CpuSet, Limits};

use crate::support::{create, read_to_end, shell, spawn};

fn everything() -> Limits {
    let limits = Limits::default().memory(Bytes::mib(64)).processes(40);
    limits.cpu_rate(1000).cpu_weight(100).cpus(CpuSet::new([0]))
}

fn paths(cgroup: &Cgroup) -> Vec<PathBuf> {
    cgroup.paths().map(PathBuf::from).collect()
}

fn open_descriptors_on(name: &str) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().contains(name))
        .count()
}

#[test]
fn a_hundred_runs_leave_neither_group_nor_descriptor() {
    for _ in 0..100 {
        let cgroup = create(&everything());
        let made = paths(&cgroup);
        assert!(made.iter().all(|path| path.is_dir()));
        assert!(shell(&cgroup, "exit 0").status.success());
        cgroup.destroy().unwrap();
        assert!(made.iter().all(|path| !path.exists()), "{made:?}");
        let name = made[0].file_name().unwrap().to_str().unwrap();
        assert_eq!(open_descriptors_on(name), 0);
    }
}

#[test]
fn kill_ends_a_tree_for_good() {
    let cgroup = create(&everything());
    // Three generations; the last keeps the pipe open and ignores what can be ignored.
    let script = "trap '' TERM HUP INT; sh -c 'sh -c \"echo up; exec sleep 600\" & wait' & wait";
    let mut child = spawn(&cgroup, "/bin/sh", &["-c", script]);
    let mut first = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    cgroup.kill().unwrap();
    assert_eq!(
        read_to_end(&mut child),
        "",
        "end of file: every holder of the pipe is dead"
    );
    child.wait().unwrap();
    assert_eq!(cgroup.prepare().unwrap_err(), Error::Killed);
    cgroup.destroy().unwrap();
}

#[test]
fn kill_outruns_a_fork_bomb() {
    let cgroup = create(&everything());
    let mut child = spawn(
        &cgroup,
        "/bin/sh",
        &[
            "-c",
            "echo up; f() { while :; do f & done; }; f 2>/dev/null",
        ],
    );
    let mut first = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    // A denied fork proves that the bomb has gone off.
    while cgroup
        .usage()
        .forks_denied
        .value()
        .is_none_or(|denied| denied == 0)
    {
        std::thread::yield_now();
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
    for path in cgroup.paths() {
        assert_eq!(
            fs::read_to_string(path.join("cgroup.procs")).unwrap(),
            "",
            "{}",
            path.display()
        );
    }
    cgroup.destroy().unwrap();
}

#[test]
fn dropping_kills_what_is_left_and_removes_the_groups() {
    let cgroup = create(&everything());
    let made = paths(&cgroup);
    let mut child = spawn(&cgroup, "sleep", &["600"]);
    drop(cgroup);
    assert!(!child.wait().unwrap().success());
    assert!(made.iter().all(|path| !path.exists()), "{made:?}");
}

#[test]
fn destroy_waits_for_processes_that_are_dying() {
    for _ in 0..20 {
        let cgroup = create(&Limits::default().memory(Bytes::mib(128)).processes(10));
        let script = "for i in 1 2 3 4; do sleep 600 & done; echo up; wait";
        let mut child = spawn(&cgroup, "/bin/sh", &["-c", script]);
        let mut first = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        // Killed and not waited for: the group is busy at first.
        child.kill().unwrap();
        let made = paths(&cgroup);
        cgroup.destroy().unwrap();
        assert!(made.iter().all(|path| !path.exists()), "{made:?}");
        child.wait().unwrap();
    }
}
