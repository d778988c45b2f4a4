//! A policy that reports `execve`: the start becomes the program, and the program executes nothing.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use sandbox_exec::{
    Basis, Command, Error, Exit, MountFlags, Output, Policy, Stage, Stdin, Verdict,
    seccomp::{ArgCondition, Comparison},
};
use sandbox_test_support::{Setup, assert_judged, boxes, in_child, leaks::Snapshot};

use crate::{REPORT_ENOSYS, REPORT_KILL, can_run, capture, reports, violation};

fn execve_by<'a>(who: &'a str, number: &'a str) -> [&'a str; 3] {
    ["call-by", who, number]
}

/// The start's own is let through, and no other: whoever makes it, and whatever the answer.
#[test]
fn a_strict_program_starts_and_executes_nothing() {
    if !can_run() {
        return;
    }
    let execve = libc::SYS_execve.to_string();
    let strict = Setup::new().policy(Policy::strict_compute());
    let started = strict.run(&["exit", "9"]);
    assert_judged(
        &started,
        Verdict::RuntimeError(Exit::Code(9)),
        Basis::ExitStatus,
    );
    assert_eq!(reports(&started).total, 0, "the start's own is none");
    for who in ["main", "thread"] {
        let finished = strict.run(&execve_by(who, &execve));
        assert_eq!(violation(&finished), "execve");
        assert_eq!(boxes::said(&finished), "", "{who} did not go on");
        assert_eq!(reports(&finished).total, 1);
    }
    // What a child does counts too, where the policy allows to have one.
    let alone = Policy::judge().rule("execve", REPORT_KILL);
    let finished = Setup::new().policy(alone).run(&execve_by("child", &execve));
    assert_eq!(violation(&finished), "execve");

    let refused = Policy::judge().rule("execve", REPORT_ENOSYS);
    let finished = Setup::new()
        .policy(refused)
        .run(&execve_by("main", &execve));
    let said = format!("main: errno {}\n", libc::ENOSYS);
    assert_eq!(boxes::said(&finished), said);
    assert_eq!(reports(&finished).total, 1);

    let observed = Setup::new().policy(Policy::strict_compute()).observed();
    let finished = observed.run(&execve_by("main", &execve));
    assert_eq!(reports(&finished).total, 1, "the start's own is none");

    // The twin: the kernel looks at the path that is NULL.
    let twin = Setup::new().run(&execve_by("main", &execve));
    let said = format!("main: errno {}\n", libc::EFAULT);
    assert_eq!(boxes::said(&twin), said);
}

/// The start's own has nothing in the registers that `execve` does not read, as the compiler of the policy takes for granted.
/// libc leaves in them what was there: the flags of the message before.
#[test]
fn the_start_is_decided_as_it_was_when_compiled() {
    if !can_run() {
        return;
    }
    let flags = libc::MSG_NOSIGNAL.unsigned_abs().into();
    let fourth = [ArgCondition::dword(3, Comparison::Eq(flags))];
    let policy = Policy::judge().rule_if("execve", fourth, REPORT_KILL);
    let finished = Setup::new().policy(policy).run(&["exit", "0"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(reports(&finished).total, 0);
}

/// Before the wait, nobody answers what the program calls; after the start, no more than the start is let through.
#[test]
fn a_second_execve_before_the_wait_is_no_start() {
    if !can_run() {
        return;
    }
    let execve = libc::SYS_execve.to_string();
    in_child(|| {
        let sandbox = Setup::new()
            .policy(Policy::strict_compute())
            .sandbox(&execve_by("main", &execve));
        let before = Snapshot::take();
        for prepare in [false, true] {
            let running = if prepare {
                let prepared = sandbox.prepare().expect("a box");
                prepared.spawn(Stdin::Null, capture(), capture())
            } else {
                sandbox.spawn(Stdin::Null, capture(), capture())
            };
            let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(violation(&running.wait().expect("watched")), "execve");
        }
        Snapshot::take().assert_same(&before);
    });
}

/// A program that is still open for writing is tried again: announced again, and let through again.
#[test]
fn a_start_that_is_tried_again_is_let_through_again() {
    if !can_run() {
        return;
    }
    let program = tempfile::NamedTempFile::new().expect("a file");
    // Closed: it was open for writing.
    let program = program.into_temp_path();
    fs::copy(boxes::payload_on_host(), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let execve = libc::SYS_execve.to_string();
    let setup = Setup::new()
        .policy(Policy::strict_compute())
        .root(|root| root.bind(&program, "/busy", MountFlags::empty()));
    let command = Command::new("/busy").args(["call", &execve]);
    let writer = || File::options().append(true).open(&program).expect("ours");
    // In a process of its own: boxes of other tests that begin in between are copies of this one, writer and all.
    in_child(|| {
        let sandbox = setup.sandbox_of(&command);
        let forever = writer();
        let error = sandbox.spawn(Stdin::Null, Output::Null, Output::Null).err();
        let Some(Error::Setup(failure)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (failure.stage, failure.errno.raw()),
            (Stage::Execve, libc::ETXTBSY)
        );
        drop(forever);

        // After the first try, and long before the last: each asks the supervisor.
        let moment = writer();
        let closer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(12));
            drop(moment);
        });
        let finished = boxes::finish(&sandbox);
        closer.join().expect("it does not panic");
        assert_eq!(violation(&finished), "execve");
        assert_eq!(reports(&finished).total, 1);
    });
}
