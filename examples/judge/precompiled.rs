//! Compilers' work that is kept for another machine, and taken in place of compiling there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sandbox_exec::Outcome;
use serde::{Deserialize, Serialize};

use crate::{
    stage::{self, Origin},
    workspace::{make_parents, write_file},
};

/// The sources that were compiled, as they were staged.
const SOURCES: &str = "src";
/// What runs are given: sources and what the compiler left.
const PROGRAM: &str = "box";
/// How the compiler ended.
const REPORT: &str = "compiled.json";

/// What `--keep-artefacts` and `--artefacts` ask for.
#[derive(Debug, Clone)]
pub(crate) enum Precompiled {
    /// Neither: every program is compiled.
    No,
    /// Every program is compiled, and the compiler's work is kept below this directory.
    Keep(PathBuf),
    /// No program of the package is compiled: its artefacts are below this directory.
    Take(PathBuf),
}

/// How a compiler ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Compiled {
    /// The compiler's command, which is part of what the artefacts are made of.
    pub(crate) command: Vec<String>,
    /// What it came to.
    pub(crate) outcome: Outcome,
    /// Why it is a compile error, where it is one.
    pub(crate) refused: Option<String>,
}

/// Why artefacts cannot be kept or taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrecompiledError {
    /// They were never made.
    #[error("{} does not exist: make it with --keep-artefacts where the compilers are", .0.display())]
    Missing(PathBuf),
    /// They were made of something else.
    #[error("{} was made of other sources or by another command; make it anew", .0.display())]
    Other(PathBuf),
    /// The report is not one.
    #[error("{} cannot be read", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot copy to or from {}", path.display())]
    Copy {
        /// The directory of the program's artefacts.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl Precompiled {
    /// Whether programs of the package are not compiled here.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Take(_))
    }

    /// Copies the artefacts of a program to `to`. `None`: it is to be compiled.
    ///
    /// They must be of the sources in `staged` and of `command`. Anything else is an error: a judge that fell back to a
    /// compiler, or ran what was made of other sources, would give a verdict on something else than it was asked for.
    pub(crate) fn take(
        &self,
        origin: &Origin<'_>,
        command: &[String],
        staged: &Path,
        to: &Path,
    ) -> Result<Option<Compiled>, PrecompiledError> {
        let Self::Take(base) = self else {
            return Ok(None);
        };
        // A stranger's program is not the package's.
        let Some(place) = place(base, origin) else {
            return Ok(None);
        };
        let failed = |source| PrecompiledError::Copy {
            path: place.clone(),
            source,
        };
        let path = place.join(REPORT);
        if !path.is_file() {
            return Err(PrecompiledError::Missing(place));
        }
        let bytes = fs::read(&path).map_err(failed)?;
        let compiled: Compiled = serde_json::from_slice(&bytes)
            .map_err(|source| PrecompiledError::Report { path, source })?;
        let same = same_tree(&place.join(SOURCES), staged).map_err(failed)?;
        if !same || compiled.command != command {
            return Err(PrecompiledError::Other(place));
        }
        if compiled.refused.is_none() {
            stage::copy_tree(&place.join(PROGRAM), to).map_err(failed)?;
        }
        Ok(Some(compiled))
    }

    /// Keeps what a compiler made of `staged` in `program`, in place of what an earlier judge kept.
    pub(crate) fn keep(
        &self,
        origin: &Origin<'_>,
        compiled: &Compiled,
        staged: &Path,
        program: &Path,
    ) -> Result<(), PrecompiledError> {
        let Self::Keep(base) = self else {
            return Ok(());
        };
        let Some(place) = place(base, origin) else {
            return Ok(());
        };
        let keep = || {
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            fs::create_dir_all(base)?;
            for (from, name) in [(staged, SOURCES), (program, PROGRAM)] {
                make_parents(base, &place.join(name).join("x"))?;
                stage::copy_tree(from, &place.join(name))?;
            }
            // Last, so that whoever finds it finds the rest.
            let report = serde_json::to_vec_pretty(compiled)?;
            write_file(&place.join(REPORT), &report, false)
        };
        keep().map_err(|source| PrecompiledError::Copy {
            path: place.clone(),
            source,
        })
    }
}

/// Where the artefacts of a program are: below its path in the package.
fn place(base: &Path, origin: &Origin<'_>) -> Option<PathBuf> {
    let below = origin.source.strip_prefix(origin.include_root).ok()?;
    Some(base.join(below))
}

/// Whether two directories have the same files with the same bytes.
fn same_tree(one: &Path, other: &Path) -> io::Result<bool> {
    let names = |directory: &Path| -> io::Result<Vec<_>> {
        let entries = fs::read_dir(directory)?;
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let all = names(one)?;
    if all != names(other)? {
        return Ok(false);
    }
    for name in all {
        let (left, right) = (one.join(&name), other.join(&name));
        let same = match (left.is_dir(), right.is_dir()) {
            (true, true) => same_tree(&left, &right)?,
            (false, false) => fs::read(left)? == fs::read(right)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::same_tree;
    use std::fs;

    #[test]
    fn trees_differ_by_name_by_byte_and_by_kind() {
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[(&str, &str)]| {
            let root = base.path().join(name);
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            root
        };
        let one = make("one", &[("a.c", "x"), ("d/b.h", "y")]);
        assert!(same_tree(&one, &make("same", &[("a.c", "x"), ("d/b.h", "y")])).unwrap());
        for (name, files) in [
            ("byte", [("a.c", "x"), ("d/b.h", "z")]),
            ("name", [("a.c", "x"), ("d/c.h", "y")]),
            ("kind", [("a.c", "x"), ("d", "y")]),
        ] {
            assert!(!same_tree(&one, &make(name, &files)).unwrap(), "{name}");
        }
    }
}
