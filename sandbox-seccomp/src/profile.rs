//! The policy for untrusted programs and their compilers, each group with its reason.

use sandbox_core::Errno;

use crate::{Action, ArgCondition, Comparison, Policy};

#[rustfmt::skip]
mod calls;

const ENOSYS: Action = Action::Errno(Errno::from_raw(libc::ENOSYS));
const EPERM: Action = Action::Errno(Errno::from_raw(libc::EPERM));
const EINVAL: Action = Action::Errno(Errno::from_raw(libc::EINVAL));
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
    /// | `socket` | `AF_UNIX`; TCP, UDP and ICMP over IPv4 and IPv6 | other families load kernel modules |
    /// | `ioctl` `TIOCSTI`, `TIOCLINUX` | `EPERM` | they type into the terminal of the embedder |
    /// | `prctl` | harmless options, else `EINVAL` | `PR_SET_MM`, `PR_SET_SECCOMP` and what comes next |
    /// | `prlimit64` of another process | `EPERM` | a CPU limit on init ends the box |
    /// | `personality` | read, default, no address randomization; else `EPERM` | others weaken memory protection |
    /// | `set*id`, `capset`, host name, clock adjustment, kernel log | `EPERM` | credentials are final |
    /// | extended attributes, setting | `EOPNOTSUPP` | storage that no limit counts |
    /// | `io_uring_*`, `bpf`, keys, `userfaultfd`, `perf_event_open`, `seccomp` ... | `ENOSYS` | large and young parts of the kernel; runtimes probe for some of them |
    /// | `ptrace`, other processes' memory, mounts, namespaces, modules, the clock ... | kill | only an attack calls them |
    ///
    /// A program may not install filters of its own: nothing that a judge runs does, and one that returns errnos would
    /// answer in place of a supervisor that is to be notified.
    ///
    /// Debuggers and `LeakSanitizer` need `ptrace` and do not work under this policy: the sanitizer's tracer process dies
    /// and the program waits for it (`ASAN_OPTIONS=detect_leaks=0` helps). `getifaddrs(3)` and so node's
    /// `os.networkInterfaces()` need netlink and fail; `getaddrinfo(3)` does without.
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
            .harmless_ioctls()
            .harmless_prctls()
            .own_limits()
            .harmless_personalities()
    }

    fn clone_without_namespaces(self) -> Self {
        // CLONE_NEWTIME shares its bit with the exit signal and cannot be asked for here. The kernel cuts the flags to
        // 32 bits.
        let namespaces = flags(
            libc::CLONE_NEWNS
                | libc::CLONE_NEWCGROUP
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUSER
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNET,
        );
        let none = ArgCondition::dword(
            0,
            Comparison::MaskedEq {
                mask: namespaces,
                value: 0,
            },
        );
        self.rule("clone", EPERM)
            .rule_if("clone", [none], Action::Allow)
    }

    fn local_sockets(self) -> Self {
        let family = |number| ArgCondition::dword(0, Comparison::Eq(flags(number)));
        let mut policy = self
            .rules(&["socket", "socketpair"], EAFNOSUPPORT)
            .rules_if(
                &["socket", "socketpair"],
                [family(libc::AF_UNIX)],
                Action::Allow,
            );
        // Any other type or protocol makes the kernel load the module of DCCP, SCTP and the like for an unprivileged
        // caller. The type shares its argument with SOCK_CLOEXEC and SOCK_NONBLOCK; 1 to 3 are stream, datagram and raw
        // (which needs a capability). UDP is the highest of the protocols ICMP, TCP and UDP.
        let usual_type = ArgCondition::dword(
            1,
            Comparison::MaskedEq {
                mask: 0b1100,
                value: 0,
            },
        );
        let usual_protocol = ArgCondition::dword(2, Comparison::Le(flags(libc::IPPROTO_UDP)));
        for number in [libc::AF_INET, libc::AF_INET6] {
            policy = policy
                .rule_if("socket", [family(number)], EPROTONOSUPPORT)
                .rule_if(
                    "socket",
                    [family(number), usual_type, usual_protocol],
                    Action::Allow,
                );
        }
        policy
    }

    fn harmless_ioctls(self) -> Self {
        // The kernel reads the command as 32 bits: whoever compares 64 lets 0x1_0000_5412 pass.
        let command = |number| [ArgCondition::dword(1, Comparison::Eq(number))];
        self.rule("ioctl", Action::Allow)
            .rule_if("ioctl", command(TIOCSTI), EPERM)
            .rule_if("ioctl", command(TIOCLINUX), EPERM)
    }

    fn harmless_prctls(self) -> Self {
        let mut policy = self.rule("prctl", EINVAL);
        for (first, last) in PRCTL_OPTIONS {
            let conditions = if first == last {
                vec![ArgCondition::dword(0, Comparison::Eq(first))]
            } else {
                vec![
                    ArgCondition::dword(0, Comparison::Ge(first)),
                    ArgCondition::dword(0, Comparison::Le(last)),
                ]
            };
            policy = policy.rule_if("prctl", conditions, Action::Allow);
        }
        policy
    }

    fn own_limits(self) -> Self {
        let myself = ArgCondition::dword(0, Comparison::Eq(0));
        self.rule("prlimit64", EPERM)
            .rule_if("prlimit64", [myself], Action::Allow)
    }

    fn harmless_personalities(self) -> Self {
        let mut policy = self.rule("personality", EPERM);
        for persona in [0, PERSONALITY_READ, ADDR_NO_RANDOMIZE] {
            let equal = ArgCondition::dword(0, Comparison::Eq(persona));
            policy = policy.rule_if("personality", [equal], Action::Allow);
        }
        policy
    }
}

// The same on all architectures of this crate.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// Asks for the personality without changing it.
const PERSONALITY_READ: u64 = 0xffff_ffff;
/// What sanitizers and debuggers set; it weakens only the program itself.
const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;

/// Options of prctl(2) from first to last that read something, or change nothing beyond the program itself.
const PRCTL_OPTIONS: [(u64, u64); 9] = [
    // PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE
    (1, 4),
    // PR_GET_KEEPCAPS
    (7, 7),
    // PR_SET_NAME, PR_GET_NAME: names of threads
    (15, 16),
    // PR_GET_SECCOMP
    (21, 21),
    // PR_CAPBSET_READ
    (23, 23),
    // PR_GET_SECUREBITS
    (27, 27),
    // PR_SET_TIMERSLACK, PR_GET_TIMERSLACK
    (29, 30),
    // PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS,
    // PR_SET_THP_DISABLE, PR_GET_THP_DISABLE
    (36, 42),
    // PR_SET_VMA: malloc of glibc and the JVM name their mappings
    (0x5356_4d41, 0x5356_4d41),
];

/// A constant of the C headers as the kernel sees it in a register's low half.
fn flags(constant: i32) -> u64 {
    u64::from(u32::from_ne_bytes(constant.to_ne_bytes()))
}

#[cfg(test)]
mod tests;
