//! Compiled operations, in the order in which init carries them out.

use std::ffi::CString;

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
}

/// One operation.
#[derive(Debug)]
pub(crate) enum Op {
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
    /// Make a tmpfs read-only.
    Seal { tmpfs: usize },
    /// Swap the roots.
    Pivot,
    /// Detach the host's tree.
    Detach,
    /// Prove that `/` is the root tmpfs.
    Verify,
}

/// A source and how it is mounted.
#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) source: Source,
    pub(crate) attributes: u64,
    pub(crate) recursive: bool,
}
