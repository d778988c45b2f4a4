//! `problem.yaml` of both formats.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::Value;

use super::{
    error::PackageError,
    limits::{CurrentLimits, LegacyLimits, PackageLimits},
};

/// Version of the package format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Format {
    /// `legacy`, `legacy-icpc`, or no version at all.
    #[serde(rename = "legacy")]
    Legacy,
    /// `2025-09`.
    #[serde(rename = "2025-09")]
    V2025_09,
}

/// What `problem.yaml` says, as far as a judge needs it.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Version of the format.
    pub(crate) format: Format,
    /// The limits, defaults filled in.
    pub(crate) limits: PackageLimits,
    /// Legacy `validation: custom`; 2025-09 decides by the directory `output_validator/`.
    pub(crate) custom_validation: bool,
    /// Legacy `validator_flags`, split at white space.
    pub(crate) validator_flags: Vec<String>,
    /// Languages that the problem may be solved in; `None` means all.
    pub(crate) languages: Option<BTreeSet<String>>,
    /// Names and values of `{{name}}` sequences.
    pub(crate) constants: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "keys that a judge does not need are named so that unknown ones can be refused"
)]
struct Legacy {
    problem_format_version: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<IgnoredAny>,
    uuid: Option<IgnoredAny>,
    author: Option<IgnoredAny>,
    source: Option<IgnoredAny>,
    source_url: Option<IgnoredAny>,
    license: Option<IgnoredAny>,
    rights_owner: Option<IgnoredAny>,
    limits: Option<LegacyLimits>,
    validation: Option<String>,
    validator_flags: Option<String>,
    grading: Option<IgnoredAny>,
    keywords: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "keys that a judge does not need are named so that unknown ones can be refused"
)]
struct Current {
    problem_format_version: String,
    #[serde(rename = "type")]
    kind: Option<OneOrMany>,
    name: IgnoredAny,
    uuid: String,
    version: Option<IgnoredAny>,
    credits: Option<IgnoredAny>,
    source: Option<IgnoredAny>,
    license: Option<IgnoredAny>,
    rights_owner: Option<IgnoredAny>,
    embargo_until: Option<IgnoredAny>,
    limits: Option<CurrentLimits>,
    keywords: Option<IgnoredAny>,
    languages: Option<OneOrMany>,
    allow_file_writing: Option<bool>,
    constants: Option<BTreeMap<String, Constant>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Constant {
    Integer(i64),
    Float(f64),
    Text(String),
}

/// Reads and checks `problem.yaml`.
pub(crate) fn load(root: &Path) -> Result<Metadata, PackageError> {
    let file = root.join("problem.yaml");
    let text = fs::read_to_string(&file).map_err(PackageError::read(&file))?;
    parse(&text, &file)
}

fn parse(text: &str, file: &Path) -> Result<Metadata, PackageError> {
    let yaml = |source| PackageError::Yaml {
        path: file.to_owned(),
        source,
    };
    let value: Value = serde_yaml_ng::from_str(text).map_err(yaml)?;
    let version = match value.get("problem_format_version") {
        None => "legacy",
        Some(Value::String(version)) => version,
        Some(other) => {
            return Err(PackageError::value(
                file,
                format!("problem_format_version is {other:?}, not a string such as \"2025-09\""),
            ));
        }
    };
    // Parsed from the text a second time, so that an error knows its line.
    match version {
        "legacy" | "legacy-icpc" if value.is_null() => {
            legacy(serde_yaml_ng::from_str("{}").map_err(yaml)?, file)
        }
        "legacy" | "legacy-icpc" => legacy(serde_yaml_ng::from_str(text).map_err(yaml)?, file),
        "2025-09" => current(serde_yaml_ng::from_str(text).map_err(yaml)?, file),
        other => Err(PackageError::unsupported(
            file,
            format!("problem_format_version {other}"),
        )),
    }
}

fn legacy(raw: Legacy, file: &Path) -> Result<Metadata, PackageError> {
    match raw.kind.as_deref() {
        None | Some("pass-fail") => {}
        Some("scoring") => return Err(PackageError::unsupported(file, "type scoring")),
        Some(other) => {
            return Err(PackageError::value(
                file,
                format!("type is {other:?}, not pass-fail or scoring"),
            ));
        }
    }
    if raw.grading.is_some() {
        return Err(PackageError::unsupported(file, "grading (scoring)"));
    }
    let validation = raw.validation.unwrap_or_else(|| "default".to_owned());
    let mut words = validation.split_whitespace();
    let custom_validation = match words.next() {
        Some("default") => false,
        Some("custom") => true,
        _ => {
            return Err(PackageError::value(
                file,
                format!("validation is {validation:?}, and must begin with default or custom"),
            ));
        }
    };
    if let Some(word) = words.next() {
        return Err(match word {
            "interactive" | "score" if custom_validation => {
                PackageError::unsupported(file, format!("validation: {validation}"))
            }
            _ => PackageError::value(file, format!("validation has the unknown word {word:?}")),
        });
    }
    Ok(Metadata {
        format: Format::Legacy,
        limits: raw.limits.unwrap_or_default().resolve(file)?,
        custom_validation,
        validator_flags: words_of(raw.validator_flags.as_deref().unwrap_or("")),
        languages: None,
        constants: BTreeMap::new(),
    })
}

fn current(raw: Current, file: &Path) -> Result<Metadata, PackageError> {
    let kinds = raw
        .kind
        .map_or_else(|| vec!["pass-fail".to_owned()], OneOrMany::into_vec);
    if kinds.is_empty() {
        return Err(PackageError::value(file, "type is an empty sequence"));
    }
    for kind in &kinds {
        match kind.as_str() {
            "pass-fail" => {}
            "scoring" | "multi-pass" | "interactive" | "submit-answer" => {
                return Err(PackageError::unsupported(file, format!("type {kind}")));
            }
            other => {
                return Err(PackageError::value(
                    file,
                    format!("type {other:?} is none of the format's"),
                ));
            }
        }
    }
    if raw.uuid.is_empty() {
        return Err(PackageError::value(file, "uuid is empty"));
    }
    if raw.allow_file_writing == Some(true) {
        return Err(PackageError::unsupported(file, "allow_file_writing: true"));
    }
    let languages = match raw.languages.map(OneOrMany::into_vec) {
        None => None,
        Some(list) if list == ["all"] => None,
        Some(list) if list.is_empty() => {
            return Err(PackageError::value(file, "languages is an empty sequence"));
        }
        Some(list) => Some(list.into_iter().collect()),
    };
    Ok(Metadata {
        format: Format::V2025_09,
        limits: raw.limits.unwrap_or_default().resolve(file)?,
        custom_validation: false,
        validator_flags: Vec::new(),
        languages,
        constants: constants(raw.constants.unwrap_or_default(), file)?,
    })
}

fn constants(
    raw: BTreeMap<String, Constant>,
    file: &Path,
) -> Result<BTreeMap<String, String>, PackageError> {
    raw.into_iter()
        .map(|(name, value)| {
            let mut bytes = name.bytes();
            let starts = bytes
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            if !starts || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(PackageError::value(
                    file,
                    format!("{name:?} is no name of a constant ([a-zA-Z_][a-zA-Z0-9_]*)"),
                ));
            }
            let text = match value {
                Constant::Integer(n) => n.to_string(),
                Constant::Float(x) => x.to_string(),
                Constant::Text(text) => text,
            };
            Ok((name, text))
        })
        .collect()
}

/// Splits arguments at white space, as the legacy format writes them.
pub(super) fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Format, Metadata, parse};
    use std::path::Path;

    fn read(text: &str) -> Result<Metadata, String> {
        parse(text, Path::new("problem.yaml")).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        })
    }

    #[test]
    fn an_empty_file_is_a_legacy_problem() {
        let metadata = read("").unwrap();
        assert_eq!(metadata.format, Format::Legacy);
        assert!(!metadata.custom_validation);
    }

    #[test]
    fn legacy_keys_are_read() {
        let text = "name: x\nvalidation: custom\nvalidator_flags: float_tolerance  1e-6\n";
        let metadata = read(text).unwrap();
        assert!(metadata.custom_validation);
        assert_eq!(metadata.validator_flags, ["float_tolerance", "1e-6"]);
    }

    #[test]
    fn current_keys_are_read() {
        let text = "problem_format_version: 2025-09\nname: x\nuuid: u\nlanguages: [c, cpp]\n\
                    constants: {n: 5, s: abc}\ntype: [pass-fail]\n";
        let metadata = read(text).unwrap();
        assert_eq!(metadata.format, Format::V2025_09);
        assert!(metadata.languages.unwrap().contains("cpp"));
        assert_eq!(metadata.constants["n"], "5");
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let head = "problem_format_version: 2025-09\nname: x\nuuid: u\n";
        for (text, name) in [
            ("type: scoring".to_owned(), "type scoring"),
            (
                "validation: custom interactive".to_owned(),
                "custom interactive",
            ),
            ("validation: custom score".to_owned(), "custom score"),
            ("problem_format_version: 2099-01".to_owned(), "2099-01"),
            (format!("{head}type: interactive"), "type interactive"),
            (
                format!("{head}type: [pass-fail, multi-pass]"),
                "type multi-pass",
            ),
            (format!("{head}type: submit-answer"), "type submit-answer"),
            (format!("{head}type: scoring"), "type scoring"),
            (
                format!("{head}allow_file_writing: true"),
                "allow_file_writing",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(
                error.contains(name) && error.contains("not supported"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn broken_files_say_where() {
        for (text, part) in [
            ("name: [", "problem.yaml"),
            ("nmae: x", "nmae"),
            ("limits: {memroy: 5}", "memroy"),
            ("limits: {memory: many}", "limits"),
            ("validation: costum", "costum"),
            ("type: contest", "contest"),
            ("problem_format_version: 2025", "problem_format_version"),
            ("problem_format_version: 2025-09\nname: x", "uuid"),
            (
                "problem_format_version: 2025-09\nname: x\nuuid: u\nconstants: {1x: 2}",
                "1x",
            ),
            ("- a\n- b\n", "problem.yaml"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
