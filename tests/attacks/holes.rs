//! The policy for judges, call by call: what it answers, and what the kernel answers in its place where it is not in force.

use sandbox_exec::{Basis, Policy, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes};

use crate::can_run;

const OK: &str = "ok";
const KILLED: &str = "signal 31";
const EPERM: &str = "errno 1";
const ENOSYS: &str = "errno 38";

/// A call, the answer of the filter, and that of the kernel to the same call in the same box without it. Where the kernel has
/// several, its settings decide.
type Row = (&'static str, &'static str, &'static [&'static str]);

const TABLE: &[Row] = &[
    // ENOTTY: standard input is no terminal, and the kernel has looked.
    ("ioctl TIOCLINUX", EPERM, &["errno 25"]),
    ("ioctl wide TIOCLINUX", EPERM, &["errno 25"]),
    ("keyctl", ENOSYS, &[OK]),
    ("add_key", ENOSYS, &[OK]),
    // ENOKEY: looked for and not found.
    ("request_key", ENOSYS, &["errno 126"]),
    ("io_uring_setup", ENOSYS, &[OK]),
    // EOPNOTSUPP: the descriptor is no ring.
    ("io_uring_enter", ENOSYS, &["errno 95"]),
    ("io_uring_register", ENOSYS, &["errno 95"]),
    // By `kernel.unprivileged_bpf_disabled`.
    ("bpf", ENOSYS, &[EPERM, OK]),
    ("userfaultfd", ENOSYS, &[OK]),
    // EINVAL: no kernel has these flags.
    ("perf_event_open", ENOSYS, &["errno 22"]),
    ("open_tree", KILLED, &[OK]),
    // Of Linux 6.15: an older kernel does not know it, and the filter does.
    ("open_tree_attr", KILLED, &[OK, ENOSYS]),
    // The kernel looks for CAP_SYS_ADMIN before anything else, or at numbers even before that.
    ("move_mount", KILLED, &[EPERM]),
    ("fsopen", KILLED, &[EPERM]),
    ("fsconfig", KILLED, &["errno 22"]),
    ("fsmount", KILLED, &[EPERM]),
    ("fspick", KILLED, &[EPERM]),
    ("mount_setattr", KILLED, &["errno 22"]),
    ("process_vm_readv", KILLED, &[OK]),
    ("process_vm_writev", KILLED, &[OK]),
    ("ptrace", KILLED, &[OK]),
    // EBADF, EINVAL: the descriptor is none of a process, none of a namespace.
    ("pidfd_getfd", KILLED, &["errno 9"]),
    ("setns", KILLED, &["errno 22"]),
];

#[test]
fn every_closed_call_is_answered_by_the_filter() {
    if !can_run() {
        return;
    }
    let answers = |setup: Setup| {
        let finished = setup.run(&["holes"]);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        boxes::said(&finished)
    };
    let closed = answers(Setup::new().policy(Policy::judge()));
    let open = answers(Setup::new().without_filter());
    assert_eq!(closed.lines().count(), TABLE.len(), "{closed}");
    assert_eq!(open.lines().count(), TABLE.len(), "{open}");
    for ((name, filters, kernels), (closed, open)) in
        TABLE.iter().zip(closed.lines().zip(open.lines()))
    {
        assert!(!kernels.contains(filters), "{name} proves nothing");
        assert_eq!(closed, format!("{name}: {filters}"));
        let known = kernels.iter().any(|one| open == format!("{name}: {one}"));
        assert!(known, "without the filter, {open}");
    }
}
