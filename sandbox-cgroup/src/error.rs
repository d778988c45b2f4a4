//! What can go wrong, by operation.

use std::path::{Path, PathBuf};

use sandbox_core::{Bytes, Controller, Errno, LimitError};

/// An operation on a cgroup that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The limits are such that no kernel could honour them.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// A limit is more than this machine has.
    #[error("limit {field} is {wanted}, this host has {available}")]
    BeyondHost {
        /// Name of the field of [`sandbox_core::Limits`].
        field: &'static str,
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// No hierarchy can serve a limit that was asked for.
    #[error("limit {field} needs the cgroup controller {controller:?}: {reason}")]
    NoController {
        /// Name of the field of [`sandbox_core::Limits`].
        field: &'static str,
        /// The controller.
        controller: Controller,
        /// Why there is none.
        reason: Missing,
    },
    /// Swap is in use, and the kernel cannot keep the group out of it: a memory limit would not hold.
    #[error(
        "limit memory would not hold: swap is active and {} is missing (swap accounting is off); \
         swapoff, or boot with swapaccount=1", .path.display()
    )]
    SwapUnaccounted {
        /// The missing file.
        path: PathBuf,
    },
    /// A relative [`CgroupParent::Path`](crate::CgroupParent::Path) is none: it is absolute or climbs.
    #[error("the cgroup parent {} is not a plain relative path", .path.display())]
    ParentPath {
        /// What was given.
        path: PathBuf,
    },
    /// The process's own group lies outside of the part of the hierarchy that is mounted here.
    #[error("the own cgroup {} lies outside of what is mounted on {}", .own.display(), .mount.display())]
    OwnOutside {
        /// Own group as `/proc/self/cgroup` names it.
        own: PathBuf,
        /// Mount point of the hierarchy.
        mount: PathBuf,
    },
    /// The own group has other processes, so that moving this one aside would not make room.
    #[error(
        "the cgroup {} has {others} other processes: start the program in a group of its own, as its first process",
        .path.display()
    )]
    NotAlone {
        /// The group.
        path: PathBuf,
        /// How many there are beside this one.
        others: usize,
    },
    /// The own group holds other groups, which would lose their limits.
    #[error("the cgroup {} is still there", .child.display())]
    HoldsGroups {
        /// One of them.
        child: PathBuf,
    },
    /// A text of the kernel is not what proc(5) documents.
    #[error("line {line} of {file} is not what the kernel documents")]
    Parse {
        /// The file.
        file: &'static str,
        /// The line, counted from 1.
        line: usize,
    },
    /// Opening a file failed.
    #[error("cannot open {}{}", .path.display(), advice(.path, *.source))]
    Open {
        /// The file.
        path: PathBuf,
        /// `EACCES`: not delegated to this user. `EROFS`: mounted read-only.
        source: Errno,
    },
    /// Reading a file failed.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// Writing a file failed.
    #[error("cannot write {value:?} to {}{}", .path.display(), advice(.path, *.source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// `EBUSY` on `cgroup.subtree_control`: the group has processes of its own. `EACCES`, `EPERM`: not delegated.
        source: Errno,
    },
    /// A limit was written, and the kernel reports another one.
    #[error("wrote {wrote:?} to {}, which now reads {read:?}", .path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// What was written.
        wrote: String,
        /// What the kernel says.
        read: String,
    },
    /// Making the group's directory failed.
    #[error("cannot create the cgroup {}{}", .path.display(), advice(.path, *.source))]
    Create {
        /// The directory.
        path: PathBuf,
        /// `EACCES`: not delegated. `EROFS`: mounted read-only. `EAGAIN`: `cgroup.max.descendants` is reached, or every
        /// name that was tried was taken.
        source: Errno,
    },
    /// On v2 a new group is of a kind that no process can join: a group above it has threaded controllers and processes.
    #[error("the new cgroup {} is {kind:?}: choose a cgroup parent without processes", .path.display())]
    NotDomain {
        /// The directory.
        path: PathBuf,
        /// Text of its `cgroup.type`.
        kind: String,
    },
    /// No process of this user can come into the groups of runs from where it is: the user was given the parent, and not the
    /// group above it and the process.
    #[error(
        "limit {field} needs the cgroup controller {controller:?}, and no process can be moved to {} from here without write access to {}: \
         start the program inside of the delegated group", .parent.display(), .path.display()
    )]
    OutOfReach {
        /// Name of the field of [`sandbox_core::Limits`].
        field: &'static str,
        /// The controller.
        controller: Controller,
        /// The cgroup parent.
        parent: PathBuf,
        /// The file that must be writable.
        path: PathBuf,
        /// `EACCES`: it is not.
        source: Errno,
    },
    /// Taking the lock that marks the group as alive failed.
    #[error("cannot lock the cgroup {}", .path.display())]
    Lock {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// Registering for out-of-memory events failed.
    #[error("cannot watch {} for out-of-memory events", .path.display())]
    Notify {
        /// The watched file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A group that was killed must not be entered again: on some kernels whatever joins it dies at once.
    #[error("the cgroup was killed and cannot be entered again")]
    Killed,
    /// Killing the processes of the group failed.
    #[error("cannot kill the processes of the cgroup {}", .path.display())]
    Kill {
        /// The directory.
        path: PathBuf,
        /// `ETIMEDOUT`: processes were left when the time was up (they sleep uninterruptibly, or live in a process id
        /// namespace that is not visible here).
        source: Errno,
    },
    /// Removing the group's directory failed.
    #[error("cannot remove the cgroup {}", .path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// `EBUSY`: processes or child groups were left when the time was up.
        source: Errno,
    },
}

/// Why no hierarchy serves a controller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No mounted hierarchy has it.
    #[error(
        "no mounted hierarchy has it (see /proc/cgroups and the boot parameter cgroup_disable)"
    )]
    NotMounted,
    /// The v2 group in which boxes are made does not have it.
    #[error(
        "it is not in {}/cgroup.controllers; the groups above must enable it in their cgroup.subtree_control",
        .parent.display()
    )]
    NotDelegated {
        /// The group in which boxes are made.
        parent: PathBuf,
    },
}

impl Error {
    /// A constructor for `map_err` on reads.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Read {
            path: path.into(),
            source: Errno::from_io(&error),
        }
    }

    /// A limit that is above what the machine has, both in bytes.
    pub(crate) fn beyond_memory(wanted: Bytes, available: Bytes) -> Self {
        Self::BeyondHost {
            field: "memory",
            wanted: wanted.to_string(),
            available: available.to_string(),
        }
    }

    /// The kernel's number, where the error came from the kernel.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Create { source, .. }
            | Self::OutOfReach { source, .. }
            | Self::Lock { source, .. }
            | Self::Notify { source, .. }
            | Self::Kill { source, .. }
            | Self::Remove { source, .. } => Some(*source),
            _ => None,
        }
    }
}

/// What to do where the errno alone sends the reader the wrong way.
fn advice(path: &Path, errno: Errno) -> &'static str {
    let subtree = path.ends_with("cgroup.subtree_control");
    match errno.raw() {
        libc::EBUSY if subtree => {
            "; a v2 group with processes of its own cannot give controllers to children: \
             choose a cgroup parent without processes"
        }
        libc::EROFS => "; the hierarchy is mounted read-only, as containers have it",
        libc::EACCES | libc::EPERM => {
            "; the group is not delegated to this user: run as root or choose a delegated cgroup parent"
        }
        libc::ENOENT => "; the cgroup parent must exist in every hierarchy",
        libc::EAGAIN => {
            "; the limit cgroup.max.descendants or cgroup.max.depth of a group above is reached"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Missing};
    use sandbox_core::{Controller, Errno, LimitError};
    use std::{error::Error as _, path::PathBuf};

    #[test]
    fn a_misleading_errno_comes_with_advice_and_the_source_is_not_repeated() {
        let error = Error::Write {
            path: "/sys/fs/cgroup/cgroup.subtree_control".into(),
            value: "+memory".into(),
            source: Errno::from_raw(libc::EBUSY),
        };
        let text = error.to_string();
        assert!(text.contains("without processes"), "{text}");
        assert!(!text.contains("EBUSY"), "{text}");
        assert!(
            error
                .source()
                .is_some_and(|s| s.to_string().contains("EBUSY"))
        );
    }

    #[test]
    fn a_missing_controller_is_named_with_the_limit_and_the_reason() {
        let error = Error::NoController {
            field: "memory",
            controller: Controller::Memory,
            reason: Missing::NotDelegated {
                parent: PathBuf::from("/sys/fs/cgroup/x"),
            },
        };
        let text = error.to_string();
        for part in [
            "limit memory",
            "Memory",
            "/sys/fs/cgroup/x/cgroup.controllers",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn every_variant_says_what_failed_and_only_its_source_says_why() {
        let path = || PathBuf::from("/c/x");
        let (text, source) = (String::new, Errno::from_raw(libc::EIO));
        let controller = Controller::Pids;
        let all = [
            Error::Limits(LimitError::Zero { field: "memory" }),
            Error::BeyondHost {
                field: "cpus",
                wanted: text(),
                available: text(),
            },
            Error::NoController {
                field: "cpus",
                controller,
                reason: Missing::NotMounted,
            },
            Error::SwapUnaccounted { path: path() },
            Error::ParentPath { path: path() },
            Error::OwnOutside {
                own: path(),
                mount: path(),
            },
            Error::Parse {
                file: "/proc/self/cgroup",
                line: 1,
            },
            Error::Open {
                path: path(),
                source,
            },
            Error::Read {
                path: path(),
                source,
            },
            Error::Write {
                path: path(),
                value: text(),
                source,
            },
            Error::ReadBack {
                path: path(),
                wrote: text(),
                read: text(),
            },
            Error::Create {
                path: path(),
                source,
            },
            Error::OutOfReach {
                field: "cpu_time",
                controller,
                parent: path(),
                path: path(),
                source,
            },
            Error::NotDomain {
                path: path(),
                kind: text(),
            },
            Error::Lock {
                path: path(),
                source,
            },
            Error::Notify {
                path: path(),
                source,
            },
            Error::Killed,
            Error::Kill {
                path: path(),
                source,
            },
            Error::Remove {
                path: path(),
                source,
            },
        ];
        for error in all {
            let text = error.to_string();
            assert!(!text.contains("EIO") && !text.ends_with('.'), "{text}");
            assert_eq!(error.errno().is_some(), error.source().is_some(), "{text}");
        }
    }
}
