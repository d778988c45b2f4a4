//! Puts files into a directory that a box could write to.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
};

use sandbox_core::{Bytes, Errno};

use crate::{
    Error, KeptDir, Owner,
    clear::INSIDE,
    error::Bound,
    source::{c_path, own},
    sys::{file, tree},
};

impl KeptDir {
    /// Puts a new regular file there, in place of what has the name by then: a file, or a link, which is replaced and never
    /// followed. It appears whole or not at all.
    ///
    /// The mode is set as given, whatever the umask.
    ///
    /// # Errors
    /// [`Error::CopyIn`] with `ELOOP` or `EXDEV`: a directory of the path is a symbolic link, a mount, or lies outside.
    /// `EISDIR`: the name is a directory's. `ENOSPC`, `EDQUOT`: it does not fit. [`Error::TooLarge`]: `contents` has more
    /// than `max`.
    pub fn copy_in(
        &self,
        path: impl AsRef<Path>,
        contents: impl Read,
        max: Bytes,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |call| failed(path, call);
        let (dir, name) = self.parent(path, &failed("openat2"))?;
        let random = tree::random().map_err(failed("getrandom"))?;
        let fresh = c_path(Path::new(&format!(".new-{random:016x}")))?;
        let file = tree::create_new(dir.as_raw_fd(), &fresh).map_err(failed("openat"))?;
        let written =
            fill(File::from(own(file)), contents, max, mode, owner, path).and_then(|()| {
                let to = (dir.as_raw_fd(), name.as_c_str());
                tree::rename((dir.as_raw_fd(), &fresh), to, 0).map_err(failed("renameat2"))
            });
        if written.is_err() {
            // The first error is the one to tell; the name is nobody's but ours.
            tree::unlink(dir.as_raw_fd(), &fresh).map_err(failed("unlinkat"))?;
        }
        written
    }

    /// Makes a directory there.
    ///
    /// # Errors
    /// As [`KeptDir::copy_in`]; `EEXIST` where the name is taken, by a link too.
    pub fn create_dir(
        &self,
        path: impl AsRef<Path>,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |call| failed(path, call);
        let (dir, name) = self.parent(path, &failed("openat2"))?;
        file::mkdirat(dir.as_raw_fd(), &name, 0o700).map_err(failed("mkdirat"))?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let made = file::openat2(dir.as_raw_fd(), &name, flags, INSIDE)
            .map(own)
            .map_err(failed("openat2"))?;
        if let Some(Owner { uid, gid }) = owner {
            tree::chown(made.as_raw_fd(), uid, gid).map_err(failed("fchown"))?;
        }
        tree::fchmod(made.as_raw_fd(), mode).map_err(failed("fchmod"))
    }
}

fn fill(
    mut file: File,
    contents: impl Read,
    max: Bytes,
    mode: u32,
    owner: Option<Owner>,
    path: &Path,
) -> Result<(), Error> {
    let failed = |call| failed(path, call);
    let copied = io::copy(&mut contents.take(max.get().saturating_add(1)), &mut file)
        .and_then(|copied| file.flush().map(|()| copied))
        .map_err(|error| failed("write")(Errno::from_io(&error)))?;
    if copied > max.get() {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            max: Bound::Bytes(max),
        });
    }
    if let Some(Owner { uid, gid }) = owner {
        tree::chown(file.as_raw_fd(), uid, gid).map_err(failed("fchown"))?;
    }
    // After the change of owner, which takes bits away.
    tree::fchmod(file.as_raw_fd(), mode).map_err(failed("fchmod"))
}

fn failed(path: &Path, call: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::CopyIn {
        path: path.to_owned(),
        call,
        source,
    }
}
