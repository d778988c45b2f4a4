//! The policy for a native solution and nothing else.

use std::sync::LazyLock;

use super::{EACCES, ENOSYS, ENOTTY, EPERM};
use crate::{Action, Answer, Policy};

impl Policy {
    /// The policy for a native program that computes, reads its input and prints: nothing else.
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | `@descriptors`, `@file-read`, `@memory`, `@threads`, `@time`, `@waiting`, `@self` | allowed | the loader, the C and C++ libraries and the program itself need them |
    /// | `setrlimit`, `sched_getaffinity`, `sched_getparam`, `sched_getscheduler`, `sched_get_priority_max`, `sched_get_priority_min`, `getpriority` | allowed | as above |
    /// | `open`, `openat` for writing, making, truncating | `EACCES` | answers go to the streams |
    /// | `openat2` | `ENOSYS` | its flags lie in memory, where no filter sees them |
    /// | `write`, `writev`, `pwrite64`, `pwritev`, `pwritev2` | allowed | on the streams; no other descriptor can be had |
    /// | what else is of `@file-write` | `ENOSYS` | as above |
    /// | `clone` of a thread | allowed | `std::thread`, OpenMP, the Go runtime |
    /// | `clone` of a process, `fork`, `vfork`, `execveat` | kill | a solution is one process; to make another is the verdict |
    /// | `execve` | reported, and ends the run, but for the start's own | a solution is one program; a filter cannot count, so the supervisor does |
    /// | `@network`, `@messages` | kill | there is nobody to talk to |
    /// | `sendto`, `sendmsg` | kill, but for what the start sends: the report of its failure, the listener | a program without sockets gains nothing by them |
    /// | `rt_sigaction`, `rt_sigprocmask`, `rt_sigreturn`, `rt_sigpending`, `rt_sigtimedwait`, `rt_sigsuspend`, `sigaltstack`, `pause`, `restart_syscall` | allowed | handlers of its own |
    /// | `tkill`, `tgkill` | allowed, but to process 1 `EPERM` | `abort(3)`, `raise(3)`, the Go scheduler |
    /// | `sched_setscheduler` | to `SCHED_OTHER`, which every process of the box has anyhow; else `ENOSYS` | Free Pascal asks for it at each thread that it makes, and has none without |
    /// | `kill`, `rt_sigqueueinfo`, `rt_tgsigqueueinfo`, `pidfd_send_signal` | `EPERM` | there is no other process |
    /// | `ioctl` | is it a terminal, how much is there to read, blocking or not; else `ENOTTY` | what the libraries ask |
    /// | `fcntl`, `prctl` | as in [`Policy::judge`]: else `EINVAL`, and `EPERM` for process 1 as an owner | |
    /// | `prlimit64` of another process | `EPERM`, as there | |
    /// | `mmap` and `memfd_create` of huge pages | `ENOMEM`, as there | |
    /// | `@other-processes`, `@mount`, `@namespaces`, `@machine` | kill | only an attack calls them |
    /// | `seccomp` | `ENOSYS`; the start's greeting is reported | by which it shows that reports arrive |
    /// | everything else | `ENOSYS` | |
    ///
    /// Where nobody supervises, the start needs `execve` and the program has it too:
    /// `Policy::strict_compute().allow(&["execve"]).without_reports()`.
    #[must_use]
    pub fn strict_compute() -> Self {
        static PRESET: LazyLock<Policy> = LazyLock::new(Policy::make_strict_compute);
        PRESET.clone()
    }

    fn make_strict_compute() -> Self {
        Self::allow_list(ENOSYS)
            .allow(&[
                "@descriptors", "@file-read", "@memory", "@threads", "@time", "@waiting", "@self",
                "setrlimit", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
                "sched_get_priority_min", "getpriority",
            ])
            .because("what a program that computes and its libraries need")
            .allow(&["write", "writev", "pwrite64", "pwritev", "pwritev2"])
            .because("the answer; other descriptors to write cannot be had")
            .rule("openat2", ENOSYS)
            .because("its flags lie in memory, where no filter sees them")
            .opening_to_read(EACCES)
            .because("nothing is written but the streams")
            .allow(&[
                "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
                "sigaltstack", "pause", "tkill", "tgkill", "restart_syscall",
            ])
            .because("abort(3), raise(3) and handlers of the program's own")
            .rules(&["kill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"], EPERM)
            .because("there is no other process")
            .hands_off_init_by("tkill")
            .hands_off_init_by("tgkill")
            .because("where the box has a single id, init has it too")
            .default_scheduling()
            .because("Free Pascal asks expressly for it at each thread that it makes")
            .rules(&["fork", "vfork", "clone", "execveat"], Action::Kill)
            .because("a solution is one process")
            .clone_of_threads(Action::Kill)
            .rule("execve", Action::Report(Answer::Kill))
            .because("a solution is one program; the supervisor lets the start's own through")
            .rules(&["@network", "@messages"], Action::Kill)
            .because("there is nobody to talk to")
            .report_of_setup()
            .because("by which a failed start says so")
            .rule("ioctl", ENOTTY)
            .harmless_terminal_ioctls()
            .because("TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO")
            .harmless_fcntls()
            .harmless_prctls()
            .own_limits()
            .counted_memory()
            .because("as in the judge policy")
            .rules(super::ATTACKS, Action::Kill)
            .because("only an attack calls them")
            .with_way_home()
    }
}
