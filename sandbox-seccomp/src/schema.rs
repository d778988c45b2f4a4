//! The serialized form of a policy.

use crate::{Action, Policy, Preset, policy::Rule};

const VERSION: u32 = 1;

/// A policy as a file has it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Read first where the format allows; another version's fields mean other things.
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Preset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Action>,
    #[serde(default)]
    rules: Vec<Rule>,
}

impl From<Policy> for Document {
    fn from(policy: Policy) -> Self {
        Self {
            version: VERSION,
            base: None,
            default: Some(policy.default),
            rules: policy.rules,
        }
    }
}

impl TryFrom<Document> for Policy {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document {
            version,
            base,
            default,
            rules,
        } = document;
        if version != VERSION {
            return Err(format!(
                "policy schema version {version} is not {VERSION}, the one this crate reads"
            ));
        }
        let mut policy = match (base, default) {
            (Some(base), None) => Self::from(base),
            (None, Some(default)) => Self::allow_list(default),
            (Some(base), Some(default)) => Self {
                default,
                ..Self::from(base)
            },
            (None, None) => return Err("a policy needs a default or a base".to_owned()),
        };
        policy.rules.extend(rules);
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Action, Answer, ArgCondition, Comparison, Policy, Preset};
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
        assert!(read(&text.replace("\"default\"", "\"defualt\"")).is_err());
        assert!(read(r#"{"default": "allow", "rules": []}"#).is_err());
        let error = read(r#"{"version": 1, "rules": []}"#).unwrap_err();
        assert!(error.contains("a default or a base"), "{error}");
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
