//! Tests of a package: `data/{sample,secret}/**/*.in` with `.ans`, and their configuration.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    error::PackageError,
    metadata::{Format, Metadata},
    test_config::{self, Inherited},
    tree,
};

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestCase {
    /// Path below `data/` without the extension: `secret/01`.
    pub(crate) name: String,
    /// The `.in` file.
    pub(crate) input: PathBuf,
    /// The `.ans` file.
    pub(crate) answer: PathBuf,
    /// The `.files` directory (2025-09), copied into the working directory.
    pub(crate) files: Option<PathBuf>,
    /// Arguments of the submission (2025-09).
    pub(crate) args: Vec<String>,
    /// Arguments of the output validator.
    pub(crate) validator_args: Vec<String>,
}

/// Finds every test, in the order of judging.
pub(crate) fn discover(root: &Path, metadata: &Metadata) -> Result<Vec<TestCase>, PackageError> {
    let data = root.join("data");
    let walk = Walk {
        root,
        metadata,
        data: &data,
    };
    let mut tests = Vec::new();
    let mut top = Inherited {
        args: Vec::new(),
        validator_args: metadata.validator_flags.clone(),
    };
    if metadata.format == Format::Legacy {
        top = test_config::of_directory(&data, top, metadata)?;
    }
    for (name, required) in [("sample", false), ("secret", true)] {
        let directory = data.join(name);
        match fs::metadata(&directory) {
            Ok(found) if found.is_dir() => walk.directory(&directory, name, &top, &mut tests)?,
            Ok(_) => return Err(PackageError::value(directory, "is not a directory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PackageError::Missing {
                    path: directory,
                    why: "every problem has secret tests",
                });
            }
            Err(source) => {
                return Err(PackageError::Read {
                    path: directory,
                    source,
                });
            }
        }
    }
    if !tests.iter().any(|test| test.name.starts_with("secret/")) {
        return Err(PackageError::Missing {
            path: data.join("secret/*.in"),
            why: "every problem has secret tests",
        });
    }
    Ok(tests)
}

struct Walk<'a> {
    root: &'a Path,
    metadata: &'a Metadata,
    data: &'a Path,
}

impl Walk<'_> {
    fn directory(
        &self,
        directory: &Path,
        name: &str,
        above: &Inherited,
        tests: &mut Vec<TestCase>,
    ) -> Result<(), PackageError> {
        let inherited = test_config::of_directory(directory, above.clone(), self.metadata)?;
        let entries = tree::list(directory, self.root)?;
        // Sorted by name without extension, directories and tests together.
        let mut order: BTreeMap<String, Item> = BTreeMap::new();
        for entry in &entries {
            let file_name = entry.name.as_str();
            if entry.is_dir {
                if !file_name.ends_with(".files") {
                    order.insert(file_name.to_owned(), Item::Directory(entry.path.clone()));
                }
            } else if let Some(stem) = file_name.strip_suffix(".in") {
                let clash = order.insert(stem.to_owned(), Item::Test(entry.path.clone()));
                if clash.is_some() {
                    return Err(PackageError::value(
                        &entry.path,
                        "a test and a directory have the same name",
                    ));
                }
            }
        }
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            if let Some(stem) = entry.name.strip_suffix(".ans")
                && !matches!(order.get(stem), Some(Item::Test(_)))
            {
                return Err(PackageError::Missing {
                    path: directory.join(format!("{stem}.in")),
                    why: "an .ans file without its .in file is no test",
                });
            }
        }
        let has = |wanted: fn(&Item) -> bool| order.values().any(wanted);
        if self.metadata.format == Format::V2025_09
            && name == "secret"
            && has(|item| matches!(item, Item::Directory(_)))
            && has(|item| matches!(item, Item::Test(_)))
        {
            return Err(PackageError::value(
                directory,
                "has both tests and groups; move the tests into a group",
            ));
        }
        for (stem, item) in order {
            let name = format!("{name}/{stem}");
            match item {
                Item::Directory(path) => self.directory(&path, &name, &inherited, tests)?,
                Item::Test(input) => tests.push(self.test(&name, input, &inherited)?),
            }
        }
        Ok(())
    }

    fn test(
        &self,
        name: &str,
        input: PathBuf,
        inherited: &Inherited,
    ) -> Result<TestCase, PackageError> {
        let beside = |extension: &str| self.data.join(format!("{name}{extension}"));
        let answer = beside(".ans");
        if !answer.is_file() {
            return Err(PackageError::Missing {
                path: answer,
                why: "every .in file needs the answer that the validator compares with",
            });
        }
        tree::inside(&answer, self.root)?;
        let mut test = TestCase {
            name: name.to_owned(),
            input,
            answer,
            files: None,
            args: inherited.args.clone(),
            validator_args: inherited.validator_args.clone(),
        };
        if self.metadata.format == Format::V2025_09 {
            let files = beside(".files");
            test.files = files.is_dir().then_some(files);
            let own = Inherited {
                args: test.args,
                validator_args: test.validator_args,
            };
            let own = test_config::of_case(&beside(".yaml"), own)?;
            test.args = own.args;
            test.validator_args = own.validator_args;
        }
        if let Some(text) = test
            .args
            .iter()
            .chain(&test.validator_args)
            .find(|text| text.contains('\0'))
        {
            return Err(PackageError::value(
                &test.input,
                format!("the argument {text:?} of this test contains a NUL byte"),
            ));
        }
        Ok(test)
    }
}

enum Item {
    Directory(PathBuf),
    Test(PathBuf),
}

#[cfg(test)]
mod unit {
    use std::{fs, path::Path};

    use super::{TestCase, discover};
    use crate::package::metadata;

    fn found(files: &[(&str, &str)]) -> Result<Vec<TestCase>, String> {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        load(&root)
    }

    fn load(root: &Path) -> Result<Vec<TestCase>, String> {
        let metadata = metadata::load(root).map_err(|error| error.to_string())?;
        discover(root, &metadata).map_err(|error| error.to_string())
    }

    const CURRENT: (&str, &str) = (
        "problem.yaml",
        "problem_format_version: 2025-09\nname: x\nuuid: u\n",
    );

    #[test]
    fn samples_come_first_and_names_are_sorted_without_their_ending() {
        let tests = found(&[
            ("problem.yaml", "validator_flags: a b"),
            ("data/secret/10.in", ""),
            ("data/secret/10.ans", ""),
            ("data/secret/1.in", ""),
            ("data/secret/1.ans", ""),
            ("data/secret/1-b/x.in", ""),
            ("data/secret/1-b/x.ans", ""),
            ("data/secret/1-b/testdata.yaml", "output_validator_flags: c"),
            ("data/secret/.hidden.in", ""),
            ("data/secret/notes.txt", ""),
            ("data/sample/z.in", ""),
            ("data/sample/z.ans", ""),
        ])
        .unwrap();
        let names: Vec<_> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["sample/z", "secret/1", "secret/1-b/x", "secret/10"]);
        assert_eq!(tests[1].validator_args, ["a", "b"]);
        assert_eq!(tests[2].validator_args, ["a", "b", "c"]);
    }

    #[test]
    fn arguments_are_inherited_and_overridden() {
        let tests = found(&[
            CURRENT,
            (
                "data/secret/test_group.yaml",
                "args: [a]\noutput_validator_args: [v]",
            ),
            ("data/secret/g/test_group.yaml", "args: [b]"),
            ("data/secret/g/1.in", ""),
            ("data/secret/g/1.ans", ""),
            ("data/secret/g/2.in", ""),
            ("data/secret/g/2.ans", ""),
            ("data/secret/g/2.yaml", "output_validator_args: [w]"),
            ("data/secret/g/2.files/input.txt", ""),
        ])
        .unwrap();
        assert_eq!(tests.len(), 2);
        assert_eq!(tests[0].args, ["b"]);
        assert_eq!(tests[0].validator_args, ["v"]);
        assert_eq!(tests[0].files, None);
        assert_eq!(tests[1].args, ["b"]);
        assert_eq!(tests[1].validator_args, ["w"]);
        assert!(tests[1].files.is_some());
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let test = [("data/secret/1.in", ""), ("data/secret/1.ans", "")];
        let with = |more: &[(&str, &str)]| found(&[&[CURRENT], &test[..], more].concat());
        assert!(with(&[]).is_ok());
        for (more, part) in [
            (
                &[("data/secret/g/1.in", ""), ("data/secret/g/1.ans", "")][..],
                "both tests and groups",
            ),
            (&[("data/secret/1/x.in", "")], "same name"),
            (&[("data/secret/1.yaml", "args: [\"a\\0b\"]")], "NUL"),
            (&[("data/secret/2.ans", "")], "2.in is missing"),
        ] {
            let error = with(more).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
