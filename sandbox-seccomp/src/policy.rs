//! What is allowed, by the names of system calls.

use core::fmt;
use std::sync::{Arc, OnceLock};

use sandbox_core::Errno;

use crate::{Action, ArgCondition, Error, Filter, Group, Preset, compile};

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
/// Policies are composed in the same way: a preset, then what it shall allow as well, then what it shall refuse. Names with an
/// `@` are [groups](Group). [`Policy::explain`] says which rule decides about a call, [`Policy::effective`] what comes of all
/// of them.
///
/// ```
/// use sandbox_seccomp::Policy;
/// let policy = Policy::judge()
///     .allow(&["perf_event_open"]).because("the task is about counters")
///     .deny(&["@network"]).because("no sockets, not even to itself");
/// # policy.prepare().unwrap();
/// ```
///
/// Cheap to clone. Clones share what the policy was compiled to, until one of them is changed.
///
/// # As a file
/// Serialized, it is data with a schema version; a version that this crate does not know is refused. Conditions are written
/// as [`ArgCondition`] has them, errnos by name or as numbers, and a report as `{"report": "kill"}` or
/// `{"report": {"errno": "EPERM"}}`. Unknown fields are refused; unknown names of calls are when the policy is compiled.
#[cfg_attr(
    feature = "serde",
    doc = r##"
```
use sandbox_seccomp::{Action, Policy};
let policy: Policy = serde_json::from_str(r#"{
    "version": 1,
    "base": "judge",
    "rules": [
        {"syscalls": ["@network"], "action": {"errno": "EACCES"}, "reason": "no sockets"},
        {"syscalls": ["kill", "tgkill"], "action": "kill", "conditions": [
            {"argument": 0, "width": "dword", "comparison": {"signed_lt": 0}}
        ]}
    ]
}"#)?;
let said = policy.explain_name("kill", [-1i32 as u64, 9, 0, 0, 0, 0])?;
assert_eq!(said.unwrap().action, Action::Kill);
# Ok::<(), Box<dyn std::error::Error>>(())
```
"##
)]
/// `base` is a [`Preset`] whose rules come first and whose default counts, unless there is a `default` as well; without a base,
/// there must be one. It is written with the rules of its base: what is stored stays what it was when a later version
/// changes the preset.
#[derive(Clone)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "crate::schema::Document", try_from = "crate::schema::Document")
)]
pub struct Policy(Arc<Text>);

#[derive(Clone)]
struct Text {
    default: Action,
    rules: Vec<Rule>,
    /// What this text was compiled to.
    filter: OnceLock<Filter>,
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
    /// The calls that the rule is about, by name, and [groups](Group) of them, by `@name`.
    pub syscalls: Vec<String>,
    /// Conditions on their arguments, all of which must hold; none for every call.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub conditions: Vec<ArgCondition>,
    /// What happens.
    pub action: Action,
    /// Why, for readers; empty where nobody said.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub reason: String,
}

impl Rule {
    /// The names of the calls, groups resolved.
    pub(crate) fn names(&self) -> Result<Vec<&str>, Error> {
        let mut names = Vec::with_capacity(self.syscalls.len());
        for name in &self.syscalls {
            if !name.starts_with('@') {
                names.push(name.as_str());
                continue;
            }
            let group = Group::find(name).ok_or_else(|| Error::UnknownGroup {
                name: name.clone(),
                nearest: crate::table::alike(name, Group::all().iter().map(|group| group.name)),
            })?;
            names.extend(group.calls);
        }
        Ok(names)
    }
}

impl Policy {
    /// A policy that does `default` with every call that no rule decides.
    #[must_use]
    pub fn allow_list(default: Action) -> Self {
        Self::of(default, Vec::new())
    }

    pub(crate) fn of(default: Action, rules: Vec<Rule>) -> Self {
        Self(Arc::new(Text {
            default,
            rules,
            filter: OnceLock::new(),
        }))
    }

    /// The default and the rules, to be changed: the only way, so that no filter outlives the text that it was compiled from.
    pub(crate) fn change(&mut self) -> (&mut Action, &mut Vec<Rule>) {
        let text = Arc::make_mut(&mut self.0);
        text.filter = OnceLock::new();
        (&mut text.default, &mut text.rules)
    }

    /// A policy that allows every call that no rule decides, also the ones that the next kernel brings.
    #[must_use]
    pub fn deny_list() -> Self {
        Self::allow_list(Action::Allow)
    }

    /// Adds a rule for one call or group.
    #[must_use]
    pub fn rule(self, syscall: &str, action: Action) -> Self {
        self.rules_if(&[syscall], [], action)
    }

    /// Adds a rule for several calls and groups.
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
        self.change().1.push(Rule {
            syscalls: syscalls.iter().map(|&name| name.to_owned()).collect(),
            conditions: conditions.into(),
            action,
            reason: String::new(),
        });
        self
    }

    /// Adds a rule that allows calls and groups, whatever was said of them before.
    #[must_use]
    pub fn allow(self, syscalls: &[&str]) -> Self {
        self.rules(syscalls, Action::Allow)
    }

    /// Adds a rule by which calls and groups fail with `EPERM`, whatever was said of them before.
    #[must_use]
    pub fn deny(self, syscalls: &[&str]) -> Self {
        self.rules(syscalls, Action::Errno(Errno::from_raw(libc::EPERM)))
    }

    /// Adds the rules of another policy behind these. Its default is not taken.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.change().1.extend_from_slice(other.list());
        self
    }

    /// Gives a reason to every rule so far that has none.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        for rule in self.change().1 {
            if rule.reason.is_empty() {
                reason.clone_into(&mut rule.reason);
            }
        }
        self
    }

    /// What happens to a call that no rule decides.
    #[must_use]
    pub fn default_action(&self) -> Action {
        self.0.default
    }

    /// The rules, in order.
    #[must_use]
    pub fn list(&self) -> &[Rule] {
        &self.0.rules
    }

    /// Compiles the policy for the architecture of this program; at most once, also for its clones, and each preset once
    /// per process.
    ///
    /// # Errors
    /// [`Error::UnknownSyscall`], [`Error::UnknownGroup`], [`Error::Condition`] and [`Error::Errno`] name what is wrong with
    /// a rule; [`Error::BlocksSetup`] is a policy under which no program could be started, [`Error::HidesReports`] one that reports
    /// and lets programs hide from it, [`Error::TooLong`] one that the
    /// kernel would refuse.
    ///
    /// # Kernel
    /// Linux 4.14 for [`Action::Kill`] and [`Action::Log`], 5.0 for [`Action::Report`].
    pub fn prepare(&self) -> Result<Filter, Error> {
        if let Some(filter) = self.0.filter.get() {
            return Ok(filter.clone());
        }
        let filter = compile::compile(self)?;
        Ok(self.0.filter.get_or_init(|| filter).clone())
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        (self.default_action(), self.list()) == (other.default_action(), other.list())
    }
}

impl Eq for Policy {}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("default", &self.default_action())
            .field("rules", &self.list())
            .finish()
    }
}

impl From<Preset> for Policy {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Judge => Self::judge(),
            Preset::StrictCompute => Self::strict_compute(),
            Preset::Interpreter => Self::interpreter(),
            Preset::Compiler => Self::compiler(),
            Preset::PermissiveDeny => Self::permissive_deny(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ptr;

    use super::*;
    use crate::Comparison;

    /// The program in memory, which tells one compilation from another.
    fn program(policy: &Policy) -> *const [crate::instruction::Instruction] {
        ptr::from_ref(policy.prepare().unwrap().program())
    }

    #[test]
    fn a_policy_is_compiled_once() {
        let policy = Policy::judge().deny(&["@network"]);
        let clone = policy.clone();
        assert!(ptr::eq(program(&policy), program(&clone)));
        assert!(ptr::eq(program(&clone), program(&clone.clone())));
        for preset in Preset::ALL {
            let again = Policy::from(preset);
            assert!(
                ptr::eq(program(&preset.into()), program(&again)),
                "{preset:?}"
            );
        }
    }

    /// Otherwise nothing that other tests find equal would mean anything.
    #[test]
    fn policies_are_equal_where_all_that_they_say_is() {
        let kill = Policy::allow_list(Action::Allow).rule("kill", Action::Kill);
        assert_eq!(Policy::deny_list().then(&kill), kill);
        let conditions = [ArgCondition::dword(0, Comparison::Eq(0))];
        for (other, what) in [
            (Policy::allow_list(Action::Log).then(&kill), "its default"),
            (Policy::deny_list(), "its rules"),
            (Policy::deny_list().rule("tkill", Action::Kill), "the call"),
            (Policy::deny_list().rule("kill", Action::Trap), "the action"),
            (
                Policy::deny_list().rule_if("kill", conditions, Action::Kill),
                "a condition",
            ),
            (kill.clone().because("no signals"), "the reason"),
        ] {
            assert_ne!(other, kill, "{what}");
            assert_ne!(format!("{other:?}"), format!("{kill:?}"), "{what}");
        }
    }

    #[test]
    fn a_changed_policy_is_compiled_anew() {
        let eperm = Action::Errno(Errno::from_raw(libc::EPERM));
        let other = Policy::deny_list().rule("sync", eperm);
        let zero = || [ArgCondition::dword(0, Comparison::Eq(0))];
        let changes: [(&str, &dyn Fn(Policy) -> Policy); 10] = [
            ("rule", &|policy| policy.rule("sync", eperm)),
            ("rules", &|policy| policy.rules(&["sync", "alarm"], eperm)),
            ("rule_if", &|policy| policy.rule_if("alarm", zero(), eperm)),
            ("rules_if", &|policy| {
                policy.rules_if(&["alarm"], zero(), eperm)
            }),
            ("allow", &|policy| policy.allow(&["ptrace"])),
            ("deny", &|policy| policy.deny(&["sync"])),
            ("then", &|policy| policy.then(&other)),
            ("report_kills", &Policy::report_kills),
            ("report_errnos", &Policy::report_errnos),
            ("without_reports", &Policy::without_reports),
        ];
        let base = Policy::deny_list()
            .rule("ptrace", Action::Kill)
            .rule("vhangup", eperm)
            .rule("acct", Action::Report(crate::Answer::Kill))
            .rule("seccomp", eperm)
            .rule_if("prctl", [ArgCondition::dword(0, Comparison::Eq(22))], eperm);
        let before = base.prepare().unwrap();
        for (name, change) in changes {
            let changed = change(base.clone());
            let now = changed.prepare().unwrap();
            assert_ne!(now, before, "{name}");
            assert_eq!(now, compile::compile(&changed).unwrap(), "{name}");
        }
        assert_eq!(
            base.prepare().unwrap(),
            before,
            "a clone's change is its own"
        );
    }
}
