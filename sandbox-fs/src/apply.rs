//! Carries the operations out, in init: between `clone3(2)` and the start of the payload.
//!
//! init is privileged in its own namespaces here and everything untrusted is still data, but data that may be hostile: a
//! bound directory can hold any symbolic link. So no step follows one, each target is opened once and mounted on by
//! descriptor, and things are made only on tmpfs of the box.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

use core::{ffi::c_int, ops::Range};
use std::{
    ffi::CString,
    os::fd::{AsRawFd as _, OwnedFd},
};

use sandbox_core::{Errno, Fault};

use crate::{
    FileMode, kernel_fs,
    one_by_one::Proc,
    op::{At, Bind, MAX_TMPFS, Op, UpperOp},
    overlay::Overlay,
    sys::{file, mount},
    tree,
};

const INVALID: Errno = Errno::from_raw(libc::EINVAL);

/// Where the mounts of binds come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// Detached trees, one per bind, inherited from the parent.
    Inherited(&'a [OwnedFd]),
    /// The same, received from the parent.
    Received(&'a [c_int]),
    /// init makes them.
    Init,
}

/// The whole of one tree's operations, and how far they are carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) ops: &'a [Op],
    /// How many of the first operations need no bind.
    pub(crate) early: usize,
    pub(crate) binds: &'a [Bind],
    /// Leave the host's tree before the binds are mounted. Not in a user namespace: there the kernel mounts a new proc only
    /// where another is in sight.
    pub(crate) leave_first: bool,
}

/// Carries out what needs no bind. On failure descriptors stay open and the tree half built: the caller ends the process,
/// and with it its mount namespace.
pub(crate) fn begin(work: Work<'_>) -> Result<Builder<'_>, Fault> {
    let mut builder = Builder {
        tmpfs: [-1; MAX_TMPFS],
        work,
        origin: Origin::Init,
        proc: None,
        // The embedder's mask would cut the modes of everything made here.
        mask: file::umask(0),
    };
    builder.run(|at, op| at < work.early || (work.leave_first && op.leaves_the_host()))?;
    Ok(builder)
}

/// Opens one of the kept directories of the finished tree as a place. Its path begins with `/` and meets no symbolic link.
pub(crate) fn open_kept(kept: &[CString], ops: usize, index: usize) -> Result<c_int, Fault> {
    let number = u16::try_from(ops.saturating_add(index)).unwrap_or(u16::MAX);
    let path = kept.get(index).ok_or(INVALID).map_err(Fault::at(number))?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    file::openat2(libc::AT_FDCWD, path, flags, libc::RESOLVE_NO_SYMLINKS).map_err(Fault::at(number))
}

/// A tree in the making.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    /// Mount descriptors of the tmpfs, -1 where there is none yet.
    tmpfs: [c_int; MAX_TMPFS],
    work: Work<'a>,
    origin: Origin<'a>,
    /// Where mounts get their flags one by one.
    proc: Option<Proc>,
    mask: libc::mode_t,
}

impl<'a> Builder<'a> {
    /// Carries out the rest.
    pub(crate) fn finish<'o>(self, origin: Origin<'o>) -> Result<(), Fault>
    where
        'a: 'o,
    {
        let mut rest: Builder<'o> = self;
        rest.origin = origin;
        let Work {
            early, leave_first, ..
        } = rest.work;
        rest.run(|at, op| at >= early && !(leave_first && op.leaves_the_host()))?;
        file::umask(rest.mask);
        Ok(())
    }

    fn run(&mut self, takes: impl Fn(usize, &Op) -> bool) -> Result<(), Fault> {
        let mut index: u16 = 0;
        for op in self.work.ops {
            if takes(index.into(), op) {
                self.step(op).map_err(Fault::at(index))?;
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn step(&mut self, op: &Op) -> Result<(), Errno> {
        match op {
            Op::OpenProc => {
                self.proc = Some(Proc::open()?);
                Ok(())
            }
            Op::MakePrivate => mount::mount_make_private(c"/"),
            Op::Tmpfs {
                at,
                tmpfs,
                size,
                inodes,
                mode,
                attributes,
            } => {
                let mounted = kernel_fs::tmpfs(size, inodes, mode, *attributes)?;
                *self.tmpfs.get_mut(*tmpfs).ok_or(INVALID)? = mounted;
                match at {
                    Some(at) => self.attach(mounted, at),
                    None => mount::move_mount_over_root(mounted),
                }
            }
            Op::Directory(at) => file::mkdirat(self.dir(at)?, &at.path, 0o755),
            Op::File { at, contents, mode } => {
                let mode = match mode {
                    FileMode::Plain => 0o444,
                    FileMode::Executable => 0o555,
                };
                if contents.is_empty() {
                    return file::create_empty(self.dir(at)?, &at.path, mode);
                }
                let fd = file::create(self.dir(at)?, &at.path, mode)?;
                file::write_all(fd, contents)?;
                file::close(fd)
            }
            Op::Symlink { at, points_to } => file::symlinkat(points_to, self.dir(at)?, &at.path),
            Op::Bind { at, bind } => self.bind(at, *bind),
            Op::Proc { at, view } => self.attach_new(kernel_fs::proc(*view)?, at),
            Op::Sysfs(at) => self.attach_new(kernel_fs::sysfs()?, at),
            Op::Devpts { at, max } => self.attach_new(kernel_fs::devpts(max)?, at),
            Op::Overlay {
                at,
                lowers,
                upper,
                attributes,
            } => self.overlay(at, lowers.clone(), upper.as_ref(), *attributes),
            Op::Mask { at, optional } => self.mask(at, *optional),
            Op::Seal { tmpfs } => self.seal(*tmpfs),
            Op::Pivot => {
                file::fchdir(self.root()?)?;
                mount::pivot_root_here()
            }
            Op::Detach => {
                mount::umount_detach_here()?;
                file::chdir_root()
            }
            Op::Verify => self.verify(),
        }
    }

    fn root(&self) -> Result<c_int, Errno> {
        self.tmpfs.first().copied().ok_or(INVALID)
    }

    /// The tmpfs that `at` is relative to.
    fn dir(&self, at: &At) -> Result<c_int, Errno> {
        self.tmpfs.get(at.tmpfs).copied().ok_or(INVALID)
    }

    /// Opens where `at` points, as a place; a symbolic link there is opened itself, or refused.
    fn place(&self, at: &At) -> Result<c_int, Errno> {
        let resolve =
            libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        file::openat2(self.dir(at)?, &at.path, flags, resolve)
    }

    /// [`Builder::attach`] for a mount that init made, whose descriptor it does not need any longer.
    fn attach_new(&self, mounted: c_int, at: &At) -> Result<(), Errno> {
        self.attach(mounted, at)?;
        file::close(mounted)
    }

    /// Mounts a detached mount where `at` points.
    fn attach(&self, mounted: c_int, at: &At) -> Result<(), Errno> {
        if at.ours {
            return mount::move_mount_below(mounted, self.dir(at)?, &at.path);
        }
        let target = self.place(at)?;
        // O_PATH|O_NOFOLLOW opens a link itself where RESOLVE_NO_SYMLINKS did not refuse it; a mount never covers one.
        if file::fstat(target)?.st_mode & libc::S_IFMT == libc::S_IFLNK {
            return Err(Errno::from_raw(libc::ELOOP));
        }
        mount::move_mount(mounted, target)?;
        file::close(target)
    }

    fn bind(&self, at: &At, number: usize) -> Result<(), Errno> {
        let (tree, made_here) = self.tree(number)?;
        self.attach(tree, at)?;
        self.restrict(tree, number)?;
        if made_here { file::close(tree) } else { Ok(()) }
    }

    /// Gives the attached tree of a bind its attributes, where it could not have them before.
    fn restrict(&self, tree: c_int, number: usize) -> Result<(), Errno> {
        let Some(proc) = self.proc else {
            return Ok(());
        };
        let bind = self.work.binds.get(number).ok_or(INVALID)?;
        proc.restrict_tree(tree, bind.attributes)?;
        file::fchdir(self.root()?)
    }

    /// The detached tree of a bind, and whether init made it and has to close it.
    fn tree(&self, number: usize) -> Result<(c_int, bool), Errno> {
        match self.origin {
            Origin::Inherited(trees) => {
                let tree = trees.get(number).ok_or(INVALID)?;
                Ok((tree.as_raw_fd(), false))
            }
            Origin::Received(trees) => Ok((*trees.get(number).ok_or(INVALID)?, false)),
            Origin::Init => {
                let bind = self.work.binds.get(number).ok_or(INVALID)?;
                let path = bind.source.canonical.as_deref().ok_or(INVALID)?;
                let source = tree::reopen(path, bind.source.identity)?;
                let tree =
                    tree::make(source, bind, self.proc.is_none()).map_err(|(_, errno)| errno)?;
                file::close(source)?;
                Ok((tree, true))
            }
        }
    }

    fn overlay(
        &self,
        at: &At,
        lowers: Range<usize>,
        upper: Option<&UpperOp>,
        attributes: u64,
    ) -> Result<(), Errno> {
        let place = self.place(at)?;
        let mut overlay = Overlay::at(place)?;
        for number in lowers {
            let (tree, made_here) = self.tree(number)?;
            overlay.lower(tree)?;
            self.restrict(tree, number)?;
            if made_here {
                file::close(tree)?;
            }
        }
        match upper {
            None => {}
            Some(UpperOp::Bind(number)) => {
                let (tree, made_here) = self.tree(*number)?;
                overlay.upper(tree)?;
                self.restrict(tree, *number)?;
                if made_here {
                    file::close(tree)?;
                }
            }
            Some(UpperOp::Memory { size, inodes }) => {
                let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
                let memory = kernel_fs::tmpfs(size, inodes, c"0700", attributes)?;
                file::mkdirat(memory, c"upper", 0o1777)?;
                file::mkdirat(memory, c"work", 0o700)?;
                overlay.upper(memory)?;
                file::close(memory)?;
            }
        }
        let mounted = overlay.finish(attributes)?;
        // The working directory was on the layers.
        file::fchdir(self.root()?)?;
        file::close(place)?;
        self.attach_new(mounted, at)
    }

    fn mask(&self, at: &At, optional: bool) -> Result<(), Errno> {
        let place = match self.place(at) {
            Err(errno) if optional && errno.raw() == libc::ENOENT => return Ok(()),
            other => other?,
        };
        let mask = kernel_fs::mask(place, self.root()?, self.proc.is_none())?;
        mount::move_mount(mask, place)?;
        if let Some(proc) = self.proc {
            proc.restrict_tree(mask, kernel_fs::CLOSED)?;
            file::fchdir(self.root()?)?;
        }
        // Not before: a file without a name cannot be mounted.
        kernel_fs::forget_mask(self.root()?)?;
        file::close(mask)?;
        file::close(place)
    }

    fn seal(&self, number: usize) -> Result<(), Errno> {
        let tmpfs = self.tmpfs.get(number).copied().ok_or(INVALID)?;
        match self.proc {
            None => mount::mount_restrict(tmpfs, libc::MOUNT_ATTR_RDONLY, 0)?,
            Some(proc) => {
                proc.restrict_one(tmpfs, libc::MOUNT_ATTR_RDONLY)?;
                file::fchdir(self.root()?)?;
            }
        }
        require(tmpfs, libc::MOUNT_ATTR_RDONLY)
    }

    /// `/` is the root tmpfs, read-only, and nothing lies on top of it. Above it there is no way: a root has no parent.
    fn verify(&self) -> Result<(), Errno> {
        // A plain `/` is the root as it was set, under whatever is mounted on it; `..` climbs onto the topmost mount.
        let root = file::open_path(c"/..")?;
        if file::identity(root)? != file::identity(self.root()?)? {
            return Err(Errno::from_raw(libc::EXDEV));
        }
        require(
            root,
            libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        )?;
        file::close(root)?;
        if let Some(proc) = self.proc {
            proc.close()?;
        }
        for fd in self.tmpfs {
            if fd >= 0 {
                file::close(fd)?;
            }
        }
        Ok(())
    }
}

/// The mount at `fd`, one of our own, has these attributes.
fn require(fd: c_int, attributes: u64) -> Result<(), Errno> {
    if mount::mount_attributes(fd)? & attributes == attributes {
        Ok(())
    } else {
        Err(Errno::from_raw(libc::EROFS))
    }
}
