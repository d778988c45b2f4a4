//! The serialized form of a policy.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use crate::{Action, Policy, Preset, policy::Rule};

const VERSION: u32 = 1;

/// A policy as a file has it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Document {
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Preset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Action>,
    #[serde(default)]
    rules: Vec<Rule>,
    /// Refused at the end: a file of another version has others, and is to be refused by its version, wherever that stands.
    #[serde(flatten, skip_serializing)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Refused as soon as it is read, before what follows: another version's rules mean other things.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(into = "u32", try_from = "u32")]
struct Version;

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        VERSION
    }
}

impl TryFrom<u32> for Version {
    type Error = Error;

    fn try_from(version: u32) -> Result<Self, Error> {
        if version == VERSION {
            Ok(Self)
        } else {
            Err(Error::Version { version })
        }
    }
}

/// What the format's own error says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("policy schema version {version} is not {VERSION}, the one this crate reads")]
    Version { version: u32 },
    #[error("unknown field `{field}`, expected one of `version`, `base`, `default`, `rules`")]
    Field { field: String },
    #[error("a policy needs a default or a base")]
    NoDefault,
}

impl From<Policy> for Document {
    fn from(policy: Policy) -> Self {
        Self {
            version: Version,
            base: None,
            default: Some(policy.default_action()),
            rules: policy.list().to_vec(),
            unknown: BTreeMap::new(),
        }
    }
}

impl TryFrom<Document> for Policy {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        let Document {
            version: Version,
            base,
            default,
            rules,
            unknown,
        } = document;
        if let Some((field, _)) = unknown.into_iter().next() {
            return Err(Error::Field { field });
        }
        let (default, base) = match (base.map(Self::from), default) {
            (Some(base), default) => (default.unwrap_or(base.default_action()), Some(base)),
            (None, Some(default)) => (default, None),
            (None, None) => return Err(Error::NoDefault),
        };
        let base = base.as_ref().map_or(&[][..], Self::list);
        Ok(Self::of(default, [base, &rules].concat()))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Action, Answer, ArgCondition, Comparison, Policy, Preset, testing::with_a_stranger,
    };
    use sandbox_core::Errno;

    fn read(text: &str) -> Result<Policy, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_preset_survives_json() {
        for preset in Preset::ALL {
            let policy = Policy::from(preset);
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(read(&text).unwrap(), policy, "{preset:?}");
        }
    }

    #[test]
    fn the_schema_is_readable_and_strict() {
        let text = r#"{"version": 1, "default": "allow", "rules": [{"syscalls": ["kill"],
            "conditions": [{"argument": 1, "width": "dword", "comparison": {"signed_lt": -9}}],
            "action": {"errno": 1}, "reason": "no"}]}"#;
        let policy = read(text).unwrap();
        assert_eq!(
            policy.list()[0].conditions,
            [ArgCondition::dword(1, Comparison::SignedLt(-9))]
        );
        assert_eq!(policy.list()[0].reason, "no");
        assert_eq!(policy.default_action(), Action::Allow);

        let error = read(&text.replace("\"version\": 1", "\"version\": 2")).unwrap_err();
        assert!(error.contains("version 2"), "{error}");
        assert!(read(&text.replace("conditions", "condition")).is_err());
        let error = read(&text.replace("\"default\"", "\"defualt\"")).unwrap_err();
        assert!(error.contains("unknown field `defualt`"), "{error}");
        assert!(read(r#"{"default": "allow", "rules": []}"#).is_err());
        let error = read(r#"{"version": 1, "rules": []}"#).unwrap_err();
        assert!(error.contains("a default or a base"), "{error}");
    }

    /// A field that is not read is a condition that is not asked.
    #[test]
    fn every_form_is_kept_and_no_field_of_any_is_passed_over() {
        let all = serde_json::json!({"version": 1, "default": "kill_thread", "rules": [
            {"syscalls": ["kill", "@network"], "action": {"errno": "EPERM"}, "reason": "no", "conditions": [
                {"argument": 0, "width": "dword", "comparison": {"eq": 1}},
                {"argument": 1, "width": "qword", "comparison": {"ne": 2}},
                {"argument": 2, "width": "dword", "comparison": {"lt": 3}},
                {"argument": 3, "width": "qword", "comparison": {"le": 4}},
                {"argument": 4, "width": "dword", "comparison": {"gt": 5}},
                {"argument": 5, "width": "qword", "comparison": {"ge": 6}},
                {"argument": 0, "width": "dword", "comparison": {"masked_eq": {"mask": 3, "value": 2}}},
                {"argument": 0, "width": "dword", "comparison": {"signed_lt": -1}},
                {"argument": 0, "width": "qword", "comparison": {"signed_le": -2}},
                {"argument": 0, "width": "qword", "comparison": {"signed_gt": -3}},
                {"argument": 0, "width": "qword", "comparison": {"signed_ge": -4}},
            ]},
            {"syscalls": ["read"], "action": "log"},
            {"syscalls": ["read"], "action": "trap"},
            {"syscalls": ["read"], "action": "kill"},
            {"syscalls": ["read"], "action": {"report": "kill"}},
            {"syscalls": ["read"], "action": {"report": {"errno": "ENOSYS"}}},
        ]});
        let policy: Policy = serde_json::from_value(all.clone()).unwrap();
        assert_eq!(serde_json::to_value(&policy).unwrap(), all);
        let strangers = with_a_stranger(&all);
        // The whole, rules, actions with a value, conditions with their comparisons, the mask.
        assert_eq!(strangers.len(), 1 + 6 + 4 + 11 * 2 + 1);
        for odd in strangers {
            assert!(read(&odd.to_string()).is_err(), "{odd}");
        }
    }

    /// Its new fields are no errors of the file's, and what it has of old may mean other things.
    #[test]
    fn another_version_is_refused_by_its_number_whatever_else_is_in_it() {
        for text in [
            r#"{"version": 2, "default": "allow", "log": true}"#,
            r#"{"log": {"file": "x"}, "version": 2, "default": "allow"}"#,
            r#"{"log": [1], "rules": [], "default": "allow", "version": 2}"#,
            r#"{"version": 2, "default": {"answer": "yes"}, "rules": [{"calls": "all"}]}"#,
            r#"{"version": 2}"#,
            r#"{"version": 0, "base": "judge"}"#,
        ] {
            let error = read(text).unwrap_err();
            let said = error.starts_with("policy schema version ");
            assert!(said && error.contains(" is not 1"), "{text}: {error}");
        }
        for text in [
            r#"{"version": "1", "base": "judge"}"#,
            r#"{"version": 1, "version": 1, "base": "judge"}"#,
            r#"{"version": 1, "base": "judge", "log": null}"#,
            r#"{"version": 1, "base": "judge", "": 0}"#,
            r#"[1, "judge"]"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reports_are_part_of_the_schema() {
        let text = r#"{"version": 1, "base": "judge", "default": {"report": {"errno": 38}}, "rules": [
            {"syscalls": ["alarm"], "action": {"report": "kill"}}]}"#;
        let policy = read(text).unwrap();
        let enosys = Errno::from_raw(libc::ENOSYS);
        let wanted = Action::Report(Answer::Errno(enosys));
        assert_eq!(policy.default_action(), wanted);
        let last = policy.list().last().unwrap().action;
        assert_eq!(last, Action::Report(Answer::Kill));
        let written = serde_json::to_string(&policy).unwrap();
        assert_eq!(read(&written).unwrap(), policy);
        assert!(read(&text.replace("\"kill\"", "\"continue\"")).is_err());
        assert!(
            read(&text.replace("38", "4096"))
                .unwrap()
                .prepare()
                .is_err()
        );
        let shown = policy.effective().unwrap().to_string();
        assert!(shown.starts_with("default: report, ENOSYS"), "{shown}");
        #[cfg(target_arch = "x86_64")]
        assert!(shown.contains("\nreport and kill: alarm\n"), "{shown}");
    }

    #[test]
    fn a_file_may_build_on_a_preset() {
        let text = r#"{"version": 1, "base": "judge", "rules": [{"syscalls": ["@network"], "action": {"errno": 1}}]}"#;
        assert_eq!(read(text).unwrap(), Policy::judge().deny(&["@network"]));
        let other = text.replace("\"rules\"", "\"default\": \"kill\", \"rules\"");
        assert_eq!(read(&other).unwrap().default_action(), Action::Kill);
        assert!(read(&text.replace("\"judge\"", "\"juge\"")).is_err());
    }
}
