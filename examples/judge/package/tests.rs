//! Tests of a package: `data/{sample,secret}/**/*.in` with `.ans`, and their configuration.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::Value;

use super::{
    error::PackageError,
    metadata::{Format, Metadata, words_of},
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

/// What a directory passes on to the tests in it.
#[derive(Debug, Clone, Default)]
struct Inherited {
    args: Vec<String>,
    validator_args: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "keys that a judge does not need are named so that unknown ones can be refused"
)]
struct GroupYaml {
    max_score: Option<IgnoredAny>,
    score_aggregation: Option<IgnoredAny>,
    static_validation_score: Option<IgnoredAny>,
    require_pass: Option<IgnoredAny>,
    args: Option<Vec<String>>,
    input_validator_args: Option<IgnoredAny>,
    static_validator_args: Option<IgnoredAny>,
    output_validator_args: Option<Vec<String>>,
    input_visualizer_args: Option<IgnoredAny>,
    output_visualizer_args: Option<IgnoredAny>,
    full_feedback: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "keys that a judge does not need are named so that unknown ones can be refused"
)]
struct CaseYaml {
    args: Option<Vec<String>>,
    input_validator_args: Option<IgnoredAny>,
    output_validator_args: Option<Vec<String>>,
    input_visualizer_args: Option<IgnoredAny>,
    output_visualizer_args: Option<IgnoredAny>,
    full_feedback: Option<bool>,
    hint: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "keys that a judge does not need are named so that unknown ones can be refused"
)]
struct TestdataYaml {
    on_reject: Option<IgnoredAny>,
    grading: Option<String>,
    grader_flags: Option<String>,
    input_validator_flags: Option<IgnoredAny>,
    output_validator_flags: Option<Value>,
    accept_score: Option<IgnoredAny>,
    reject_score: Option<IgnoredAny>,
    range: Option<IgnoredAny>,
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
        top = walk.configuration(&data, top)?;
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
        let inherited = self.configuration(directory, above.clone())?;
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
            if let Some(case) = read_yaml::<CaseYaml>(&beside(".yaml"))? {
                test.args = case.args.unwrap_or(test.args);
                test.validator_args = case.output_validator_args.unwrap_or(test.validator_args);
            }
        }
        Ok(test)
    }

    /// What `test_group.yaml` or `testdata.yaml` of this directory changes.
    fn configuration(&self, directory: &Path, above: Inherited) -> Result<Inherited, PackageError> {
        match self.metadata.format {
            Format::Legacy => self.testdata(&directory.join("testdata.yaml"), above),
            Format::V2025_09 => group(&directory.join("test_group.yaml"), above),
        }
    }

    fn testdata(&self, file: &Path, above: Inherited) -> Result<Inherited, PackageError> {
        let Some(yaml) = read_yaml::<TestdataYaml>(file)? else {
            return Ok(above);
        };
        if yaml.grading.as_deref().is_some_and(|g| g != "default") {
            return Err(PackageError::unsupported(file, "grading: custom"));
        }
        for flag in words_of(yaml.grader_flags.as_deref().unwrap_or("")) {
            // The two modes say which verdict is shown; all others change what is accepted.
            if flag != "worst_error" && flag != "first_error" {
                return Err(PackageError::unsupported(
                    file,
                    format!("grader flag {flag}"),
                ));
            }
        }
        if yaml.accept_score.is_some() || yaml.reject_score.is_some() || yaml.range.is_some() {
            return Err(PackageError::unsupported(file, "scores (scoring)"));
        }
        let flags = match &yaml.output_validator_flags {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text,
            Some(Value::Mapping(map)) => map.get("flags").and_then(Value::as_str).unwrap_or(""),
            Some(_) => {
                return Err(PackageError::value(
                    file,
                    "output_validator_flags must be a string or a map of name and flags",
                ));
            }
        };
        let mut validator_args = self.metadata.validator_flags.clone();
        validator_args.extend(words_of(flags));
        Ok(Inherited {
            args: above.args,
            validator_args,
        })
    }
}

enum Item {
    Directory(PathBuf),
    Test(PathBuf),
}

fn group(file: &Path, above: Inherited) -> Result<Inherited, PackageError> {
    let Some(yaml) = read_yaml::<GroupYaml>(file)? else {
        return Ok(above);
    };
    for (name, set) in [
        ("max_score (scoring)", yaml.max_score.is_some()),
        (
            "score_aggregation (scoring)",
            yaml.score_aggregation.is_some(),
        ),
        ("require_pass (scoring)", yaml.require_pass.is_some()),
        (
            "static_validation_score (static validator)",
            yaml.static_validation_score.is_some(),
        ),
        (
            "static_validator_args (static validator)",
            yaml.static_validator_args.is_some(),
        ),
    ] {
        if set {
            return Err(PackageError::unsupported(file, name));
        }
    }
    Ok(Inherited {
        args: yaml.args.unwrap_or(above.args),
        validator_args: yaml.output_validator_args.unwrap_or(above.validator_args),
    })
}

fn read_yaml<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, PackageError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(PackageError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    // An empty file is no map, and says nothing.
    serde_yaml_ng::from_str::<Option<T>>(&text).map_err(|source| PackageError::Yaml {
        path: path.to_owned(),
        source,
    })
}
