//! What can go wrong before the program runs.

use std::{ffi::OsString, path::PathBuf};

use sandbox_core::{Errno, HostError, LimitError, Stage};

/// A stage failed in the box. The program has not run, and nothing of the box is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage} failed: {operation}{}", advice.map(|a| format!(" ({a})")).unwrap_or_default())]
#[non_exhaustive]
pub struct SetupFailure {
    /// The stage.
    pub stage: Stage,
    /// The operation, with its arguments, named by the parent from the plan.
    pub operation: String,
    /// What to do, where the errno alone misleads.
    pub advice: Option<&'static str>,
    /// Whether the operation was to find the program.
    pub(crate) finds_no_program: bool,
    /// The kernel's reason.
    #[source]
    pub errno: Errno,
}

impl SetupFailure {
    /// Whether the program itself is at fault: it is missing in the box, may not be executed, or is no program that the
    /// kernel can run. A submission can bring this about at will; every other failure is the host's or the embedder's.
    #[must_use]
    pub fn is_the_programs_fault(&self) -> bool {
        self.stage == Stage::Execve || self.finds_no_program
    }
}

/// Why there is no running box.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stage failed in the child.
    #[error(transparent)]
    Setup(#[from] SetupFailure),
    /// The cgroup of the run.
    #[error(transparent)]
    Cgroup(#[from] sandbox_cgroup::Error),
    /// The namespaces.
    #[error(transparent)]
    Namespaces(#[from] sandbox_ns::Error),
    /// The file tree.
    #[error(transparent)]
    Root(#[from] sandbox_fs::Error),
    /// The system call policy.
    #[error(transparent)]
    Policy(#[from] sandbox_seccomp::Error),
    /// The kernel is too old.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A limit that no run could honour.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A limit is above the hard limit of the embedding process, which without `CAP_SYS_RESOURCE` cannot be raised.
    #[error(
        "limit {field} is {asked}, but {resource} of this process allows {hard} at most: raise its hard limit"
    )]
    AboveHardLimit {
        /// Field of [`Limits`](sandbox_core::Limits).
        field: &'static str,
        /// Name of the resource limit.
        resource: &'static str,
        /// What was asked for.
        asked: u64,
        /// The hard limit.
        hard: u64,
    },
    /// A text has a NUL byte, where the kernel would silently cut it.
    #[error("{field:?} contains a NUL byte")]
    Nul {
        /// Which text.
        field: String,
    },
    /// A path inside the box is not absolute; there is no search along `PATH`.
    #[error("{field} {} is not an absolute path", path.display())]
    RelativePath {
        /// `program` or `work_dir`.
        field: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// An environment variable has an empty name or one with `=`.
    #[error("{name:?} is no name for an environment variable")]
    VariableName {
        /// What was given.
        name: OsString,
    },
    /// Uid or gid 0, outside of a user namespace or mapped to it, is the host's root.
    #[error("the payload would have the host's uid or gid 0: choose others, or map others")]
    RootIdentity,
    /// An id of the payload has no meaning in the box's user namespace.
    #[error("{kind} {id} is not mapped in the box's user namespace")]
    UnmappedId {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The id.
        id: u32,
    },
    /// An ordinary user's single-id map forbids `setgroups(2)`, so the box would keep the user's supplementary groups.
    #[error(
        "the box would keep {count} supplementary groups: map ranges with newgidmap, or choose dangerous().keep_groups()"
    )]
    KeepsGroups {
        /// How many groups the embedder has.
        count: usize,
    },
    /// No pool can have these uids.
    #[error(
        "uids {first} to {last} make no pool: the range is empty, or has 0, 4294967295 or the uid of init"
    )]
    UidRange {
        /// First uid asked for.
        first: u32,
        /// Last uid asked for.
        last: u32,
    },
    /// The directory with the locks of a uid pool could not be made or looked at.
    #[error("cannot use {} for the locks of uids", path.display())]
    UidPoolDirectory {
        /// The directory.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// The directory with the locks of a uid pool is no directory, belongs to another user, or may be written by others.
    #[error("others could hold the locks of uids in {}: chown and chmod 0700 it", path.display())]
    UidPoolNotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// The lock of a uid could not be taken.
    #[error("cannot lock {}", path.display())]
    UidPoolLock {
        /// The lock file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// Whether a uid has processes could not be seen.
    #[error("cannot look for processes of a uid in {}: is /proc mounted without hidepid?", path.display())]
    UidPoolScan {
        /// What could not be read.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// Every uid of the pool is taken.
    #[error(
        "no uid of the pool is free: {leased} belong to running boxes, {alive} to other processes; make the range larger"
    )]
    UidsInUse {
        /// Uids that a box of some embedder has.
        leased: usize,
        /// Uids that have processes and no box.
        alive: usize,
    },
    /// A user namespace maps one set of ids for every run; a pool gives each run another.
    #[error("a uid pool cannot serve a box with a user map")]
    UidPoolMapped,
    /// The quota of a user counts for every box of that uid, and the end of one box would end it for the others.
    #[error("a user quota needs a uid that no other running box has: take it from a uid pool")]
    QuotaOfSharedUid,
    /// The directory of a quota cannot be opened.
    #[error("cannot open {} for its quota", path.display())]
    QuotaDirectory {
        /// The directory.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// The output limit counts bytes of captured streams, and this one goes elsewhere.
    #[error(
        "{stream} goes to a descriptor, where the output limit cannot be counted: capture it, or limit file_size instead"
    )]
    OutputNotCaptured {
        /// `stdout` or `stderr`.
        stream: &'static str,
    },
    /// A stream is to be a directory, from which the program could walk out of the box with `..`, or an `O_PATH` descriptor.
    #[error(
        "{stream} is a directory or an O_PATH descriptor, by which the program could leave the box"
    )]
    DirectoryAsStream {
        /// `stdin`, `stdout` or `stderr`.
        stream: &'static str,
    },
    /// The memory limit leaves no room for the program to start.
    #[error("the memory limit of {limit} is too small to start any program")]
    MemoryTooSmall {
        /// What was asked for.
        limit: sandbox_core::Bytes,
    },
    /// Core dumps cannot be switched off: the kernel pipes them to a program, and `RLIMIT_CORE` of this process is 0, which
    /// does not stop that (1 would).
    #[error(
        "core_pattern is a pipe and the hard RLIMIT_CORE of this process is 0, so crashes of the program would run it: raise the hard limit to 1 or more"
    )]
    CoreDumps,
    /// The run is over, and its cgroup could not be removed.
    #[error("the run is over, but its cgroup is left")]
    NotRemoved {
        /// The run.
        outcome: Box<sandbox_core::Outcome>,
        /// Why the cgroup is left.
        #[source]
        source: sandbox_cgroup::Error,
    },
    /// The run is over, and a quota of it could not be taken away.
    #[error("the run is over, but its disk quota is left")]
    QuotaLeft {
        /// The run.
        outcome: Box<sandbox_core::Outcome>,
        /// Why the quota is left.
        #[source]
        source: sandbox_fs::Error,
    },
    /// A system call of the supervisor failed.
    #[error("{call} failed{}", advice.map(|a| format!(" ({a})")).unwrap_or_default())]
    Syscall {
        /// The call.
        call: &'static str,
        /// What to do, where the errno alone misleads.
        advice: Option<&'static str>,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// Set-up did not end within a minute: a file system below a source does not answer.
    #[error("the box was still in set-up after {seconds} s and was killed")]
    SetupTimeout {
        /// How long it was given.
        seconds: u64,
    },
    /// The child ended in set-up without a report: something outside killed it.
    #[error("the child ended in set-up without a report; was it killed from outside?")]
    Vanished,
    /// A limit depends on a clock that could not be read while the box ran; the box was killed.
    #[error("CPU time of the box could not be read, so its limit could not be enforced")]
    ClockUnreadable(sandbox_core::Unavailable),
    /// A message from init was not one of ours; the box was killed.
    #[error("init sent a message that is no record")]
    ForeignRecord,
}

impl Error {
    /// A constructor for `map_err` over the supervisor's own calls.
    pub(crate) fn call(call: &'static str) -> impl Fn(Errno) -> Self {
        move |source| Self::Syscall {
            call,
            advice: None,
            source,
        }
    }
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
