//! A program that keeps the supervisor busy.

use std::time::Instant;

use sandbox_exec::{Basis, KillReason, Policy, SyscallReports, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, host, setup::judged};

use crate::{REPORT_ENOSYS, can_run, reports};

/// Ten times what one run may have.
const COUNT: &str = "100000";

fn refusing() -> Policy {
    Policy::judge().report_kills().rule("alarm", REPORT_ENOSYS)
}

#[test]
fn a_flood_ends_the_run_and_names_the_call() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    for args in [
        &["flood", &alarm, "1", COUNT][..],
        &["flood", &alarm, "8", COUNT],
        &["flood-interrupted", &alarm, COUNT],
    ] {
        let begun = Instant::now();
        let finished = Setup::new().policy(refusing()).run(args);
        assert_eq!(boxes::said(&finished), "", "it did not come to its end");
        let (
            Verdict::SecurityViolation {
                syscall: Some(call),
            },
            Basis::SyscallReport,
        ) = judged(&finished)
        else {
            panic!("{args:?}: {:?}", finished.outcome)
        };
        assert_eq!(call.to_string(), "alarm");
        let evidence = &finished.outcome.evidence;
        assert_eq!(evidence.kill, Some(KillReason::ReportFlood));
        let seen = reports(&finished);
        // Those whose thread was interrupted count for the end, and were never seen.
        assert!(seen.total <= SyscallReports::FLOOD + 1, "{seen:?}");
        assert!(seen.calls.len() <= 2, "{seen:?}");
        assert!(
            begun.elapsed() < host::patience(10_000),
            "{:?}",
            begun.elapsed()
        );
    }
    // The twin: nobody is told, and the program comes to its end.
    let silent = Setup::new().policy(refusing().without_reports());
    let said = format!("flooded: ok {COUNT}\n");
    assert_eq!(
        boxes::said(&silent.run(&["flood", &alarm, "8", COUNT])),
        said
    );
}

#[test]
fn as_many_as_a_run_may_have_do_not_end_it() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    let most = SyscallReports::FLOOD.to_string();
    let finished = Setup::new()
        .policy(refusing())
        .run(&["flood", &alarm, "1", &most]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(reports(&finished).total, SyscallReports::FLOOD);
}

/// No flood keeps the supervisor from its clocks. Where calls are only observed, nothing else ends it.
#[test]
fn limits_of_time_hold_in_a_flood() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    let limit = host::patience(300);
    let setup = Setup::new().policy(refusing()).observed();
    let args = ["flood", &alarm, "8", "1000000000"];
    let wall = setup
        .clone()
        .limits(|all| all.wall_time = Some(limit))
        .run(&args);
    assert_judged(&wall, Verdict::WallTimeLimit, Basis::WallReading);
    let cpu = setup.limits(|all| all.cpu_time = Some(limit)).run(&args);
    assert_judged(&cpu, Verdict::CpuTimeLimit, Basis::CpuReading);
    for (finished, time) in [
        (&wall, wall.outcome.evidence.wall_time),
        (&cpu, cpu.outcome.evidence.cpu_time.value().expect("read")),
    ] {
        assert!(
            reports(finished).total > 100,
            "{:?}",
            reports(finished).total
        );
        let slack = host::patience(100);
        assert!(time < limit + slack, "{time:?}");
    }
}
