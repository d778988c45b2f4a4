//! How a filter that reports comes to its supervisor.

#![expect(unsafe_code, reason = "a chain of one's own")]

use core::convert::Infallible;
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

use sandbox_exec::{
    Command, Error, Identity, Limits, Output, Plan, Policy, Sandbox, SetupFailure, Stage, Stdin,
    UserMap, Verdict,
    child::{Child, Cloned},
    core::StepFailure,
};
use sandbox_test_support::{
    Fork, Setup, boxes, host, in_child,
    inject::{self, Injection},
    leaks::Snapshot,
    mapped::{Open, become_user_with_ranges, ranges, root},
    outside,
    setup::judged,
    sys,
};

use crate::{can_run, capture, named, reports, violation};

fn judge() -> Setup {
    Setup::new().policy(Policy::judge().report_kills())
}

fn ptrace() -> [String; 2] {
    ["call".to_owned(), libc::SYS_ptrace.to_string()]
}

#[test]
fn a_prepared_box_reports_and_nothing_is_left() {
    if !can_run() {
        return;
    }
    let args = ptrace();
    let args = [args[0].as_str(), args[1].as_str()];
    in_child(|| {
        let before = Snapshot::take();
        let sandbox = judge().sandbox(&args);
        for _ in 0..50 {
            let prepared = sandbox.prepare().expect("a box");
            let running = prepared.spawn(Stdin::Null, capture(), capture());
            let finished = running.and_then(sandbox_exec::Running::wait);
            assert_eq!(
                violation(&finished.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))),
                "ptrace"
            );
        }
        // Not even of runs that nobody waits for, in a call that nobody answers.
        for _ in 0..10 {
            let running = sandbox.spawn(Stdin::Null, capture(), capture());
            drop(running.expect("it starts"));
        }
        drop(sandbox);
        Snapshot::take().assert_same(&before);
    });
}

/// Between start and wait nobody answers: the call waits too, and is not lost.
#[test]
fn a_call_before_the_wait_waits() {
    if !can_run() {
        return;
    }
    let args = ptrace();
    let sandbox = judge().sandbox(&[&args[0], &args[1]]);
    let running = sandbox
        .spawn(Stdin::Null, capture(), capture())
        .expect("it starts");
    std::thread::sleep(Duration::from_millis(50));
    let finished = running.wait().expect("watched");
    assert_eq!(violation(&finished), "ptrace");
    assert_eq!(boxes::said(&finished), "");
    let call = named(&finished, "ptrace");
    assert!(call.after >= Duration::from_millis(40), "{call:?}");
}

/// A call that waits when its run is dropped or cancelled, or when the embedder dies, is never made.
#[test]
fn a_waiting_call_is_never_made() {
    if !can_run() {
        return;
    }
    let unshare = libc::SYS_unshare.to_string();
    let args = ["call-by", "main", &unshare];
    // Output goes to a pipe, where no limit counts it.
    let setup = judge().limits(|limits| limits.output = None);
    let start = |setup: &Setup| {
        let (stdout, theirs) = sys::pipe();
        let sandbox = setup.sandbox(&args);
        let running = sandbox.spawn(Stdin::Null, Output::Fd(theirs), Output::Null);
        let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        let mut stdout = File::from(stdout);
        boxes::expect(&mut stdout, boxes::STARTED);
        std::thread::sleep(Duration::from_millis(20));
        (running, stdout)
    };
    let rest = |mut stdout: File| {
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("a pipe");
        rest
    };

    let (running, stdout) = start(&setup);
    drop(running);
    assert_eq!(rest(stdout), "");

    let (running, stdout) = start(&setup);
    running.canceller().cancel();
    let finished = running.wait().expect("watched");
    assert!(matches!(
        judged(&finished).0,
        Verdict::Cancelled | Verdict::SecurityViolation { .. }
    ));
    assert_eq!(rest(stdout), "");

    let dir = tempfile::tempdir().expect("a directory");
    let said = dir.path().join("said");
    let mut embedder = Fork::start(|pipe| {
        let file = File::create(&said).expect("ours");
        let sandbox = setup.sandbox(&args);
        let running = sandbox.spawn(Stdin::Null, Output::Fd(file.into()), Output::Null);
        let _running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        while fs::read_to_string(&said).expect("ours").is_empty() {}
        pipe.write_all(b"x").expect("the test listens");
        loop {
            sys::pause();
        }
    });
    assert_eq!(embedder.read(1), b"x");
    std::thread::sleep(Duration::from_millis(20));
    embedder.kill_by(libc::SIGKILL);
    let deadline = Instant::now() + host::patience(2_000);
    while !outside::processes_of(setup.identity.uid).is_empty() {
        assert!(Instant::now() < deadline, "the box stays");
    }
    // The kernel refuses what nobody listens for, and init may take a moment to die.
    let said = fs::read_to_string(&said).expect("ours");
    let refused = format!("{}main: errno {}\n", boxes::STARTED, libc::ENOSYS);
    assert!(refused.starts_with(&said), "{said}");

    // The twin: the same program, where the call is allowed.
    let twin = setup.policy(Policy::judge().report_kills().allow(&["unshare"]));
    let (running, stdout) = start(&twin);
    running.wait().expect("watched");
    assert_eq!(rest(stdout), "main: ok 0\n");
}

fn mapped(open: &Open, map: UserMap, identity: Identity, policy: Policy) -> sandbox_exec::Finished {
    let args = ptrace();
    let sandbox = Sandbox::builder()
        .user_map(map)
        .root(root(&open.payload()))
        .identity(identity)
        .limits(Limits::default().wall_time(host::patience(10_000)))
        .policy(policy)
        .command(&Command::new(boxes::PAYLOAD).args(args));
    let finished = sandbox.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP));
    finished.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

#[test]
fn an_ordinary_users_box_reports() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let policy = Policy::judge().report_kills();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let own = mapped(&open, UserMap::own(), Identity::new(0, 0), policy.clone());
        assert_eq!(violation(&own), "ptrace");
    });
    // As root, with a user namespace.
    let outside = 3_000_000 + std::process::id() % 10_000 * 2000;
    in_child(|| {
        let finished = mapped(
            &open,
            ranges(outside),
            Identity::new(1000, 1000),
            policy.clone(),
        );
        assert_eq!(violation(&finished), "ptrace");
    });
    if !host::has(&["uidmap"]) {
        return;
    }
    let files = tempfile::tempdir().expect("a directory");
    in_child(|| {
        let first = become_user_with_ranges(uid, files.path());
        let finished = mapped(
            &open,
            ranges(first),
            Identity::new(1000, 1000),
            policy.clone(),
        );
        assert_eq!(violation(&finished), "ptrace");
    });
}

/// The family's chain, with the injected failure in the payload alone.
fn payload_fails(init: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    let (framed, frame) = init
        .await_release(plan.init)?
        .isolate(plan.namespaces)?
        .frame_root(plan.root)?;
    let payload = framed
        .fork_payload(plan.init, frame, plan.namespaces)?
        .limit(plan.rlimits)?
        .drop_privileges(plan.identity)?
        .attach_stdio()?
        .confine(plan.landlock)?;
    inject::install_armed();
    let Some(filter) = plan.filter else {
        sys::exit_now(1)
    };
    payload.seal(filter, plan.image)?.execve(plan.image)
}

#[track_caller]
fn failure(sandbox: &Sandbox) -> SetupFailure {
    let before = Snapshot::take();
    // SAFETY: the transitions are async-signal-safe; so is what is added to them here, a system call on static memory.
    let started =
        unsafe { sandbox.spawn_with(payload_fails, Stdin::Null, Output::Null, Output::Null) };
    let failure = match started {
        Err(Error::Setup(failure)) => failure,
        Err(other) => panic!("{}", boxes::full(&other)),
        Ok(_) => panic!("the box has started"),
    };
    Snapshot::take().assert_same(&before);
    failure
}

#[test]
fn every_step_of_the_way_reports_its_failure() {
    if !can_run() {
        return;
    }
    let fail = Injection::new;
    for (injection, operation) in [
        (
            fail(libc::SYS_seccomp, libc::ENOMEM).when(0, libc::SECCOMP_SET_MODE_FILTER),
            "install the reporting system call filter",
        ),
        (
            fail(libc::SYS_sendmsg, libc::EPIPE),
            "send the listener of the filter home",
        ),
        (
            fail(libc::SYS_seccomp, libc::EBADRQC).when(0, 0x5b0c_9ee7),
            "greet the supervisor",
        ),
    ] {
        in_child(|| {
            let sandbox = judge().sandbox(&["exit"]);
            injection.arm();
            let failure = failure(&sandbox);
            assert_eq!(failure.stage, Stage::Seccomp, "{failure}");
            assert!(failure.operation.starts_with(operation), "{failure}");
            assert_eq!(failure.errno.raw(), injection.errno);
        });
    }
    in_child(|| {
        let sandbox = judge().sandbox(&["exit", "9"]);
        fail(libc::SYS_reboot, libc::EPERM).arm();
        // SAFETY: as in `failure`.
        let running =
            unsafe { sandbox.spawn_with(payload_fails, Stdin::Null, Output::Null, Output::Null) };
        let finished = running
            .and_then(sandbox_exec::Running::wait)
            .expect("it runs");
        assert_eq!(reports(&finished).total, 0);
    });
}

/// A kernel of before 5.19 does not know one of the flags.
#[test]
fn without_waiting_that_only_death_ends_reports_arrive_too() {
    if !can_run() {
        return;
    }
    in_child(|| {
        let args = ptrace();
        let sandbox = judge().sandbox(&[&args[0], &args[1]]);
        Injection::new(libc::SYS_seccomp, libc::EINVAL)
            .when(0, libc::SECCOMP_SET_MODE_FILTER)
            .when(1, 0x28)
            .install();
        assert_eq!(violation(&boxes::finish(&sandbox)), "ptrace");
    });
}

#[test]
fn a_program_that_cannot_start_is_told_as_ever() {
    if !can_run() {
        return;
    }
    let missing = Command::new("/nowhere/program");
    let no_program = Command::new("/tmp");
    for (command, stage) in [(missing, Stage::WorkDir), (no_program, Stage::Execve)] {
        in_child(|| {
            let before = Snapshot::take();
            let sandbox = judge().sandbox_of(&command);
            match sandbox.run(Stdin::Null, boxes::KEEP) {
                Err(Error::Setup(failure)) => assert_eq!(failure.stage, stage, "{failure}"),
                other => panic!("{other:?}"),
            }
            drop(sandbox);
            Snapshot::take().assert_same(&before);
        });
    }
}

/// The listener needs a number for a moment, and the limit of open files is in force by then.
#[test]
fn a_limit_that_leaves_no_number_for_the_listener_is_named() {
    if !can_run() {
        return;
    }
    let files = |files| judge().limits(|limits| limits.open_files = Some(files));
    match files(3).sandbox(&["exit"]).run(Stdin::Null, boxes::KEEP) {
        Err(Error::Setup(failure)) => {
            assert_eq!(failure.stage, Stage::Seccomp);
            assert_eq!(failure.errno.raw(), libc::EMFILE);
            assert!(
                failure.operation.contains("limit of open files"),
                "{failure}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(judged(&files(5).run(&["exit"])).0, Verdict::Ok);
}

/// The kernel has one listener at most for all filters of a process: in some containers it is taken.
#[test]
fn an_embedder_under_a_listener_is_told_so() {
    if !can_run() {
        return;
    }
    in_child(|| {
        let sandbox = judge().sandbox(&["exit"]);
        let _listener = inject::install_listener();
        match sandbox.run(Stdin::Null, boxes::KEEP) {
            Err(Error::Setup(failure)) => {
                assert_eq!(failure.stage, Stage::Seccomp);
                assert_eq!(failure.errno.raw(), libc::EBUSY);
                assert!(failure.operation.contains("has one at most"), "{failure}");
            }
            other => panic!("{other:?}"),
        }
        let twin = boxes::run(&["exit"]);
        assert_eq!(judged(&twin).0, Verdict::Ok);
    });
}
