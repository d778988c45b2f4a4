//! Calls that init and the payload both make, or that the first clone makes too: they fail in one process alone.
//!
//! A chain of the embedder's own is the way in: it is the family's chain, with the injected failure at one place.

#![expect(unsafe_code, reason = "a chain of one's own")]

use core::convert::Infallible;

use sandbox_exec::{
    Error, Output, Plan, Sandbox, Stage, Stdin,
    child::{Chain, Child, Cloned, Frame, Framed},
    core::StepFailure,
};
use sandbox_test_support::{
    boxes, host, in_child,
    inject::{self, Injection},
    leaks::Snapshot,
    sys,
};

type Never = Result<Infallible, StepFailure>;

fn build<'p>(
    init: Child<Cloned>,
    plan: &Plan<'p>,
) -> Result<(Child<Framed>, Frame<'p>), StepFailure> {
    init.await_release(plan.init)?
        .isolate(plan.namespaces)?
        .frame_root(plan.root)
}

/// The failure is the payload's alone.
fn payload_fails(init: Child<Cloned>, plan: &Plan<'_>) -> Never {
    let (framed, frame) = build(init, plan)?;
    let payload = framed.fork_payload(plan.init, frame, plan.namespaces)?;
    inject::install_armed();
    let payload = payload.limit(plan.rlimits)?;
    let payload = payload.drop_privileges(plan.identity)?;
    let payload = payload.attach_stdio()?.confine(plan.landlock)?;
    let Some(filter) = plan.filter else {
        sys::exit_now(1)
    };
    payload.seal(filter, plan.image)?.execve(plan.image)
}

/// The failure is in both, but the payload never comes to that call: it must end with init.
fn init_fails(init: Child<Cloned>, plan: &Plan<'_>) -> Never {
    let (framed, frame) = build(init, plan)?;
    inject::install_armed();
    let _payload = framed.fork_payload(plan.init, frame, plan.namespaces)?;
    loop {
        sys::pause();
    }
}

struct Case {
    chain: Chain,
    injection: Injection,
    stage: Stage,
    operation: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |chain, call, errno, stage, operation| Case {
        chain,
        injection: Injection::new(call, errno),
        stage,
        operation,
    };
    let option = |mut case: Case, option: i32| {
        case.injection = case.injection.when(0, option.unsigned_abs());
        case
    };
    vec![
        case(
            init_fails,
            libc::SYS_clone3,
            libc::ENOSPC,
            Stage::Fork,
            "clone3 of the payload",
        ),
        case(
            init_fails,
            libc::SYS_setgroups,
            libc::EPERM,
            Stage::Seal,
            "setgroups to none in init",
        ),
        case(
            payload_fails,
            libc::SYS_setgroups,
            libc::EPERM,
            Stage::Credentials,
            "setgroups to none",
        ),
        case(
            init_fails,
            libc::SYS_capset,
            libc::EPERM,
            Stage::Seal,
            "capset to nothing in init",
        ),
        case(
            payload_fails,
            libc::SYS_capset,
            libc::EPERM,
            Stage::Capabilities,
            "capset to nothing",
        ),
        option(
            case(
                init_fails,
                libc::SYS_prctl,
                libc::EINVAL,
                Stage::Seal,
                "set no_new_privs in init",
            ),
            libc::PR_SET_NO_NEW_PRIVS,
        ),
        option(
            case(
                payload_fails,
                libc::SYS_prctl,
                libc::EINVAL,
                Stage::NoNewPrivs,
                "set no_new_privs",
            ),
            libc::PR_SET_NO_NEW_PRIVS,
        ),
    ]
}

fn start(sandbox: &Sandbox, chain: Chain) -> Result<sandbox_exec::Running, Error> {
    // SAFETY: the transitions are async-signal-safe; so is what is added to them here, system calls on static memory.
    unsafe { sandbox.spawn_with(chain, Stdin::Null, Output::Null, Output::Null) }
}

#[test]
fn each_names_its_process_and_leaves_nothing() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    for case in cases() {
        in_child(|| {
            let sandbox = boxes::sandbox(&["exit"]);
            case.injection.arm();
            let before = Snapshot::take();
            let failure = match start(&sandbox, case.chain) {
                Err(Error::Setup(failure)) => failure,
                Err(other) => panic!("{}: {}", case.operation, boxes::full(&other)),
                Ok(_) => panic!("{}: the box has started", case.operation),
            };
            let found = (failure.stage, failure.operation.as_str());
            assert_eq!(found, (case.stage, case.operation));
            assert_eq!(failure.errno.raw(), case.injection.errno, "{failure}");
            // Not even a process that hangs in set-up.
            Snapshot::take().assert_same(&before);
        });
    }
}

/// The twin: the same chain with a failure of a call that nobody makes starts the program.
#[test]
fn the_chain_starts_the_program_when_nothing_fails() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    in_child(|| {
        let sandbox = boxes::sandbox(&["exit", "9"]);
        Injection::new(libc::SYS_reboot, libc::EPERM).arm();
        let running = start(&sandbox, payload_fails).expect("it starts");
        let finished = running.wait().expect("it is watched");
        let exit = finished.outcome.evidence.exit;
        assert_eq!(exit, Some(sandbox_exec::Exit::Code(9)));
    });
}
