//! Compiled programs against the meaning of the policy, and against a second compiler.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use sandbox_core::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::{
    Action, Answer, ArgCondition, Comparison, Filter, Policy, Preset, Width,
    instruction::Instruction,
    table::{ALL, Architecture},
    testing::{Constants, actions, arguments, conditions, filter, meaning, policies},
};

/// Failures are printed, not written into the tree.
fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

/// Every pair of an architecture and a number, by one of each kind that the program or the policy tells apart: those of
/// `architecture` with a few arguments, the others with any.
fn assert_means(policy: &Policy, architecture: &Architecture, rounds: usize) {
    let filter = filter(policy, architecture);
    let constants = Constants::of(&filter);
    let mut runner = TestRunner::new(config(1));
    let strategy = arguments(policy);
    let stranger = runner.rng().next_u32();
    let mut random = || strategy.new_tree(&mut runner).unwrap().current();
    let numbers = constants.numbers(architecture);
    for &nr in &numbers {
        // What does not look at arguments does not change with them.
        let rounds = if architecture.name(nr).is_some() {
            rounds
        } else {
            1
        };
        for round in 0..rounds {
            let args = if round == 0 { [0; 6] } else { random() };
            assert_eq!(
                filter.evaluate(architecture.audit, nr.into(), args),
                meaning(policy, architecture, nr, args),
                "number {nr:#x}, arguments {args:x?}, {policy:?}"
            );
        }
    }
    let dies = if policy.reports() {
        Action::Report(Answer::Kill)
    } else {
        Action::Kill
    };
    let mut foreign = constants.architectures();
    foreign.insert(stranger);
    foreign.remove(&architecture.audit);
    for arch in foreign {
        let args = random();
        for &nr in &numbers {
            assert_eq!(
                filter.evaluate(arch, nr.into(), args),
                dies,
                "architecture {arch:#x}, number {nr:#x}, arguments {args:x?}, {policy:?}"
            );
        }
    }
}

#[test]
fn presets_mean_what_they_say_on_every_architecture() {
    for preset in Preset::ALL {
        let plain = Policy::from(preset);
        let reporting = plain.clone().report_kills();
        let all = reporting.clone().report_errnos();
        for architecture in ALL {
            assert_means(&plain, architecture, 6);
            assert_means(&reporting, architecture, 3);
            assert_means(&all, architecture, 3);
        }
    }
}

/// Reporting changes who acts, and nothing else.
#[test]
fn presets_that_report_decide_as_they_do_without() {
    for preset in Preset::ALL {
        for architecture in ALL {
            let reporting = Policy::from(preset).report_kills().report_errnos();
            let reports = filter(&reporting, architecture);
            let silent = filter(&reporting.without_reports(), architecture);
            for nr in Constants::of(&reports).numbers(architecture) {
                let acted = |filter: &Filter| {
                    filter.evaluate(architecture.audit, nr.into(), [nr.into(); 6])
                };
                let wanted = match acted(&reports) {
                    Action::Report(Answer::Kill) => Action::Kill,
                    Action::Report(Answer::Errno(errno)) => Action::Errno(errno),
                    other => other,
                };
                assert_eq!(acted(&silent), wanted, "number {nr:#x} of {preset:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config(16))]

    /// Enough rules that jumps leave the reach of a conditional one.
    #[test]
    fn random_policies_mean_what_they_say(
        (architecture, policy) in (0..ALL.len()).prop_flat_map(|place| {
            (Just(ALL[place]), policies(ALL[place], 120))
        }),
    ) {
        assert_means(&policy, architecture, 3);
    }
}

proptest! {
    #![proptest_config(config(3000))]

    /// One call, all its conditions and arguments near them.
    #[test]
    fn random_conditions_mean_what_they_say(
        (policy, args) in prop::collection::vec(
            (prop::collection::vec(conditions(), 0..4), actions()), 1..5
        ).prop_map(|rules| {
            rules.into_iter().fold(Policy::deny_list(), |policy, (conditions, action)| {
                policy.rule_if("kill", conditions, action)
            })
        }).prop_flat_map(|policy| {
            let arguments = prop::collection::vec(arguments(&policy), 8);
            (Just(policy), arguments)
        }),
    ) {
        let architecture = ALL[0];
        let number = architecture.number("kill").unwrap().unwrap();
        let filter = filter(&policy, architecture);
        for args in args {
            prop_assert_eq!(
                filter.evaluate(architecture.audit, number.into(), args),
                meaning(&policy, architecture, number, args),
                "arguments {:x?}", args
            );
        }
    }
}

/// Unsigned conditions as seccompiler has them.
fn backend(conditions: &[ArgCondition]) -> Vec<SeccompCondition> {
    let convert = |condition: &ArgCondition| {
        let width = match condition.width {
            Width::Dword => SeccompCmpArgLen::Dword,
            Width::Qword => SeccompCmpArgLen::Qword,
        };
        let (operator, value) = match condition.comparison {
            Comparison::Eq(v) => (SeccompCmpOp::Eq, v),
            Comparison::Ne(v) => (SeccompCmpOp::Ne, v),
            Comparison::Lt(v) => (SeccompCmpOp::Lt, v),
            Comparison::Le(v) => (SeccompCmpOp::Le, v),
            Comparison::Gt(v) => (SeccompCmpOp::Gt, v),
            Comparison::Ge(v) => (SeccompCmpOp::Ge, v),
            Comparison::MaskedEq { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
            signed => unreachable!("{signed:?} is not asked for"),
        };
        SeccompCondition::new(condition.argument, width, operator, value).unwrap()
    };
    conditions.iter().map(convert).collect()
}

/// The same policy through seccompiler's own layout.
fn oracle(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    default: SeccompAction,
    matched: SeccompAction,
) -> Filter {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, default, matched, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    let own = |i: seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Filter::new(program.into_iter().map(own).collect())
}

proptest! {
    #![proptest_config(config(10))]

    #[test]
    fn seccompiler_decides_the_same(
        deny in any::<bool>(),
        rules in prop::collection::btree_map(
            0..300_usize,
            prop::collection::vec(conditions().prop_filter("it has no signed ones", |one| {
                !one.comparison.is_signed()
            }), 0..3),
            0..100,
        ),
        args in prop::collection::vec(prop::array::uniform6(crate::testing::values()), 8),
    ) {
        let architecture = Architecture::native().unwrap();
        let eperm = Action::Errno(Errno::from_raw(1));
        let (mut policy, matched, default, theirs) = if deny {
            (Policy::deny_list(), eperm, SeccompAction::Allow, SeccompAction::Errno(1))
        } else {
            (Policy::allow_list(eperm), Action::Allow, SeccompAction::Errno(1), SeccompAction::Allow)
        };
        let mut chains = BTreeMap::new();
        for (place, conditions) in rules {
            let (name, number) = architecture.calls[place];
            policy = policy.rule_if(name, conditions.clone(), matched);
            let rule = (!conditions.is_empty())
                .then(|| SeccompRule::new(backend(&conditions)).unwrap());
            chains.insert(i64::from(number), rule.into_iter().collect());
        }
        let (ours, theirs) = (filter(&policy, architecture), oracle(chains, default, theirs));
        // The x32 numbers are where we differ on purpose.
        for nr in (0..1024).filter(|nr| !(512..548).contains(nr)) {
            for &args in &args {
                prop_assert_eq!(
                    ours.evaluate(architecture.audit, nr, args),
                    theirs.evaluate(architecture.audit, nr, args),
                    "number {}, arguments {:x?}", nr, args
                );
            }
        }
    }
}
