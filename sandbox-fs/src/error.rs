//! Everything that can fail before the clone and after the death of the box.

use core::{fmt, time::Duration};
use std::{
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use sandbox_core::{Bytes, Errno, HostError};

use crate::{MountFlags, Quota, Rule};

/// Why a tree cannot be prepared, instantiated or read.
///
/// Where an errno is the reason, [`std::error::Error::source`] has it and the text does not repeat it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel lacks what every tree needs, or a bind with other ids.
    #[error("no tree can be made here")]
    Host(#[from] HostError),
    /// A target is not a path inside the box.
    #[error("target {target:?} {problem}")]
    Target {
        /// As it stands in the rule.
        target: PathBuf,
        /// What is wrong with it.
        problem: TargetProblem,
    },
    /// Two rules contradict each other.
    #[error("`{first}` and `{second}`: {problem}")]
    Conflict {
        /// The rule that comes first in the tree.
        first: Box<Rule>,
        /// The rule that cannot stand beside it.
        second: Box<Rule>,
        /// What is wrong.
        problem: Conflict,
    },
    /// A rule carries flags that nothing would enforce.
    #[error("`{rule}`: the flags {flags:?} have no meaning here; remove them")]
    Flags {
        /// The rule.
        rule: Box<Rule>,
        /// The flags in question.
        flags: MountFlags,
    },
    /// A rule says nothing that could be carried out.
    #[error("`{rule}`: {why}")]
    Meaningless {
        /// The rule.
        rule: Box<Rule>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The descriptor of a rule was not given, or cannot be used.
    ///
    /// `EBADF`: no [`RootSpec::descriptor`](crate::RootSpec::descriptor) has that name. `EMFILE`.
    #[error("`{rule}`: there is no such descriptor; give it by RootSpec::descriptor")]
    Handle {
        /// The rule.
        rule: Box<Rule>,
        /// The kernel's reason.
        source: Errno,
    },
    /// The user namespace that an idmapped bind refers to cannot be made.
    ///
    /// `EPERM`: the embedder lacks `CAP_SETUID` or `CAP_SETGID`. `ENOSPC`: `user.max_user_namespaces`.
    #[error("cannot make the user namespace of an idmapped bind: {call} failed")]
    IdMap {
        /// The system call or file.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// An idmapped bind needs an embedder with `CAP_SYS_ADMIN`; init has none over the host's filesystem.
    #[error("cannot map the ids of {path:?} without CAP_SYS_ADMIN over its filesystem")]
    Unmappable {
        /// Path on the host.
        path: PathBuf,
    },
    /// The kernel has less of Landlock than is required, or the version asked for does not exist.
    #[error(
        "Landlock version {asked} is required, this kernel has {}; it needs Linux 6.12 for 6, 6.7 for 4, 5.19 for 2, and `landlock` in the kernel's `lsm=`",
        if *found == 0 { "none".to_owned() } else { found.to_string() }
    )]
    LandlockMissing {
        /// The version asked for; 2 to 6 exist.
        asked: u8,
        /// What this crate can use of the kernel's; 0: nothing.
        found: u8,
    },
    /// A quota is zero, which the kernel reads as "without limit".
    #[error("the quota of the tmpfs on {target:?} has a zero; give both bytes and inodes a limit")]
    QuotaZero {
        /// Where the tmpfs goes.
        target: PathBuf,
    },
    /// What rules put on a tmpfs does not fit there.
    #[error(
        "the tmpfs on {target:?} allows {} and {} inodes, its rules need {} and {}",
        has.bytes, has.inodes, needs.bytes, needs.inodes
    )]
    QuotaTooSmall {
        /// Where the tmpfs goes.
        target: PathBuf,
        /// What the rule grants.
        has: Quota,
        /// What the rules take before the payload starts.
        needs: Quota,
    },
    /// More than fits a plan.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many are possible.
        limit: usize,
    },
    /// A text has a NUL byte; the kernel would cut it there.
    #[error("{text:?} contains a NUL byte")]
    Nul {
        /// The text.
        text: PathBuf,
    },
    /// A source is no absolute path, so it would mean what the embedder's working directory makes of it.
    #[error("the source {path:?}, to be bound on {target:?}, is relative; use an absolute path")]
    Relative {
        /// Path on the host.
        path: PathBuf,
        /// Path in the box.
        target: PathBuf,
    },
    /// A source cannot be opened with the rights of the requester.
    ///
    /// `ENOENT`: it does not exist. `EACCES`: a directory above may not be searched, or it may not be read (or, for a
    /// writable bind, written). `EROFS`: a writable bind of a read-only filesystem. `ELOOP`: its links form a circle, or one of them
    /// is a magic link of proc(5), as `/proc/self/cwd` or `/proc/self/fd/3`.
    #[error("cannot open {path:?}, to be bound on {target:?}: {}", source_advice(*source))]
    Source {
        /// Path on the host.
        path: PathBuf,
        /// Path in the box.
        target: PathBuf,
        /// The kernel's reason.
        source: Errno,
    },
    /// The process that opens sources for the requester could not be made, or could not become the requester.
    ///
    /// `EPERM`: the embedder lacks `CAP_SETUID` or `CAP_SETGID`. `EPIPE` in `recvmsg`: somebody ended the process.
    #[error("cannot open sources as uid {uid}: {call} failed")]
    Requester {
        /// The requester's user id.
        uid: u32,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// The process that opens sources for the requester did not answer in time and was killed.
    ///
    /// `ETIMEDOUT`, always. The process has the requester's ids, so he can stop it; and a source on a network or FUSE
    /// filesystem may never answer.
    #[error(
        "cannot open {path:?} as uid {uid}: no answer within {limit:?}; the filesystem hangs, or uid {uid} stopped the process that opens it"
    )]
    Unanswered {
        /// The requester's user id.
        uid: u32,
        /// Path on the host of the first source without an answer.
        path: PathBuf,
        /// How long all sources together may take.
        limit: Duration,
        /// The reason.
        source: Errno,
    },
    /// The mounts of one spawn cannot be made.
    ///
    /// `EPERM`: the embedder lacks `CAP_SYS_ADMIN`; use [`Trees::FromInit`](crate::Trees). `EINVAL`: a non-recursive
    /// bind of a directory with locked mounts below, or a source that is not in this mount namespace.
    #[error("cannot make a mount of {path:?}: {call} failed")]
    Tree {
        /// Path on the host.
        path: PathBuf,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// A source has no path by which init could find it.
    #[error("{path:?} has no path in /proc/self/fd; is /proc mounted?")]
    Pathless {
        /// Path on the host, as it stands in the rule.
        path: PathBuf,
    },
    /// A quota of the filesystem cannot be set or read.
    ///
    /// `ESRCH`: it is off, or only counts. `ENOSYS`, `ENOTSUP`, `ENOTTY`: the kernel or the filesystem has none. `EPERM`: no
    /// `CAP_SYS_ADMIN`.
    #[error("cannot use {kind} quotas here: {call} failed; {}", quota_advice(kind, *source))]
    Quota {
        /// `user` or `project`.
        kind: &'static str,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// A kept file cannot be opened or read.
    ///
    /// `ELOOP`: a symbolic link in the path. `EXDEV`: the path leaves the kept directory. `ENXIO`, `EACCES`: a device
    /// or socket.
    #[error("cannot read {path:?} in the kept directory")]
    Kept {
        /// Path below the kept directory.
        path: PathBuf,
        /// The kernel's reason.
        source: Errno,
    },
    /// A name in a kept directory cannot be removed.
    ///
    /// `EBUSY`, `EXDEV`: something is mounted there. `EPERM`: an inode flag that the embedder may not take away.
    #[error("cannot remove {name:?} in the kept directory: {call} failed")]
    Remove {
        /// The name, in whichever directory it was met.
        name: PathBuf,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// A tree cannot be given to another owner.
    ///
    /// `EXDEV`: something is mounted there. `ESTALE`: a directory was moved meanwhile. `EPERM`: no `CAP_CHOWN`.
    #[error("cannot change the owner of {name:?} in the kept directory: {call} failed")]
    Chown {
        /// The name, in whichever directory it was met.
        name: PathBuf,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// A file or directory cannot be put into a kept directory.
    ///
    /// `ELOOP`: a directory of the path is a symbolic link. `EXDEV`: the path leaves the directory or its mount. `EINVAL`: it
    /// has no last name.
    #[error("cannot put {path:?} into the kept directory: {call} failed")]
    CopyIn {
        /// Path below the kept directory.
        path: PathBuf,
        /// The system call.
        call: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// A kept path is something else than a regular file.
    #[error("{path:?} in the kept directory is not a regular file")]
    NotRegular {
        /// Path below the kept directory.
        path: PathBuf,
    },
    /// A kept file or directory is larger than the caller wants to read.
    #[error("{path:?} in the kept directory: more than {max}")]
    TooLarge {
        /// Path below the kept directory, or the name where the walk through it ended.
        path: PathBuf,
        /// The caller's bound.
        max: Bound,
    },
}

/// How far a caller wants to go with a kept directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// Contents of a file.
    Bytes(Bytes),
    /// Names in a directory, or in a whole tree.
    Entries(usize),
    /// Wall time.
    Time(Duration),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Entries(count) => write!(f, "{count} entries"),
            Self::Time(time) => write!(f, "{time:?}"),
        }
    }
}

/// Why a text is not a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetProblem {
    /// Empty, `/` or `.`: the root itself is always the box's own tmpfs.
    #[error("names the root of the box, which is always its own tmpfs")]
    Root,
    /// It has a `..`, which means another place for each tree it is resolved in.
    #[error("contains `..`")]
    Parent,
    /// It has a NUL byte.
    #[error("contains a NUL byte")]
    Nul,
}

/// Why two rules cannot stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Both claim one target.
    #[error("both want the same target")]
    SameTarget,
    /// The second lies below something that is no directory.
    #[error("the second lies beneath the first, which is not a directory")]
    BeneathFile,
    /// The second lies below a symbolic link; no step follows one.
    #[error("the second lies beneath the first, which is a symbolic link; name the real path")]
    BeneathSymlink,
    /// The second lies in a filesystem of the kernel, where nothing can be created.
    #[error("nothing but masks can be placed in a proc, sysfs or devpts")]
    BeneathProc,
    /// The second lies beneath what the first hides.
    #[error("the first hides what the second needs")]
    BeneathMask,
    /// Where the second goes, the first has a symbolic link; none is followed.
    #[error("the target of the second is, or lies beyond, a symbolic link in what the first shows")]
    TargetIsSymlink,
    /// Where the second goes, the first has nothing, and nothing is created on the host.
    #[error("the target of the second does not exist in what the first shows")]
    TargetIsMissing,
    /// One is a directory and the other is none.
    #[error("a directory and a file cannot be mounted on each other")]
    FileOverDirectory,
    /// The second would have to be created on a filesystem of the host.
    #[error("the second would be created on the host; only mounts go beneath a bind")]
    CreatedOnHost,
}

/// The error of two rules that cannot stand together.
pub(crate) fn conflict(first: &Rule, second: &Rule, problem: Conflict) -> Error {
    Error::Conflict {
        first: Box::new(first.clone()),
        second: Box::new(second.clone()),
        problem,
    }
}

fn quota_advice(kind: &str, errno: Errno) -> &'static str {
    match (errno.raw(), kind) {
        (libc::EPERM | libc::EACCES, _) => "it needs CAP_SYS_ADMIN over the host",
        (libc::ESRCH | libc::ENOSYS | libc::EOPNOTSUPP | libc::ENOTTY | libc::EINVAL, "user") => {
            "on ext4 run `tune2fs -O quota` on the unmounted device and mount with usrquota; mount xfs with uquota; \
             a tmpfs is limited by its rule"
        }
        (libc::ESRCH | libc::ENOSYS | libc::EOPNOTSUPP | libc::ENOTTY | libc::EINVAL, _) => {
            "on ext4 run `tune2fs -O quota,project -Q prjquota` on the unmounted device and mount with prjquota; \
             mount xfs with pquota; a tmpfs is limited by its rule"
        }
        (libc::EWOULDBLOCK, _) => "another run has a quota on this directory",
        (libc::EBUSY, _) => "this project has files elsewhere; choose another number",
        _ => "the kernel refused",
    }
}

/// A name as the kernel gave it, for an error.
pub(crate) fn shown(name: &CStr) -> PathBuf {
    OsStr::from_bytes(name.to_bytes()).into()
}

fn source_advice(errno: Errno) -> &'static str {
    match errno.raw() {
        libc::ENOENT => "create it, correct the path, or make the bind OPTIONAL",
        libc::EACCES => {
            "let the requester search the directories above it and read it (for a writable bind also write it)"
        }
        libc::EROFS => "the filesystem is read-only; drop WRITABLE",
        libc::ELOOP => {
            "its symbolic links form a circle, or it leads through a magic link of /proc; name the real path"
        }
        libc::ENOTDIR => "a part of the path before the last is no directory",
        _ => "the kernel refused",
    }
}
