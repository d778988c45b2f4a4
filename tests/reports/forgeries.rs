//! A program that would look as if it had, or had not, made a call.

use sandbox_exec::{Basis, Errno, Exit, Policy, Verdict, seccomp::Action};
use sandbox_test_support::{Setup, assert_judged, boxes, setup::judged};

use crate::{ENOSYS, REPORT_KILL, can_run, named, reports, violation};

fn judge() -> Setup {
    Setup::new().policy(Policy::judge().report_kills())
}

#[test]
fn neither_159_nor_sigsys_is_a_violation() {
    if !can_run() {
        return;
    }
    let exit = judge().run(&["exit", "159"]);
    assert_judged(
        &exit,
        Verdict::RuntimeError(Exit::Code(159)),
        Basis::ExitStatus,
    );
    let sigsys = libc::SIGSYS.to_string();
    let raised = judge().run(&["raise", &sigsys]);
    let (verdict, basis) = judged(&raised);
    assert!(
        matches!(
            verdict,
            Verdict::RuntimeError(Exit::Signal {
                signo: libc::SIGSYS,
                ..
            })
        ),
        "{verdict:?}"
    );
    assert_eq!((basis, reports(&raised).total), (Basis::ExitStatus, 0));
    // The twin: where the kernel kills, nobody can tell.
    let twin = Setup::new().run(&["raise", &sigsys]);
    assert_judged(
        &twin,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );
}

#[test]
fn no_filter_of_its_own_hides_a_call() {
    if !can_run() {
        return;
    }
    let ptrace = libc::SYS_ptrace.to_string();
    let args = ["call-hidden", &ptrace];
    let finished = judge().run(&args);
    let refused = [
        ("listener", libc::ENOSYS),
        ("filter", libc::ENOSYS),
        ("prctl", libc::EINVAL),
        ("wide prctl", libc::EINVAL),
    ];
    let refused = refused.map(|(name, errno)| format!("{name}: errno {errno}\n"));
    assert_eq!(boxes::said(&finished), refused.concat());
    assert_eq!(violation(&finished), "ptrace");

    // The twin: a filter of the program's own answers in place of the policy.
    let open = Policy::judge()
        .allow(&["seccomp", "prctl"])
        .rule("ptrace", Action::Errno(ENOSYS));
    let said = boxes::said(&Setup::new().policy(open.clone()).run(&args));
    let made = "listener: ok 0\nfilter: ok 0\nprctl: ok 0\nwide prctl: ok 0\ncall: errno 77\n";
    assert_eq!(said, made);
    // Hence such a policy cannot report.
    let refused = open.report_errnos().prepare().unwrap_err().to_string();
    assert!(refused.contains("seccomp"), "{refused}");
}

/// The call by which the start shows that reports arrive is to a program as any other that is refused.
#[test]
fn the_greeting_of_the_start_gives_a_program_nothing() {
    if !can_run() {
        return;
    }
    let greeting = 0x5b0c_9ee7_u64.to_string();
    let seccomp = libc::SYS_seccomp.to_string();
    let finished = judge().run(&["call-by", "main", &seccomp, &greeting]);
    let said = format!("main: errno {}\n", libc::ENOSYS);
    assert_eq!(boxes::said(&finished), said);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(named(&finished, "seccomp").args[0], 0x5b0c_9ee7);
}

/// Registers are what is reported; what they point to may change, and nothing depends on it.
#[test]
fn high_halves_of_arguments_neither_hide_nor_forge() {
    if !can_run() {
        return;
    }
    use sandbox_exec::seccomp::{ArgCondition, Comparison};
    let second = [ArgCondition::dword(0, Comparison::Eq(2))];
    let policy = Policy::judge().rule_if("alarm", second, REPORT_KILL);
    let run = |value: u64| {
        let alarm = libc::SYS_alarm.to_string();
        let args = ["call-by", "main", &alarm, &value.to_string()];
        Setup::new().policy(policy.clone()).run(&args)
    };
    let wide = run(7 << 32 | 2);
    assert_eq!(judged(&wide).1, Basis::SyscallReport);
    assert_eq!(named(&wide, "alarm").args[0], 7 << 32 | 2);
    assert_eq!(judged(&run(2 << 32)).0, Verdict::Ok);
}

#[test]
fn an_errno_of_the_policy_is_the_one_that_the_program_gets() {
    if !can_run() {
        return;
    }
    for errno in [1, 38, 4095] {
        let action = Action::Report(sandbox_exec::Answer::Errno(Errno::from_raw(errno)));
        let policy = Policy::judge().rule("alarm", action);
        let alarm = libc::SYS_alarm.to_string();
        let finished = Setup::new().policy(policy).run(&["call", &alarm]);
        assert_eq!(boxes::said(&finished), format!("call: errno {errno}\n"));
    }
}
