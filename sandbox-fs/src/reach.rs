//! What the rules let a program do beneath a path, in the words of Landlock.

use std::path::{Path, PathBuf};

use crate::{
    FileMode, MountFlags, ProcView,
    item::{Item, Kind},
    source::Source,
};

/// What may be done with a path and all beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Without a leading `/`.
    pub(crate) path: PathBuf,
    /// Whether a directory is there; a file takes fewer rights.
    pub(crate) is_dir: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    /// Device nodes work there.
    pub(crate) devices: bool,
}

impl Reach {
    /// The root itself: whatever lies beneath it may be listed, and more only where a rule says so.
    pub(crate) fn of(item: &Item<'_>, sources: &[Source]) -> Option<Self> {
        let is_dir = match &item.kind {
            Kind::Bind(..) => sources.first().is_none_or(|source| source.is_dir),
            Kind::File(..) => false,
            _ => true,
        };
        let (write, execute, devices) = match &item.kind {
            Kind::Bind(_, flags) => (
                // A device takes writes through a read-only mount.
                flags.intersects(MountFlags::WRITABLE | MountFlags::DEVICES),
                !flags.contains(MountFlags::NOEXEC),
                flags.contains(MountFlags::DEVICES),
            ),
            Kind::Overlay { upper, flags, .. } => {
                (upper.is_some(), !flags.contains(MountFlags::NOEXEC), false)
            }
            Kind::Tmpfs(_, flags) => (
                flags.contains(MountFlags::WRITABLE),
                !flags.contains(MountFlags::NOEXEC),
                false,
            ),
            Kind::Proc(ProcView::Processes | ProcView::Full) | Kind::Sysfs => (false, false, false),
            Kind::Devpts(_) => (true, false, true),
            Kind::File(_, mode) => (false, *mode == FileMode::Executable, false),
            // Listed as part of what is around them.
            Kind::Dir | Kind::Symlink(_) | Kind::Mask { .. } => return None,
        };
        Some(Self {
            path: item.target.as_path().to_owned(),
            is_dir,
            write,
            execute,
            devices,
        })
    }

    /// Where it is in the box.
    pub(crate) fn absolute(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }
}
