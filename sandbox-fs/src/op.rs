//! Compiled operations, in the order in which init carries them out.

use core::ops::Range;
use std::{ffi::CString, os::fd::OwnedFd};

use crate::{FileMode, ProcView, source::Source};

/// How many tmpfs a plan may have, the root among them. init keeps one descriptor for each on its stack.
pub(crate) const MAX_TMPFS: usize = 32;

/// A place on or below one tmpfs of the box.
///
/// Everything is resolved from the tmpfs it lies on and not from the root: between the two may lie a writable bind whose
/// contents somebody outside renames while the box is built.
#[derive(Debug)]
pub(crate) struct At {
    /// Number of the tmpfs.
    pub(crate) tmpfs: usize,
    /// Path below it, without symbolic links.
    pub(crate) path: CString,
    /// Every part of the path was made by an operation before, on that tmpfs: nobody else has a say in where it leads.
    pub(crate) ours: bool,
}

/// One operation.
#[derive(Debug)]
pub(crate) enum Op {
    /// Open proc, where mounts get their flags one by one.
    OpenProc,
    /// Cut the propagation of every mount.
    MakePrivate,
    /// Mount a tmpfs; without `at` it is the root of the box.
    Tmpfs {
        at: Option<At>,
        tmpfs: usize,
        size: CString,
        inodes: CString,
        mode: CString,
        attributes: u64,
    },
    /// Make a directory, mode 0755.
    Directory(At),
    /// Make a file: synthetic contents, or empty where a file is mounted.
    File {
        at: At,
        contents: Box<[u8]>,
        mode: FileMode,
    },
    /// Make a symbolic link.
    Symlink { at: At, points_to: CString },
    /// Mount the tree of a bind.
    Bind { at: At, bind: usize },
    /// Mount the box's proc.
    Proc { at: At, view: ProcView },
    /// Mount directories of the host laid over each other.
    Overlay {
        at: At,
        /// Numbers of the binds that are its layers, topmost first.
        lowers: Range<usize>,
        upper: Option<UpperOp>,
        attributes: u64,
    },
    /// Mount sysfs.
    Sysfs(At),
    /// Mount a devpts of the box's own.
    Devpts { at: At, max: CString },
    /// Hide what is there.
    Mask { at: At, optional: bool },
    /// Make a tmpfs read-only.
    Seal { tmpfs: usize },
    /// Swap the roots.
    Pivot,
    /// Detach the host's tree.
    Detach,
    /// Prove that `/` is the root tmpfs.
    Verify,
}

impl Op {
    /// Whether init leaves the host's tree by it.
    pub(crate) fn leaves_the_host(&self) -> bool {
        matches!(self, Self::Pivot | Self::Detach)
    }

    /// Whether it mounts what comes from the host.
    pub(crate) fn needs_a_bind(&self) -> bool {
        matches!(self, Self::Bind { .. } | Self::Overlay { .. })
    }
}

/// Where the changes of an overlay go.
#[derive(Debug)]
pub(crate) enum UpperOp {
    Memory {
        size: CString,
        inodes: CString,
    },
    /// Number of the bind that has `upper` and `work`.
    Bind(usize),
}

/// A source and how it is mounted.
#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) source: Source,
    pub(crate) attributes: u64,
    pub(crate) recursive: bool,
    /// The user namespace whose id map the mount gets.
    pub(crate) ids: Option<OwnedFd>,
}
