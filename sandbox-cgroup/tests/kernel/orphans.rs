//! Groups of dead owners are collected, those of living ones are not.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{FromRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use sandbox_cgroup::{Cgroup, CgroupParent, collect_orphans};
use sandbox_core::{Bytes, Limits};

use crate::support::{below, create, host, shell};

/// A process that owns groups of its own below `parent`.
struct Owner {
    pid: i32,
    groups: Vec<PathBuf>,
}

impl Owner {
    #[expect(
        unsafe_code,
        reason = "the owner must be another process with this test's code"
    )]
    fn start(parent: &CgroupParent) -> Self {
        let (mut read, mut write) = pipe();
        // SAFETY: glibc's fork leaves a usable heap in the child, which only makes groups and then sleeps.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(read);
            let limits = Limits::default().memory(Bytes::mib(64)).processes(5);
            let Ok(cgroup) = Cgroup::create(host(), parent, &limits) else {
                sandbox_core::sys::exit_now(1)
            };
            for path in cgroup.paths() {
                if writeln!(write, "{}", path.display()).is_err() {
                    sandbox_core::sys::exit_now(2);
                }
            }
            drop(write);
            loop {
                // SAFETY: pause takes nothing.
                unsafe { libc::pause() };
            }
        }
        assert!(pid > 0);
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        let groups: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
        assert!(!groups.is_empty(), "the owner made no groups");
        Self { pid, groups }
    }

    #[expect(
        unsafe_code,
        reason = "kill and waitpid of a process that this test made"
    )]
    fn end(&self) {
        // SAFETY: the process is our own unreaped child, so that the id is its.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: a null status is allowed.
        unsafe { libc::waitpid(self.pid, core::ptr::null_mut(), 0) };
    }
}

#[expect(unsafe_code, reason = "std::io::pipe is newer than the MSRV")]
fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    // SAFETY: the kernel has just made both, and nobody else owns them.
    let [read, write] = ends.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
    (read, write)
}

fn all(groups: &[PathBuf], test: impl Fn(&Path) -> bool) -> bool {
    groups.iter().all(|path| test(path))
}

/// A corner of the hierarchies where no other test's groups are counted.
fn corner() -> Cgroup {
    create(&Limits::default().memory(Bytes::mib(256)).processes(50))
}

#[test]
fn a_killed_owners_groups_are_collected_and_a_living_ones_are_left() {
    let corner = corner();
    let parent = below(&corner);
    let dead = Owner::start(&parent);
    let alive = Owner::start(&parent);
    assert_eq!(collect_orphans(host(), &parent).unwrap(), 0, "both live");
    dead.end();
    assert!(
        all(&dead.groups, Path::exists),
        "nobody has removed them yet"
    );
    assert_eq!(collect_orphans(host(), &parent).unwrap(), dead.groups.len());
    assert!(all(&dead.groups, |path| !path.exists()));
    assert!(all(&alive.groups, Path::exists));
    alive.end();
    assert_eq!(
        collect_orphans(host(), &parent).unwrap(),
        alive.groups.len()
    );
    corner.destroy().unwrap();
}

#[test]
fn what_runs_in_an_orphan_is_killed() {
    let corner = corner();
    let parent = below(&corner);
    let owner = Owner::start(&parent);
    owner.end();
    let tasks = owner.groups.iter().map(|path| path.join("cgroup.procs"));
    let joins: String = tasks
        .map(|path| format!("echo 0 >{} && ", path.display()))
        .collect();
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("{joins} echo in && exec sleep 600")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut line)
        .unwrap();
    assert_eq!(
        collect_orphans(host(), &parent).unwrap(),
        owner.groups.len()
    );
    assert!(!child.wait().unwrap().success());
    corner.destroy().unwrap();
}

#[test]
fn foreign_groups_are_left_alone() {
    let corner = corner();
    let foreign: Vec<PathBuf> = corner
        .paths()
        .map(|path| path.join("sandbox-mine"))
        .collect();
    for path in &foreign {
        std::fs::create_dir(path).unwrap();
    }
    assert_eq!(collect_orphans(host(), &below(&corner)).unwrap(), 0);
    for path in &foreign {
        std::fs::remove_dir(path).unwrap();
    }
    corner.destroy().unwrap();
}

#[test]
fn creators_and_collectors_do_not_disturb_each_other() {
    let corner = corner();
    let parent = below(&corner);
    std::thread::scope(|scope| {
        let creator = || {
            for _ in 0..40 {
                let limits = Limits::default().processes(5);
                let cgroup = Cgroup::create(host(), &parent, &limits).unwrap();
                assert!(shell(&cgroup, "exit 0").status.success());
                cgroup.destroy().unwrap();
            }
        };
        let creators = [scope.spawn(creator), scope.spawn(creator)];
        while !creators.iter().all(|thread| thread.is_finished()) {
            // A group between mkdir and flock may be collected; its creator then takes another name.
            collect_orphans(host(), &parent).unwrap();
        }
    });
    corner.destroy().unwrap();
}

#[test]
fn a_parent_that_does_not_exist_has_no_orphans() {
    let nowhere = CgroupParent::Path("sandbox-cgroup-test-nowhere".into());
    assert_eq!(collect_orphans(host(), &nowhere).unwrap(), 0);
}
