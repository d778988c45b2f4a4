//! One wish about the tree of the box.

use core::fmt;
use std::path::{Path, PathBuf};

use sandbox_core::Bytes;

/// How much a tmpfs may hold. Both limits are needed: the kernel's defaults are half the memory of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Quota {
    /// Contents of all files together; the kernel rounds up to whole pages. Zero is refused: to the kernel it means
    /// "without limit".
    pub bytes: Bytes,
    /// Files, directories, symbolic links and hard links together. The tmpfs' own root directory takes one, and so does
    /// everything that rules put there. Zero is refused.
    pub inodes: u64,
}

bitflags::bitflags! {
    /// What a mount may do. Without any flag it is read-only, nosuid and nodev at every level.
    ///
    /// There is no flag that allows set-user-id programs: `no_new_privs` makes them useless in a box anyway.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct MountFlags: u32 {
        /// The box may write.
        const WRITABLE = 1;
        /// Nothing below can be executed.
        const NOEXEC = 2;
        /// Device nodes below work. For binds only.
        const DEVICES = 4;
        /// A source that does not exist is skipped. Any other failure stays an error. For binds only.
        const OPTIONAL = 8;
        /// Mounts below the source stay outside. For binds only.
        const NON_RECURSIVE = 16;
    }
}

impl MountFlags {
    /// What the flags say as `MOUNT_ATTR_*` of `mount_setattr(2)`. Only ever sets: clearing a flag of the source would
    /// be `EPERM` in a user namespace and a loosening anywhere else.
    pub(crate) fn attributes(self) -> u64 {
        let mut attributes = libc::MOUNT_ATTR_NOSUID;
        if !self.contains(Self::WRITABLE) {
            attributes |= libc::MOUNT_ATTR_RDONLY;
        }
        if !self.contains(Self::DEVICES) {
            attributes |= libc::MOUNT_ATTR_NODEV;
        }
        if self.contains(Self::NOEXEC) {
            attributes |= libc::MOUNT_ATTR_NOEXEC;
        }
        attributes
    }
}

impl fmt::Display for MountFlags {
    /// The options as mount(8) writes them: `ro,nodev,nosuid`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.contains(Self::WRITABLE) {
            "rw"
        } else {
            "ro"
        })?;
        for (shown, name) in [
            (!self.contains(Self::DEVICES), ",nodev"),
            (true, ",nosuid"),
            (self.contains(Self::NOEXEC), ",noexec"),
            (self.contains(Self::OPTIONAL), ",optional"),
            (self.contains(Self::NON_RECURSIVE), ",norec"),
        ] {
            if shown {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// How much of proc(5) the box sees.
///
/// Either way it is the box's own instance: processes of the host are not in it, `hidepid=4` hides those that the reader
/// may not trace, and nothing in it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ProcView {
    /// Only the directories of processes (`subset=pid`): no `/proc/sys`, `kcore`, `kallsyms`, `meminfo`, `cpuinfo`.
    #[default]
    Processes,
    /// Everything that proc(5) lists, about the host as well.
    Full,
}

/// Permissions of a synthetic file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum FileMode {
    /// 0444.
    #[default]
    Plain,
    /// 0555.
    Executable,
}

/// On whose behalf sources are opened, where the embedder has more rights than the person who names the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Requester {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups; those of the embedder never count.
    pub groups: Vec<u32>,
}

/// One wish about the tree. Targets are paths inside the box; a leading `/` may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Rule {
    /// A file or directory of the host.
    Bind {
        /// Absolute path on the host; symbolic links in it are followed once, when the plan is prepared.
        source: PathBuf,
        /// Path in the box.
        target: PathBuf,
        /// Restrictions.
        flags: MountFlags,
    },
    /// An empty directory in memory, gone with the box.
    Tmpfs {
        /// Path in the box.
        target: PathBuf,
        /// How much it may hold.
        quota: Quota,
        /// `WRITABLE` (mode 1777, else 0755) and `NOEXEC`; the others do not apply.
        flags: MountFlags,
    },
    /// The box's own proc(5).
    Proc {
        /// Path in the box.
        target: PathBuf,
        /// How much of it.
        view: ProcView,
    },
    /// A directory with `null`, `zero`, `full`, `random`, `urandom`, `fd`, `stdin`, `stdout` and `stderr`.
    Dev {
        /// Path in the box.
        target: PathBuf,
    },
    /// A file that exists nowhere on the host.
    File {
        /// Path in the box.
        target: PathBuf,
        /// What it holds.
        contents: Vec<u8>,
        /// Its permissions.
        mode: FileMode,
    },
    /// A symbolic link.
    Symlink {
        /// Path in the box.
        target: PathBuf,
        /// Where it points, as seen in the box.
        points_to: PathBuf,
    },
    /// An empty directory, mode 0755.
    Dir {
        /// Path in the box.
        target: PathBuf,
    },
}

impl Rule {
    /// Where in the box.
    #[must_use]
    pub fn target(&self) -> &Path {
        match self {
            Self::Bind { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Proc { target, .. }
            | Self::Dev { target }
            | Self::File { target, .. }
            | Self::Symlink { target, .. }
            | Self::Dir { target } => target,
        }
    }

    /// Flags of the rule that nothing would enforce.
    pub(crate) fn idle_flags(&self) -> MountFlags {
        match self {
            Self::Tmpfs { flags, .. } => *flags - (MountFlags::WRITABLE | MountFlags::NOEXEC),
            Self::Bind { flags, .. } => *flags - MountFlags::all(),
            _ => MountFlags::empty(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.target().display();
        match self {
            Self::Bind { source, flags, .. } => {
                write!(f, "bind {} on {at} ({flags})", source.display())
            }
            Self::Tmpfs { quota, flags, .. } => {
                let Quota { bytes, inodes } = quota;
                write!(f, "tmpfs on {at} ({bytes}, {inodes} inodes, {flags})")
            }
            Self::Proc { view, .. } => write!(f, "proc on {at} ({view})"),
            Self::Dev { .. } => write!(f, "minimal dev on {at}"),
            Self::File { contents, .. } => write!(f, "file {at} ({} bytes)", contents.len()),
            Self::Symlink { points_to, .. } => write!(f, "link {at} to {}", points_to.display()),
            Self::Dir { .. } => write!(f, "directory {at}"),
        }
    }
}

impl fmt::Display for ProcView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "subset=pid,hidepid=4,ro",
            Self::Full => "hidepid=4,ro",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MountFlags, Rule};

    #[test]
    fn no_flags_means_read_only_without_devices_and_set_user_id() {
        assert_eq!(
            MountFlags::empty().attributes(),
            libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID
        );
        assert_eq!(
            MountFlags::all().attributes(),
            libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC
        );
    }

    #[test]
    fn a_rule_reads_like_mount() {
        let rule = Rule::Bind {
            source: "/srv/x".into(),
            target: "box".into(),
            flags: MountFlags::empty(),
        };
        assert_eq!(rule.to_string(), "bind /srv/x on box (ro,nodev,nosuid)");
    }
}
