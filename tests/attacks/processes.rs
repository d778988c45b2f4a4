//! Many processes, and other people's processes.

use std::os::unix::process::ExitStatusExt as _;

use sandbox_exec::{Basis, Finished, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, outside};

use crate::can_run;

/// Runs the bomb; what it said, how many processes the host saw, and how it ended.
fn fork_bomb(setup: Setup) -> (String, usize, Finished) {
    let uid = setup.identity.uid;
    let mut bomb = setup.live(&["fork-bomb", "300"]);
    let said = bomb.line();
    let standing = outside::processes_of(uid).len();
    let finished = bomb.finish();
    assert_eq!(outside::processes_of(uid), [], "the bomb is defused");
    (said, standing, finished)
}

#[test]
fn a_fork_bomb_stays_below_the_limit() {
    if !can_run() {
        return;
    }
    let limited = Setup::new().limits(|limits| limits.processes = Some(16));
    let (said, standing, finished) = fork_bomb(limited);
    assert_eq!(said, format!("refused {}", libc::EAGAIN));
    assert_eq!(standing, 16, "as many as the limit says, and no more");
    assert_judged(&finished, Verdict::ProcessLimit, Basis::ForkDenied);
    assert!(finished.outcome.evidence.forks_denied.value() > Some(0));

    let twin = Setup::new().limits(|limits| limits.processes = None);
    let (said, standing, finished) = fork_bomb(twin);
    assert_eq!(said, "all made");
    assert_eq!(standing, 301);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
}

#[test]
fn threads_count_as_processes() {
    if !can_run() {
        return;
    }
    let limited = Setup::new().limits(|limits| limits.processes = Some(16));
    let mut bomb = limited.live(&["thread-bomb", "100"]);
    assert_eq!(bomb.line(), "threads 15", "beside the main thread");
    let finished = bomb.finish();
    assert_judged(&finished, Verdict::ProcessLimit, Basis::ForkDenied);

    let mut twin = Setup::new()
        .limits(|limits| limits.processes = None)
        .live(&["thread-bomb", "100"]);
    assert_eq!(twin.line(), "threads 100");
    assert_judged(&twin.finish(), Verdict::Ok, Basis::ExitStatus);
}

/// Zombies count: without a reaper, the limit would be full of them after a few.
#[test]
fn the_dead_take_no_room() {
    if !can_run() {
        return;
    }
    let limited = Setup::new().limits(|limits| limits.processes = Some(8));
    let finished = limited.run(&["orphans", "300"]);
    assert_eq!(boxes::said(&finished), "all reaped\n");
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);

    // The same, but that init is not the one to reap.
    let twin = limited.run(&["orphans-unreaped", "300"]);
    let said = boxes::said(&twin);
    assert!(said.starts_with("refused after "), "{said}");
    assert_judged(&twin, Verdict::ProcessLimit, Basis::ForkDenied);
}

#[test]
fn kill_reaches_nobody_outside() {
    if !can_run() {
        return;
    }
    let setup = Setup::new();
    let uid = setup.identity.uid;
    // The same user on the host: what keeps them apart is the pid namespace alone.
    let mut victim = outside::start(uid, &["sleep", "30000"]);
    let finished = boxes::finish(&setup.sandbox(&["kill-everyone"]));
    assert!(boxes::said(&finished).ends_with("alone\n"));
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(victim.try_wait().expect("our child"), None, "it lives");

    assert_eq!(outside::run(uid, &["kill-everyone"]), "kill: ok 0\nalone\n");
    let status = victim.wait().expect("our child");
    assert_eq!(status.signal(), Some(libc::SIGKILL), "the twin kills it");
}

#[test]
fn init_cannot_be_killed() {
    if !can_run() {
        return;
    }
    // The filter lets kill(2) pass: what protects init is its own uid.
    let setup = Setup::new();
    let finished = setup.run(&["kill", "1"]);
    assert_eq!(
        boxes::said(&finished),
        format!("kill: errno {}\n", libc::EPERM)
    );
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);

    let uid = setup.identity.uid;
    let mut victim = outside::start(uid, &["sleep", "30000"]);
    let said = outside::run(uid, &["kill", &victim.id().to_string()]);
    assert_eq!(said, "kill: ok 0\n");
    let status = victim.wait().expect("our child");
    assert_eq!(
        status.signal(),
        Some(libc::SIGKILL),
        "the twin, of the same uid, dies"
    );
}

#[test]
fn ptrace_is_a_violation() {
    if !can_run() {
        return;
    }
    let finished = Setup::new().run(&["ptrace-child"]);
    assert_eq!(
        boxes::said(&finished),
        "",
        "not a word of the child's memory"
    );
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );

    let twin = Setup::new().without_filter().run(&["ptrace-child"]);
    assert!(boxes::said(&twin).starts_with("ptrace: ok 4711\n"));
}

#[test]
fn ptrace_reaches_nobody_outside() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().without_filter();
    let uid = setup.identity.uid;
    let mut victim = outside::start(uid, &["sleep", "30000"]);
    let pid = victim.id().to_string();
    let finished = boxes::finish(&setup.sandbox(&["ptrace-attach", &pid]));
    assert_eq!(
        boxes::said(&finished),
        format!("ptrace: errno {}\n", libc::ESRCH)
    );

    assert_eq!(
        outside::run(uid, &["ptrace-attach", &pid]),
        "ptrace: ok 0\n"
    );
    victim.kill().expect("our child");
    victim.wait().expect("our child");
}

#[test]
fn prlimit_reaches_no_other_process() {
    if !can_run() {
        return;
    }
    let refused = format!("prlimit: errno {}\n", libc::EPERM);
    for setup in [Setup::new(), Setup::new().without_filter()] {
        let finished = setup.run(&["limit", "1"]);
        assert_eq!(
            boxes::said(&finished),
            refused,
            "init is another user's process"
        );
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    }
    assert_eq!(
        boxes::said(&Setup::new().run(&["limit-child"])),
        refused,
        "the filter"
    );

    let twin = Setup::new().without_filter().run(&["limit-child"]);
    assert_eq!(
        boxes::said(&twin),
        "prlimit: ok 0\n",
        "of its own uid, without the filter"
    );
}
