//! The calls of the presets that are decided by their arguments.

use super::{EAFNOSUPPORT, EINVAL, ENOMEM, EPERM, EPROTONOSUPPORT};
use crate::{Action, ArgCondition, Comparison, Policy};

impl Policy {
    pub(super) fn clone_without_namespaces(self) -> Self {
        self.rule("clone", EPERM)
            .rule_if("clone", [masked(0, NAMESPACES, 0)], Action::Allow)
            .because("a new user namespace is a new set of capabilities")
    }

    /// Threads of the program; whatever else `clone` makes gets `otherwise`.
    pub(super) fn clone_of_threads(self, otherwise: Action) -> Self {
        let thread = flags(libc::CLONE_THREAD);
        self.rule("clone", otherwise)
            .rule_if(
                "clone",
                [masked(0, thread | NAMESPACES, thread)],
                Action::Allow,
            )
            .because("threads, but neither processes nor namespaces")
    }

    /// Opening that neither writes nor makes a file; other opening gets `otherwise`.
    pub(super) fn opening_to_read(self, otherwise: Action) -> Self {
        let writing = flags(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) | TMPFILE;
        self.rules(&["open", "openat"], otherwise)
            .rule_if("open", [masked(1, writing, 0)], Action::Allow)
            .rule_if("openat", [masked(2, writing, 0)], Action::Allow)
    }

    /// Sockets within the box and nothing else; other families get `otherwise`.
    pub(super) fn unix_sockets(self, otherwise: Action) -> Self {
        let family = [eq(0, flags(libc::AF_UNIX))];
        self.rules(&["socket", "socketpair"], otherwise).rules_if(
            &["socket", "socketpair"],
            family,
            Action::Allow,
        )
    }

    /// The one message that the start sends where `execve` fails: sixteen bytes to no address, on a connected socket.
    pub(super) fn report_of_setup(self) -> Self {
        let report = [
            eq(2, 16),
            eq(3, flags(libc::MSG_NOSIGNAL)),
            eq(4, 0),
            eq(5, 0),
        ];
        self.rule_if("sendto", report, Action::Allow)
    }

    pub(super) fn local_sockets(self) -> Self {
        let mut policy = self.unix_sockets(EAFNOSUPPORT);
        // inet_create() asks for the module of every pair that it has no entry for, without looking at capabilities: also
        // for type 0, for TCP datagrams and UDP streams. So the pairs are exact, and ICMP over datagrams is none of them.
        // AF_INET (2) and AF_INET6 (10) differ in one bit.
        let internet = masked(0, !0b1000, flags(libc::AF_INET));
        // The type shares its argument with SOCK_CLOEXEC and SOCK_NONBLOCK.
        let kind = |number| masked(1, 0xf, flags(number));
        policy = policy
            .rule_if("socket", [internet], EPROTONOSUPPORT)
            // What the kernel says to a program without CAP_NET_RAW.
            .rule_if("socket", [internet, kind(libc::SOCK_RAW)], EPERM);
        for (number, protocol) in [
            (libc::SOCK_STREAM, 0),
            (libc::SOCK_STREAM, libc::IPPROTO_TCP),
            (libc::SOCK_DGRAM, 0),
            (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        ] {
            let conditions = [internet, kind(number), eq(2, flags(protocol))];
            policy = policy.rule_if("socket", conditions, Action::Allow);
        }
        policy
    }

    pub(super) fn harmless_socket_options(self) -> Self {
        let mut policy = self;
        for (level, first, last) in SOCKET_OPTIONS {
            let mut conditions = between(2, first, last);
            conditions.push(eq(1, level));
            policy = policy.rule_if("setsockopt", conditions, EPERM);
        }
        policy
    }

    pub(super) fn harmless_ioctls(self) -> Self {
        // The kernel reads the command as 32 bits: whoever compares 64 lets 0x1_0000_5412 pass.
        let mut policy = self.rule("ioctl", Action::Allow);
        policy = policy.because("what it is asked of is an open descriptor");
        for (first, last, reason) in IOCTLS {
            policy = policy.rule_if("ioctl", between(1, first, last), EPERM);
            policy = policy.because(reason);
        }
        policy
    }

    /// Of those that a library asks a stream: is it a terminal, how much is there to read, blocking or not.
    pub(super) fn harmless_terminal_ioctls(self) -> Self {
        let mut policy = self;
        for command in [TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO] {
            policy = policy.rule_if("ioctl", [eq(1, command)], Action::Allow);
        }
        policy
    }

    pub(super) fn harmless_fcntls(self) -> Self {
        let mut policy = self.rule("fcntl", EINVAL);
        for (first, last) in FCNTLS {
            policy = policy.rule_if("fcntl", between(1, first, last), Action::Allow);
        }
        // The owner of a descriptor gets the signals of F_SETSIG; -1 is the process group of init.
        for owner in [1, u64::from(u32::MAX)] {
            policy = policy.rule_if("fcntl", [eq(1, flags(libc::F_SETOWN)), eq(2, owner)], EPERM);
        }
        policy
    }

    /// A number of a process is a `pid_t`: the kernel reads 32 bits of it.
    pub(super) fn hands_off_init(self) -> Self {
        // PRIO_PROCESS (0) and PRIO_PGRP (1), but not PRIO_USER: init is one of the processes of its user. Said by what is
        // allowed, so that a profile can say it as well.
        let of_another = [
            masked(0, !1, u64::from(libc::PRIO_PROCESS)),
            ArgCondition::dword(1, Comparison::Ne(INIT)),
        ];
        self.rules_if(BY_NUMBER, [eq(0, INIT)], EPERM)
            .rule("setpriority", EPERM)
            .rule_if("setpriority", of_another, Action::Allow)
    }

    /// Of one call, whose first argument names a process or thread.
    pub(super) fn hands_off_init_by(self, syscall: &str) -> Self {
        self.rule_if(syscall, [eq(0, INIT)], EPERM)
    }

    /// The scheduling that init and every thread have anyhow.
    pub(super) fn default_scheduling(self) -> Self {
        let default = [eq(1, flags(libc::SCHED_OTHER))];
        self.rule_if("sched_setscheduler", default, Action::Allow)
    }

    pub(super) fn counted_memory(self) -> Self {
        let huge = |argument, flag| [masked(argument, flag, flag)];
        self.rule_if("mmap", huge(3, flags(libc::MAP_HUGETLB)), ENOMEM)
            .rule_if(
                "memfd_create",
                huge(1, u64::from(libc::MFD_HUGETLB)),
                ENOMEM,
            )
    }

    pub(super) fn harmless_prctls(self) -> Self {
        let mut policy = self.rule("prctl", EINVAL);
        for (first, last) in PRCTL_OPTIONS {
            policy = policy.rule_if("prctl", between(0, first, last), Action::Allow);
        }
        policy
    }

    pub(super) fn own_limits(self) -> Self {
        self.rule("prlimit64", EPERM)
            .rule_if("prlimit64", [eq(0, 0)], Action::Allow)
    }

    pub(super) fn harmless_personalities(self) -> Self {
        let mut policy = self.rule("personality", EPERM);
        for persona in [0, PERSONALITY_READ, ADDR_NO_RANDOMIZE] {
            policy = policy.rule_if("personality", [eq(0, persona)], Action::Allow);
        }
        policy
    }
}

/// All of clone's but `CLONE_NEWTIME`, which shares its bit with the exit signal and cannot be asked for there. The kernel
/// cuts the flags to 32 bits.
const NAMESPACES: u64 = 0x7e02_0000;

/// `O_TMPFILE` without the `O_DIRECTORY` in it.
const TMPFILE: u64 = 0o20_000_000;

/// What acts on the process or thread that the first argument names; init is exempt. Where the second one names a thread, the
/// kernel wants it to be of that process.
pub(super) const BY_NUMBER: &[&str] = &[
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
];

const TCGETS: u64 = 0x5401;
const TIOCGWINSZ: u64 = 0x5413;
const FIONREAD: u64 = 0x541b;
const FIONBIO: u64 = 0x5421;

/// The number of init in the box's pid namespace.
const INIT: u64 = 1;

// The numbers below are the same on all architectures of this crate.

/// Commands of ioctl(2) from first to last that are refused, and why.
const IOCTLS: [(u64, u64, &str); 6] = [
    // TIOCSTI
    (0x5412, 0x5412, TYPES),
    // TIOCLINUX
    (0x541c, 0x541c, TYPES),
    // FIOSETOWN, SIOCSPGRP
    (
        0x8901,
        0x8902,
        "the owner of a descriptor gets signals, and init could be made it",
    ),
    // SIOCGIFBR and what follows it: bridges, VLANs, bonds, driver and private commands.
    (
        0x8940,
        0x89ff,
        "the kernel looks for a module before it looks at capabilities",
    ),
    // FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
    (0x4008_6602, 0x4008_6602, LEAVES),
    (0x401c_5820, 0x401c_5820, LEAVES),
];
const TYPES: &str = "types into the terminal of the embedder";
const LEAVES: &str = "takes a file out of its project, and so out of the disk quota";

/// Commands of fcntl(2) from first to last that are allowed.
const FCNTLS: [(u64, u64); 3] = [
    // F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG.
    // F_SETOWN_EX (15) has its number in memory.
    (0, 11),
    // F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
    (36, 38),
    // F_DUPFD_QUERY, F_CREATED_QUERY, F_CANCELLK (the kernel's own), F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ,
    // F_ADD_SEALS, F_GET_SEALS. In front of them F_SETLEASE, F_GETLEASE, F_NOTIFY, behind them the write hints, which
    // older kernels let every reader of a file set.
    (1027, 1034),
];

/// Options of setsockopt(2) that are refused: level, first and last.
const SOCKET_OPTIONS: [(u64, u64, u64); 6] = [
    // SO_ATTACH_FILTER
    (SOL_SOCKET, 26, 26),
    // SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF
    (SOL_SOCKET, 50, 52),
    // IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP; between them what needs a
    // membership first.
    (SOL_IP, 35, 48),
    // IPV6_ADD_MEMBERSHIP
    (SOL_IPV6, 20, 20),
    // IPV6_FLOWLABEL_MGR
    (SOL_IPV6, 32, 32),
    // MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP
    (SOL_IPV6, 42, 48),
];
const SOL_SOCKET: u64 = 1;
const SOL_IP: u64 = 0;
const SOL_IPV6: u64 = 41;

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
pub(super) fn flags(constant: i32) -> u64 {
    u64::from(u32::from_ne_bytes(constant.to_ne_bytes()))
}

/// The low 32 bits of an argument are this number: `int`, `unsigned int`, `pid_t`, and flags that end below bit 32.
pub(super) fn eq(argument: u8, number: u64) -> ArgCondition {
    ArgCondition::dword(argument, Comparison::Eq(number))
}

/// Of the low 32 bits of an argument, the mask's are these.
fn masked(argument: u8, mask: u64, value: u64) -> ArgCondition {
    let mask = mask & u64::from(u32::MAX);
    ArgCondition::dword(argument, Comparison::MaskedEq { mask, value })
}

/// The low 32 bits of an argument are a number from first to last.
fn between(argument: u8, first: u64, last: u64) -> Vec<ArgCondition> {
    if first == last {
        return vec![eq(argument, first)];
    }
    let mut conditions = vec![ArgCondition::dword(argument, Comparison::Le(last))];
    if first > 0 {
        conditions.push(ArgCondition::dword(argument, Comparison::Ge(first)));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::flags;
    use crate::{Action, Preset, table::ALL, testing::filter};
    use sandbox_core::Errno;

    /// Of `pthread_create(3)` and `fork(3)`.
    const THREAD: u64 = 0x003d_0f00;
    const PROCESS: u64 = 0x0120_0011;

    /// All namespaces but that of time, whose bit is the exit signal's in `clone`.
    const EACH: [i32; 7] = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];

    #[test]
    fn no_flag_of_clone_makes_a_namespace() {
        for preset in Preset::ALL {
            let refused = match preset {
                Preset::PermissiveDeny => Action::Allow,
                Preset::StrictCompute => Action::Kill,
                _ => Action::Errno(Errno::from_raw(libc::EPERM)),
            };
            for architecture in ALL {
                let filter = filter(&preset.into(), architecture);
                let clone = architecture.number("clone").unwrap().unwrap();
                let action = |flags| {
                    filter.evaluate(architecture.audit, clone.into(), [flags, 0, 0, 0, 0, 0])
                };
                assert_eq!(action(THREAD), Action::Allow, "{preset:?}");
                for namespace in EACH {
                    let namespace = flags(namespace);
                    for flags in [THREAD, PROCESS, 0, 0xffff_ffff_0000_0000] {
                        let action = action(flags | namespace);
                        assert_eq!(
                            action, refused,
                            "{preset:?}, {namespace:#x} with {flags:#x}"
                        );
                    }
                }
            }
        }
    }
}
