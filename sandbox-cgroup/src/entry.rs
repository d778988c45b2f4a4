//! How the payload joins: the parent's side.

use std::{
    fs::OpenOptions,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::PathBuf,
};

use sandbox_core::{Controller, Errno, Explain, HierarchyVersion, Host};

use crate::{
    Error,
    node::{self, Node},
    sys,
};

/// What the child needs to join the groups of its run: descriptors, opened in the parent.
///
/// The payload joins a v1 group by writing 0 to `tasks`; writing to `cgroup.procs` would stall it for some 10 ms. It joins
/// the v2 group by being cloned into it ([`Entry::clone_into`]), or, after [`Entry::by_write`], by writing as well.
/// Joining needs no privilege in the child: the kernel asks what the opener of the file was allowed to.
///
/// # Kernel
/// `CLONE_INTO_CGROUP` came with Linux 5.7; without it every group is joined by writing. Before 6.7 so is one that limits `cpus`.
///
/// # References
/// <https://man7.org/linux/man-pages/man7/cgroups.7.html>, <https://man7.org/linux/man-pages/man2/clone.2.html>
#[derive(Debug)]
pub struct Entry {
    pub(crate) files: Vec<JoinFile>,
    into: Option<CloneInto>,
}

/// A file to write 0 to.
#[derive(Debug)]
pub(crate) struct JoinFile {
    pub(crate) fd: OwnedFd,
    path: PathBuf,
}

/// The v2 group: both ways in.
#[derive(Debug)]
struct CloneInto {
    directory: OwnedFd,
    procs: JoinFile,
}

impl Entry {
    pub(crate) fn new(nodes: &[Node]) -> Result<Self, Error> {
        let mut entry = Self {
            files: Vec::new(),
            into: None,
        };
        for node in nodes {
            match node.version {
                HierarchyVersion::V1 => entry.files.push(JoinFile::open(node, "tasks")?),
                HierarchyVersion::V2 => {
                    let procs = JoinFile::open(node, "cgroup.procs")?;
                    let can_clone = Host::probe().is_ok_and(|host| host.clone_into_cgroup);
                    if can_clone && !keeps_cpus(node) {
                        // A descriptor of its own: with the one that holds the lock, a child would keep the group alive.
                        let flags = libc::O_PATH | libc::O_DIRECTORY;
                        let mut options = OpenOptions::new();
                        let directory =
                            node::open(&node.path, options.read(true).custom_flags(flags))?;
                        let directory = above_stdio(directory.into(), &node.path)?;
                        entry.into = Some(CloneInto { directory, procs });
                    } else {
                        entry.files.push(procs);
                    }
                }
            }
        }
        Ok(entry)
    }

    /// The v2 group's directory for `CLONE_INTO_CGROUP`.
    ///
    /// Where it is `Some`, the payload must be cloned into it, or be given [`Entry::by_write`]: `apply` does not join that
    /// group, since a second join would stall for 10 ms. `None` where no v2 group is used or the kernel lacks the flag, or heeds
    /// a limit of `cpus` in a write alone.
    ///
    /// # Errors
    /// clone3 itself: `EACCES` in a user namespace that root's embedder made (use [`Entry::by_write`]), `EBUSY` where the
    /// group gives controllers to children, `EOPNOTSUPP` for a threaded group, `ENODEV` after its removal.
    #[must_use]
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.into.as_ref().map(|into| into.directory.as_fd())
    }

    /// The files that the child writes to, in order: what [`Join`](crate::Join) wants.
    pub fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().map(|file| file.fd.as_fd())
    }

    /// The same entry, with every group joined by writing.
    ///
    /// For a payload in a user namespace, where `CLONE_INTO_CGROUP` is `EACCES`. On v2 the write may stall for 10 ms.
    #[must_use]
    pub fn by_write(mut self) -> Self {
        self.files.extend(self.into.take().map(|into| into.procs));
        self
    }

    /// Every descriptor that the child must keep until it has joined; all are above 2 and close-on-exec.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        let files = self.files.iter().map(|file| file.fd.as_raw_fd());
        files
            .chain(self.clone_into().map(|fd| fd.as_raw_fd()))
            .collect()
    }
}

impl JoinFile {
    fn open(node: &Node, file: &str) -> Result<Self, Error> {
        let path = node.path.join(file);
        let fd = above_stdio(node.open_for_write(file)?.into(), &path)?;
        Ok(Self { fd, path })
    }
}

/// Whether a process that is cloned into the group might keep the CPUs of the one that it came from.
///
/// So it was before Linux 6.4 and its backports, and a limit of `cpus` then held nobody (seen on 5.10). What tells the later
/// ones is a file that each group with cpuset has since 6.7.
fn keeps_cpus(node: &Node) -> bool {
    node.controllers.contains(&Controller::Cpuset)
        && !node.path.join("cpuset.cpus.exclusive").exists()
}

fn above_stdio(fd: OwnedFd, path: &std::path::Path) -> Result<OwnedFd, Error> {
    sys::above_stdio(fd).map_err(|source: Errno| Error::Open {
        path: path.to_owned(),
        source,
    })
}

impl Explain for Entry {
    fn explain(&self, index: u16) -> String {
        match self.files.get(usize::from(index)) {
            Some(file) => format!("write 0 to {}", file.path.display()),
            None => format!("join a cgroup (operation {index})"),
        }
    }
}
