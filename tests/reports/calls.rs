//! What is learnt of a call, whoever makes it.

use sandbox_exec::{
    Basis, Exit, KillReason, Policy, Reading, Stage, SyscallReports, Unavailable, Verdict,
    seccomp::Action,
};
use sandbox_test_support::{Setup, assert_judged, boxes, setup::judged};

use crate::{REPORT_ENOSYS, REPORT_KILL, can_run, named, reports, violation};

fn judge() -> Policy {
    Policy::judge().report_kills()
}

#[test]
fn the_verdict_names_the_call_of_any_process() {
    if !can_run() {
        return;
    }
    let ptrace = libc::SYS_ptrace.to_string();
    for who in ["main", "thread", "child", "orphan"] {
        let args = ["call-by", who, &ptrace, "16", "77"];
        let finished = Setup::new().policy(judge()).run(&args);
        assert_eq!(violation(&finished), "ptrace", "{who}");
        assert_eq!(boxes::said(&finished), "", "{who} did not go on");
        let evidence = &finished.outcome.evidence;
        assert_eq!(evidence.kill, Some(KillReason::ForbiddenCall));
        let seen = reports(&finished);
        let call = named(&finished, "ptrace");
        assert_eq!(
            (seen.total, seen.calls.len(), seen.decisive),
            (1, 1, Some(call))
        );
        assert_eq!(call.args[..2], [16, 77]);
        assert!(call.thread > 2, "as the supervisor numbers it: {call:?}");
        assert!(call.after <= evidence.wall_time, "{call:?} {evidence:?}");
        assert!(seen.with_kills && !seen.let_through);

        // The twin: the kernel kills, and says neither what for nor, of others than the main program, that it did.
        let twin = Setup::new().run(&args);
        assert_eq!(
            twin.outcome.evidence.reports,
            Reading::Unavailable(Unavailable::NotRequested)
        );
        if matches!(who, "main" | "thread") {
            assert_judged(
                &twin,
                Verdict::SecurityViolation { syscall: None },
                Basis::Sigsys,
            );
        } else {
            assert_ne!(judged(&twin).1, Basis::Sigsys, "{who}");
        }
        // And without a filter the call is made.
        let open = Setup::new().without_filter().run(&args);
        let said = format!("{who}: errno {}\n", libc::ESRCH);
        assert_eq!(boxes::said(&open), said);
    }
}

#[test]
fn a_refused_call_is_listed_and_decides_nothing() {
    if !can_run() {
        return;
    }
    let policy = judge().rule("io_uring_setup", REPORT_ENOSYS);
    let finished = Setup::new().policy(policy).run(&["io-uring"]);
    let said = format!("io_uring: errno {}\n", libc::ENOSYS);
    assert_eq!(boxes::said(&finished), said);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let call = named(&finished, "io_uring_setup");
    assert_eq!((call.args[0], call.count), (4, 1));
    assert_eq!(reports(&finished).decisive, None);

    let allowed = judge().allow(&["io_uring_setup"]);
    let twin = Setup::new().policy(allowed).run(&["io-uring"]);
    assert_eq!(boxes::said(&twin), "io_uring: ok 0\n");
    assert_eq!(reports(&twin), &{
        let mut none = SyscallReports::default();
        none.with_kills = true;
        none
    });
}

/// Under a policy that reports all that it refuses, programs get what they get under the one that does not.
#[test]
fn programs_see_no_difference() {
    if !can_run() {
        return;
    }
    let reporting = judge().report_errnos();
    let key = libc::SYS_add_key.to_string();
    for args in [
        &["call", &key][..],
        &["host-name"],
        &["own-network"],
        &["limit", "1"],
        &["clone-user"],
        &["clone3-user"],
        &["io-uring"],
        &["loopback", "127.0.0.1"],
    ] {
        let with = Setup::new().policy(reporting.clone()).run(args);
        let without = Setup::new().run(args);
        assert_eq!(boxes::said(&with), boxes::said(&without), "{args:?}");
        assert_eq!(judged(&with), judged(&without), "{args:?}");
    }
}

#[test]
fn the_list_is_bounded_and_the_count_is_not() {
    if !can_run() {
        return;
    }
    let policy = judge().report_errnos();
    let finished = Setup::new().policy(policy).run(&["call-all", "900", "999"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let seen = reports(&finished);
    assert!(seen.total >= 100, "{seen:?}");
    assert_eq!(seen.calls.len(), SyscallReports::MOST);
    // The start of a program makes a few as well.
    assert!(
        seen.calls
            .iter()
            .any(|call| call.syscall.to_string() == "call 900")
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_foreign_tables_are_named_with_them() {
    if !can_run() {
        return;
    }
    let x32 = (0x4000_0000 | libc::SYS_getpid).to_string();
    for (args, call) in [
        (&["int80"][..], "getpid of i386"),
        (&["call", &x32], "getpid of x32"),
    ] {
        let finished = Setup::new().policy(judge()).run(args);
        assert_eq!(violation(&finished), call);
    }
    // The twin: without a filter the first is made; the second, where the kernel has no x32, fails.
    let open = Setup::new().without_filter();
    assert_eq!(boxes::said(&open.run(&["int80"])), "int80 2\n");
    assert!(boxes::said(&open.run(&["call", &x32])).starts_with("call: "));
}

/// The default of a policy, and an argument that decides.
#[test]
fn defaults_and_conditions_report() {
    if !can_run() {
        return;
    }
    use sandbox_exec::seccomp::{ArgCondition, Comparison};
    let third = [ArgCondition::dword(0, Comparison::Eq(3))];
    let policy = Policy::judge().rule_if("alarm", third, REPORT_KILL);
    let alarm = libc::SYS_alarm.to_string();
    let run = |seconds| {
        let args = ["call-by", "main", &alarm, seconds];
        Setup::new().policy(policy.clone()).run(&args)
    };
    assert_eq!(violation(&run("3")), "alarm");
    assert_eq!(boxes::said(&run("4")), "main: ok 0\n");

    let all = Policy::allow_list(Action::Kill).then(&Policy::strict_compute());
    let strict = all.clone().report_kills();
    assert_eq!(strict.default_action(), REPORT_KILL);
    for (number, name) in [(libc::SYS_socket, "socket"), (900, "call 900")] {
        let args = ["call", &number.to_string()];
        let finished = Setup::new().policy(strict.clone()).run(&args);
        assert_eq!(violation(&finished), name);
        let twin = Setup::new().policy(Policy::deny_list()).run(&args);
        assert!(boxes::said(&twin).starts_with("call: "));
    }
}

#[test]
fn what_is_only_observed_is_made_and_says_so() {
    if !can_run() {
        return;
    }
    let observe = |args: &[&str]| Setup::new().policy(judge()).observed().run(args);
    let finished = observe(&["unshare-user"]);
    assert_eq!(boxes::said(&finished), "unshare: ok 0\n");
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert!(reports(&finished).let_through);
    assert_eq!(named(&finished, "unshare").args[0], 0x1000_0000);
    assert_eq!(finished.outcome.evidence.exit, Some(Exit::Code(0)));
    let twin = Setup::new().policy(judge()).run(&["unshare-user"]);
    assert_eq!(violation(&twin), "unshare");
}

#[test]
fn the_stage_of_the_filter_is_proved() {
    if !can_run() {
        return;
    }
    let finished = Setup::new().policy(judge()).run(&["exit"]);
    assert!(finished.outcome.evidence.proved.contains(&Stage::Seccomp));
    assert_eq!(reports(&finished).total, 0, "the start's own call is none");
    let log = Policy::judge().rule("getppid", Action::Log);
    let silent = Setup::new().policy(log).run(&["exit"]);
    assert!(matches!(
        silent.outcome.evidence.reports,
        Reading::Unavailable(_)
    ));
}
