//! A problem package, read and checked as a whole before anything untrusted runs.

pub(crate) mod error;
pub(crate) mod glob;
pub(crate) mod limits;
pub(crate) mod metadata;
pub(crate) mod promise;
mod submissions_yaml;
mod test_config;
mod tests;
pub(crate) mod tree;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use error::PackageError;
use limits::PackageLimits;
use metadata::{Format, Metadata};
use promise::{Promise, Rule, default_rule};
use submissions_yaml::Entry;
pub(crate) use tests::TestCase;

use crate::validator::default::Options;

/// A problem package.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its directory, absolute and without links.
    pub(crate) root: PathBuf,
    /// What `problem.yaml` says.
    pub(crate) metadata: Metadata,
    /// The tests in the order of judging.
    pub(crate) tests: Vec<TestCase>,
    /// The output validators of its own; empty means the default validator.
    pub(crate) validators: Vec<PathBuf>,
    entries: Vec<Entry>,
}

impl Package {
    /// Reads a package and checks everything that can be checked without running anything.
    pub(crate) fn load(directory: &Path) -> Result<Self, PackageError> {
        let root = fs::canonicalize(directory).map_err(PackageError::read(directory))?;
        let mut metadata = metadata::load(&root)?;
        if metadata.format == Format::Legacy {
            metadata.limits.time = timelimit_file(&root.join(".timelimit"))?;
        }
        let tests = tests::discover(&root, &metadata)?;
        let validators = validators(&root, &metadata)?;
        if validators.is_empty() {
            for test in &tests {
                Options::parse(&test.validator_args, metadata.format).map_err(|error| {
                    PackageError::value(&root, format!("{}: validator flags: {error}", test.name))
                })?;
            }
        }
        if metadata.format == Format::V2025_09 && root.join("static_validator").exists() {
            return Err(PackageError::unsupported(
                root.join("static_validator"),
                "a static validator",
            ));
        }
        let entries = match metadata.format {
            Format::Legacy => Vec::new(),
            Format::V2025_09 => submissions_yaml::load(&root)?,
        };
        Ok(Self {
            root,
            metadata,
            tests,
            validators,
            entries,
        })
    }

    /// The package's limits.
    pub(crate) fn limits(&self) -> &PackageLimits {
        &self.metadata.limits
    }

    /// What is promised of the submission with this path below `submissions/`; `None` where its directory is unknown.
    pub(crate) fn promise(&self, path: &str) -> Option<Promise> {
        let directory = path.split('/').next().unwrap_or(path);
        if directory == "compile_error" {
            return Some(Promise::CompileError);
        }
        let mut base = default_rule(self.metadata.format, directory);
        let mut rules = Vec::new();
        for entry in self.matching(path) {
            if entry.pattern == directory {
                let whole = &entry.general;
                if base.is_some() || !whole.is_empty() {
                    base = Some(whole.rule(directory, None, base.as_ref()));
                }
            } else if !entry.general.is_empty() {
                rules.push(entry.general.rule(&entry.pattern, None, None));
            }
            for (name, glob, partial) in &entry.by_test {
                let origin = format!("{} {name}", entry.pattern);
                rules.push(partial.rule(&origin, Some(glob.clone()), None));
            }
        }
        let rules: Vec<Rule> = base.into_iter().chain(rules).collect();
        (!rules.is_empty()).then_some(Promise::Rules(rules))
    }

    /// Language and entry point that `submissions.yaml` names for a submission.
    pub(crate) fn declared(&self, path: &str) -> (Option<&str>, Option<&str>) {
        let mut declared = (None, None);
        for entry in self.matching(path) {
            declared.0 = entry.language.as_deref().or(declared.0);
            declared.1 = entry.entrypoint.as_deref().or(declared.1);
        }
        declared
    }

    /// Directories whose files are added to a submission in this language, the later ones over the earlier ones.
    pub(crate) fn includes(&self, language: &str) -> Result<Vec<PathBuf>, PackageError> {
        let own = tree::directory(&self.root, &format!("include/{language}"))?;
        if own.is_some() || self.metadata.format == Format::Legacy {
            return Ok(own.into_iter().collect());
        }
        Ok(tree::directory(&self.root, "include/default")?
            .into_iter()
            .collect())
    }

    fn matching(&self, path: &str) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.glob.covers(path))
    }
}

fn timelimit_file(path: &Path) -> Result<Option<Duration>, PackageError> {
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
    text.trim()
        .parse()
        .ok()
        .and_then(limits::positive_seconds)
        .map(Some)
        .ok_or_else(|| PackageError::value(path, "must hold a positive number of seconds"))
}

/// The programs of `output_validators/` or `output_validator/`.
fn validators(root: &Path, metadata: &Metadata) -> Result<Vec<PathBuf>, PackageError> {
    if metadata.format == Format::V2025_09 {
        return Ok(tree::directory(root, "output_validator")?
            .into_iter()
            .collect());
    }
    if !metadata.custom_validation {
        return Ok(Vec::new());
    }
    let missing = || PackageError::Missing {
        path: root.join("output_validators/*"),
        why: "problem.yaml says validation: custom",
    };
    let directory = tree::directory(root, "output_validators")?.ok_or_else(missing)?;
    let programs: Vec<_> = tree::list(&directory, root)?
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    if programs.is_empty() {
        return Err(missing());
    }
    Ok(programs)
}
