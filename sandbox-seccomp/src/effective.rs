//! What comes of all rules of a policy together.

use core::fmt;
use std::collections::BTreeMap;

use crate::{
    Action, ArgCondition, Error, Policy,
    ranges::{Decision, decide, encode, named},
    table::Architecture,
};

/// A policy after all its rules, for readers: [`Policy::effective`].
///
/// `Display` prints the default, then per action the calls that always get it, then the calls that depend on arguments:
///
/// ```
/// use sandbox_seccomp::{Action, ArgCondition, Comparison, Policy};
/// let policy = Policy::deny_list()
///     .rules(&["ptrace", "@namespaces"], Action::Kill)
///     .rule_if("kill", [ArgCondition::dword(0, Comparison::Eq(1))], Action::Kill);
/// assert_eq!(policy.effective()?.to_string(), "\
/// default: allow
/// kill: ptrace setns unshare
/// kill() where arg0 as u32 == 0x1: kill; else allow
/// ");
/// # Ok::<(), sandbox_seccomp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// What happens to every call that is not listed.
    pub default: Action,
    /// The other calls, sorted by name.
    pub calls: Vec<EffectiveCall>,
}

/// What a policy does with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveCall {
    /// The call's name.
    pub name: &'static str,
    /// Conditions, and what happens where they all hold; the first entry that holds decides.
    pub cases: Vec<(Vec<ArgCondition>, Action)>,
    /// What happens where none holds.
    pub otherwise: Action,
}

impl Policy {
    /// What the policy means on this program's architecture, once later rules have hidden earlier ones.
    ///
    /// # Errors
    /// Those of [`Policy::prepare`] that are about a rule.
    pub fn effective(&self) -> Result<Effective, Error> {
        self.effective_on(Architecture::native()?)
    }

    pub(crate) fn effective_on(&self, architecture: &Architecture) -> Result<Effective, Error> {
        let default = encode(self.default_action())?;
        let mut calls = Vec::new();
        for (number, chain) in named(self, architecture, default)? {
            let Some(name) = architecture.name(number) else {
                continue;
            };
            let (cases, otherwise) = match decide(chain) {
                Decision::Constant(value) if value == default => continue,
                Decision::Constant(value) => (Vec::new(), value),
                Decision::Conditional(chain) => (chain.cases, chain.otherwise),
            };
            let cases = cases
                .into_iter()
                .rev()
                .map(|(conditions, value)| (conditions.to_vec(), Action::decode(value)));
            calls.push(EffectiveCall {
                name,
                cases: cases.collect(),
                otherwise: Action::decode(otherwise),
            });
        }
        calls.sort_unstable_by_key(|call| call.name);
        Ok(Effective {
            default: self.default_action(),
            calls,
        })
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "default: {}", self.default)?;
        let (plain, conditional): (Vec<_>, Vec<_>) =
            self.calls.iter().partition(|call| call.cases.is_empty());
        let mut by_action: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for call in plain {
            let names = by_action.entry(call.otherwise.to_string()).or_default();
            names.push(call.name);
        }
        for (action, names) in by_action {
            writeln!(f, "{action}: {}", names.join(" "))?;
        }
        for call in conditional {
            write!(f, "{}()", call.name)?;
            for (conditions, action) in &call.cases {
                for (place, condition) in conditions.iter().enumerate() {
                    let word = if place == 0 { "where" } else { "and" };
                    write!(f, " {word} {condition}")?;
                }
                write!(f, ": {action};")?;
            }
            writeln!(f, " else {}", call.otherwise)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Action, Policy, Preset};

    #[test]
    fn later_rules_hide_earlier_ones() {
        let policy = Policy::allow_list(Action::Kill)
            .allow(&["@time", "getpid"])
            .deny(&["times"])
            .rule("kill", Action::Allow)
            .rule("kill", Action::Kill)
            .then(&Policy::deny_list().rule("alarm", Action::Log));
        let effective = policy.effective().unwrap();
        assert_eq!(effective.default, Action::Kill);
        let action = |name: &str| {
            let mut calls = effective.calls.iter();
            calls
                .find(|call| call.name == name)
                .map(|call| call.otherwise)
        };
        assert_eq!(action("getpid"), Some(Action::Allow));
        assert_eq!(action("nanosleep"), Some(Action::Allow));
        assert!(matches!(action("times"), Some(Action::Errno(_))));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(action("alarm"), Some(Action::Log));
        assert_eq!(action("read"), None);
        assert_eq!(action("kill"), None, "it gets the default");
    }

    #[test]
    fn every_preset_can_be_shown() {
        for preset in Preset::ALL {
            let shown = Policy::from(preset).effective().unwrap().to_string();
            assert!(shown.lines().count() >= 4, "{preset:?}: {shown}");
        }
    }
}
