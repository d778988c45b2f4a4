//! Texts of `/proc` and `/sys`, below a directory that stands for `/`.

use std::{fs, io::ErrorKind, path::PathBuf};

use sandbox_core::Errno;

/// Where the texts are read: the host, or a fixture.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// A text, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// The text, without white space around it.
    Is(String),
    /// The directory is there, and the kernel has no such file in it.
    Absent,
    /// Nobody could look.
    Unreadable(Errno),
}

impl Text {
    pub(super) fn known(self) -> Option<String> {
        match self {
            Self::Is(text) => Some(text),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

impl Tree {
    pub(super) fn host() -> Self {
        Self { root: "/".into() }
    }

    #[cfg(test)]
    pub(super) fn at(root: &std::path::Path) -> Self {
        Self { root: root.into() }
    }

    /// The text of a file. One that is missing counts as absent only where its directory is there: without `/sys`, nothing
    /// is known of what would be in it.
    pub(super) fn text(&self, path: &str) -> Text {
        let path = self.root.join(path);
        match fs::read(&path) {
            Ok(bytes) => Text::Is(String::from_utf8_lossy(&bytes).trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match path.parent().map(fs::metadata) {
                    Some(Ok(_)) => Text::Absent,
                    _ => Text::Unreadable(Errno::from_io(&error)),
                }
            }
            Err(error) => Text::Unreadable(Errno::from_io(&error)),
        }
    }

    /// Whether a directory is there.
    pub(super) fn has(&self, path: &str) -> bool {
        fs::exists(self.root.join(path)).unwrap_or(false)
    }

    /// The names in a directory that start so, sorted; none where it cannot be read.
    pub(super) fn names(&self, path: &str, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(path))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names
    }
}

/// A directory with these files, for tests.
#[cfg(test)]
pub(super) fn fixture(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[cfg(test)]
mod tests {
    use super::{Text, Tree, fixture};

    #[test]
    fn absence_needs_a_directory_that_was_seen() {
        let dir = fixture(&[("proc/sys/kernel/core_pattern", "core\n")]);
        let tree = Tree::at(dir.path());
        assert_eq!(
            tree.text("proc/sys/kernel/core_pattern"),
            Text::Is("core".to_owned())
        );
        assert_eq!(tree.text("proc/sys/kernel/other"), Text::Absent);
        let enoent = sandbox_core::Errno::from_raw(libc::ENOENT);
        assert_eq!(
            tree.text("sys/kernel/mm/other"),
            Text::Unreadable(enoent),
            "no /sys at all"
        );
    }
}
