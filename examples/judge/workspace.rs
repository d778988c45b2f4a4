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
    _lock: File,
    next: AtomicU32,
}

impl Workspace {
    /// Makes the directory, and removes those whose judge is dead.
    pub(crate) fn create() -> io::Result<Self> {
        let base = env::temp_dir();
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base)?;
        let lock = File::open(directory.path())?;
        lock.lock()?;
        let owner = lock.metadata()?.uid();
        for left in left_over(&base, owner, directory.path())? {
            fs::remove_dir_all(left)?;
        }
        Ok(Self {
            directory,
            _lock: lock,
            next: AtomicU32::new(0),
        })
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

/// Directories of dead judges of the same user. Others' names in a shared /tmp are none of our business.
fn left_over(base: &Path, owner: u32, own: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(base)?.flatten() {
        let path = entry.path();
        let named = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir() && m.uid() == owner);
        if named && is_ours && path != own && is_abandoned(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_abandoned(path: &Path) -> bool {
    // A judge that has made its directory and not locked it yet has an empty one.
    let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    !is_empty && File::open(path).is_ok_and(|directory| directory.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{left_over, make_parents, write_file};
    use std::{
        fs::{self, File},
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    #[test]
    fn only_abandoned_directories_are_left_over() {
        let base = tempfile::tempdir().unwrap();
        let owner = fs::metadata(base.path()).unwrap().uid();
        for name in [
            "sandbox-judge-dead",
            "sandbox-judge-alive",
            "sandbox-judge-new",
            "other",
        ] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        for name in ["sandbox-judge-dead", "sandbox-judge-alive", "other"] {
            fs::create_dir(base.path().join(name).join("0000-x")).unwrap();
        }
        let alive = File::open(base.path().join("sandbox-judge-alive")).unwrap();
        alive.lock().unwrap();
        let own = base.path().join("sandbox-judge-own");
        let found = left_over(base.path(), owner, &own).unwrap();
        assert_eq!(found, [base.path().join("sandbox-judge-dead")]);
        let stranger = left_over(base.path(), owner + 1, &own).unwrap();
        assert!(stranger.is_empty());
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
