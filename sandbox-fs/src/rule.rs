//! One wish about the tree of the box.

use core::fmt;
use std::path::{Path, PathBuf};

use sandbox_core::Bytes;

use crate::MountFlags;

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

/// Which ids of a filesystem a bind shows as which.
///
/// # Kernel
/// 5.12 for ext4, 5.15 for btrfs, 5.19 for overlay, 6.3 for tmpfs; xfs 5.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct IdMapping {
    /// First user and group id of the filesystem.
    pub stored: u32,
    /// The id that the box sees in its place.
    pub shown: u32,
    /// How many ids in a row. All others show as the overflow id and own nothing.
    pub count: u32,
}

/// Where the changes of an overlay go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Upper {
    /// Into memory, as much as the quota says; gone with the box, unless a kept directory holds it.
    Memory(Quota),
    /// Into `upper` of this directory of the host, which has an empty `work` beside it; the embedder makes both, and limits
    /// them by a quota of the filesystem. One box at a time.
    Directory(PathBuf),
}

/// One wish about the tree. Targets are paths inside the box; a leading `/` may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
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
    /// A file or directory that the embedder has open.
    BindOpen {
        /// The name under which [`RootSpec::descriptor`](crate::RootSpec::descriptor) gave it.
        handle: String,
        /// Path in the box.
        target: PathBuf,
        /// Restrictions; `OPTIONAL` does not apply.
        flags: MountFlags,
    },
    /// A file or directory of the host whose owner shows as another, as for a box of its own uid over files of the judge.
    IdmappedBind {
        /// As for `Bind`.
        source: PathBuf,
        /// Path in the box.
        target: PathBuf,
        /// Restrictions.
        flags: MountFlags,
        /// Which ids show as which.
        ids: IdMapping,
    },
    /// Directories of the host laid over each other, and what the box changes in them, elsewhere.
    ///
    /// Mounts below the directories stay outside. What the box deletes or overwrites stays as it is on the host.
    Overlay {
        /// Absolute paths on the host, the topmost first; never written to.
        lowers: Vec<PathBuf>,
        /// Where changes go; without it the overlay is read-only.
        upper: Option<Upper>,
        /// Path in the box.
        target: PathBuf,
        /// `NOEXEC`; the others do not apply.
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
    /// sysfs(5), read-only, as the box's network namespace sees it. It tells about the host's hardware.
    Sysfs {
        /// Path in the box.
        target: PathBuf,
    },
    /// Pseudoterminals of the box's own.
    Devpts {
        /// Path in the box.
        target: PathBuf,
        /// How many at once.
        max: u32,
    },
    /// A directory with `null`, `zero`, `full`, `random`, `urandom`, `fd`, `stdin`, `stdout` and `stderr`.
    Dev {
        /// Path in the box.
        target: PathBuf,
    },
    /// Hides what another rule shows: a directory is empty, a file is empty, both read-only.
    Mask {
        /// Path in the box, beneath a bind, an overlay, a proc or a sysfs.
        target: PathBuf,
        /// Whether there may be nothing to hide.
        optional: bool,
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
            | Self::BindOpen { target, .. }
            | Self::IdmappedBind { target, .. }
            | Self::Overlay { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Proc { target, .. }
            | Self::Sysfs { target }
            | Self::Devpts { target, .. }
            | Self::Dev { target }
            | Self::Mask { target, .. }
            | Self::File { target, .. }
            | Self::Symlink { target, .. }
            | Self::Dir { target } => target,
        }
    }

    /// Flags of the rule that nothing would enforce.
    pub(crate) fn idle_flags(&self) -> MountFlags {
        match self {
            Self::Tmpfs { flags, .. } => *flags - (MountFlags::WRITABLE | MountFlags::NOEXEC),
            Self::Overlay { flags, .. } => *flags - MountFlags::NOEXEC,
            Self::Bind { flags, .. } | Self::IdmappedBind { flags, .. } => {
                *flags - MountFlags::all()
            }
            Self::BindOpen { flags, .. } => *flags - (MountFlags::all() - MountFlags::OPTIONAL),
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
            Self::BindOpen { handle, flags, .. } => {
                write!(f, "bind the descriptor {handle:?} on {at} ({flags})")
            }
            Self::IdmappedBind {
                source, flags, ids, ..
            } => {
                let IdMapping {
                    stored,
                    shown,
                    count,
                } = ids;
                let source = source.display();
                write!(
                    f,
                    "bind {source} on {at} ({flags}, ids {stored}:{shown}:{count})"
                )
            }
            Self::Overlay {
                lowers,
                upper,
                flags,
                ..
            } => {
                f.write_str("overlay ")?;
                for (n, lower) in lowers.iter().enumerate() {
                    let colon = if n == 0 { "" } else { ":" };
                    write!(f, "{colon}{}", lower.display())?;
                }
                write!(f, " on {at} (")?;
                match upper {
                    None => f.write_str("ro")?,
                    Some(Upper::Memory(Quota { bytes, inodes })) => {
                        write!(f, "changes in memory, {bytes}, {inodes} inodes")?;
                    }
                    Some(Upper::Directory(path)) => write!(f, "changes in {}", path.display())?,
                }
                if flags.contains(MountFlags::NOEXEC) {
                    f.write_str(",noexec")?;
                }
                f.write_str(")")
            }
            Self::Tmpfs { quota, flags, .. } => {
                let Quota { bytes, inodes } = quota;
                write!(f, "tmpfs on {at} ({bytes}, {inodes} inodes, {flags})")
            }
            Self::Proc { view, .. } => write!(f, "proc on {at} ({view})"),
            Self::Sysfs { .. } => write!(f, "sysfs on {at} (ro)"),
            Self::Devpts { max, .. } => write!(f, "devpts on {at} (at most {max})"),
            Self::Dev { .. } => write!(f, "minimal dev on {at}"),
            Self::Mask { .. } => write!(f, "mask {at}"),
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
    use super::Rule;
    use crate::MountFlags;

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
