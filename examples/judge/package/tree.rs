//! Reading a package's directories without leaving the package.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::error::PackageError;

/// One usable entry of a directory of the package.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// File name.
    pub(crate) name: String,
    /// Full path.
    pub(crate) path: PathBuf,
    /// Whether it is a directory, or a link to one.
    pub(crate) is_dir: bool,
}

/// Lists a directory, sorted by name.
///
/// Names that the format does not allow (a leading `.` or `-`, other characters) are skipped, as the format demands.
/// Sockets, devices and FIFOs are refused: opening one could block the judge for ever.
pub(crate) fn list(directory: &Path, root: &Path) -> Result<Vec<Entry>, PackageError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(PackageError::read(directory))? {
        let entry = entry.map_err(PackageError::read(directory))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !allowed(&name) {
            continue;
        }
        let path = entry.path();
        inside(&path, root)?;
        let kind = fs::metadata(&path)
            .map_err(PackageError::read(&path))?
            .file_type();
        if !kind.is_dir() && !kind.is_file() {
            return Err(PackageError::value(
                &path,
                "is neither a file nor a directory",
            ));
        }
        entries.push(Entry {
            name,
            path,
            is_dir: kind.is_dir(),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Refuses a path that a link leads out of the package.
pub(crate) fn inside(path: &Path, root: &Path) -> Result<(), PackageError> {
    let real = fs::canonicalize(path).map_err(PackageError::read(path))?;
    if real.starts_with(root) {
        Ok(())
    } else {
        Err(PackageError::Escape {
            path: path.to_owned(),
        })
    }
}

/// Whether a file name is one that the format allows.
pub(crate) fn allowed(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 255
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Whether a directory of this name exists; a file of that name is an error.
pub(crate) fn directory(root: &Path, name: &str) -> Result<Option<PathBuf>, PackageError> {
    let path = root.join(name);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => {
            inside(&path, root)?;
            Ok(Some(path))
        }
        Ok(_) => Err(PackageError::value(path, "is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PackageError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::{allowed, inside, list};
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn names_are_those_of_the_format() {
        for name in ["a.py", "_x", "A-b_c.1", "x"] {
            assert!(allowed(name), "{name}");
        }
        for name in [".git", "-x", "", "a b", "ä", "a/b", &"x".repeat(256)] {
            assert!(!allowed(name), "{name}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("a"), "x").unwrap();
        symlink("a", root.join("good")).unwrap();
        assert!(inside(&root.join("good"), &root).is_ok());
        assert_eq!(list(&root, &root).unwrap().len(), 2);
        symlink("/etc/passwd", root.join("bad")).unwrap();
        assert!(list(&root, &root).is_err());
    }
}
