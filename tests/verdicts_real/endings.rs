//! How programs end.

use std::time::Duration;

use sandbox_exec::{Basis, Bytes, Exit, Finished, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes};

use crate::can_run;

#[track_caller]
fn assert_signal(finished: &Finished, signal: i32) {
    let Verdict::RuntimeError(Exit::Signal { signo, core_dumped }) =
        finished.outcome.judgement.verdict
    else {
        panic!("{:#?}", finished.outcome);
    };
    assert_eq!(signo, signal);
    assert!(!core_dumped, "RLIMIT_CORE forbids it");
    assert_eq!(finished.outcome.judgement.basis, Basis::ExitStatus);
    assert_eq!(finished.outcome.evidence.kill, None, "nobody killed it");
}

#[test]
fn exit_codes_arrive() {
    if !can_run() {
        return;
    }
    // 159 is what a shell makes of SIGSYS, 137 of SIGKILL: here they are exit codes.
    for code in [1, 42, 137, 159, 255] {
        let finished = boxes::run(&["exit", &code.to_string()]);
        let verdict = Verdict::RuntimeError(Exit::Code(code));
        assert_judged(&finished, verdict, Basis::ExitStatus);
    }
    assert_judged(&boxes::run(&["exit", "0"]), Verdict::Ok, Basis::ExitStatus);
}

#[test]
fn abort_is_sigabrt() {
    if can_run() {
        assert_signal(&boxes::run(&["abort"]), libc::SIGABRT);
    }
}

#[test]
fn a_stack_overflow_is_sigsegv() {
    if can_run() {
        assert_signal(&boxes::run(&["overflow"]), libc::SIGSEGV);
    }
}

/// As PID 1 the program would go on.
#[test]
fn signals_to_itself_end_a_program() {
    if !can_run() {
        return;
    }
    for signal in [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGKILL,
        libc::SIGUSR1,
        libc::SIGFPE,
    ] {
        let finished = boxes::run(&["raise", &signal.to_string()]);
        assert_signal(&finished, signal);
        assert_eq!(boxes::said(&finished), "", "it did not go on");
    }
}

#[test]
fn a_forbidden_call_is_a_security_violation() {
    if !can_run() {
        return;
    }
    // unshare of nothing: harmless where it is allowed.
    let args = ["call", &libc::SYS_unshare.to_string()];
    let finished = Setup::new().run(&args);
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );
    let exit = finished.outcome.evidence.exit;
    assert!(
        matches!(
            exit,
            Some(Exit::Signal {
                signo: libc::SIGSYS,
                ..
            })
        ),
        "{exit:?}"
    );

    let twin = Setup::new().without_filter().run(&args);
    assert_eq!(boxes::said(&twin), "call: ok 0\n");
}

#[test]
fn memory_near_the_limit_is_fine() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.memory = Some(Bytes::mib(64)));
    let finished = setup.run(&["memory", "60"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let evidence = finished.outcome.evidence;
    assert_eq!(evidence.oom_kills.value(), Some(0));
    assert!(evidence.memory_peak.value() >= Some(Bytes::mib(60)));
}

#[test]
fn the_cost_of_the_start_is_told_apart() {
    if !can_run() {
        return;
    }
    let finished = Setup::new().run(&["spin", "300", "1"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let evidence = finished.outcome.evidence;
    let at_start = evidence.cpu_time_at_start.value().expect("measured");
    let all = evidence.cpu_time.value().expect("measured");
    assert!(!at_start.is_zero(), "set-up is not free");
    let burnt = all.saturating_sub(at_start);
    assert!(
        burnt > Duration::from_millis(100),
        "{at_start:?} of {all:?}"
    );
}

#[test]
fn what_is_left_in_memory_is_told_by_kind() {
    if !can_run() {
        return;
    }
    let left = |keep: bool| {
        let setup = Setup::new().root(|root| if keep { root.keep("tmp") } else { root });
        let finished = setup.run(&["fill", "/tmp/x", "8"]);
        assert_eq!(boxes::said(&finished), "wrote 8388608\n");
        let peak = finished.outcome.evidence.memory_peak;
        assert!(peak.value() >= Some(Bytes::mib(8)), "{peak:?}");
        finished.outcome.evidence.memory_left
    };
    let kept = left(true);
    assert!(kept.shared.value() >= Some(Bytes::mib(8)), "{kept:?}");
    assert!(kept.total.value() >= kept.shared.value(), "{kept:?}");
    assert!(kept.anonymous.value() < Some(Bytes::mib(1)), "{kept:?}");
    let gone = left(false);
    assert!(gone.shared.value() < Some(Bytes::mib(1)), "{gone:?}");
}

#[test]
fn the_run_after_an_oom_is_clean() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.memory = Some(Bytes::mib(32)));
    let [bomb, small] = [["memory", "64"], ["memory", "4"]].map(|args| setup.sandbox(&args));
    for _ in 0..3 {
        let finished = boxes::finish(&bomb);
        assert_judged(&finished, Verdict::MemoryLimit, Basis::OomKill);
        let finished = boxes::finish(&small);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        let evidence = finished.outcome.evidence;
        assert_eq!(evidence.oom_kills.value(), Some(0));
        assert_eq!(evidence.memory_limit_hits.value(), Some(0));
        assert!(evidence.memory_peak.value() < Some(Bytes::mib(24)));
    }
}

#[test]
fn one_run_is_not_charged_for_another() {
    if !can_run() {
        return;
    }
    // At the same time, under limits that both together would pass.
    let limited = || {
        Setup::new().limits(|limits| {
            limits.memory = Some(Bytes::mib(48));
            limits.processes = Some(10);
        })
    };
    let bombs: Vec<_> = (0..2)
        .map(|_| limited().live(&["forks", "8", "60"]))
        .collect();
    let finished = limited().run(&["memory", "40"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    for bomb in bombs {
        let finished = bomb.cancel();
        assert_judged(&finished, Verdict::Cancelled, Basis::KillRequest);
        assert_eq!(finished.outcome.evidence.forks_denied.value(), Some(0));
    }
}
