//! Groups of cgroup v2 that are handed over, as service managers and containers do it.

#![expect(unsafe_code, reason = "system calls that these tests need")]

use std::{
    fs, io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::sys::check;

/// What a manager that delegates gives to the user, beside the directory (`/sys/kernel/cgroup/delegate`).
const HANDED_OVER: [&str; 3] = ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];

/// A fresh group below the root of the hierarchy, with every controller that there is. Removed on drop, with the groups in it.
#[derive(Debug)]
pub struct Delegated(PathBuf);

impl Delegated {
    /// Makes the group and hands it over to a user; 0 is root itself.
    ///
    /// # Panics
    /// Where v2 is not mounted, or not writable.
    #[must_use]
    pub fn to(uid: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = mount_point();
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).expect("readable");
        for name in ["cpu", "cpuset", "memory", "pids"] {
            if controllers.split_whitespace().any(|one| one == name) {
                let control = root.join("cgroup.subtree_control");
                fs::write(control, format!("+{name}")).expect("the root can give it");
            }
        }
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let group = root.join(format!("tests-delegated-{pid}-{number}"));
        fs::create_dir(&group).expect("root can make groups");
        for file in [&*group]
            .into_iter()
            .map(Path::to_owned)
            .chain(HANDED_OVER.map(|name| group.join(name)))
        {
            chown(file, Some(uid), Some(uid)).expect("root can hand it over");
        }
        Self(group)
    }

    /// The group's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A text of the group, without its newline.
    ///
    /// # Panics
    /// Where there is no such file.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        let text = fs::read_to_string(self.0.join(file)).expect("a file of the group");
        text.trim_end().to_owned()
    }

    /// Moves the calling process into the group.
    ///
    /// # Panics
    /// Where the kernel refuses that.
    pub fn enter(&self) {
        fs::write(self.0.join("cgroup.procs"), "0").expect("root can move processes");
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let removed = remove(&self.0);
        // A second panic would hide the first.
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn mount_point() -> PathBuf {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let line = text.lines().find(|line| line.contains(" - cgroup2 "));
    let point = line.and_then(|line| line.split(' ').nth(4));
    point.expect("cgroup v2 is mounted").into()
}

/// The process's own group in v2, as the kernel names it here.
///
/// # Panics
/// Where v2 is not mounted.
#[must_use]
pub fn own_group() -> String {
    let text = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.expect("v2 is there").to_owned()
}

/// Makes the own group the root of all that is seen of v2, as in a container. The mount namespace must be the caller's own.
///
/// # Panics
/// Where the kernel refuses that.
pub fn contain() {
    // SAFETY: takes a flag.
    let ret = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    check("unshare", ret.into());
    let (kind, point) = (c"cgroup2".as_ptr(), c"/sys/fs/cgroup".as_ptr());
    // The kernel does not mount one file system twice on one place.
    // SAFETY: a path.
    let ret = unsafe { libc::umount2(point, libc::MNT_DETACH) };
    check("umount", ret.into());
    // SAFETY: three texts and no data.
    let ret = unsafe { libc::mount(kind, point, kind, 0, core::ptr::null()) };
    check("mount cgroup2", ret.into());
}
