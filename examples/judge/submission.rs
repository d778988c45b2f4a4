//! Submissions: where they are, what is promised of them, which language they are in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    language::{Language, Languages},
    package::{
        Package,
        error::PackageError,
        promise::{Bound, Promise},
        tree,
    },
};

/// One submission.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Path below `submissions/`, or as it was given on the command line.
    pub(crate) path: String,
    /// File or directory.
    pub(crate) source: PathBuf,
    /// No link of the submission may lead out of this directory.
    pub(crate) root: PathBuf,
    /// What is promised.
    pub(crate) promise: Promise,
    /// Its language.
    pub(crate) language: Language,
    /// Entry point from `submissions.yaml`.
    pub(crate) entry: Option<String>,
    /// Whether its verdict was asked for; others only help to find the time limit.
    pub(crate) selected: bool,
}

/// The submissions to judge, and what is odd about the directories.
#[derive(Debug)]
pub(crate) struct Found {
    /// Sorted by path.
    pub(crate) submissions: Vec<Submission>,
    /// What was skipped, for people.
    pub(crate) warnings: Vec<String>,
}

/// Finds the submissions of a package. `chosen` narrows them, and may name files outside of the package.
pub(crate) fn discover(
    package: &Package,
    languages: &Languages,
    chosen: &[PathBuf],
) -> Result<Found, PackageError> {
    let mut found = own(package, languages)?;
    if chosen.is_empty() {
        for submission in &mut found.submissions {
            submission.selected = true;
        }
        return Ok(found);
    }
    let mut outside = Vec::new();
    for path in chosen {
        let real = resolve(package, path)?;
        let mut hit = false;
        for submission in &mut found.submissions {
            if submission.source.starts_with(&real) {
                submission.selected = true;
                hit = true;
            }
        }
        if !hit {
            outside.push(stranger(package, languages, path, real)?);
        }
    }
    found.submissions.extend(outside);
    Ok(found)
}

/// The submissions that the package brings.
fn own(package: &Package, languages: &Languages) -> Result<Found, PackageError> {
    let mut submissions = Vec::new();
    let mut warnings = Vec::new();
    let top = tree::directory(&package.root, "submissions")?;
    let missing = || PackageError::Missing {
        path: package.root.join("submissions/accepted/*"),
        why: "every problem has at least one accepted submission",
    };
    let top = top.ok_or_else(missing)?;
    for directory in tree::list(&top, &package.root)? {
        if !directory.is_dir {
            if directory.name != "submissions.yaml" {
                warnings.push(format!("submissions/{} is ignored", directory.name));
            }
            continue;
        }
        if directory.name == "partially_accepted" {
            return Err(PackageError::unsupported(
                directory.path,
                "partially_accepted (scoring)",
            ));
        }
        for entry in tree::list(&directory.path, &package.root)? {
            let path = format!("{}/{}", directory.name, entry.name);
            let Some(promise) = package.promise(&path) else {
                warnings.push(format!(
                    "submissions/{path} is ignored: the format knows no directory {}",
                    directory.name
                ));
                continue;
            };
            let (code, point) = package.declared(&path);
            submissions.push(Submission {
                language: language(package, languages, &entry.path, &package.root, code)?,
                entry: point.map(str::to_owned),
                source: entry.path,
                root: package.root.clone(),
                path,
                promise,
                selected: false,
            });
        }
    }
    if !submissions.iter().any(|s| s.path.starts_with("accepted/")) {
        return Err(missing());
    }
    Ok(Found {
        submissions,
        warnings,
    })
}

/// A submission that is not part of the package: nothing is promised of it.
fn stranger(
    package: &Package,
    languages: &Languages,
    path: &Path,
    real: PathBuf,
) -> Result<Submission, PackageError> {
    let is_dir = fs::metadata(&real)
        .map_err(PackageError::read(&real))?
        .is_dir();
    if real.starts_with(&package.root) && is_dir {
        return Err(PackageError::value(
            path,
            "holds no submission that is judged",
        ));
    }
    let root = if is_dir {
        real.clone()
    } else {
        real.parent().unwrap_or(&real).to_owned()
    };
    Ok(Submission {
        path: path.display().to_string(),
        language: language(package, languages, &real, &root, None)?,
        source: real,
        root,
        promise: Promise::None,
        entry: None,
        selected: true,
    })
}

/// A path from the command line: as it stands, or below `submissions/`, or below the package.
fn resolve(package: &Package, path: &Path) -> Result<PathBuf, PackageError> {
    let places = [
        path.to_owned(),
        package.root.join("submissions").join(path),
        package.root.join(path),
    ];
    places
        .iter()
        .find_map(|place| fs::canonicalize(place).ok())
        .ok_or_else(|| PackageError::Missing {
            path: path.to_owned(),
            why: "neither the current directory nor the package's submissions/ has it",
        })
}

/// The language of a submission: declared, or by the endings of its files.
fn language(
    package: &Package,
    languages: &Languages,
    source: &Path,
    root: &Path,
    declared: Option<&str>,
) -> Result<Language, PackageError> {
    let language = match declared {
        Some(code) => languages.by_code(code).ok_or_else(|| {
            PackageError::value(
                source,
                format!("submissions.yaml says language {code}, which is not in languages.toml"),
            )
        })?,
        None => by_files(languages, source, root)?,
    };
    let allowed = package.metadata.languages.as_ref();
    if allowed.is_some_and(|allowed| !allowed.contains(&language.code)) {
        return Err(PackageError::value(
            source,
            format!(
                "is in {}, which problem.yaml's languages do not allow",
                language.name
            ),
        ));
    }
    Ok(language.clone())
}

fn by_files<'l>(
    languages: &'l Languages,
    source: &Path,
    root: &Path,
) -> Result<&'l Language, PackageError> {
    let mut codes = BTreeSet::new();
    for (name, _) in files(source, root)? {
        if let Some(language) = languages.by_file_name(&name) {
            codes.insert(language.code.as_str());
        }
    }
    let mut codes = codes.into_iter();
    match (codes.next(), codes.next()) {
        (Some(code), None) => languages.by_code(code).ok_or_else(|| {
            PackageError::value(
                source,
                format!("is in {code}, which is not in languages.toml"),
            )
        }),
        (None, _) => Err(PackageError::value(
            source,
            format!(
                "is in no known language: no file ends in one of {}",
                languages.extensions()
            ),
        )),
        (Some(one), Some(other)) => Err(PackageError::value(
            source,
            format!("mixes {one} and {other}; name its language in submissions.yaml"),
        )),
    }
}

/// The files of a program with their names below its directory. A single file stands for a directory of that one file.
pub(crate) fn files(source: &Path, root: &Path) -> Result<Vec<(String, PathBuf)>, PackageError> {
    tree::inside(source, root)?;
    if !source.is_dir() {
        let name = source
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| tree::allowed(name))
            .ok_or_else(|| {
                PackageError::value(source, "has a name that the package format does not allow")
            })?;
        return Ok(vec![(name.to_owned(), source.to_owned())]);
    }
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), source.to_owned())];
    while let Some((prefix, directory)) = pending.pop() {
        // Links inside the package may form a circle.
        if prefix.matches('/').count() > 16 || found.len() > 10_000 {
            return Err(PackageError::value(source, "has too many files or levels"));
        }
        for entry in tree::list(&directory, root)? {
            let name = format!("{prefix}{}", entry.name);
            if entry.is_dir {
                pending.push((format!("{name}/"), entry.path));
            } else {
                found.push((name, entry.path));
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Submission {
    /// Whether it bounds the time limit in this direction.
    pub(crate) fn bounds(&self, bound: Bound) -> bool {
        self.promise.bounding(bound).next().is_some()
    }
}
