//! The policies that come with the crate, each rule with its reason.

use std::sync::LazyLock;

use sandbox_core::Errno;

use crate::{Action, Policy};

mod arguments;
mod others;
#[rustfmt::skip]
mod strict_compute;

const ENOSYS: Action = Action::Errno(Errno::from_raw(libc::ENOSYS));
const EACCES: Action = Action::Errno(Errno::from_raw(libc::EACCES));
const ENOTTY: Action = Action::Errno(Errno::from_raw(libc::ENOTTY));
const EPERM: Action = Action::Errno(Errno::from_raw(libc::EPERM));
const EINVAL: Action = Action::Errno(Errno::from_raw(libc::EINVAL));
const ENOMEM: Action = Action::Errno(Errno::from_raw(libc::ENOMEM));
const EOPNOTSUPP: Action = Action::Errno(Errno::from_raw(libc::EOPNOTSUPP));
const EAFNOSUPPORT: Action = Action::Errno(Errno::from_raw(libc::EAFNOSUPPORT));
const EPROTONOSUPPORT: Action = Action::Errno(Errno::from_raw(libc::EPROTONOSUPPORT));

impl Policy {
    /// The policy for untrusted programs, native and interpreted, and for the compilers that make them.
    ///
    /// An allow list: what it does not name fails with `ENOSYS`, as on a kernel that lacks it, so that new calls stay
    /// closed and libraries take their older way. What begins with `@` is a [`Group`](crate::Group); what is named by itself
    /// is an exception from its group.
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | `@descriptors`, `@file-read`, `@file-write` | allowed | rights are checked at the open; what exists is the mount namespace's business |
    /// | `@memory`, `@memory-placement` | allowed | the program's own, which the cgroup counts |
    /// | `@process`, `@threads`, `@scheduling`, `@signals` | allowed | the cgroup counts processes, the pid namespace bounds signals, priorities only fall |
    /// | `@time`, `@waiting`, `@self`, `@limits`, `@switchboards` | allowed | every program needs them |
    /// | `@network`, `@messages` | allowed | sockets, once they exist |
    /// | `clone` with a `CLONE_NEW*` flag | `EPERM` | a new user namespace is a new set of capabilities |
    /// | `clone3` | `ENOSYS` | its flags lie in memory where no filter sees them; libc falls back to `clone` |
    /// | `socket` | `AF_UNIX`; TCP and UDP over IPv4 and IPv6, in exactly the types and protocols that name them; raw ones `EPERM`; others of IP `EPROTONOSUPPORT`; other families `EAFNOSUPPORT` | every other pair makes the kernel look for a module |
    /// | `socketpair` | `AF_UNIX`; else `EAFNOSUPPORT` | as above |
    /// | `setsockopt` `SO_ATTACH_*` | `EPERM` | socket filters are compiled out of one budget of the host (`bpf_jit_limit`); once it is spent, nobody on the host can install a system call filter |
    /// | `setsockopt`: joining multicast groups, IPv6 flow labels | `EPERM` | kernel memory per group that no cgroup counts; the labels come out of a budget of the host |
    /// | `kill`, `tkill`, `tgkill`, `rt_sigqueueinfo`, `rt_tgsigqueueinfo`, `pidfd_open`, `sched_setaffinity`, `sched_setscheduler`, `sched_setparam`, `sched_setattr` of process 1 | `EPERM` | where the box has a single id, init has it too: it could be starved and flooded |
    /// | `setpriority` of process 1 or its group, or of a whole user | `EPERM` | where the box has a single id, init has it too: it could be starved and flooded |
    /// | `fcntl` | descriptors, locks, pipes, seals; else `EINVAL`; process 1 as owner of a descriptor: `EPERM` | leases, directory notes and write hints tell other boxes about a shared file; the owner gets signals |
    /// | `mmap` and `memfd_create` of huge pages | `ENOMEM` | the memory cgroup does not count them; a machine without a pool says the same |
    /// | `ioctl` `TIOCSTI`, `TIOCLINUX` | `EPERM` | they type into the terminal of the embedder |
    /// | `ioctl` `FIOSETOWN`, `SIOCSPGRP` | `EPERM` | they make process 1 the owner of a descriptor, by a number in memory |
    /// | `ioctl` `FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR` | `EPERM` | they take a file out of its project, and so out of the disk quota |
    /// | `ioctl` of bridges, VLANs and network drivers | `EPERM` | the kernel looks for a module before it looks at capabilities |
    /// | `prctl` | harmless options, else `EINVAL` | `PR_SET_MM`, `PR_SET_SECCOMP` and what comes next |
    /// | `prlimit64` of another process | `EPERM` | a CPU limit on init ends the box |
    /// | `personality` | read, default, no address randomization; else `EPERM` | others weaken memory protection |
    /// | `@credentials`, `@host` | `EPERM` | credentials are final, and the host is not the program's to name or tune |
    /// | `sync`, `syncfs` | `ENOSYS` | they wait for the disks of the whole host, and so for other boxes |
    /// | `@attributes` | `EOPNOTSUPP` | storage that no limit counts; `cp(1)` and `tar(1)` take this errno for a filesystem without them |
    /// | `@io-uring` | `ENOSYS` | calls made through it pass no filter |
    /// | `@confine` | `ENOSYS` | a filter of the program's own that returns errnos would answer in place of a supervisor that is to be notified |
    /// | `@aio`, `@keys`, `@kernel-code`, `@exploit-aids`, `@ipc`, `@file-new`, `@futex2`, `@lsm`, `@mount-read`, `@time-slice`, `@obsolete` | `ENOSYS` | large, young or forgotten parts of the kernel; runtimes probe for some of them and do without |
    /// | `@watch` | `ENOSYS` | they tell when another box or the host uses a file of a shared bind |
    /// | `@other-processes`, `@mount`, `@namespaces`, `@machine` | kill | only an attack calls them |
    ///
    /// Debuggers and `LeakSanitizer` need `ptrace` and do not work under this policy: the sanitizer's tracer process dies
    /// and the program waits for it (`ASAN_OPTIONS=detect_leaks=0` helps). `getifaddrs(3)` and so node's
    /// `os.networkInterfaces()` need netlink and fail; `getaddrinfo(3)` does without. File watchers
    /// (node's `fs.watch`, Java's `WatchService`) fail, as on a kernel without inotify.
    ///
    /// The program must not be process 1 of its pid namespace: `abort(3)` and `raise(3)` send signals by number.
    ///
    /// `mmap` and `fcntl` are looked at argument by argument, so the kernel runs the filter at each of them
    /// instead of remembering the answer: about 30 ns more per call (measured on `x86_64`; the call without any filter
    /// takes 230 ns at least, `mmap` and `munmap` of a page together 3.6 µs).
    ///
    /// Left open, since compilers and package managers need them: `flock` and record locks (`go build` locks its cache). Two boxes that run at
    /// the same time and share a bind, even a read-only one, can signal each other by them, as they can by futexes in a
    /// shared mapping and by the page cache.
    #[must_use]
    pub fn judge() -> Self {
        static PRESET: LazyLock<Policy> = LazyLock::new(Policy::make_judge);
        PRESET.clone()
    }

    fn make_judge() -> Self {
        Self::allow_list(ENOSYS)
            .allow(&["@descriptors", "@file-read", "@file-write"])
            .because("rights are checked at the open; what exists is the mount namespace's business")
            .allow(&["@memory", "@memory-placement"])
            .because("the program's own memory, which the cgroup counts")
            .allow(&["@process", "@threads", "@scheduling", "@signals"])
            .because("the cgroup counts processes, the pid namespace bounds signals, priorities only fall")
            .allow(&["@time", "@waiting", "@self", "@limits", "@switchboards"])
            .because("what every program needs")
            .allow(&["@network", "@messages"])
            .because("sockets, once they exist; which may exist is decided at `socket`")
            .rules(&["@credentials", "@host"], EPERM)
            .because("credentials are final, and the host is not the program's to name or tune")
            .rules(&["sync", "syncfs"], ENOSYS)
            .because("they wait for the disks of the whole host")
            .rule("@attributes", EOPNOTSUPP)
            .because("storage that no limit counts; cp(1) and tar(1) take this errno for a filesystem without them")
            .rule("clone3", ENOSYS)
            .because("its flags lie in memory, where no filter sees them; libc falls back to `clone`")
            .rules(PROBED, ENOSYS)
            .because("runtimes try some of them and do without; the kernel behind them is large and young")
            .rules(ATTACKS, Action::Kill)
            .because("only an attack calls them")
            .clone_without_namespaces()
            .local_sockets()
            .because("local sockets, TCP and UDP; every other pair makes the kernel look for a module")
            .harmless_socket_options()
            .because("filters and multicast take memory out of budgets of the host")
            .harmless_ioctls()
            .harmless_fcntls()
            .because("leases and notes tell of other boxes; the owner of a descriptor gets signals")
            .harmless_prctls()
            .because("memory maps, filters and what comes next")
            .hands_off_init()
            .because("where the box has a single id, init has it too")
            .counted_memory()
            .because("no cgroup of memory counts huge pages; a machine without a pool says the same")
            .own_limits()
            .because("a CPU limit on init ends the box")
            .harmless_personalities()
            .because("others weaken memory protection")
    }
}

/// What libraries and runtimes try, and do without on an older kernel. Named although the default is the same: a policy
/// made from this one with another default must not open them.
const PROBED: &[&str] = &[
    // Calls made through it pass no filter at all.
    "@io-uring",
    "@aio",
    "@keys",
    "@kernel-code",
    // A handler of page faults stops the kernel where an exploit wants it, and so on.
    "@exploit-aids",
    // Who uses a file of a bind, and when, is nothing that boxes may tell each other or learn about the host.
    "@watch",
    // One that returns errnos would answer in place of a supervisor that is to be notified.
    "@confine",
    "@ipc",
    "@file-new",
    "@futex2",
    "@lsm",
    "@mount-read",
    "@time-slice",
    "@obsolete",
];

/// What no program and no compiler calls in honest work; to call it is the verdict.
const ATTACKS: &[&str] = &["@other-processes", "@mount", "@namespaces", "@machine"];

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
