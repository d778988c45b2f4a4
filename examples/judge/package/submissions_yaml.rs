//! `submissions/submissions.yaml` of 2025-09.

use std::{fs, io, path::Path};

use serde_yaml_ng::{Mapping, Value};

use super::{
    error::PackageError,
    glob::Glob,
    promise::{Bound, Class, Rule, default_bound},
};

/// One entry: a pattern of submissions and what it says of them.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key as written.
    pub(crate) pattern: String,
    /// The key, compiled.
    pub(crate) glob: Glob,
    /// Language code.
    pub(crate) language: Option<String>,
    /// Entry point in the terms of the language.
    pub(crate) entrypoint: Option<String>,
    /// Requirements on all tests, as far as given.
    pub(crate) general: Partial,
    /// Requirements on some tests, by test pattern.
    pub(crate) by_test: Vec<(String, Glob, Partial)>,
}

/// The requirements of one entry, before defaults.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    permitted: Option<Vec<Class>>,
    required: Option<Vec<Class>>,
    message: Option<String>,
    time: Option<Time>,
}

#[derive(Debug, Clone, Copy)]
enum Time {
    Default,
    Off,
    Bound(Bound),
}

impl Partial {
    /// Whether anything is required at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.permitted.is_none()
            && self.required.is_none()
            && self.message.is_none()
            && self.time.is_none()
    }

    /// The rule, with what was not given taken from `base`.
    pub(crate) fn rule(&self, origin: &str, tests: Option<Glob>, base: Option<&Rule>) -> Rule {
        let or_base = |own: &Option<Vec<Class>>, base: Option<&Vec<Class>>| {
            own.clone()
                .or_else(|| base.cloned())
                .unwrap_or_else(|| Class::ALL.to_vec())
        };
        let permitted = or_base(&self.permitted, base.map(|rule| &rule.permitted));
        let required = or_base(&self.required, base.map(|rule| &rule.required));
        let bound = match self.time {
            Some(Time::Off) => None,
            Some(Time::Bound(bound)) => Some(bound),
            Some(Time::Default) | None => default_bound(&permitted, &required),
        };
        // "lower" and "upper" are requirements too, by the format's own definition.
        let (permitted, required) = match self.time {
            Some(Time::Bound(Bound::Lower)) => (without_tle(permitted), required),
            Some(Time::Bound(Bound::Upper)) => (permitted, vec![Class::Tle]),
            _ => (permitted, required),
        };
        Rule {
            origin: origin.to_owned(),
            tests,
            permitted,
            required,
            message: self.message.clone(),
            bound,
        }
    }
}

fn without_tle(mut classes: Vec<Class>) -> Vec<Class> {
    classes.retain(|class| *class != Class::Tle);
    classes
}

/// Reads the file; no file means no entries.
pub(crate) fn load(root: &Path) -> Result<Vec<Entry>, PackageError> {
    let file = root.join("submissions/submissions.yaml");
    match fs::read_to_string(&file) {
        Ok(text) => parse(&text, &file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(PackageError::Read { path: file, source }),
    }
}

fn parse(text: &str, file: &Path) -> Result<Vec<Entry>, PackageError> {
    let value: Value = serde_yaml_ng::from_str(text).map_err(|source| PackageError::Yaml {
        path: file.to_owned(),
        source,
    })?;
    let mapping = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Mapping(mapping) => mapping,
        _ => {
            return Err(PackageError::value(
                file,
                "must map patterns of submissions to what is said of them",
            ));
        }
    };
    let reader = Reader { file };
    mapping
        .iter()
        .map(|(key, value)| reader.entry(key, value))
        .collect()
}

struct Reader<'a> {
    file: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, what: impl Into<String>) -> PackageError {
        PackageError::value(self.file, what)
    }

    fn text(&self, what: &str, value: &Value) -> Result<String, PackageError> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.wrong(format!("{what} must be a string")))
    }

    fn glob(&self, pattern: &str) -> Result<Glob, PackageError> {
        Glob::new(pattern).map_err(|source| PackageError::Glob {
            path: self.file.to_owned(),
            source,
        })
    }

    fn mapping<'v>(&self, what: &str, value: &'v Value) -> Result<&'v Mapping, PackageError> {
        value
            .as_mapping()
            .ok_or_else(|| self.wrong(format!("{what} must be a map")))
    }

    fn entry(&self, key: &Value, value: &Value) -> Result<Entry, PackageError> {
        let pattern = self.text("a pattern", key)?;
        let mut entry = Entry {
            glob: self.glob(&pattern)?,
            pattern,
            language: None,
            entrypoint: None,
            general: Partial::default(),
            by_test: Vec::new(),
        };
        for (key, value) in self.mapping(&entry.pattern, value)? {
            let key = self.text("a key", key)?;
            let what = format!("{}: {key}", entry.pattern);
            match key.as_str() {
                "language" => entry.language = Some(self.text(&what, value)?),
                "entrypoint" => entry.entrypoint = Some(self.text(&what, value)?),
                "authors" | "model_solution" => {}
                _ if self.requirement(&mut entry.general, &key, &what, value)? => {}
                // What is no key of the format is a pattern of tests, and every test is in one of these two.
                _ if key.starts_with("sample") || key.starts_with("secret") => {
                    let mut partial = Partial::default();
                    for (inner, value) in self.mapping(&what, value)? {
                        let inner = self.text("a key", inner)?;
                        let what = format!("{what}: {inner}");
                        if !self.requirement(&mut partial, &inner, &what, value)? {
                            return Err(self.wrong(format!("{what} is an unknown key")));
                        }
                    }
                    entry.by_test.push((key.clone(), self.glob(&key)?, partial));
                }
                _ => {
                    return Err(self.wrong(format!(
                        "{what} is neither a key of the format nor a pattern of tests \
                         (sample…, secret…)"
                    )));
                }
            }
        }
        Ok(entry)
    }

    /// Reads one key that may stand for all tests or for some; `false` where it is none of these.
    fn requirement(
        &self,
        into: &mut Partial,
        key: &str,
        what: &str,
        value: &Value,
    ) -> Result<bool, PackageError> {
        match key {
            "permitted" => into.permitted = Some(self.classes(what, value)?),
            "required" => into.required = Some(self.classes(what, value)?),
            "message" => into.message = Some(self.text(what, value)?).filter(|m| !m.is_empty()),
            "score" => {
                return Err(PackageError::unsupported(
                    self.file,
                    format!("{what} (scoring)"),
                ));
            }
            "use_for_time_limit" => {
                into.time = Some(match value {
                    Value::Bool(false) => Time::Off,
                    Value::Bool(true) => Time::Default,
                    Value::String(text) if text == "lower" => Time::Bound(Bound::Lower),
                    Value::String(text) if text == "upper" => Time::Bound(Bound::Upper),
                    _ => {
                        return Err(
                            self.wrong(format!("{what} must be true, false, lower or upper"))
                        );
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn classes(&self, what: &str, value: &Value) -> Result<Vec<Class>, PackageError> {
        let wrong = || self.wrong(format!("{what} must be a list of AC, WA, TLE and RTE"));
        let list = value.as_sequence().ok_or_else(wrong)?;
        let classes = list
            .iter()
            .map(|item| {
                Class::ALL
                    .into_iter()
                    .find(|class| item.as_str() == Some(class.name()))
                    .ok_or_else(wrong)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if classes.is_empty() {
            return Err(wrong());
        }
        Ok(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Class, parse};
    use crate::package::{metadata::Format, promise::default_rule};
    use std::path::Path;

    fn read(text: &str) -> Result<Vec<super::Entry>, String> {
        parse(text, Path::new("submissions.yaml")).map_err(|e| e.to_string())
    }

    #[test]
    fn an_entry_has_requirements_for_all_tests_and_for_some() {
        let entries = read(
            "time_limit_exceeded/x.py:\n  language: python3\n  permitted: [AC, TLE]\n  \
             secret/*-easy:\n    permitted: [AC]\n",
        )
        .unwrap();
        let [entry] = entries.as_slice() else {
            panic!("one entry")
        };
        assert!(entry.glob.covers("time_limit_exceeded/x.py"));
        assert_eq!(entry.language.as_deref(), Some("python3"));
        let rule = entry.general.rule("o", None, None);
        assert_eq!(rule.permitted, [Class::Ac, Class::Tle]);
        assert_eq!(rule.required, Class::ALL);
        assert_eq!(rule.bound, None);
        let (_, glob, partial) = &entry.by_test[0];
        assert!(glob.covers("secret/1-easy"));
        let rule = partial.rule("o", None, None);
        assert_eq!(rule.bound, Some(Bound::Lower));
    }

    #[test]
    fn a_directory_inherits_its_default() {
        let entries = read("time_limit_exceeded:\n  permitted: [AC, WA, TLE]\n").unwrap();
        let base = default_rule(Format::V2025_09, "time_limit_exceeded").unwrap();
        let rule = entries[0].general.rule("o", None, Some(&base));
        assert_eq!(rule.required, [Class::Tle]);
        assert_eq!(rule.bound, Some(Bound::Upper));
    }

    #[test]
    fn a_time_limit_use_is_a_requirement() {
        let entries =
            read("a:\n  use_for_time_limit: lower\nb:\n  use_for_time_limit: upper\n").unwrap();
        let lower = entries[0].general.rule("o", None, None);
        assert!(!lower.permitted.contains(&Class::Tle));
        let upper = entries[1].general.rule("o", None, None);
        assert_eq!(upper.required, [Class::Tle]);
        assert_eq!(upper.bound, Some(Bound::Upper));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "- a",
            "a: b",
            "a: {permitted: AC}",
            "a: {permitted: [MLE]}",
            "a: {permitted: []}",
            "a: {wanted: [AC]}",
            "a: {score: 3}",
            "a: {secret: {permited: [AC]}}",
            "a: {use_for_time_limit: maybe}",
            "'{a': {permitted: [AC]}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("").unwrap().is_empty());
    }
}
