//! Policies that report calls to the supervisor: how one becomes another, and what must hold for them.

use sandbox_core::Errno;

use crate::{
    Action, Answer, ArgCondition, Comparison, Error, Policy,
    policy::Rule,
    ranges::{Chain, encode, named},
    sys::GREETING,
    table::Architecture,
};

/// The call by which the start shows that reports arrive: one that no policy that reports lets through.
pub(crate) const HELLO: &str = "seccomp";

pub(crate) static HELLO_CONDITIONS: [ArgCondition; 1] =
    [ArgCondition::dword(0, Comparison::Eq(GREETING as u64))];

/// What a program gets that greets the supervisor itself.
pub(crate) const fn hello() -> Action {
    Action::Report(Answer::Errno(Errno::from_raw(libc::ENOSYS)))
}

/// What happens to calls of foreign tables.
pub(crate) fn foreign(policy: &Policy) -> Action {
    if policy.reports() {
        Action::Report(Answer::Kill)
    } else {
        Action::Kill
    }
}

impl Policy {
    /// Whether there are calls that it reports.
    #[must_use]
    pub fn reports(&self) -> bool {
        let rules = self.list().iter().map(|rule| rule.action);
        rules.chain([self.default_action()]).any(Action::reports)
    }

    /// The same policy, but that the supervisor ends the run where the kernel would kill a process or thread: so that the
    /// verdict names the call, and a call of any process counts.
    ///
    /// Where the policy does not let the start send a descriptor, a rule is added by which `sendmsg` passes with
    /// `MSG_NOSIGNAL` alone, as [`Policy::strict_compute`] has one for `sendto`: a program without sockets gains nothing by it.
    ///
    /// ```
    /// use sandbox_seccomp::Policy;
    /// # #[cfg(target_arch = "x86_64")] {
    /// let policy = Policy::judge().report_kills();
    /// let text = policy.explain(101, [0; 6])?.to_string();
    /// assert!(text.starts_with("ptrace: report and kill, by rule "), "{text}");
    /// # }
    /// # Ok::<(), sandbox_seccomp::Error>(())
    /// ```
    #[must_use]
    pub fn report_kills(self) -> Self {
        self.map_actions(|action| match action {
            Action::Kill | Action::KillThread => Action::Report(Answer::Kill),
            other => other,
        })
        .with_way_home()
    }

    /// The same policy, but that the evidence lists the calls that fail with an errno. The program sees no difference, but
    /// that such a call takes some ten microseconds, and that a run may not have more of them than the supervisor takes.
    #[must_use]
    pub fn report_errnos(self) -> Self {
        self.map_actions(|action| match action {
            Action::Errno(errno) => Action::Report(Answer::Errno(errno)),
            other => other,
        })
        .with_way_home()
    }

    /// The same policy for places without a supervisor: what it reports, the kernel does by itself.
    #[must_use]
    pub fn without_reports(self) -> Self {
        self.map_actions(|action| match action {
            Action::Report(Answer::Kill) => Action::Kill,
            Action::Report(Answer::Errno(errno)) => Action::Errno(errno),
            other => other,
        })
    }

    fn map_actions(mut self, map: impl Fn(Action) -> Action) -> Self {
        let (default, rules) = self.change();
        *default = map(*default);
        for rule in rules {
            rule.action = map(rule.action);
        }
        self
    }

    /// Lets the start send the listener home.
    pub(crate) fn with_way_home(mut self) -> Self {
        let message = [100, 0x7f12_3456_7890, NO_SIGNAL, 0, 0, 0];
        // A rule that is wrong is told by `prepare`.
        let closed = Architecture::native()
            .and_then(|native| native.number("sendmsg"))
            .ok()
            .flatten()
            .and_then(|number| self.explain(number.into(), message).ok())
            .is_some_and(|explanation| !explanation.action.permits());
        if closed && self.reports() {
            self.change().1.push(Rule {
                syscalls: vec!["sendmsg".to_owned()],
                conditions: vec![ArgCondition::dword(2, Comparison::Eq(NO_SIGNAL))],
                action: Action::Allow,
                reason: "the start sends the supervisor the listener by it".to_owned(),
            });
        }
        self
    }
}

/// `MSG_NOSIGNAL`, the only flag of the start's messages.
const NO_SIGNAL: u64 = 0x4000;

/// The ways to a filter of one's own: a call, and its first argument.
const FILTERS: [(&str, u32); 2] = [
    ("seccomp", libc::SECCOMP_SET_MODE_FILTER),
    ("prctl", libc::PR_SET_SECCOMP.unsigned_abs()),
];

/// Whether a policy keeps programs from filters of their own: one that returns an errno goes before a report, and would hide
/// the call.
pub(crate) fn check(policy: &Policy, architecture: &Architecture) -> Result<(), Error> {
    let default = encode(policy.default_action())?;
    let chains = named(policy, architecture, default)?;
    for (syscall, first) in FILTERS {
        let Some(number) = architecture.number(syscall)? else {
            continue;
        };
        let permits = match chains.get(&number) {
            Some(chain) => may_permit(chain, first),
            None => Action::decode(default).permits(),
        };
        if permits {
            return Err(Error::HidesReports { syscall });
        }
    }
    Ok(())
}

/// Whether a call whose first argument has this low half, which is all that the kernel reads, could be made with some other
/// arguments.
fn may_permit(chain: &Chain<'_>, low: u32) -> bool {
    let conditions = chain.cases.iter().flat_map(|(conditions, _)| *conditions);
    // High halves at which a comparison of 64 bits can change its mind.
    let edges = conditions.flat_map(|condition| {
        let value = bound(condition.comparison) >> 32;
        [value.wrapping_sub(1), value, value.wrapping_add(1)]
    });
    let high = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    edges.chain(high).any(|high| {
        let first = high << 32 | u64::from(low);
        for (conditions, value) in chain.cases.iter().rev() {
            let known = conditions.iter().map(|one| holds_for_first(one, first));
            let known: Vec<_> = known.collect();
            if known.contains(&Some(false)) {
                continue;
            }
            let permits = Action::decode(*value).permits();
            if permits || !known.contains(&None) {
                return permits;
            }
        }
        Action::decode(chain.otherwise).permits()
    })
}

/// Whether a condition holds where only the first argument is known; `None` where that depends.
fn holds_for_first(condition: &ArgCondition, first: u64) -> Option<bool> {
    if condition.argument != 0 {
        return None;
    }
    // Of a mask, any high half may be the one that fits.
    match condition.comparison {
        Comparison::MaskedEq { mask, value } if mask >> 32 != 0 => {
            let low = (first ^ value) & mask & 0xffff_ffff;
            (low != 0).then_some(false)
        }
        _ => Some(condition.holds([first, 0, 0, 0, 0, 0])),
    }
}

fn bound(comparison: Comparison) -> u64 {
    match comparison {
        Comparison::Eq(value)
        | Comparison::Ne(value)
        | Comparison::Lt(value)
        | Comparison::Le(value)
        | Comparison::Gt(value)
        | Comparison::Ge(value)
        | Comparison::MaskedEq { value, .. } => value,
        Comparison::SignedLt(value)
        | Comparison::SignedLe(value)
        | Comparison::SignedGt(value)
        | Comparison::SignedGe(value) => u64::from_ne_bytes(value.to_ne_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::NO_SIGNAL;
    use crate::{
        Action, Answer, ArgCondition, Comparison, Decider, Error, Policy, Preset,
        sys::GREETING,
        table::Architecture,
        testing::{filter, unsupervised},
    };
    use sandbox_core::Errno;

    const KILL: Action = Action::Report(Answer::Kill);
    const EPERM: Errno = Errno::from_raw(1);

    fn reporting() -> Policy {
        Policy::deny_list()
            .deny(&["@confine", "prctl"])
            .rule("ptrace", KILL)
    }

    fn hidden_by(policy: &Policy) -> Option<&'static str> {
        match policy.prepare() {
            Ok(_) => None,
            Err(Error::HidesReports { syscall }) => Some(syscall),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_preset_can_report() {
        for preset in Preset::ALL {
            let plain = unsupervised(preset);
            let kernels = plain.prepare().unwrap();
            assert!(!plain.reports() && !kernels.reports() && kernels.kills());
            let policy = plain.clone().report_kills().report_errnos();
            let filter = policy.prepare();
            // This one leaves programs their own filters.
            if preset == Preset::PermissiveDeny {
                assert_eq!(hidden_by(&policy), Some("seccomp"));
                let closed = policy.deny(&["seccomp"]).rule_if(
                    "prctl",
                    [ArgCondition::dword(0, Comparison::Eq(22))],
                    Action::Errno(EPERM),
                );
                assert!(closed.prepare().unwrap().reports());
                continue;
            }
            let filter = filter.unwrap();
            assert!(filter.reports() && !filter.kills(), "{preset:?}");
        }
    }

    #[test]
    fn reports_come_and_go() {
        let policy = Policy::judge().rule("getpid", Action::KillThread);
        let reporting = policy.clone().report_kills().report_errnos();
        let silent = reporting.without_reports();
        assert_eq!(
            silent.list().len(),
            policy.list().len(),
            "nothing was added"
        );
        assert_eq!(silent, policy.rule("gone", Action::Kill).without_last());
    }

    impl Policy {
        /// Threads are not told from processes when reports are taken back.
        fn without_last(mut self) -> Self {
            self.change().1.pop();
            self.map_actions(|action| match action {
                Action::KillThread => Action::Kill,
                other => other,
            })
        }
    }

    #[test]
    fn own_filters_are_refused_however_they_are_allowed() {
        let first = |comparison| [ArgCondition::dword(0, comparison)];
        let wide = |comparison| [ArgCondition::qword(0, comparison)];
        assert_eq!(hidden_by(&reporting()), None);
        assert_eq!(hidden_by(&reporting().allow(&["seccomp"])), Some("seccomp"));
        assert_eq!(
            hidden_by(&reporting().rule("prctl", Action::Log)),
            Some("prctl")
        );
        let prctl = |conditions: Vec<ArgCondition>| {
            hidden_by(&reporting().rule_if("prctl", conditions, Action::Allow))
        };
        assert_eq!(prctl(first(Comparison::Eq(15)).into()), None);
        assert_eq!(prctl(first(Comparison::Ne(22)).into()), None);
        assert_eq!(prctl(first(Comparison::Ne(15)).into()), Some("prctl"));
        // The kernel cuts the option to 32 bits.
        assert_eq!(prctl(wide(Comparison::Ne(22)).into()), Some("prctl"));
        assert_eq!(
            prctl(wide(Comparison::Eq(5 << 32 | 22)).into()),
            Some("prctl")
        );
        assert_eq!(prctl(wide(Comparison::Gt(9 << 32)).into()), Some("prctl"));
        assert_eq!(
            prctl(vec![ArgCondition::dword(3, Comparison::Eq(7))]),
            Some("prctl")
        );
        let closed_again =
            reporting()
                .allow(&["prctl"])
                .rule_if("prctl", first(Comparison::Eq(22)), KILL);
        assert_eq!(hidden_by(&closed_again), None);
        let only_sometimes = closed_again.clone().rule_if(
            "prctl",
            [
                first(Comparison::Eq(22))[0],
                ArgCondition::dword(1, Comparison::Eq(9)),
            ],
            Action::Allow,
        );
        assert_eq!(hidden_by(&only_sometimes), Some("prctl"));
        let masked = |option, mask: u64, value: u64| {
            let (mask, value) = (mask << 32 | 0xffff_ffff, value << 32 | option);
            wide(Comparison::MaskedEq { mask, value })[0]
        };
        // Together they ask for a high half that neither of them names.
        let both = |option| {
            prctl(vec![
                masked(option, 0x300, 0x100),
                masked(option, 1 << 18, 1 << 18),
            ])
        };
        assert_eq!((both(22), both(15)), (Some("prctl"), None));
        let closed_by = |mask| {
            let condition = masked(22, mask, mask);
            hidden_by(
                &reporting()
                    .allow(&["prctl"])
                    .rule_if("prctl", [condition], KILL),
            )
        };
        assert_eq!((closed_by(0), closed_by(0x100)), (None, Some("prctl")));
        let any = Policy::allow_list(Action::Allow).rule("ptrace", KILL);
        assert_eq!(hidden_by(&any), Some("seccomp"));
    }

    #[test]
    fn the_start_is_let_through_or_the_policy_refused() {
        let blocked = |policy: Policy| match policy.prepare() {
            Err(Error::BlocksSetup { syscall }) => Some(syscall),
            other => other.map(|_| None).unwrap(),
        };
        assert_eq!(blocked(reporting()), None);
        assert_eq!(blocked(reporting().deny(&["sendmsg"])), Some("sendmsg"));
        assert_eq!(
            blocked(reporting().rule("exit_group", KILL)),
            Some("exit_group")
        );
        let execve = |action| reporting().rule("execve", action);
        assert_eq!(blocked(execve(Action::Kill)), Some("execve"));
        assert!(!reporting().prepare().unwrap().reports_start());
        assert!(execve(KILL).prepare().unwrap().reports_start());
        let fails = Action::Report(Answer::Errno(EPERM));
        assert!(execve(fails).prepare().unwrap().reports_start());
        // The start's own pointers are not known: it is reported whatever they are, or never.
        let odd = [ArgCondition::qword(0, Comparison::Gt(0x7000_0000_0000))];
        let sometimes = reporting().rule_if("execve", odd, KILL);
        assert_eq!(blocked(sometimes), Some("execve"));
        let strict = Policy::strict_compute().report_kills();
        let flags = |flags| {
            let number = Architecture::native().unwrap().number("sendmsg").unwrap();
            let args = [1, 2, flags, 0, 0, 0];
            strict.explain(number.unwrap().into(), args).unwrap().action
        };
        assert_eq!(flags(NO_SIGNAL), Action::Allow);
        assert_eq!(flags(0), KILL);
        assert_eq!(flags(NO_SIGNAL | 1), KILL);
    }

    #[test]
    fn the_greeting_and_foreign_tables_are_reported() {
        let native = Architecture::native().unwrap();
        let seccomp = native.number("seccomp").unwrap().unwrap();
        let policy = Policy::judge().report_kills();
        let program = filter(&policy, native);
        let greeting = [u64::from(GREETING), 7, 0, 0, 0, 0];
        let asked =
            |filter: &crate::Filter| filter.evaluate(native.audit, seccomp.into(), greeting);
        let enosys = Errno::from_raw(libc::ENOSYS);
        assert_eq!(asked(&program), Action::Report(Answer::Errno(enosys)));
        assert_eq!(
            asked(&filter(&Policy::judge(), native)),
            Action::Errno(enosys)
        );
        let explained = policy.explain(seccomp.into(), greeting).unwrap();
        assert_eq!(explained.decider, Decider::Greeting);
        assert_eq!(program.evaluate(0x4000_0003, 20, [0; 6]), KILL);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(program.evaluate(native.audit, 0x4000_0000, [0; 6]), KILL);
    }
}
