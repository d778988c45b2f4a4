//! A copy of a program's sources, as the box is shown them: files only, fixed modes, constants replaced.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sandbox_exec::Bytes;

use crate::{
    language::{
        Language,
        entry::{self, EntryPoint, Source},
    },
    package::error::PackageError,
    submission::files,
    workspace::{make_parents, write_file},
};

/// No program is larger than this, whatever `limits.code` says: the sources are held in memory.
const HARD_LIMIT: Bytes = Bytes::mib(64);

/// What to copy.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// File or directory.
    pub(crate) source: &'a Path,
    /// No link may lead out of this directory.
    pub(crate) root: &'a Path,
    /// Directories whose files are added, over those of the same name.
    pub(crate) includes: &'a [PathBuf],
    /// No link of those may lead out of this directory.
    pub(crate) include_root: &'a Path,
    /// `{{name}}` and what it is replaced by.
    pub(crate) constants: &'a BTreeMap<String, String>,
    /// Limit of the size of the sources, before files are added.
    pub(crate) code: Bytes,
}

/// A staged program.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Where the files are.
    pub(crate) directory: PathBuf,
    /// Source files of the program's language, by name below the directory.
    pub(crate) sources: Vec<String>,
    /// The entry point, or why there is none.
    pub(crate) entry: Result<EntryPoint, String>,
}

/// Why a program cannot be staged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// The package is at fault.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The judge's own directory cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The program is too large; a compile error of the submission.
    #[error("the source files have {size}, allowed are {limit}")]
    TooLarge {
        /// Their size, or where reading stopped.
        size: Bytes,
        /// The limit.
        limit: Bytes,
    },
}

struct Copied {
    bytes: Vec<u8>,
    executable: bool,
    included: bool,
}

/// Copies a program into `directory`.
pub(crate) fn stage(
    origin: &Origin<'_>,
    language: Option<&Language>,
    declared: Option<&str>,
    directory: PathBuf,
) -> Result<Staged, StageError> {
    let mut all = BTreeMap::new();
    let mut size = 0;
    for (name, path) in files(origin.source, origin.root)? {
        let file = read(&path, origin, &mut size, origin.code)?;
        all.insert(name, file);
    }
    for include in origin.includes {
        for (name, path) in files(include, origin.include_root)? {
            let mut file = read(&path, origin, &mut size, HARD_LIMIT)?;
            file.included = true;
            all.insert(name, file);
        }
    }
    if let Some(language) = language {
        rename_single(&mut all, language);
    }
    for (name, file) in &all {
        let path = directory.join(name);
        make_parents(&directory, &path)
            .and_then(|()| write_file(&path, &file.bytes, file.executable))
            .map_err(|source| StageError::Write { path, source })?;
    }
    let texts: Vec<Source> = all
        .into_iter()
        .filter(|(name, _)| language.is_some_and(|language| language.owns(name)))
        .map(|(name, file)| Source {
            name,
            text: file.bytes,
            included: file.included,
        })
        .collect();
    let entry = match language {
        Some(language) => {
            entry::find(language, &texts, declared).map_err(|error| error.to_string())
        }
        None => Err("no language".to_owned()),
    };
    Ok(Staged {
        directory,
        sources: texts.into_iter().map(|source| source.name).collect(),
        entry,
    })
}

/// Reads one file; `size` is that of all files so far.
fn read(
    path: &Path,
    origin: &Origin<'_>,
    size: &mut u64,
    limit: Bytes,
) -> Result<Copied, StageError> {
    let limit = limit.min(HARD_LIMIT);
    let read = |path: &Path| -> io::Result<Copied> {
        let file = File::open(path)?;
        let executable = is_executable(&file)?;
        let mut bytes = Vec::new();
        let left = limit.get().saturating_sub(*size);
        file.take(left.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Copied {
            bytes,
            executable,
            included: false,
        })
    };
    let mut copied = read(path).map_err(PackageError::read(path))?;
    *size = size.saturating_add(u64::try_from(copied.bytes.len()).unwrap_or(u64::MAX));
    if *size > limit.get() {
        return Err(StageError::TooLarge {
            size: Bytes::new(*size),
            limit,
        });
    }
    replace_constants(&mut copied.bytes, origin.constants);
    Ok(copied)
}

fn is_executable(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o111 != 0)
}

/// Gives the only file of a submission the name that its compiler wants.
fn rename_single(all: &mut BTreeMap<String, Copied>, language: &Language) {
    let own = all
        .iter()
        .filter(|(name, file)| language.owns(name) && !file.included);
    let own: Vec<&String> = own.map(|(name, _)| name).collect();
    let [only] = own.as_slice() else { return };
    let only = (*only).clone();
    let wanted = all
        .get(&only)
        .and_then(|file| entry::required_file_name(language, &file.bytes));
    if let Some(wanted) = wanted
        && wanted != only
        && crate::package::tree::allowed(&wanted)
        && let Some(file) = all.remove(&only)
    {
        all.insert(wanted, file);
    }
}

fn replace_constants(bytes: &mut Vec<u8>, constants: &BTreeMap<String, String>) {
    // Sequences are ASCII in text files; a file that is not text is left as it is.
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if constants.is_empty() || !text.contains("{{") {
        return;
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        result.push_str(before);
        let value = after
            .split_once("}}")
            .and_then(|(name, tail)| constants.get(name).map(|value| (value, tail)));
        match value {
            Some((value, tail)) => {
                result.push_str(value);
                rest = tail;
            }
            None => {
                // One brace only, so that `{{{name}}` finds its constant.
                result.push('{');
                rest = rest.get(before.len() + 1..).unwrap_or("");
            }
        }
    }
    result.push_str(rest);
    *bytes = result.into_bytes();
}

/// Copies a staged directory, so that artefacts can join the sources in it.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if !target.is_dir() {
                crate::workspace::make_directory(&target)?;
            }
            copy_tree(&entry.path(), &target)?;
        } else {
            let mut file = File::open(entry.path())?;
            let executable = is_executable(&file)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            write_file(&target, &bytes, executable)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Origin, StageError, replace_constants, stage};
    use crate::language::Languages;
    use sandbox_exec::Bytes;
    use std::{collections::BTreeMap, fs};

    fn constants() -> BTreeMap<String, String> {
        BTreeMap::from([("n".to_owned(), "5".to_owned())])
    }

    #[test]
    fn constants_are_replaced_and_nothing_else() {
        for (text, wanted) in [
            ("int x[{{n}}];", "int x[5];"),
            ("{{m}} {{n}}", "{{m}} 5"),
            ("{{{n}}}", "{5}"),
            ("{{ n }}{{n", "{{ n }}{{n"),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            replace_constants(&mut bytes, &constants());
            assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
        }
        let mut bytes = b"\xff{{n}}".to_vec();
        replace_constants(&mut bytes, &constants());
        assert_eq!(bytes, b"\xff{{n}}");
    }

    #[test]
    fn a_program_is_copied_with_what_is_included() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        for name in ["sub", "include", "out"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let text = "public class Sum { public static void main(String[] a) {} } // {{n}}";
        fs::write(root.join("sub/x.java"), text).unwrap();
        fs::write(root.join("include/lib.txt"), "lib").unwrap();
        let languages = Languages::load(None).unwrap();
        let mut origin = Origin {
            source: &root.join("sub/x.java"),
            root: &root,
            includes: &[root.join("include")],
            include_root: &root,
            constants: &constants(),
            code: Bytes::kib(1),
        };
        let java = languages.by_code("java");
        let staged = stage(&origin, java, None, root.join("out")).unwrap();
        assert_eq!(staged.sources, ["Sum.java"]);
        assert_eq!(staged.entry.unwrap().entry, "Sum");
        let copy = fs::read_to_string(root.join("out/Sum.java")).unwrap();
        assert!(copy.ends_with("// 5"));
        assert!(root.join("out/lib.txt").is_file());
        origin.code = Bytes::new(10);
        assert!(matches!(
            stage(&origin, java, None, root.join("out")),
            Err(StageError::TooLarge { .. })
        ));
    }
}
