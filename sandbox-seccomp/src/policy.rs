//! What is allowed, by the names of system calls.

use crate::{Action, ArgCondition, Error, Filter, compile};

/// A system call policy: rules in order, and a default for every call that no rule decides.
///
/// **The last rule decides** among those that name the call and whose conditions all hold. So a rule without conditions
/// hides what was said before about its calls, and a conditional one makes an exception from it:
///
/// ```
/// use sandbox_core::Errno;
/// use sandbox_seccomp::{Action, ArgCondition, Comparison, Policy};
/// let eperm = Action::Errno(Errno::from_raw(1));
/// let policy = Policy::deny_list()
///     .rule("kill", eperm) // no signals ...
///     .rule_if("kill", [ArgCondition::dword(1, Comparison::Eq(0))], Action::Allow); // ... but existence may be asked
/// # policy.prepare().unwrap();
/// ```
///
/// Serialized, it is data with a schema version; a version that this crate does not know is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Policy {
    version: Version,
    default: Action,
    rules: Vec<Rule>,
}

/// One rule of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Rule {
    /// The calls that the rule is about.
    pub syscalls: Vec<String>,
    /// Conditions on their arguments, all of which must hold; none for every call.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub conditions: Vec<ArgCondition>,
    /// What happens.
    pub action: Action,
}

impl Policy {
    /// A policy that does `default` with every call that no rule decides.
    #[must_use]
    pub fn allow_list(default: Action) -> Self {
        Self {
            version: Version,
            default,
            rules: Vec::new(),
        }
    }

    /// A policy that allows every call that no rule decides, also the ones that the next kernel brings.
    #[must_use]
    pub fn deny_list() -> Self {
        Self::allow_list(Action::Allow)
    }

    /// Adds a rule for one call.
    #[must_use]
    pub fn rule(self, syscall: &str, action: Action) -> Self {
        self.rules_if(&[syscall], [], action)
    }

    /// Adds a rule for several calls.
    #[must_use]
    pub fn rules(self, syscalls: &[&str], action: Action) -> Self {
        self.rules_if(syscalls, [], action)
    }

    /// Adds a rule for one call that decides only where all conditions hold.
    #[must_use]
    pub fn rule_if(
        self,
        syscall: &str,
        conditions: impl Into<Vec<ArgCondition>>,
        action: Action,
    ) -> Self {
        self.rules_if(&[syscall], conditions, action)
    }

    /// Adds a rule for several calls that decides only where all conditions hold.
    #[must_use]
    pub fn rules_if(
        mut self,
        syscalls: &[&str],
        conditions: impl Into<Vec<ArgCondition>>,
        action: Action,
    ) -> Self {
        self.rules.push(Rule {
            syscalls: syscalls.iter().map(|&name| name.to_owned()).collect(),
            conditions: conditions.into(),
            action,
        });
        self
    }

    /// What happens to a call that no rule decides.
    #[must_use]
    pub fn default_action(&self) -> Action {
        self.default
    }

    /// The rules, in order.
    #[must_use]
    pub fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// Compiles the policy for the architecture of this program.
    ///
    /// # Errors
    /// [`Error::UnknownSyscall`], [`Error::Condition`] and [`Error::Errno`] name what is wrong with a rule;
    /// [`Error::BlocksSetup`] is a policy under which no program could be started, [`Error::TooLong`] one that the kernel
    /// would refuse.
    ///
    /// # Kernel
    /// Linux 4.14 for [`Action::Kill`] and [`Action::Log`].
    pub fn prepare(&self) -> Result<Filter, Error> {
        compile::compile(self)
    }
}

/// The schema of a serialized policy. One value, so that the field cannot be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "u32", try_from = "u32")
)]
struct Version;

const VERSION: u32 = 1;

impl From<Version> for u32 {
    fn from(Version: Version) -> Self {
        VERSION
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == VERSION {
            Ok(Self)
        } else {
            Err(format!(
                "policy schema version {number} is not {VERSION}, the one this crate reads"
            ))
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::Policy;
    use crate::{Action, ArgCondition, Comparison};

    #[test]
    fn a_policy_survives_json() {
        let policy = Policy::judge();
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }

    #[test]
    fn the_schema_is_readable_and_strict() {
        let text = r#"{"version": 1, "default": "allow", "rules": [{"syscalls": ["kill"],
            "conditions": [{"argument": 1, "width": "dword", "comparison": {"eq": 9}}], "action": {"errno": 1}}]}"#;
        let policy: Policy = serde_json::from_str(text).unwrap();
        assert_eq!(
            policy.list()[0].conditions,
            [ArgCondition::dword(1, Comparison::Eq(9))]
        );
        assert_eq!(policy.default_action(), Action::Allow);

        let newer = text.replace("\"version\": 1", "\"version\": 2");
        let error = serde_json::from_str::<Policy>(&newer).unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
        let typo = text.replace("conditions", "condition");
        assert!(serde_json::from_str::<Policy>(&typo).is_err());
    }
}
