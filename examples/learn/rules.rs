//! From the calls of a program to rules.

use std::collections::{BTreeMap, BTreeSet};

use sandbox_exec::{
    Errno, Policy, ReportedCall,
    seccomp::{Action, ArgCondition, Comparison, Effective, Preset, Rule},
};

use crate::{failure::Failure, telling};

/// A rule that the program needs, or may do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) syscall: String,
    pub(crate) conditions: Vec<ArgCondition>,
    /// How often it was called like that.
    pub(crate) count: u64,
    /// The preset `judge` refuses at least one of these calls: readers should know why the program makes it.
    pub(crate) beyond_judge: bool,
}

/// What is allowed before anything is learned: a preset, a file, or what the start itself needs.
pub(crate) fn base(name: &str) -> Result<Policy, Failure> {
    if name == "nothing" {
        return Ok(nothing());
    }
    if let Some(preset) = preset(name) {
        return Ok(preset.into());
    }
    let text = std::fs::read_to_string(name).map_err(|source| Failure::NoPolicy {
        name: name.to_owned(),
        presets: Preset::ALL.map(in_files).join(", "),
        source,
    })?;
    serde_json::from_str(&text).map_err(|source| Failure::Policy {
        path: name.into(),
        source,
    })
}

fn preset(name: &str) -> Option<Preset> {
    Preset::ALL.into_iter().find(|&one| in_files(one) == name)
}

/// What policy files call it.
fn in_files(preset: Preset) -> String {
    let text = serde_json::to_value(preset).unwrap_or_default();
    text.as_str().unwrap_or_default().to_owned()
}

/// A policy as a file: where the base is a preset, built on that, so that one sees what was learned.
pub(crate) fn text(name: &str, policy: &Policy) -> Result<String, serde_json::Error> {
    let built_on = |base: Preset| {
        let (own, from) = (policy.list(), Policy::from(base));
        let rules = own.get(from.list().len()..)?;
        let document = Document {
            version: 1,
            base,
            rules,
        };
        let text = serde_json::to_string_pretty(&document).ok()?;
        let same = serde_json::from_str::<Policy>(&text).is_ok_and(|read| read == *policy);
        same.then_some(text)
    };
    preset(name)
        .and_then(built_on)
        .map_or_else(|| serde_json::to_string_pretty(policy), Ok)
}

/// A policy file with a base.
#[derive(serde::Serialize)]
struct Document<'a> {
    version: u32,
    base: Preset,
    rules: &'a [Rule],
}

/// The calls between the filter and the program, and its end.
fn nothing() -> Policy {
    let strict = Policy::strict_compute();
    let mut report = strict
        .list()
        .iter()
        .filter(|rule| rule.syscalls == ["sendto"]);
    let conditions = report
        .next()
        .map_or_else(Vec::new, |rule| rule.conditions.clone());
    Policy::allow_list(Action::Errno(Errno::from_raw(libc::ENOSYS)))
        .allow(&["execve", "exit_group"])
        .rule_if("sendto", conditions, Action::Allow)
        .because("what a box needs to start the program, and to say that it could not")
}

/// The policy whose refusals are seen.
pub(crate) fn watched(base: &Policy) -> Result<Policy, Failure> {
    let mut policy = without_traps(base).report_kills().report_errnos();
    for (syscall, number) in HIDDEN {
        if !is_allowed(base, number, [0; 6])? {
            policy = policy.rule(syscall, Action::Errno(Errno::from_raw(libc::ENOSYS)));
        }
    }
    Ok(policy)
}

/// A trap ends a program that has no handler for it, and nobody would know by which call.
fn without_traps(base: &Policy) -> Policy {
    let kill = |action| match action {
        Action::Trap => Action::Kill,
        other => other,
    };
    let mut policy = Policy::allow_list(kill(base.default_action()));
    for rule in base.list() {
        let names: Vec<&str> = rule.syscalls.iter().map(String::as_str).collect();
        let one = Policy::deny_list().rules_if(&names, rule.conditions.clone(), kill(rule.action));
        policy = policy.then(&one.because(&rule.reason));
    }
    policy
}

/// What these are asked for lies in memory, where no filter sees it. Refused as ever, they make libraries fall back to
/// `clone` and `openat`, which can be learned.
const HIDDEN: [(&str, i64); 2] = [("clone3", libc::SYS_clone3), ("openat2", libc::SYS_openat2)];

fn is_allowed(policy: &Policy, number: i64, args: [u64; 6]) -> Result<bool, Failure> {
    Ok(policy.explain(number, args)?.action == Action::Allow)
}

/// What the box needs to watch at all, and the program may need as well: it is made without being seen.
pub(crate) fn unseen(base: &Policy, watched: &Policy) -> Vec<Learned> {
    let added = watched.list().get(base.list().len()..).unwrap_or_default();
    let allowed = added.iter().filter(|rule| rule.action == Action::Allow);
    allowed
        .flat_map(|rule| {
            rule.syscalls.iter().map(|syscall| Learned {
                syscall: syscall.clone(),
                conditions: rule.conditions.clone(),
                count: 0,
                beyond_judge: false,
            })
        })
        .collect()
}

/// The rules that allow these calls, and however many values of an argument there are, no others: the values between are
/// those of `TIOCSTI` and of new namespaces.
pub(crate) fn learned<'a>(
    calls: impl Iterator<Item = &'a ReportedCall>,
) -> Result<Vec<Learned>, Failure> {
    let judge = Policy::judge();
    let mut rules: BTreeMap<String, BTreeMap<Vec<ArgCondition>, Learned>> = BTreeMap::new();
    let mut nameless: BTreeSet<String> = BTreeSet::new();
    for call in calls {
        let Some(name) = call.syscall.name.filter(|_| call.syscall.abi.is_native()) else {
            nameless.insert(call.syscall.to_string());
            continue;
        };
        let conditions = telling::conditions(name.as_str(), call.args);
        let of_call = rules.entry(name.to_string()).or_default();
        let rule = of_call
            .entry(conditions.clone())
            .or_insert_with(|| Learned {
                syscall: name.to_string(),
                conditions,
                count: 0,
                beyond_judge: false,
            });
        rule.count += call.count;
        rule.beyond_judge |= !is_allowed(&judge, call.syscall.number.into(), call.args)?;
    }
    if nameless.is_empty() {
        Ok(rules
            .into_values()
            .flat_map(BTreeMap::into_values)
            .collect())
    } else {
        Err(Failure::Nameless(nameless))
    }
}

/// Arguments by which the base decides the call where the rule may hold, and for which the rule does not ask.
pub(crate) fn unasked(base: &Effective, rule: &Learned) -> BTreeSet<u8> {
    let mut calls = base.calls.iter();
    let call = calls.find(|call| call.name == rule.syscall);
    let cases = call.map_or(&[][..], |call| &call.cases);
    let excludes = |asked: &ArgCondition, decides: &ArgCondition| match asked.comparison {
        Comparison::Eq(seen) => asked.argument == decides.argument && !decides.holds([seen; 6]),
        _ => false,
    };
    cases
        .iter()
        .map(|(conditions, _)| conditions)
        .filter(|conditions| {
            let mut pairs = conditions
                .iter()
                .flat_map(|decides| rule.conditions.iter().map(move |asked| (asked, decides)));
            !pairs.any(|(asked, decides)| excludes(asked, decides))
        })
        .flatten()
        .map(|decides| decides.argument)
        .filter(|argument| {
            rule.conditions
                .iter()
                .all(|asked| asked.argument != *argument)
        })
        .collect()
}

/// The base with these rules behind it.
pub(crate) fn with(base: &Policy, rules: &[Learned]) -> Policy {
    let (plain, conditional): (Vec<_>, Vec<_>) =
        rules.iter().partition(|rule| rule.conditions.is_empty());
    let mut learned = Policy::allow_list(base.default_action());
    if !plain.is_empty() {
        let names: Vec<&str> = plain.iter().map(|rule| rule.syscall.as_str()).collect();
        learned = learned.allow(&names);
    }
    for rule in conditional {
        learned = learned.rule_if(&rule.syscall, rule.conditions.clone(), Action::Allow);
    }
    base.clone()
        .then(&learned.because("the program was seen to call it"))
}

#[cfg(test)]
mod tests {
    use super::{Learned, base, learned, unasked, unseen, watched, with};
    use sandbox_exec::{
        Abi, Policy, ReportedCall, Syscall, SyscallName,
        seccomp::{Action, Answer, ArgCondition, Comparison},
    };
    use std::time::Duration;

    fn call(name: &str, args: [u64; 6]) -> ReportedCall {
        let number = if name == "ptrace" { 101 } else { 0 };
        let syscall = Syscall::new(Abi::X86_64, number, SyscallName::new(name).ok());
        ReportedCall::new(syscall, args, 1, Duration::ZERO)
    }

    fn rules(calls: &[ReportedCall]) -> Vec<Learned> {
        learned(calls.iter()).unwrap()
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_that_do_the_same_are_one_rule() {
        let calls = [
            call("read", [1; 6]),
            call("read", [2; 6]),
            call("prctl", [15, 1, 0, 0, 0, 0]),
            call("prctl", [15, 2, 0, 0, 0, 0]),
            call("prctl", [38, 1, 0, 0, 0, 0]),
        ];
        let counts: Vec<_> = rules(&calls)
            .iter()
            .map(|rule| (rule.syscall.clone(), rule.count))
            .collect();
        let expected = [("prctl", 2), ("prctl", 1), ("read", 2)];
        assert_eq!(
            counts,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn arguments_that_the_base_looks_at_and_the_rule_does_not_are_found() {
        let first_only = Policy::allow_list(Action::Kill).rule_if(
            "read",
            [ArgCondition::qword(0, Comparison::Eq(0))],
            Action::Allow,
        );
        for (base, call, expected) in [
            (first_only.clone(), call("read", [3; 6]), &[0][..]),
            (first_only, call("write", [3; 6]), &[]),
            (
                Policy::strict_compute(),
                call("sendto", [3; 6]),
                &[2, 3, 4, 5],
            ),
            (Policy::judge(), call("fcntl", [3; 6]), &[]),
            (Policy::judge(), call("fcntl", [8; 6]), &[]),
            (Policy::judge(), call("socket", [16; 6]), &[]),
        ] {
            let found = unasked(&base.effective().unwrap(), &rules(&[call])[0]);
            assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_judge_refuses_is_marked() {
        let marks = |name| rules(&[call(name, [0; 6])])[0].beyond_judge;
        assert!(marks("ptrace"));
        assert!(!marks("read"));
    }

    #[test]
    fn what_the_watching_itself_opens_is_a_rule_to_try() {
        let nothing = base("nothing").unwrap();
        let added = unseen(&nothing, &watched(&nothing).unwrap());
        let [sendmsg] = &added[..] else {
            panic!("{added:?}");
        };
        assert_eq!(
            (sendmsg.syscall.as_str(), sendmsg.conditions.len()),
            ("sendmsg", 1)
        );
        let judge = Policy::judge();
        assert_eq!(unseen(&judge, &watched(&judge).unwrap()), []);
    }

    #[test]
    fn what_a_policy_cannot_name_teaches_nothing() {
        let nameless = call("UPPER", [0; 6]);
        assert!(learned([nameless].iter()).is_err());
        let mut foreign = call("ptrace", [0; 6]);
        foreign.syscall = Syscall::new(Abi::I386, 26, SyscallName::new("ptrace").ok());
        assert!(learned([foreign].iter()).is_err());
    }

    #[test]
    fn the_base_is_a_preset_a_file_or_nothing() {
        assert_eq!(base("judge").unwrap(), Policy::judge());
        assert_eq!(base("strict_compute").unwrap(), Policy::strict_compute());
        assert!(base("nothing").unwrap().prepare().unwrap().len() < 40);
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = serde_json::to_string(&Policy::compiler()).unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(base(path).unwrap(), Policy::compiler());
        assert!(base("/nowhere").is_err());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn all_but_two_is_watched_and_what_was_learned_is_allowed() {
        let nothing = base("nothing").unwrap();
        let action = |policy: &Policy, number| policy.explain(number, [0; 6]).unwrap().action;
        let watched = watched(&nothing).unwrap();
        assert!(matches!(
            action(&watched, 0),
            Action::Report(Answer::Errno(_))
        ));
        assert!(matches!(action(&watched, 435), Action::Errno(_)));
        assert!(matches!(action(&watched, 437), Action::Errno(_)));
        watched.prepare().unwrap();
        let policy = with(
            &nothing,
            &rules(&[call("read", [0; 6]), call("kill", [7; 6])]),
        );
        assert_eq!(action(&policy, 0), Action::Allow);
        assert_eq!(action(&policy, 62), Action::Allow);
        assert!(matches!(action(&policy, 1), Action::Errno(_)));
        assert_eq!(
            policy.explain(62, [1, 0, 0, 0, 0, 0]).unwrap().action,
            policy.default_action()
        );
    }
}
