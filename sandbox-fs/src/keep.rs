//! Reads what a box left behind, as hostile data.

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io::Read as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use sandbox_core::{Bytes, Errno};

use crate::{
    Error,
    error::Bound,
    source::{c_path, own},
    sys::file,
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

impl From<OwnedFd> for KeptDir {
    /// Takes the descriptor that [`RootInstance::open_kept`](crate::RootInstance::open_kept) gave.
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
        let dir = self.open_below(here, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let mut buffer = vec![0; 32 * 1024];
        let mut entries = Vec::new();
        loop {
            let used = file::getdents(dir.as_raw_fd(), &mut buffer).map_err(kept(here))?;
            if used == 0 {
                return Ok(entries);
            }
            let mut rest = buffer.get(..used).unwrap_or_default();
            while !rest.is_empty() {
                let (entry, after) =
                    parse(rest).ok_or_else(|| kept(here)(Errno::from_raw(libc::EIO)))?;
                rest = after;
                if entry.name == "." || entry.name == ".." {
                    continue;
                }
                if entries.len() == max {
                    return Err(Error::TooLarge {
                        path: here.to_owned(),
                        max: Bound::Entries(max),
                    });
                }
                entries.push(entry);
            }
        }
    }

    fn open_below(&self, path: &Path, flags: i32) -> Result<OwnedFd, Error> {
        let text: CString = c_path(path)?;
        let resolve = libc::RESOLVE_BENEATH
            | libc::RESOLVE_NO_SYMLINKS
            | libc::RESOLVE_NO_MAGICLINKS
            | libc::RESOLVE_NO_XDEV;
        file::openat2(self.0.as_raw_fd(), &text, flags | libc::O_NOFOLLOW, resolve)
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

/// The first record of getdents64(2): `ino u64 | off i64 | reclen u16 | type u8 | name, NUL-terminated`; and the rest.
fn parse(records: &[u8]) -> Option<(KeptEntry, &[u8])> {
    const RECLEN: usize = 16;
    const TYPE: usize = 18;
    const NAME: usize = 19;
    let length = [*records.get(RECLEN)?, *records.get(RECLEN + 1)?];
    let (record, rest) = records.split_at_checked(u16::from_ne_bytes(length).into())?;
    let kind = match *record.get(TYPE)? {
        libc::DT_REG => KeptKind::File,
        libc::DT_DIR => KeptKind::Directory,
        libc::DT_LNK => KeptKind::Symlink,
        _ => KeptKind::Other,
    };
    let name = record.get(NAME..)?.split(|byte| *byte == 0).next()?;
    let name = OsStr::from_bytes(name).to_owned();
    Some((KeptEntry { name, kind }, rest))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_broken_record_is_refused_not_looped_over() {
        assert!(parse(&[0; 10]).is_none());
        assert!(
            parse(&[0; 24]).is_none(),
            "a record of length 0 has no type"
        );
        let mut long = [0; 24];
        long[16] = 200;
        assert!(parse(&long).is_none());
    }
}
