//! Which rule decides about a call.

use core::fmt;

use crate::{
    Action, Error, Group, Policy,
    policy::Rule,
    ranges::{encode, named},
    reporting::{self, HELLO, HELLO_CONDITIONS},
    table::Architecture,
};

/// What a policy does with one call, and why. `Display` prints it as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// The call's number, as the kernel reads it.
    pub number: u32,
    /// The call's name, where this crate knows the number.
    pub syscall: Option<&'static str>,
    /// What happens.
    pub action: Action,
    /// What decides so.
    pub decider: Decider<'a>,
}

/// What decides about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decider<'a> {
    /// A rule: its place in [`Policy::list`], from 0, and itself.
    Rule(usize, &'a Rule),
    /// No rule names the call for these arguments.
    Default,
    /// The number leads into the table of another architecture; such calls kill whatever the policy says, or are reported to
    /// end the run where it reports any.
    ForeignTable,
    /// The call by which the start of a program under a policy that reports shows that reports arrive.
    Greeting,
}

impl Policy {
    /// What the policy does with one call of this program's architecture, and which rule says so.
    ///
    /// The answer comes from the rules, not from the compiled program. `nr` counts as the kernel reads it: its low 32 bits.
    /// All rules are looked at first: a policy with a name spelt wrongly anywhere explains nothing.
    ///
    /// ```
    /// use sandbox_seccomp::Policy;
    /// # #[cfg(target_arch = "x86_64")] {
    /// let policy = Policy::judge();
    /// let text = policy.explain(101, [0; 6])?.to_string();
    /// assert!(text.starts_with("ptrace: kill, by rule "), "{text}");
    /// # }
    /// # Ok::<(), sandbox_seccomp::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Policy::prepare`] that are about a rule: [`Error::UnknownSyscall`], [`Error::UnknownGroup`],
    /// [`Error::Condition`], [`Error::Errno`], and [`Error::TooLong`] for too many about one call; [`Error::Architecture`].
    pub fn explain(&self, nr: i64, args: [u64; 6]) -> Result<Explanation<'_>, Error> {
        let [a, b, c, d, ..] = nr.to_le_bytes();
        let number = u32::from_le_bytes([a, b, c, d]);
        let native = Architecture::native()?;
        named(self, native, encode(self.default_action())?)?;
        Ok(self.explain_on(native, number, args))
    }

    /// [`Policy::explain`] of the call of this name; `None` where only other architectures have it.
    ///
    /// ```
    /// use sandbox_seccomp::Policy;
    /// let policy = Policy::judge().deny(&["@network"]).because("no sockets");
    /// let said = policy.explain_name("socket", [libc::AF_UNIX as u64, 1, 0, 0, 0, 0])?;
    /// assert!(said.unwrap().to_string().ends_with("(no sockets)"));
    /// # Ok::<(), sandbox_seccomp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Policy::explain`]; [`Error::UnknownSyscall`] also where no architecture has a call of this name.
    pub fn explain_name(
        &self,
        name: &str,
        args: [u64; 6],
    ) -> Result<Option<Explanation<'_>>, Error> {
        let number = Architecture::native()?.number(name)?;
        let explain = |number: u32| self.explain(number.into(), args);
        number.map(explain).transpose()
    }

    /// The same on any architecture, of a policy whose rules are known to be right.
    pub(crate) fn explain_on(
        &self,
        architecture: &Architecture,
        number: u32,
        args: [u64; 6],
    ) -> Explanation<'_> {
        let trapped = |&(first, last): &(u32, u32)| (first..=last).contains(&number);
        if architecture.traps.iter().any(trapped) {
            return Explanation {
                number,
                syscall: None,
                action: reporting::foreign(self),
                decider: Decider::ForeignTable,
            };
        }
        let syscall = architecture.name(number);
        let greets = syscall == Some(HELLO) && HELLO_CONDITIONS.iter().all(|one| one.holds(args));
        if greets && self.reports() {
            return Explanation {
                number,
                syscall,
                action: reporting::hello(),
                decider: Decider::Greeting,
            };
        }
        let decides = |(_, rule): &(usize, &Rule)| {
            syscall.is_some_and(|syscall| is_about(rule, syscall))
                && rule.conditions.iter().all(|one| one.holds(args))
        };
        let last = self.list().iter().enumerate().rev().find(decides);
        Explanation {
            number,
            syscall,
            action: last.map_or(self.default_action(), |(_, rule)| rule.action),
            decider: last.map_or(Decider::Default, |(place, rule)| Decider::Rule(place, rule)),
        }
    }
}

/// Whether a rule names the call, itself or by a group.
fn is_about(rule: &Rule, syscall: &str) -> bool {
    let holds = |group: &Group| group.calls.contains(&syscall);
    rule.syscalls.iter().any(|name| {
        name == syscall || name.starts_with('@') && Group::find(name).is_some_and(holds)
    })
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.syscall {
            Some(name) => f.write_str(name)?,
            None => write!(f, "call {}, which this crate does not know", self.number)?,
        }
        write!(f, ": {}, by ", self.action)?;
        match self.decider {
            Decider::Rule(place, rule) => write!(f, "rule {place}: {rule}"),
            Decider::Default => f.write_str("the default"),
            Decider::Greeting => f.write_str("the start, which greets the supervisor by it"),
            Decider::ForeignTable => f.write_str("its number, which is of another architecture"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.syscalls.join(" "))?;
        for (place, condition) in self.conditions.iter().enumerate() {
            let word = if place == 0 { "where" } else { "and" };
            write!(f, " {word} {condition}")?;
        }
        write!(f, " -> {}", self.action)?;
        if self.reason.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decider;
    use crate::{Action, ArgCondition, Comparison, Policy, table::X86_64};
    use sandbox_core::Errno;

    #[test]
    fn the_deciding_rule_is_named() {
        let eperm = Action::Errno(Errno::from_raw(1));
        let policy = Policy::deny_list()
            .rule("@signals", eperm)
            .because("no signals")
            .rule_if(
                "kill",
                [ArgCondition::dword(1, Comparison::Eq(0))],
                Action::Allow,
            );
        let explain = |number, signal| policy.explain_on(&X86_64, number, [1, signal, 0, 0, 0, 0]);
        let nine = explain(62, 9);
        assert_eq!((nine.syscall, nine.action), (Some("kill"), eperm));
        assert!(matches!(nine.decider, Decider::Rule(0, _)));
        assert_eq!(
            nine.to_string(),
            "kill: EPERM (Operation not permitted), by rule 0: @signals -> EPERM (Operation not permitted) (no signals)"
        );
        let none = explain(62, 0);
        assert_eq!(
            none.to_string(),
            "kill: allow, by rule 1: kill where arg1 as u32 == 0x0 -> allow"
        );
        assert_eq!(explain(0, 0).to_string(), "read: allow, by the default");
        let x32 = explain(0x4000_0000, 0);
        assert_eq!(
            (x32.action, x32.decider),
            (Action::Kill, Decider::ForeignTable)
        );
        let unknown = explain(9999, 0);
        assert_eq!((unknown.syscall, unknown.decider), (None, Decider::Default));
        assert_eq!(
            unknown.to_string(),
            "call 9999, which this crate does not know: allow, by the default"
        );
    }

    #[test]
    fn a_name_is_explained_as_its_number_is() {
        let policy = Policy::judge();
        for (name, number) in [("read", libc::SYS_read), ("ptrace", libc::SYS_ptrace)] {
            let by_name = policy.explain_name(name, [0; 6]).unwrap();
            let by_number = policy.explain(number, [0; 6]).unwrap();
            assert_eq!(by_name, Some(by_number));
        }
        for name in ["ptrce", "@network", ""] {
            let error = policy.explain_name(name, [0; 6]).unwrap_err();
            assert!(
                error.to_string().starts_with("unknown system call"),
                "{error}"
            );
        }
        // One of each table that the others lack.
        let elsewhere = ["open", "riscv_flush_icache"];
        let absent = |name: &&str| policy.explain_name(name, [0; 6]).unwrap().is_none();
        assert_eq!(elsewhere.iter().filter(|name| absent(name)).count(), 1);
    }
    /// Wherever the fault is: before the rule that decides, behind it, or about another call.
    #[test]
    fn a_policy_with_a_fault_explains_nothing_as_it_compiles_to_nothing() {
        let eperm = Action::Errno(Errno::from_raw(1));
        let none = Action::Errno(Errno::from_raw(0));
        let seventh = [ArgCondition::dword(6, Comparison::Eq(0))];
        let crowd = (0..5000).fold(Policy::deny_list(), |policy, value| {
            let one = [ArgCondition::dword(0, Comparison::Eq(value))];
            policy.rule_if("kill", one, eperm)
        });
        let of_rules = [
            (Policy::deny_list().deny(&["opne"]), "unknown system call"),
            (Policy::deny_list().deny(&["@netwrok"]), "unknown group"),
            (
                Policy::deny_list().rule_if("kill", seventh, eperm),
                "condition on kill",
            ),
            (Policy::deny_list().rule("kill", none), "0 is not an errno"),
            (crowd, "BPF instructions"),
        ];
        let decides = Policy::deny_list().deny(&["close"]);
        let around = |(fault, wanted): &(Policy, _)| {
            [fault.clone().then(&decides), decides.clone().then(fault)].map(|one| (one, *wanted))
        };
        let of_the_default = (Policy::allow_list(none).then(&decides), "0 is not an errno");
        let close = libc::SYS_close;
        for (policy, wanted) in of_rules.iter().flat_map(around).chain([of_the_default]) {
            let error = policy.explain(close, [0; 6]).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
            assert_eq!(policy.prepare().unwrap_err(), error);
        }
        let right = decides.explain(close, [0; 6]).unwrap();
        assert!(matches!(right.decider, Decider::Rule(0, _)));
    }
}
