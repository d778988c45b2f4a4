//! Configuration of tests: `test_group.yaml` and `NAME.yaml` of 2025-09, `testdata.yaml` of the legacy format.

use std::{fs, io, path::Path};

use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::Value;

use super::{
    error::PackageError,
    metadata::{Format, Metadata, words_of},
};

/// What a directory passes on to the tests in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Inherited {
    /// Arguments of the submission.
    pub(super) args: Vec<String>,
    /// Arguments of the output validator.
    pub(super) validator_args: Vec<String>,
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

/// What the configuration of this directory changes.
pub(super) fn of_directory(
    directory: &Path,
    above: Inherited,
    metadata: &Metadata,
) -> Result<Inherited, PackageError> {
    match metadata.format {
        Format::Legacy => testdata(&directory.join("testdata.yaml"), above, metadata),
        Format::V2025_09 => group(&directory.join("test_group.yaml"), above),
    }
}

/// What the configuration of one test changes.
pub(super) fn of_case(file: &Path, above: Inherited) -> Result<Inherited, PackageError> {
    let Some(yaml) = read_yaml::<CaseYaml>(file)? else {
        return Ok(above);
    };
    Ok(Inherited {
        args: yaml.args.unwrap_or(above.args),
        validator_args: yaml.output_validator_args.unwrap_or(above.validator_args),
    })
}

fn testdata(file: &Path, above: Inherited, metadata: &Metadata) -> Result<Inherited, PackageError> {
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
    let mut validator_args = metadata.validator_flags.clone();
    validator_args.extend(words_of(flags));
    Ok(Inherited {
        args: above.args,
        validator_args,
    })
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
