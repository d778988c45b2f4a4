//! Reads what a box left behind, as hostile data.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io::Read as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::Path,
};

use sandbox_core::{Bytes, DiskUse, Errno, Reading, Unavailable};

use crate::{
    Error,
    bounds::{Bounds, Budget},
    clear::{self, INSIDE},
    entries::Entries,
    error::Bound,
    give,
    source::{c_path, own},
    sys::{file, quota},
};

/// A directory of a box, for the embedder, after all processes of the box are dead.
///
/// Whoever wrote in there chose every name and type. So no path of it is ever resolved by the host's rules: no symbolic
/// link is followed, no mount crossed, nothing above reached, and what is not a regular file is not read.
#[derive(Debug)]
pub struct KeptDir(OwnedFd);

/// A name in a kept directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEntry {
    /// As the box wrote it; any bytes but `/` and NUL.
    pub name: OsString,
    /// What it names.
    pub kind: KeptKind,
}

/// What a name in a kept directory names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeptKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, to nowhere that matters.
    Symlink,
    /// A device, FIFO or socket, or a type that the filesystem does not tell.
    Other,
}

/// User and group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What [`KeptDir::chown`] found, in files and directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "what was left with its owner is only told here"]
#[non_exhaustive]
pub struct Owned {
    /// Given to the new owner.
    pub given: u64,
    /// Left, because they belonged to somebody else.
    pub foreign: u64,
    /// Left, because they have another name, which may lie outside.
    pub linked: u64,
    /// Left, because they are devices, FIFOs or sockets.
    pub special: u64,
}

impl From<OwnedFd> for KeptDir {
    /// Takes the descriptor that [`RootPlan::open_kept`](crate::RootPlan::open_kept) gave in the box, or any directory of the
    /// host that a box could write to.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl KeptDir {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`Error::NotRegular`] for a directory or FIFO. [`Error::Kept`] with `ELOOP` (a symbolic link), `EXDEV` (the path
    /// leaves the directory or its mount), `ENOENT`, `ENXIO` or `EACCES` (a socket or device), `EACCES` for an embedder
    /// without privileges where the box took its right to read away.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File, Error> {
        let path = path.as_ref();
        // O_NONBLOCK: a FIFO without a writer would block the open, a lease of the box's file until it breaks.
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let fd = self.open_below(path, flags)?;
        let stat = file::fstat(fd.as_raw_fd()).map_err(kept(path))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::NotRegular {
                path: path.to_owned(),
            });
        }
        Ok(File::from(fd))
    }

    /// Reads a whole regular file of at most `max` bytes.
    ///
    /// # Errors
    /// As [`KeptDir::open`]; [`Error::TooLarge`] where it is larger, whether or not it has holes.
    pub fn read(&self, path: impl AsRef<Path>, max: Bytes) -> Result<Vec<u8>, Error> {
        let path = path.as_ref();
        let too_large = || Error::TooLarge {
            path: path.to_owned(),
            max: Bound::Bytes(max),
        };
        let failed = |error: std::io::Error| kept(path)(Errno::from_io(&error));
        let opened = self.open(path)?;
        let size = opened.metadata().map_err(failed)?.len();
        if size > max.get() {
            return Err(too_large());
        }
        let mut contents = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // One more than allowed: a file in a bind may have grown since.
        opened
            .take(max.get().saturating_add(1))
            .read_to_end(&mut contents)
            .map_err(failed)?;
        if contents.len() as u64 > max.get() {
            return Err(too_large());
        }
        Ok(contents)
    }

    /// Opens a directory below.
    ///
    /// # Errors
    /// As [`KeptDir::open`]; `ENOTDIR` where it is something else.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.open_below(path.as_ref(), libc::O_PATH | libc::O_DIRECTORY)
            .map(Self)
    }

    /// The names in this directory, in no particular order, without `.` and `..`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where there are more than `max`: the box decides how many there are. [`Error::Kept`] where the
    /// directory cannot be read.
    pub fn entries(&self, max: usize) -> Result<Vec<KeptEntry>, Error> {
        let here = Path::new(".");
        let dir = self.reader()?;
        let mut reader = Entries::from(dir.as_raw_fd(), 0, 32 * 1024).map_err(kept(here))?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().map_err(kept(here))? {
            if entries.len() == max {
                return Err(Error::TooLarge {
                    path: here.to_owned(),
                    max: Bound::Entries(max),
                });
            }
            entries.push(KeptEntry {
                name: OsString::from_vec(entry.name.into_bytes()),
                kind: entry.kind,
            });
        }
        Ok(entries)
    }

    /// Opens anything for reading, without waiting: a FIFO too, whether or not somebody writes, or a device.
    ///
    /// # Errors
    /// As [`KeptDir::open`], but for the type. Opening a device may be an act; on the box's own tmpfs none works (`EACCES`).
    pub fn open_special(&self, path: impl AsRef<Path>) -> Result<File, Error> {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        self.open_below(path.as_ref(), flags).map(File::from)
    }

    /// Removes a file, or a directory with all beneath it.
    ///
    /// Links are removed, never followed. Permissions, immutable and append-only flags are taken away where they are in the
    /// way. Memory does not grow with the tree, however deep.
    ///
    /// # Errors
    /// [`Error::Remove`] with `EBUSY` or `EXDEV`: something is mounted in there. `EPERM`: a flag that the embedder may not take
    /// away. [`Error::TooLarge`]: the bounds were reached; what was removed stays removed.
    pub fn remove(&self, path: impl AsRef<Path>, bounds: Bounds) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |source| Error::Remove {
            name: path.to_owned(),
            call: "openat2",
            source,
        };
        let (dir, name) = self.parent(path, &failed)?;
        // The way there is open; whether something is there, and inside, is asked by its name alone.
        file::openat2(
            dir.as_raw_fd(),
            &name,
            libc::O_PATH | libc::O_NOFOLLOW,
            NO_MOUNT,
        )
        .map(own)
        .map_err(failed)?;
        clear::one(dir.as_raw_fd(), &name, &mut Budget::new(bounds))
    }

    /// Removes everything in this directory. See [`KeptDir::remove`].
    ///
    /// # Errors
    /// As [`KeptDir::remove`].
    pub fn clear(&self, bounds: Bounds) -> Result<(), Error> {
        clear::contents(self.reader()?.as_raw_fd(), &mut Budget::new(bounds))
    }

    /// Gives this directory and all in it that belongs to the user id `from` to another owner.
    ///
    /// Never follows a link: a symbolic link is given itself. A file with another name, a device, FIFO or socket, and what
    /// does not belong to `from` stays as it is and is counted. The kernel takes set-user-id bits and file capabilities
    /// away with the owner.
    ///
    /// # Errors
    /// [`Error::Chown`] with `EXDEV`: something is mounted in there. `ESTALE`: somebody moves directories about meanwhile.
    /// [`Error::TooLarge`]: the bounds were reached.
    pub fn chown(&self, from: u32, to: Owner, bounds: Bounds) -> Result<Owned, Error> {
        give::tree(self.reader()?, from, to, &mut Budget::new(bounds))
    }

    /// What the tmpfs that this directory lies on holds, and whether it is full; `None` where it lies on anything else.
    #[must_use]
    pub fn usage(&self) -> Option<DiskUse> {
        let found = quota::statfs(self.0.as_raw_fd()).ok()?;
        if found.f_type != libc::TMPFS_MAGIC {
            return None;
        }
        let block = found.f_bsize.unsigned_abs();
        Some(DiskUse {
            bytes: Bytes::new(
                found
                    .f_blocks
                    .saturating_sub(found.f_bfree)
                    .saturating_mul(block),
            ),
            inodes: found.f_files.saturating_sub(found.f_ffree),
            full: found.f_bfree == 0 || found.f_ffree == 0,
            hit: Reading::Unavailable(Unavailable::NotCounted),
        })
    }

    fn reader(&self) -> Result<OwnedFd, Error> {
        self.open_below(Path::new("."), libc::O_RDONLY | libc::O_DIRECTORY)
    }

    /// The directory that holds the last name of a path, and that name.
    pub(crate) fn parent(
        &self,
        path: &Path,
        failed: &impl Fn(Errno) -> Error,
    ) -> Result<(OwnedFd, CString), Error> {
        // `..`, `/` and an empty path have no last name.
        let name = path
            .file_name()
            .ok_or_else(|| failed(Errno::from_raw(libc::EINVAL)))?;
        let name = c_path(Path::new(name))?;
        let above = match path.parent() {
            Some(above) if above != Path::new("") => above,
            _ => Path::new("."),
        };
        // Without O_NOFOLLOW: a link is then ELOOP at the last name as well, not ENOTDIR.
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let dir = file::openat2(self.0.as_raw_fd(), &c_path(above)?, flags, INSIDE)
            .map(own)
            .map_err(failed)?;
        Ok((dir, name))
    }

    fn open_below(&self, path: &Path, flags: i32) -> Result<OwnedFd, Error> {
        let text: CString = c_path(path)?;
        file::openat2(self.0.as_raw_fd(), &text, flags | libc::O_NOFOLLOW, INSIDE)
            .map(own)
            .map_err(kept(path))
    }
}

fn kept(path: &Path) -> impl Fn(Errno) -> Error {
    move |source| Error::Kept {
        path: path.to_owned(),
        source,
    }
}

/// [`INSIDE`] for a last name that may be a link, which is opened itself.
const NO_MOUNT: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_XDEV;
