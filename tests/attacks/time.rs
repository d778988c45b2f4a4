//! Burning and wasting time.

use core::time::Duration;
use std::time::Instant;

use sandbox_exec::{Basis, Finished, KillReason, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, host, outside, scene};

use crate::can_run;

/// More than the start of a program costs, which in an emulated machine beside others is a third of a second.
fn limit() -> Duration {
    Duration::from_millis(if host::is_emulated() { 1_500 } else { 300 })
}

fn with_cpu_limit() -> Setup {
    Setup::new().limits(|limits| limits.cpu_time = Some(limit()))
}

/// Killed for its CPU time, before it came to the end that its twin comes to.
fn assert_cut(finished: &Finished, twin: &Finished) {
    assert_judged(finished, Verdict::CpuTimeLimit, Basis::CpuReading);
    assert_eq!(boxes::said(finished), "");
    let evidence = &finished.outcome.evidence;
    assert_eq!(evidence.kill, Some(KillReason::CpuTime));
    assert!(evidence.cpu_time.value() > Some(limit()));

    assert_eq!(boxes::said(twin), "spun to the end\n");
    assert_judged(twin, Verdict::Ok, Basis::ExitStatus);
    let spent = twin.outcome.evidence.cpu_time.value().expect("measured");
    assert!(spent > limit(), "the twin spent {spent:?}");
}

/// Milliseconds of CPU time: far past the limit.
const LONG: &str = "5000";

/// Milliseconds of CPU time: a little past the limit.
fn enough() -> String {
    (limit().as_millis() + 200).to_string()
}

#[test]
fn a_spinner_is_ended() {
    if !can_run() {
        return;
    }
    let twin = Setup::new().run(&["spin", &enough(), "1"]);
    assert_cut(&with_cpu_limit().run(&["spin", LONG, "1"]), &twin);
}

#[test]
fn time_in_the_kernel_counts() {
    if !can_run() {
        return;
    }
    let twin = Setup::new().run(&["spin-system", &enough()]);
    assert_cut(&with_cpu_limit().run(&["spin-system", LONG]), &twin);
}

#[test]
fn catching_sigxcpu_gains_nothing() {
    if !can_run() {
        return;
    }
    let twin = Setup::new().run(&["spin-catching-xcpu", &enough()]);
    assert_cut(&with_cpu_limit().run(&["spin-catching-xcpu", LONG]), &twin);
}

#[test]
fn an_orphans_time_is_the_runs_time() {
    if !can_run() {
        return;
    }
    let twin = Setup::new().run(&["orphan-spin", &enough()]);
    assert_cut(&with_cpu_limit().run(&["orphan-spin", LONG]), &twin);
}

#[test]
fn a_sleeper_is_ended() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.wall_time = Some(limit()));
    let started = Instant::now();
    let finished = setup.run(&["sleep", "10000"]);
    assert_judged(&finished, Verdict::WallTimeLimit, Basis::WallReading);
    assert_eq!(finished.outcome.evidence.kill, Some(KillReason::WallTime));
    assert!(started.elapsed() < limit() + host::patience(2000));

    let twin = Setup::new().run(&["sleep", &enough()]);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    assert!(twin.outcome.evidence.wall_time > limit());
}

#[test]
fn a_program_that_stops_itself_is_ended() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.wall_time = Some(limit()));
    let finished = setup.run(&["stop-self"]);
    assert_judged(&finished, Verdict::WallTimeLimit, Basis::WallReading);
    assert_eq!(boxes::said(&finished), "", "it did not go on");

    let mut twin = outside::start(0, &["stop-self"]);
    let pid = i32::try_from(twin.id()).expect("a pid");
    let status = scene::wait_stopped(pid);
    assert!(
        libc::WIFSTOPPED(status),
        "outside it stands for good: {status:#x}"
    );
    twin.kill().expect("our child");
    twin.wait().expect("our child");
}
