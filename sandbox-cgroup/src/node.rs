//! One directory in one hierarchy.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use sandbox_core::{Controller, Errno, HierarchyVersion, Host};

use crate::{
    Error, kill,
    setting::{Absent, Setting},
    sys,
};

/// A group that this process made. The lock on its directory says that the owner is alive; see the crate's front page.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) version: HierarchyVersion,
    /// What this run uses the group for.
    pub(crate) controllers: Vec<Controller>,
    _lock: File,
    removed: bool,
}

impl Node {
    /// Makes the group and takes its lock. `None`: the name is taken, or a collector was faster.
    pub(crate) fn create(
        path: PathBuf,
        version: HierarchyVersion,
        controllers: Vec<Controller>,
    ) -> Result<Option<Self>, Error> {
        // Nobody else may open it: whoever can open a directory can lock it, and a stranger's lock would hold up the start of
        // a run, or keep a dead owner's group for ever.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => {
                return Err(Error::Create {
                    path,
                    source: Errno::from_io(&error),
                });
            }
        }
        match lock_directory(&path, true) {
            Ok(Lock::Held(lock)) => Ok(Some(Self {
                path,
                version,
                controllers,
                _lock: lock,
                removed: false,
            })),
            Ok(Lock::Gone | Lock::Alive) => Ok(None),
            Err(error) => {
                // Nobody can use the group; where even this fails, a collector finds it without a lock.
                fs::remove_dir(&path).ok();
                Err(error)
            }
        }
    }

    /// Opens a file of the group for reading.
    pub(crate) fn open(&self, file: &str) -> Result<File, Error> {
        open(&self.path.join(file), OpenOptions::new().read(true))
    }

    /// Opens a file of the group for writing.
    pub(crate) fn open_for_write(&self, file: &str) -> Result<File, Error> {
        open(&self.path.join(file), OpenOptions::new().write(true))
    }

    /// Refuses a v2 group into which no process can go, so that it is no riddle at the join (`EOPNOTSUPP`).
    pub(crate) fn check_joinable(&self) -> Result<(), Error> {
        if self.version == HierarchyVersion::V1 {
            return Ok(());
        }
        let path = self.path.join("cgroup.type");
        let kind = fs::read_to_string(&path).map_err(Error::read(path))?;
        match kind.trim() {
            "domain" => Ok(()),
            kind => Err(Error::NotDomain {
                path: self.path.clone(),
                kind: kind.to_owned(),
            }),
        }
    }

    /// Writes every setting and reads each back.
    pub(crate) fn apply(&self, settings: &[Setting]) -> Result<(), Error> {
        for setting in settings {
            let path = self.path.join(setting.file);
            let wrote = setting.written();
            let read = match write_and_read(&path, &wrote) {
                Err(error) if error.errno() == Some(Errno::from_raw(libc::ENOENT)) => {
                    match setting.absent {
                        Absent::Fails => return Err(error),
                        Absent::NoSwap if swap_is_active()? => {
                            return Err(Error::SwapUnaccounted { path });
                        }
                        Absent::NoSwap | Absent::Nothing => continue,
                    }
                }
                other => other?,
            };
            if !setting.confirmed_by(&read, sys::page_size()) {
                return Err(Error::ReadBack {
                    path,
                    wrote,
                    read: read.trim().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Removes the group if the kernel lets go of it at once.
    pub(crate) fn try_remove(&mut self) {
        self.removed = self.removed || fs::remove_dir(&self.path).is_ok();
    }

    /// Removes the group; what still runs in it is killed.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        if self.removed {
            return Ok(());
        }
        // Once: a second, silent try on drop would only wait for the same process again.
        self.removed = true;
        kill::remove(&self.path, self.version)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.removed {
            // Whoever wants to know calls `Cgroup::destroy`; what stays is found by `collect_orphans`.
            self.remove().ok();
        }
    }
}

/// What trying the lock of a group's directory gave.
#[derive(Debug)]
pub(crate) enum Lock {
    /// The lock is ours as long as the file is open, and the path leads to what was locked.
    Held(File),
    /// Somebody else holds it.
    Alive,
    /// The directory was removed meanwhile.
    Gone,
}

/// Opens and locks a group's directory.
pub(crate) fn lock_directory(path: &Path, wait: bool) -> Result<Lock, Error> {
    let failed = |source| Error::Lock {
        path: path.to_owned(),
        source,
    };
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) if is_gone(&error) => return Ok(Lock::Gone),
        // Another user's: not ours to judge, let alone to remove.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !wait => {
            return Ok(Lock::Alive);
        }
        Err(error) => return Err(failed(Errno::from_io(&error))),
    };
    match sys::flock_exclusive(directory.as_fd(), wait) {
        Ok(()) => {}
        Err(errno) if errno.raw() == libc::EWOULDBLOCK => return Ok(Lock::Alive),
        Err(errno) => return Err(failed(errno)),
    }
    let locked = directory
        .metadata()
        .map_err(|error| failed(Errno::from_io(&error)))?;
    match fs::metadata(path) {
        Ok(found) if (found.dev(), found.ino()) == (locked.dev(), locked.ino()) => {
            Ok(Lock::Held(directory))
        }
        Ok(_) => Ok(Lock::Gone),
        Err(error) if is_gone(&error) => Ok(Lock::Gone),
        Err(error) => Err(failed(Errno::from_io(&error))),
    }
}

/// A group that is being removed answers `ENODEV` between its removal and the disappearance of its name.
pub(crate) fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// Opens with the path in the error.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<File, Error> {
    options.open(path).map_err(|error| Error::Open {
        path: path.to_owned(),
        source: Errno::from_io(&error),
    })
}

/// Writes a file's whole text in one call, as the kernel wants it.
pub(crate) fn write(path: &Path, value: &str) -> Result<(), Error> {
    open(path, OpenOptions::new().write(true))?
        .write_all(value.as_bytes())
        .map_err(|error| Error::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            source: Errno::from_io(&error),
        })
}

/// [`write`], and what the file then says. By one descriptor: opening is the dear part, and each run does this for every
/// limit.
fn write_and_read(path: &Path, value: &str) -> Result<String, Error> {
    let mut file = open(path, OpenOptions::new().read(true).write(true))?;
    file.write_all(value.as_bytes())
        .map_err(|error| Error::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            source: Errno::from_io(&error),
        })?;
    // Longer than any limit; a list of CPUs that is longer still would not compare equal.
    let mut text = [0; 4096];
    let length = file.read_at(&mut text, 0).map_err(Error::read(path))?;
    Ok(String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned())
}

/// Whether a file of v2 is used where a group has it. A kernel that lacks what every box needs has none, but what is left in
/// a group may still have to go.
pub(crate) fn is_used(file: fn(&Host) -> bool) -> bool {
    Host::probe().map_or(true, file)
}

/// Whether the machine has any swap; proc(5): one line of headings, then one line each.
fn swap_is_active() -> Result<bool, Error> {
    match fs::read_to_string("/proc/swaps") {
        Ok(text) => Ok(text.lines().count() > 1),
        // A kernel without swap has no such file.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::read("/proc/swaps")(error)),
    }
}
