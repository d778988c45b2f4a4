//! Names of the operations of every stage: the parent's half of what the child reports as numbers.

use sandbox_core::{Errno, Explain as _, Fault, Process, Stage, StepFailure};

use crate::{
    Prepared,
    child::{chain, confine, init, receive, report},
    command::Image,
    error::SetupFailure,
    process::{capabilities, identity, rlimits, session},
    sandbox::Inner,
};

/// Turns the report of a child into the error of the library.
pub(crate) fn setup_failure(
    prepared: &Prepared,
    process: Process,
    failure: StepFailure,
) -> SetupFailure {
    let StepFailure { stage, fault } = failure;
    SetupFailure {
        stage,
        operation: operation(prepared, process, stage, fault.index),
        advice: advice(&prepared.inner, stage, fault),
        finds_no_program: stage == Stage::WorkDir && fault.index == chain::FIND_PROGRAM,
        errno: fault.errno,
    }
}

/// The only failure that can come after the payload's proof.
pub(crate) fn exec_failure(image: &Image, failure: StepFailure) -> SetupFailure {
    let StepFailure { stage, fault } = failure;
    SetupFailure {
        stage,
        operation: exec_operation(image, fault.index),
        advice: exec_advice(fault.errno),
        finds_no_program: false,
        errno: fault.errno,
    }
}

fn exec_operation(image: &Image, index: u16) -> String {
    match index {
        chain::REPORT => "report before execve".to_owned(),
        _ => format!("execve {:?}", image.program()),
    }
}

fn operation(prepared: &Prepared, process: Process, stage: Stage, index: u16) -> String {
    let Prepared {
        inner,
        identity,
        entry,
        ..
    } = prepared;
    let ids = &identity.payload.identity;
    match stage {
        Stage::Adopt | Stage::Session => session_operation(index).to_owned(),
        Stage::Release => "wait for the supervisor's go".to_owned(),
        Stage::Namespaces => inner.namespaces.explain(index),
        Stage::Root if index == init::SEND_KEPT => "send a kept directory home".to_owned(),
        Stage::Root if index == init::RECEIVE_TREES => "receive the mounts of the run".to_owned(),
        Stage::Root => inner.root.explain(index),
        Stage::Fork if index == init::SIGNALS => "signalfd for SIGCHLD".to_owned(),
        Stage::Fork if index == init::RECEIVE_ENTRY => "receive the way into the cgroup".to_owned(),
        Stage::Fork => "clone3 of the payload".to_owned(),
        Stage::Seal => seal_operation(inner, index),
        Stage::Cgroup => entry.explain(index),
        Stage::Stdio if index == receive::RECEIVE_STREAMS => "receive the streams".to_owned(),
        Stage::Stdio => {
            let stream = ["stdin", "stdout", "stderr"].get(usize::from(index));
            format!("close the embedder's {}", stream.unwrap_or(&"stream"))
        }
        Stage::Rlimits => rlimit_operation(inner, index),
        Stage::Credentials => credential_operation(index, ids.uid, ids.gid),
        Stage::Capabilities => capability_operation(index).to_owned(),
        Stage::WorkDir if index == chain::CHDIR => format!("chdir to {:?}", inner.image.work_dir()),
        Stage::WorkDir => format!("find the program {:?}", inner.image.program()),
        Stage::Gate => "wait until the root stands and init is sealed".to_owned(),
        Stage::CloseFds => match index {
            chain::CLOSE_RANGE => "close_range from 3".to_owned(),
            chain::COUNT_GROUPS => "count the supplementary groups".to_owned(),
            _ => "unblock all signals".to_owned(),
        },
        Stage::NoNewPrivs if index == confine::SET_NO_NEW_PRIVS => "set no_new_privs".to_owned(),
        Stage::NoNewPrivs => "read no_new_privs back".to_owned(),
        Stage::Landlock => inner
            .landlock
            .as_ref()
            .map_or_else(String::new, |landlock| landlock.explain(index)),
        Stage::Seccomp if index == report::SEND_LISTENER => {
            "send the listener of the filter home".to_owned()
        }
        Stage::Seccomp => inner
            .filter
            .as_ref()
            .map_or_else(String::new, |filter| filter.explain(index)),
        Stage::Execve => exec_operation(&inner.image, index),
        other => format!("operation {index} of {other} in {process:?}"),
    }
}

fn session_operation(index: u16) -> &'static str {
    match index {
        session::NEW_SESSION => "setsid",
        session::KEYRING => "join a new session keyring",
        session::SCHEDULER => "reset scheduling policy and nice value",
        session::IO_PRIORITY => "reset I/O priority",
        session::PERSONALITY => "reset personality",
        session::TIMER_SLACK => "reset timer slack",
        session::DISPOSITIONS => "reset signal dispositions",
        session::CLOSE => "close the embedder's descriptors",
        session::OOM_SCORE => "raise oom_score_adj to 0",
        _ => "unknown operation of the session",
    }
}

fn credential_operation(index: u16, uid: u32, gid: u32) -> String {
    match index {
        identity::SET_SECUREBITS => "set and lock securebits".to_owned(),
        identity::DROP_BOUNDING => "drop the capability bounding set".to_owned(),
        identity::DROP_GROUPS => "setgroups to none".to_owned(),
        identity::SET_GID => format!("setresgid to {gid}"),
        identity::SET_UID => format!("setresuid to {uid}"),
        identity::VERIFY_IDS => format!("read ids {uid}:{gid} back"),
        identity::VERIFY_GROUPS => "read back that no group is left".to_owned(),
        other => format!("unknown operation {other} of the credentials"),
    }
}

fn capability_operation(index: u16) -> &'static str {
    match index {
        capabilities::CLEAR_AMBIENT => "clear the ambient capabilities",
        capabilities::DROP_SETS => "capset to nothing",
        capabilities::VERIFY_SETS => "read the empty capability sets back",
        capabilities::VERIFY_SECUREBITS => "read the locked securebits back",
        _ => "unknown operation of the capabilities",
    }
}

fn seal_operation(inner: &Inner, index: u16) -> String {
    let ids = &inner.init.identity;
    match index {
        init::SEAL_DESCRIPTORS => "close init's descriptors".to_owned(),
        init::SEAL_NO_NEW_PRIVS => "set no_new_privs in init".to_owned(),
        init::SEAL_DUMPABLE => "make init non-dumpable".to_owned(),
        init::SEAL_GATE => "open the gate".to_owned(),
        n if n >= init::SEAL_CAPABILITIES => {
            format!(
                "{} in init",
                capability_operation(n - init::SEAL_CAPABILITIES)
            )
        }
        n => format!("{} in init", credential_operation(n, ids.uid, ids.gid)),
    }
}

fn rlimit_operation(inner: &Inner, index: u16) -> String {
    let at = usize::from(index % rlimits::VERIFY);
    let (Some((_, name)), Some(value)) = (rlimits::RESOURCES.get(at), inner.rlimits.values.get(at))
    else {
        return format!("unknown operation {index} of the limits");
    };
    if index < rlimits::VERIFY {
        format!("set {name} to {value}")
    } else {
        format!("read {name} back as {value}")
    }
}

/// What to do where the errno alone misleads.
fn advice(inner: &Inner, stage: Stage, fault: Fault) -> Option<&'static str> {
    match (stage, fault.errno.raw()) {
        (Stage::Root, _) => inner.root.advice(fault),
        (Stage::Namespaces, libc::ENOSPC) => {
            Some("a limit of user.max_*_namespaces is reached, or is 0: see sysctl user")
        }
        (Stage::WorkDir, libc::ENOENT) if fault.index == chain::FIND_PROGRAM => {
            Some("no rule of the root brings this program into the box")
        }
        (Stage::WorkDir, libc::ENOENT) => {
            Some("no rule of the root brings this directory into the box")
        }
        (Stage::WorkDir, libc::ENOTDIR) => Some("something on this path is no directory"),
        (Stage::WorkDir, libc::EACCES) if fault.index == chain::FIND_PROGRAM => Some(
            "the payload's uid may not execute it: is it executable, is every directory above it searchable, is it on a noexec mount?",
        ),
        (Stage::WorkDir, libc::EACCES) => Some("the payload's uid may not enter it"),
        (Stage::Execve, _) => exec_advice(fault.errno),
        (Stage::Fork, libc::EAGAIN) => Some("a pids limit of a cgroup above the box is exhausted"),
        (Stage::Fork, libc::EBUSY) => {
            Some("the cgroup has controllers enabled for its children, so it can hold no process")
        }
        _ => None,
    }
}

fn exec_advice(errno: Errno) -> Option<&'static str> {
    match errno.raw() {
        libc::ENOENT => Some(
            "the program is there, so its interpreter or dynamic linker is missing in the box: see `file` and `ldd`",
        ),
        libc::ENOEXEC => Some(
            "not a program of this machine, and no `#!` line: was it compiled for another architecture?",
        ),
        libc::EACCES => {
            Some("it is no file, or the payload's uid may not execute it or its interpreter")
        }
        libc::EAGAIN => Some("the uid has more processes than RLIMIT_NPROC allows"),
        libc::E2BIG => Some("arguments and environment are too large"),
        _ => None,
    }
}
