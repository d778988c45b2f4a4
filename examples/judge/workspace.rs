//! The judge's temporary directory, and what earlier judges left of theirs.

use std::{
    env,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

const PREFIX: &str = "sandbox-judge-";

/// One directory per judge, 0700: answers and sources are nobody else's to read. Removed on drop.
///
/// Its directory is locked for as long as the judge lives, so that the next one knows which directories are left over.
#[derive(Debug)]
pub(crate) struct Workspace {
    directory: TempDir,
    lock: File,
    next: AtomicU32,
}

impl Workspace {
    /// Makes the directory, and removes those whose judge is dead.
    pub(crate) fn create() -> io::Result<Self> {
        let base = env::temp_dir();
        let (directory, lock) = loop {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base)?;
            // Until it is locked, another judge may take it for one that was left over.
            if let Some(lock) = locked(directory.path(), File::lock)? {
                break (directory, lock);
            }
        };
        let owner = lock.metadata()?.uid();
        for (left, lock) in left_over(&base, owner)? {
            fs::remove_dir_all(left)?;
            // Held until now: whoever waited for it must find that the directory is gone.
            drop(lock);
        }
        Ok(Self {
            directory,
            lock,
            next: AtomicU32::new(0),
        })
    }

    /// The user that the judge is.
    pub(crate) fn owner(&self) -> io::Result<u32> {
        Ok(self.lock.metadata()?.uid())
    }

    /// A fresh directory, 0755: boxes are shown it, and their user id must be able to enter.
    pub(crate) fn fresh(&self, label: &str) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("{number:04}-{label}"));
        make_directory(&path)?;
        Ok(path)
    }

    /// A fresh directory that is removed when the guard is dropped: what one test needs must not pile up over thousands.
    pub(crate) fn passing(&self, label: &str) -> io::Result<TempDir> {
        let directory = tempfile::Builder::new()
            .prefix(label)
            .tempdir_in(self.directory.path())?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        Ok(directory)
    }
}

/// Makes a directory with mode 0755, whatever the umask.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Makes the missing parents of a file below `base`, each with mode 0755.
pub(crate) fn make_parents(base: &Path, file: &Path) -> io::Result<()> {
    let Some(parent) = file.parent() else {
        return Ok(());
    };
    if parent == base || parent.is_dir() {
        return Ok(());
    }
    make_parents(base, parent)?;
    make_directory(parent)
}

/// Writes a file with mode 0644 or 0755, whatever the umask.
pub(crate) fn write_file(path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    // A file that is there may be one that we made read-only a moment ago, or a link: never write through it.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(path, bytes)?;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Directories of dead judges of the same user, with their locks. Others' names in a shared /tmp are none of our business.
fn left_over(base: &Path, owner: u32) -> io::Result<Vec<(PathBuf, File)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(base)?.flatten() {
        let path = entry.path();
        let named = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir() && m.uid() == owner);
        if !named || !is_ours {
            continue;
        }
        // A living judge holds the lock, and the kernel gives it back however that one ends.
        let lock = locked(&path, |directory| {
            directory.try_lock().map_err(io::Error::from)
        });
        if let Ok(Some(lock)) = lock {
            found.push((path, lock));
        }
    }
    Ok(found)
}

/// Opens and locks a directory; `None` where it was removed meanwhile.
fn locked(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Option<File>> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    };
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) => return gone(error),
    };
    lock(&directory)?;
    let held = directory.metadata()?;
    match fs::metadata(path) {
        Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => Ok(Some(directory)),
        Ok(_) => Ok(None),
        Err(error) => gone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{left_over, locked, make_parents, write_file};
    use std::{
        fs::{self, File},
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    #[test]
    fn only_what_nobody_has_locked_is_left_over() {
        let base = tempfile::tempdir().unwrap();
        let owner = fs::metadata(base.path()).unwrap().uid();
        for name in [
            "sandbox-judge-dead",
            "sandbox-judge-killed-at-once",
            "sandbox-judge-alive",
            "other",
        ] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        fs::create_dir(base.path().join("sandbox-judge-dead/0000-x")).unwrap();
        let alive = File::open(base.path().join("sandbox-judge-alive")).unwrap();
        alive.lock().unwrap();
        let found = || -> Vec<_> {
            let found = left_over(base.path(), owner).unwrap();
            let mut names: Vec<_> = found
                .iter()
                .filter_map(|(path, _)| path.file_name())
                .collect();
            names.sort();
            names.into_iter().map(ToOwned::to_owned).collect()
        };
        assert_eq!(
            found(),
            ["sandbox-judge-dead", "sandbox-judge-killed-at-once"]
        );
        assert!(left_over(base.path(), owner + 1).unwrap().is_empty());
        drop(alive);
        assert_eq!(found().len(), 3);
    }

    #[test]
    fn a_directory_that_was_removed_while_it_was_waited_for_is_not_locked() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x");
        assert!(locked(&path, File::lock).unwrap().is_none());
        fs::create_dir(&path).unwrap();
        assert!(locked(&path, File::lock).unwrap().is_some());
        let replaced = locked(&path, |_| {
            fs::remove_dir(&path)?;
            fs::create_dir(&path)
        });
        assert!(replaced.unwrap().is_none());
    }

    #[test]
    fn files_and_parents_have_fixed_modes() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("a/b/c");
        make_parents(base.path(), &file).unwrap();
        write_file(&file, b"x", true).unwrap();
        write_file(&file, b"y", false).unwrap();
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o644);
        assert_eq!(mode(file.parent().unwrap()), 0o755);
        assert_eq!(fs::read(&file).unwrap(), b"y");
    }
}
