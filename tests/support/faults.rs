//! One way for each stage to fail, and what the error must then say.

use core::ffi::c_int;

use sandbox_exec::Stage;

use crate::inject::Injection;

/// A call that fails in one stage of the ordinary box ([`boxes`](crate::boxes)).
#[derive(Debug)]
pub struct Fault {
    /// The stage.
    pub stage: Stage,
    /// What the error must name.
    pub operation: String,
    /// What fails.
    pub injection: Injection,
    /// The controller without which the stage has no such operation.
    pub needs: &'static str,
}

/// Ids of the payload in these boxes: known, because two calls are told apart by them.
pub const PAYLOAD_ID: u32 = 60_042;

/// As the kernel's headers number them: the calls of init and payload are told apart by what only one of them does.
const fn option(number: c_int) -> u32 {
    number.unsigned_abs()
}

/// Every stage that one failing system call can fail, most stages by several of their operations.
///
/// [`Stage::WorkDir`] and [`Stage::CloseFds`] are not among them: their calls are made by earlier stages too, with arguments
/// that do not tell them apart.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn all() -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |stage, operation: &str, injection| {
        faults.push(Fault {
            stage,
            operation: operation.to_owned(),
            injection,
            needs: match stage {
                Stage::Cgroup => "v1:pids",
                Stage::Landlock => "landlock",
                _ => "root",
            },
        });
    };
    let fail = Injection::new;
    let prctl = |number, errno| fail(libc::SYS_prctl, errno).when(0, option(number));

    add(
        Stage::Adopt,
        "reset signal dispositions",
        fail(libc::SYS_rt_sigaction, libc::ENOSYS),
    );
    add(Stage::Adopt, "setsid", fail(libc::SYS_setsid, libc::EPERM));
    add(
        Stage::Release,
        "wait for the supervisor's go",
        // Of the polls of a start, only this one of two descriptors has no time-out.
        fail(libc::SYS_ppoll, libc::ENOMEM).when(1, 2).when(2, 0),
    );
    add(
        Stage::Namespaces,
        "sethostname \"box\"",
        fail(libc::SYS_sethostname, libc::EPERM),
    );
    add(
        Stage::Namespaces,
        "bring lo up",
        fail(libc::SYS_ioctl, libc::ENODEV),
    );
    add(
        Stage::Namespaces,
        "unshare the network namespace",
        fail(libc::SYS_unshare, libc::ENOSPC).when(0, option(libc::CLONE_NEWNET)),
    );
    add(
        Stage::Namespaces,
        "unshare the cgroup namespace",
        fail(libc::SYS_unshare, libc::ENOSPC).when(0, option(libc::CLONE_NEWCGROUP)),
    );
    add(
        Stage::Fork,
        "receive the way into the cgroup",
        // Records are received without waiting.
        fail(libc::SYS_recvmsg, libc::EMFILE).when(2, option(libc::MSG_CMSG_CLOEXEC)),
    );
    add(
        Stage::Root,
        "pivot_root into the new tree",
        fail(libc::SYS_pivot_root, libc::EINVAL),
    );
    add(
        Stage::Root,
        "detach the tree of the host",
        fail(libc::SYS_umount2, libc::EBUSY),
    );
    add(
        Stage::Root,
        "tmpfs on ",
        fail(libc::SYS_fsopen, libc::ENODEV),
    );
    add(
        Stage::Fork,
        "signalfd for SIGCHLD",
        fail(libc::SYS_signalfd4, libc::EMFILE),
    );
    add(
        Stage::Seal,
        "close init's descriptors",
        fail(libc::SYS_close_range, libc::ENOMEM).when(0, 0),
    );
    add(
        Stage::Seal,
        "setresuid to 2147483646 in init",
        fail(libc::SYS_setresuid, libc::EAGAIN).when(0, 0x7fff_fffe),
    );
    add(
        Stage::Seal,
        "make init non-dumpable",
        prctl(libc::PR_SET_DUMPABLE, libc::EINVAL),
    );
    add(
        Stage::Session,
        "join a new session keyring",
        fail(libc::SYS_keyctl, libc::EDQUOT),
    );
    add(
        Stage::Session,
        "reset scheduling policy and nice value",
        fail(libc::SYS_sched_getscheduler, libc::EPERM),
    );
    add(
        Stage::Session,
        "reset I/O priority",
        fail(libc::SYS_ioprio_set, libc::EPERM),
    );
    add(
        Stage::Session,
        "reset personality",
        fail(libc::SYS_personality, libc::EINVAL),
    );
    add(
        Stage::Session,
        "reset timer slack",
        prctl(libc::PR_SET_TIMERSLACK, libc::EINVAL),
    );
    add(
        Stage::Cgroup,
        "write 0 to ",
        // A single byte is written to `tasks` alone.
        fail(libc::SYS_write, libc::EBUSY).when(2, 1),
    );
    for (target, stream) in [(0, "stdin"), (1, "stdout"), (2, "stderr")] {
        add(
            Stage::Stdio,
            &format!("close the embedder's {stream}"),
            fail(libc::SYS_close, libc::EIO).when(0, target),
        );
    }
    let limit = |resource: libc::__rlimit_resource_t, errno| {
        fail(libc::SYS_prlimit64, errno).when(1, resource)
    };
    add(
        Stage::Rlimits,
        "set RLIMIT_NICE to 0",
        limit(libc::RLIMIT_NICE, libc::EPERM),
    );
    add(
        Stage::Rlimits,
        "read RLIMIT_NICE back as 0",
        limit(libc::RLIMIT_NICE, libc::EPERM).when(2, 0),
    );
    add(
        Stage::Credentials,
        "set and lock securebits",
        prctl(libc::PR_SET_SECUREBITS, libc::EPERM),
    );
    add(
        Stage::Credentials,
        "drop the capability bounding set",
        prctl(libc::PR_CAPBSET_DROP, libc::EPERM),
    );
    add(
        Stage::Credentials,
        &format!("setresgid to {PAYLOAD_ID}"),
        fail(libc::SYS_setresgid, libc::EPERM).when(0, PAYLOAD_ID),
    );
    add(
        Stage::Credentials,
        &format!("setresuid to {PAYLOAD_ID}"),
        fail(libc::SYS_setresuid, libc::EAGAIN).when(0, PAYLOAD_ID),
    );
    add(
        Stage::Capabilities,
        "read the locked securebits back",
        prctl(libc::PR_GET_SECUREBITS, libc::EINVAL),
    );
    add(
        Stage::Landlock,
        "make the Landlock ruleset",
        fail(libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP).when(1, 24),
    );
    add(
        Stage::Landlock,
        "allow \"/\" to Landlock",
        fail(libc::SYS_landlock_add_rule, libc::ENOMEM),
    );
    add(
        Stage::Landlock,
        "enter the Landlock domain",
        fail(libc::SYS_landlock_restrict_self, libc::E2BIG),
    );
    add(
        Stage::Gate,
        "wait until the root stands and init is sealed",
        // Eight bytes are read from an eventfd alone.
        fail(libc::SYS_read, libc::EIO).when(2, 8),
    );
    add(
        Stage::NoNewPrivs,
        "read no_new_privs back",
        prctl(libc::PR_GET_NO_NEW_PRIVS, libc::EINVAL),
    );
    add(
        Stage::Seccomp,
        "install the system call filter",
        fail(libc::SYS_seccomp, libc::ENOMEM),
    );
    add(
        Stage::Execve,
        "execve \"/payload\"",
        fail(libc::SYS_execve, libc::EAGAIN),
    );
    faults
}
