//! A program that keeps the supervisor busy.

use std::time::{Duration, Instant};

use sandbox_exec::{Basis, Finished, KillReason, Policy, SyscallReports, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, host, in_child, sys};

use crate::{REPORT_ENOSYS, can_run, reports, violation};

/// Ten times what one run may have.
const COUNT: &str = "100000";

/// Most memory that a run may take of its supervisor beyond what an ordinary one takes. A list of all distinct calls would
/// take more.
const MEMORY_KIB: u64 = 1 << 10;

const MOST: usize = SyscallReports::MOST;

fn refusing() -> Policy {
    Policy::judge().report_kills().rule("alarm", REPORT_ENOSYS)
}

/// Runs the payload in an embedder of its own, of which it may take a tenth of a millisecond of CPU time for each report, some
/// five times what one takes, and memory for the list.
fn run_within_bounds(setup: &Setup, args: &[&str], look: impl FnOnce(&Finished)) {
    in_child(|| {
        // What a run needs of the embedder in any case is touched before.
        let first = setup.run(&["exit"]);
        assert_judged(&first, Verdict::Ok, Basis::ExitStatus);
        let before = sys::own_usage();
        let finished = setup.run(args);
        let after = sys::own_usage();
        let paid = reports(&finished).total.max(SyscallReports::FLOOD);
        let cpu = after.cpu - before.cpu;
        // An emulated machine's CPU time also runs while the host does something else.
        let slower = if host::is_emulated() { 30 } else { 1 };
        let one = Duration::from_micros(100) * slower;
        let most = one * u32::try_from(paid).expect("they are bounded");
        assert!(cpu <= most, "{args:?}: {cpu:?} for {paid} reports");
        // A call that is taken back before anybody has it wakes the supervisor too, and is not counted.
        let woken = after.sleeps - before.sleeps;
        assert!(woken <= 2 * paid, "{args:?}: {woken} for {paid} reports");
        let grown = after.peak_kib - before.peak_kib;
        assert!(grown <= MEMORY_KIB, "{args:?}: {grown} KiB");
        look(&finished);
    });
}

#[test]
fn a_flood_ends_the_run_and_names_the_call() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    let all = refusing().report_errnos();
    for (args, policy, name, most) in [
        (&["flood", &alarm, "1", COUNT][..], refusing(), "alarm", 2),
        (&["flood", &alarm, "8", COUNT], refusing(), "alarm", 2),
        (
            &["flood-interrupted", &alarm, COUNT],
            refusing(),
            "alarm",
            2,
        ),
        // No call twice, and the last one of ten thousand.
        (&["flood-of-all", "1000", COUNT], all, "call 1", MOST),
    ] {
        let begun = Instant::now();
        run_within_bounds(&Setup::new().policy(policy), args, |finished| {
            assert_flooded(finished, name, most);
        });
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

fn assert_flooded(finished: &Finished, name: &str, most: usize) {
    assert_eq!(boxes::said(finished), "", "it did not come to its end");
    let call = violation(finished);
    assert!(call.starts_with(name), "{call}");
    let evidence = &finished.outcome.evidence;
    assert_eq!(evidence.kill, Some(KillReason::ReportFlood));
    let seen = reports(finished);
    // Those whose thread was interrupted count for the end, and were never seen.
    assert!(seen.total <= SyscallReports::FLOOD + 1, "{seen:?}");
    assert!(seen.calls.len() <= most, "{seen:?}");
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
    let assert_in_time = |finished: &Finished, time: Duration| {
        let total = reports(finished).total;
        assert!(total > 100, "{total:?}");
        assert!(time < limit + host::patience(100), "{time:?}");
    };
    let wall = setup.clone().limits(|all| all.wall_time = Some(limit));
    run_within_bounds(&wall, &args, |finished| {
        assert_judged(finished, Verdict::WallTimeLimit, Basis::WallReading);
        assert_in_time(finished, finished.outcome.evidence.wall_time);
    });
    let cpu = setup.limits(|all| all.cpu_time = Some(limit));
    run_within_bounds(&cpu, &args, |finished| {
        assert_judged(finished, Verdict::CpuTimeLimit, Basis::CpuReading);
        let cpu_time = finished.outcome.evidence.cpu_time;
        assert_in_time(finished, cpu_time.value().expect("read"));
    });
}
