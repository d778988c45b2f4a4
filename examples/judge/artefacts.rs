//! Takes a compiler's work out of its box. Whoever wrote the sources may have chosen every name and byte of it.

use std::{fs::File, io, os::unix::fs::PermissionsExt as _, path::Path};

use sandbox_exec::Bytes;
use sandbox_exec::fs::{KeptDir, KeptKind};

use crate::workspace::{make_directory, write_file};

/// Directory levels; Java's packages make some.
const MAX_DEPTH: usize = 16;
/// Files and directories together.
const MAX_ENTRIES: usize = 4096;

/// Why artefacts cannot be taken. A compile error of the submission: nothing of it is the judge's doing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtefactError {
    /// The kept directory refused.
    #[error("cannot read what the compiler left")]
    Kept(#[from] sandbox_exec::fs::Error),
    /// There is something that is neither a file nor a directory.
    #[error("the compiler left {0:?}, which is neither a file nor a directory")]
    Kind(String),
    /// There is too much.
    #[error(
        "the compiler left more than {MAX_ENTRIES} files, {MAX_DEPTH} levels, or the size limit"
    )]
    TooMuch,
    /// The judge's own directory cannot be written.
    #[error("cannot write an artefact")]
    Write(#[from] io::Error),
}

/// Copies every regular file below `kept` to `to`, over files of the same name.
pub(crate) fn take(kept: &KeptDir, to: &Path, max: Bytes) -> Result<(), ArtefactError> {
    let mut budget = Budget {
        entries: MAX_ENTRIES,
        bytes: max.get(),
    };
    level(kept, to, 0, &mut budget)
}

struct Budget {
    entries: usize,
    bytes: u64,
}

fn level(
    kept: &KeptDir,
    to: &Path,
    depth: usize,
    budget: &mut Budget,
) -> Result<(), ArtefactError> {
    if depth > MAX_DEPTH {
        return Err(ArtefactError::TooMuch);
    }
    for entry in kept.entries(budget.entries)? {
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or(ArtefactError::TooMuch)?;
        let target = to.join(&entry.name);
        match entry.kind {
            KeptKind::Directory => {
                if !target.is_dir() {
                    make_directory(&target)?;
                }
                level(&kept.open_dir(&entry.name)?, &target, depth + 1, budget)?;
            }
            KeptKind::File => {
                let executable = is_executable(&kept.open(&entry.name)?)?;
                let bytes = kept.read(&entry.name, Bytes::new(budget.bytes))?;
                budget.bytes -= u64::try_from(bytes.len()).unwrap_or(budget.bytes);
                write_file(&target, &bytes, executable)?;
            }
            _ => {
                let name = entry.name.to_string_lossy().into_owned();
                return Err(ArtefactError::Kind(name));
            }
        }
    }
    Ok(())
}

fn is_executable(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & 0o111 != 0)
}
