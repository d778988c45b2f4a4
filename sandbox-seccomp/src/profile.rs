//! The policy for untrusted programs and their compilers, each group with its reason.

use sandbox_core::Errno;

use crate::{Action, Policy};

mod arguments;
#[rustfmt::skip]
mod calls;

const ENOSYS: Action = Action::Errno(Errno::from_raw(libc::ENOSYS));
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
    /// closed and libraries take their older way. The groups:
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | files, memory, threads, signals, time, pipes, polling, local sockets | allowed | every program needs them |
    /// | `clone` with a `CLONE_NEW*` flag | `EPERM` | a new user namespace is a new set of capabilities |
    /// | `clone3` | `ENOSYS` | its flags lie in memory where no filter sees them; libc falls back to `clone` |
    /// | `socket` | `AF_UNIX`; TCP and UDP over IPv4 and IPv6, in exactly the types and protocols that name them; raw ones `EPERM` | every other pair makes the kernel look for a module |
    /// | `setsockopt` `SO_ATTACH_*` | `EPERM` | socket filters are compiled out of one budget of the host (`bpf_jit_limit`); once it is spent, nobody on the host can install a system call filter |
    /// | `setsockopt`: joining multicast groups, IPv6 flow labels | `EPERM` | kernel memory per group that no cgroup counts; the labels come out of a budget of the host |
    /// | signals, scheduling and priority of process 1, `pidfd_open` of it, priority of a whole user | `EPERM` | where the box has a single id, init has it too: it could be starved and flooded |
    /// | `fcntl` | descriptors, locks, pipes, seals; else `EINVAL`; process 1 as owner of a descriptor: `EPERM` | leases, directory notes and write hints tell other boxes about a shared file; the owner gets signals |
    /// | `mmap` and `memfd_create` of huge pages | `ENOMEM` | the memory cgroup does not count them; a machine without a pool says the same |
    /// | `ioctl` `TIOCSTI`, `TIOCLINUX` | `EPERM` | they type into the terminal of the embedder |
    /// | `ioctl` `FIOSETOWN`, `SIOCSPGRP` | `EPERM` | they make process 1 the owner of a descriptor, by a number in memory |
    /// | `ioctl` of bridges, VLANs and network drivers | `EPERM` | the kernel looks for a module before it looks at capabilities |
    /// | `prctl` | harmless options, else `EINVAL` | `PR_SET_MM`, `PR_SET_SECCOMP` and what comes next |
    /// | `prlimit64` of another process | `EPERM` | a CPU limit on init ends the box |
    /// | `personality` | read, default, no address randomization; else `EPERM` | others weaken memory protection |
    /// | `set*id`, `capset`, host name, clock adjustment, kernel log | `EPERM` | credentials are final |
    /// | extended attributes, setting | `EOPNOTSUPP` | storage that no limit counts |
    /// | `io_uring_*`, `bpf`, keys, `userfaultfd`, `perf_event_open`, `seccomp` ... | `ENOSYS` | large and young parts of the kernel; runtimes probe for some of them |
    /// | `inotify_*`, `fanotify_*` | `ENOSYS` | they tell when another box or the host uses a file of a shared bind |
    /// | `ptrace`, other processes' memory, mounts, namespaces, modules, the clock ... | kill | only an attack calls them |
    ///
    /// A program may not install filters of its own: nothing that a judge runs does, and one that returns errnos would
    /// answer in place of a supervisor that is to be notified.
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
        Self::allow_list(ENOSYS)
            .rules(calls::FILES, Action::Allow)
            .rules(calls::FILE_NAMES, Action::Allow)
            .rules(calls::MEMORY, Action::Allow)
            .rules(calls::PROCESSES, Action::Allow)
            .rules(calls::SCHEDULING, Action::Allow)
            .rules(calls::SIGNALS, Action::Allow)
            .rules(calls::TIME, Action::Allow)
            .rules(calls::WAITING, Action::Allow)
            .rules(calls::SOCKETS, Action::Allow)
            .rules(calls::SELF, Action::Allow)
            .rules(calls::CREDENTIALS, EPERM)
            .rules(calls::ATTRIBUTES, EOPNOTSUPP)
            .rules(calls::PROBED, ENOSYS)
            .rules(calls::ATTACKS, Action::Kill)
            .clone_without_namespaces()
            .local_sockets()
            .harmless_socket_options()
            .harmless_ioctls()
            .harmless_fcntls()
            .harmless_prctls()
            .hands_off_init()
            .counted_memory()
            .own_limits()
            .harmless_personalities()
    }
}

#[cfg(test)]
mod tests;
