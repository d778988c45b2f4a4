use sandbox_core::Errno;

use super::arguments::BY_NUMBER;
use crate::{
    Action, Answer, Error, Filter, Policy, Preset,
    table::{ALL, Architecture, X86_64},
    testing::{filter, unsupervised},
};

#[test]
fn the_exempt_are_allowed_otherwise() {
    let without = Policy::judge().effective_on(&X86_64).unwrap();
    for name in BY_NUMBER {
        let call = without
            .calls
            .iter()
            .find(|call| call.name == *name)
            .unwrap();
        assert_eq!(call.otherwise, Action::Allow, "{name}");
    }
}

#[test]
fn every_rule_of_every_preset_has_a_reason() {
    for preset in Preset::ALL {
        for rule in Policy::from(preset).list() {
            assert!(!rule.reason.is_empty(), "{preset:?}: {rule}");
        }
    }
}

/// Every call that is known has a rule, so the default is for those of tomorrow alone.
#[test]
fn another_default_changes_nothing_about_a_known_call() {
    for preset in [Preset::Judge, Preset::Interpreter, Preset::Compiler] {
        let policy = Policy::from(preset);
        let open = Policy::deny_list().then(&policy);
        for architecture in ALL {
            let [closed, open] = [&policy, &open].map(|policy| filter(policy, architecture));
            for &(name, number) in architecture.calls {
                for args in [[0; 6], [1; 6], [u64::MAX; 6]] {
                    let action =
                        |filter: &Filter| filter.evaluate(architecture.audit, number.into(), args);
                    assert_eq!(
                        action(&open),
                        action(&closed),
                        "{preset:?}: {name} {args:x?}"
                    );
                }
            }
            let tomorrow = |filter: &Filter| filter.evaluate(architecture.audit, 511, [0; 6]);
            assert_eq!(tomorrow(&open), Action::Allow);
            assert_eq!(
                tomorrow(&closed),
                Action::Errno(Errno::from_raw(libc::ENOSYS))
            );
        }
    }
}

/// Facts about the policy, written without looking at its rules: `None` is a kill, `Some(0)` an allowed call.
const FACTS: &[(&str, &[u64], Option<i32>)] = &[
    ("read", &[], Some(0)),
    ("clone", &[0x0120_0011], Some(0)),           // fork of glibc
    ("clone", &[0x003d_0f00], Some(0)),           // pthread_create
    ("clone", &[0x1000_0011], Some(libc::EPERM)), // CLONE_NEWUSER
    ("clone", &[0x0002_0011], Some(libc::EPERM)), // CLONE_NEWNS
    ("clone", &[0x0200_0011], Some(libc::EPERM)), // CLONE_NEWCGROUP
    ("clone", &[0x4000_0000], Some(libc::EPERM)), // CLONE_NEWNET
    ("clone3", &[], Some(libc::ENOSYS)),
    ("socket", &[1, 5, 0], Some(0)),                     // AF_UNIX
    ("socket", &[2, 1, 0], Some(0)),                     // TCP
    ("socket", &[2, 1, 6], Some(0)),                     // TCP by name
    ("socket", &[2, 2, 0], Some(0)),                     // UDP
    ("socket", &[2, 0x80802, 17], Some(0)),              // UDP, close on exec, not blocking
    ("socket", &[10, 1, 0], Some(0)),                    // IPv6
    ("socket", &[10, 0x80002, 17], Some(0)),             // IPv6
    ("socket", &[0xffff_0000_0000_0002, 1, 0], Some(0)), // only the low half counts
    // What ends in request_module().
    ("socket", &[2, 0, 0], Some(libc::EPROTONOSUPPORT)), // no type
    ("socket", &[2, 0x80800, 6], Some(libc::EPROTONOSUPPORT)),
    ("socket", &[2, 1, 17], Some(libc::EPROTONOSUPPORT)), // a stream of UDP
    ("socket", &[2, 2, 6], Some(libc::EPROTONOSUPPORT)),  // datagrams of TCP
    ("socket", &[10, 2, 2], Some(libc::EPROTONOSUPPORT)), // IGMP
    ("socket", &[2, 2, 1], Some(libc::EPROTONOSUPPORT)),  // ping
    ("socket", &[10, 2, 58], Some(libc::EPROTONOSUPPORT)), // ping of IPv6
    ("socket", &[2, 2, 136], Some(libc::EPROTONOSUPPORT)), // UDP-Lite
    ("socket", &[2, 4, 0], Some(libc::EPROTONOSUPPORT)),  // SOCK_RDM
    ("socket", &[2, 5, 0], Some(libc::EPROTONOSUPPORT)),  // SCTP
    ("socket", &[2, 6, 0], Some(libc::EPROTONOSUPPORT)),  // DCCP
    ("socket", &[2, 10, 0x300], Some(libc::EPROTONOSUPPORT)), // SOCK_PACKET, which is AF_PACKET
    ("socket", &[10, 1, 132], Some(libc::EPROTONOSUPPORT)), // SCTP
    ("socket", &[10, 1, 262], Some(libc::EPROTONOSUPPORT)), // MPTCP
    ("socket", &[2, 3, 1], Some(libc::EPERM)),            // raw ICMP
    ("socket", &[10, 0x80003, 255], Some(libc::EPERM)),
    ("socket", &[0, 1, 0], Some(libc::EAFNOSUPPORT)), // AF_UNSPEC
    ("socket", &[16, 3, 0], Some(libc::EAFNOSUPPORT)), // netlink
    ("socket", &[17, 3, 0], Some(libc::EAFNOSUPPORT)), // packet
    ("socket", &[38, 5, 0], Some(libc::EAFNOSUPPORT)), // AF_ALG
    ("socketpair", &[1, 1, 0], Some(0)),
    ("socketpair", &[2, 1, 0], Some(libc::EAFNOSUPPORT)),
    ("ioctl", &[0, 0x5401], Some(0)),
    ("ioctl", &[0, 0x5412], Some(libc::EPERM)),
    ("ioctl", &[0, 0xdead_0000_5412], Some(libc::EPERM)),
    ("ioctl", &[0, 0x1_0000_541c], Some(libc::EPERM)),
    ("ioctl", &[0, 0x8901], Some(libc::EPERM)), // FIOSETOWN
    ("ioctl", &[0, 0x1_0000_8902], Some(libc::EPERM)), // SIOCSPGRP
    ("ioctl", &[0, 0x8933], Some(0)),           // SIOCGIFINDEX, of Java
    ("ioctl", &[0, 0x8940], Some(libc::EPERM)), // SIOCGIFBR: loads bridge
    ("ioctl", &[0, 0x8982], Some(libc::EPERM)), // SIOCGIFVLAN: loads 8021q
    ("ioctl", &[0, 0x4008_6602], Some(libc::EPERM)), // FS_IOC_SETFLAGS
    ("ioctl", &[0, 0x401c_5820], Some(libc::EPERM)), // FS_IOC_FSSETXATTR
    ("ioctl", &[0, 0x89a0], Some(libc::EPERM)), // SIOCBRADDBR
    // SO_REUSEADDR, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_INCOMING_CPU ...
    ("setsockopt", &[3, 1, 2], Some(0)),
    ("setsockopt", &[3, 1, 26], Some(libc::EPERM)),
    (
        "setsockopt",
        &[3, 0x7_0000_0001, 0x7_0000_001a],
        Some(libc::EPERM),
    ),
    ("setsockopt", &[3, 1, 27], Some(0)),
    ("setsockopt", &[3, 1, 49], Some(0)),
    ("setsockopt", &[3, 1, 50], Some(libc::EPERM)), // SO_ATTACH_BPF
    ("setsockopt", &[3, 1, 51], Some(libc::EPERM)), // SO_ATTACH_REUSEPORT_CBPF
    ("setsockopt", &[3, 1, 52], Some(libc::EPERM)), // SO_ATTACH_REUSEPORT_EBPF
    ("setsockopt", &[3, 1, 53], Some(0)),
    ("setsockopt", &[3, 6, 26], Some(0)), // the number means another thing to TCP
    ("setsockopt", &[3, 6, 1], Some(0)),  // TCP_NODELAY
    ("setsockopt", &[3, 0, 33], Some(0)), // IP_MULTICAST_TTL
    ("setsockopt", &[3, 0, 35], Some(libc::EPERM)), // IP_ADD_MEMBERSHIP
    ("setsockopt", &[3, 0, 39], Some(libc::EPERM)), // IP_ADD_SOURCE_MEMBERSHIP
    ("setsockopt", &[3, 0, 42], Some(libc::EPERM)), // MCAST_JOIN_GROUP
    ("setsockopt", &[3, 0, 46], Some(libc::EPERM)), // MCAST_JOIN_SOURCE_GROUP
    ("setsockopt", &[3, 0, 49], Some(0)), // IP_MULTICAST_ALL
    ("setsockopt", &[3, 41, 26], Some(0)), // IPV6_V6ONLY
    ("setsockopt", &[3, 41, 20], Some(libc::EPERM)), // IPV6_ADD_MEMBERSHIP
    ("setsockopt", &[3, 41, 32], Some(libc::EPERM)), // IPV6_FLOWLABEL_MGR
    ("setsockopt", &[3, 41, 42], Some(libc::EPERM)),
    ("setsockopt", &[3, 41, 46], Some(libc::EPERM)),
    ("setsockopt", &[3, 1, 42], Some(0)), // SO_PEEK_OFF
    // Process 1 is init.
    ("kill", &[1, 9], Some(libc::EPERM)),
    ("kill", &[0xffff_ffff_0000_0001, 9], Some(libc::EPERM)),
    ("kill", &[2, 9], Some(0)),
    ("kill", &[0, 9], Some(0)),
    ("kill", &[u64::MAX, 9], Some(0)), // everybody but init, says the kernel
    ("tkill", &[1, 34], Some(libc::EPERM)),
    ("tkill", &[2, 34], Some(0)),
    ("tgkill", &[1, 1, 34], Some(libc::EPERM)),
    ("tgkill", &[1, 2, 34], Some(libc::EPERM)),
    ("tgkill", &[0x1_0000_0001, 2, 34], Some(libc::EPERM)),
    ("tgkill", &[2, 1, 34], Some(0)), // ESRCH, says the kernel: that thread is of process 1
    ("tgkill", &[2, 2, 6], Some(0)),
    ("rt_sigqueueinfo", &[1, 34], Some(libc::EPERM)),
    ("rt_sigqueueinfo", &[7, 34], Some(0)),
    ("rt_tgsigqueueinfo", &[1, 1, 34], Some(libc::EPERM)),
    ("rt_tgsigqueueinfo", &[7, 1, 34], Some(0)), // ESRCH
    ("rt_tgsigqueueinfo", &[7, 8, 34], Some(0)),
    ("pidfd_open", &[1, 0], Some(libc::EPERM)),
    ("pidfd_open", &[0x1_0000_0001, 0], Some(libc::EPERM)),
    ("pidfd_open", &[9, 0], Some(0)),
    ("pidfd_send_signal", &[1, 9], Some(0)), // 1 is a descriptor
    ("sched_setaffinity", &[1, 8], Some(libc::EPERM)),
    ("sched_setaffinity", &[0, 8], Some(0)),
    ("sched_setscheduler", &[1, 5], Some(libc::EPERM)),
    ("sched_setscheduler", &[0, 5], Some(0)),
    ("sched_setparam", &[1], Some(libc::EPERM)),
    ("sched_setattr", &[1], Some(libc::EPERM)),
    ("sched_setattr", &[0], Some(0)),
    ("setpriority", &[0, 1, 19], Some(libc::EPERM)),
    ("setpriority", &[1, 1, 19], Some(libc::EPERM)), // its process group
    ("setpriority", &[2, 0, 19], Some(libc::EPERM)), // all processes of a user
    ("setpriority", &[3, 2, 19], Some(libc::EPERM)), // nothing that Linux knows
    ("setpriority", &[0, 0, 1], Some(0)),
    ("setpriority", &[1, 2, 1], Some(0)),
    ("setpriority", &[0, 0x1_0000_0001, 19], Some(libc::EPERM)),
    ("ioprio_set", &[1, 1, 0], Some(libc::EPERM)),
    // Huge pages.
    ("mmap", &[0, 4096, 3, 0x22], Some(0)),
    ("mmap", &[0, 4096, 3, 0x4_0022], Some(libc::ENOMEM)),
    ("mmap", &[0, 4096, 3, 0x5404_0022], Some(libc::ENOMEM)), // of 2 MiB
    ("mmap", &[0, 4096, 3, 0xff_0004_0022], Some(libc::ENOMEM)),
    ("mmap", &[0, 4096, 3, 0x2_0022], Some(0)), // MAP_STACK
    ("memfd_create", &[0, 3], Some(0)),
    ("memfd_create", &[0, 4], Some(libc::ENOMEM)),
    ("memfd_create", &[0, 0x5400_0005], Some(libc::ENOMEM)),
    // What tells of other boxes.
    ("fcntl", &[3, 0], Some(0)),
    ("fcntl", &[3, 6], Some(0)),                  // F_SETLK
    ("fcntl", &[3, 38], Some(0)),                 // F_OFD_SETLKW
    ("fcntl", &[3, 1024, 1], Some(libc::EINVAL)), // F_SETLEASE
    ("fcntl", &[3, 0x1_0000_0400, 1], Some(libc::EINVAL)),
    ("fcntl", &[3, 1026, 1], Some(libc::EINVAL)), // F_NOTIFY
    ("fcntl", &[3, 1030], Some(0)),               // F_DUPFD_CLOEXEC
    ("fcntl", &[3, 1031], Some(0)),               // F_SETPIPE_SZ
    ("fcntl", &[3, 1034], Some(0)),               // F_GET_SEALS
    ("fcntl", &[3, 1036], Some(libc::EINVAL)),    // F_SET_RW_HINT
    ("fcntl", &[3, 8, 7], Some(0)),               // F_SETOWN
    ("fcntl", &[3, 8, 1], Some(libc::EPERM)),
    ("fcntl", &[3, 8, 0x1_0000_0001], Some(libc::EPERM)),
    ("fcntl", &[3, 8, u64::MAX], Some(libc::EPERM)), // the process group 1
    ("fcntl", &[3, 15], Some(libc::EINVAL)),         // F_SETOWN_EX
    ("inotify_init1", &[0], Some(libc::ENOSYS)),
    ("inotify_add_watch", &[3], Some(libc::ENOSYS)),
    ("fanotify_init", &[], Some(libc::ENOSYS)),
    ("fanotify_mark", &[], Some(libc::ENOSYS)),
    ("flock", &[3, 2], Some(0)),                   // go build
    ("prctl", &[15], Some(0)),                     // PR_SET_NAME
    ("prctl", &[38], Some(0)),                     // PR_SET_NO_NEW_PRIVS
    ("prctl", &[0x5356_4d41], Some(0)),            // PR_SET_VMA
    ("prctl", &[22], Some(libc::EINVAL)),          // PR_SET_SECCOMP
    ("prctl", &[24], Some(libc::EINVAL)),          // PR_CAPBSET_DROP
    ("prctl", &[28], Some(libc::EINVAL)),          // PR_SET_SECUREBITS
    ("prctl", &[35], Some(libc::EINVAL)),          // PR_SET_MM
    ("prctl", &[47], Some(libc::EINVAL)),          // PR_CAP_AMBIENT
    ("prctl", &[0x5961_6d61], Some(libc::EINVAL)), // PR_SET_PTRACER
    ("prlimit64", &[0, 7], Some(0)),
    ("prlimit64", &[1, 0], Some(libc::EPERM)),
    ("prlimit64", &[0x1_0000_0000, 0], Some(0)), // pid_t is 32 bits: this is the caller itself
    ("personality", &[0xffff_ffff], Some(0)),
    ("personality", &[0x0040_0000], Some(libc::EPERM)), // READ_IMPLIES_EXEC
    ("capset", &[], Some(libc::EPERM)),
    ("setxattr", &[], Some(libc::EOPNOTSUPP)),
    ("io_uring_setup", &[], Some(libc::ENOSYS)),
    ("seccomp", &[], Some(libc::ENOSYS)),
    ("mq_open", &[], Some(libc::ENOSYS)),
    ("listmount", &[], Some(libc::ENOSYS)),
    ("listns", &[], Some(libc::ENOSYS)),
    ("rseq_slice_yield", &[], Some(libc::ENOSYS)),
    ("ptrace", &[], None),
    ("unshare", &[], None),
    ("mount", &[], None),
    ("open_tree_attr", &[], None),
    ("bpf", &[], Some(libc::ENOSYS)),
];

#[test]
fn the_facts_hold_on_every_architecture() {
    assert_facts(&Policy::judge(), FACTS);
}

fn assert_facts(policy: &Policy, facts: &[(&str, &[u64], Option<i32>)]) {
    for architecture in ALL {
        let filter = filter(policy, architecture);
        for &(name, given, errno) in facts {
            let mut args = [0; 6];
            args[..given.len()].copy_from_slice(given);
            let expected = match errno {
                None => Action::Kill,
                Some(0) => Action::Allow,
                Some(errno) => Action::Errno(Errno::from_raw(errno)),
            };
            let number = number(architecture, name);
            let action = filter.evaluate(architecture.audit, number, args);
            assert_eq!(action, expected, "{name} {given:x?}");
        }
    }
}

fn number(architecture: &Architecture, name: &str) -> i64 {
    let number = architecture.number(name).unwrap();
    number
        .expect("the facts name calls of all architectures")
        .into()
}

const THREAD: u64 = 0x003d_0f00;
const PROCESS: u64 = 0x0120_0011;

#[test]
fn strict_compute_is_one_process_that_reads_and_prints() {
    assert_facts(
        &Policy::strict_compute(),
        &[
            ("read", &[], Some(0)),
            ("write", &[1], Some(0)),
            ("mmap", &[0, 4096, 3, 0x22], Some(0)),
            ("mmap", &[0, 4096, 3, 0x4_0022], Some(libc::ENOMEM)),
            ("clone", &[THREAD], Some(0)),
            ("clone", &[THREAD | 0x1000_0000], None), // CLONE_NEWUSER
            ("clone", &[PROCESS], None),
            ("clone3", &[], Some(libc::ENOSYS)),
            ("execveat", &[], None),
            ("socket", &[1, 1, 0], None),
            ("socket", &[2, 1, 0], None),
            ("sendto", &[3, 0x1000, 16, 0x4000, 0, 0], Some(0)), // the report of a failed start
            ("sendto", &[3, 0x1000, 17, 0x4000, 0, 0], None),
            ("sendto", &[3, 0x1000, 16, 0x4000, 1, 0], None),
            ("openat", &[0, 0, 0x8_0000], Some(0)), // O_CLOEXEC
            ("openat", &[0, 0, 1], Some(libc::EACCES)), // O_WRONLY
            ("openat", &[0, 0, 2], Some(libc::EACCES)),
            ("openat", &[0, 0, 0x40], Some(libc::EACCES)), // O_CREAT
            ("openat", &[0, 0, 0x200], Some(libc::EACCES)), // O_TRUNC
            ("openat", &[0, 0, 0x40_0000], Some(libc::EACCES)), // O_TMPFILE
            ("openat", &[0, 0, 0xff_0000_0001], Some(libc::EACCES)),
            ("openat2", &[], Some(libc::ENOSYS)),
            ("unlinkat", &[], Some(libc::ENOSYS)),
            ("ioctl", &[1, 0x5401], Some(0)),
            ("ioctl", &[1, 0x5412], Some(libc::ENOTTY)),
            ("ioctl", &[1, 0x1_0000_5412], Some(libc::ENOTTY)),
            ("tgkill", &[2, 2, 6], Some(0)),
            ("tkill", &[2, 6], Some(0)), // raise(3) of musl
            ("tkill", &[1, 9], Some(libc::EPERM)),
            ("tgkill", &[1, 1, 9], Some(libc::EPERM)),
            ("kill", &[2, 9], Some(libc::EPERM)),
            ("sched_setscheduler", &[2, 0], Some(0)), // SCHED_OTHER, by Free Pascal's threads
            ("sched_setscheduler", &[2, 1], Some(libc::ENOSYS)), // SCHED_FIFO
            ("sched_setscheduler", &[2, 0x4000_0000], Some(libc::ENOSYS)), // SCHED_RESET_ON_FORK
            ("prlimit64", &[1], Some(libc::EPERM)),
            ("fcntl", &[3, 1024, 1], Some(libc::EINVAL)),
            ("io_uring_setup", &[], Some(libc::ENOSYS)),
            ("setresuid", &[], Some(libc::ENOSYS)),
            ("ptrace", &[], None),
            ("unshare", &[], None),
            ("mount", &[], None),
        ],
    );
}

#[test]
fn a_strict_program_executes_nothing() {
    for architecture in ALL {
        let execve = number(architecture, "execve");
        let filter = filter(&Policy::strict_compute(), architecture);
        let action = filter.evaluate(architecture.audit, execve, [0; 6]);
        assert_eq!(action, Action::Report(Answer::Kill));
    }
    // Without a supervisor that knows the start, it could not start either.
    let silent = Policy::strict_compute().without_reports();
    let syscall = "execve";
    assert_eq!(silent.prepare(), Err(Error::BlocksSetup { syscall }));
    assert!(unsupervised(Preset::StrictCompute).prepare().is_ok());
}

#[test]
fn a_script_has_threads_but_no_process_and_no_network() {
    assert_facts(
        &Policy::interpreter(),
        &[
            ("clone", &[THREAD], Some(0)),
            ("clone", &[THREAD | 0x1000_0000], Some(libc::EPERM)),
            ("clone", &[PROCESS], Some(libc::EPERM)),
            ("clone3", &[], Some(libc::ENOSYS)),
            ("execve", &[], Some(0)),
            ("socket", &[1, 1, 0], Some(0)),
            ("socketpair", &[1, 1, 0], Some(0)),
            ("socket", &[2, 1, 0], Some(libc::EACCES)),
            ("socket", &[16, 3, 0], Some(libc::EACCES)),
            ("openat", &[0, 0, 0x41], Some(0)),
            ("ptrace", &[], None),
        ],
    );
}

#[test]
fn a_compiler_has_processes_but_no_network() {
    assert_facts(
        &Policy::compiler(),
        &[
            ("clone", &[PROCESS], Some(0)),
            ("clone", &[PROCESS | 0x1000_0000], Some(libc::EPERM)),
            ("socket", &[1, 1, 0], Some(0)),
            ("socket", &[2, 1, 0], Some(libc::EACCES)),
            ("socket", &[10, 2, 0], Some(libc::EACCES)),
            ("flock", &[3, 2], Some(0)), // go build
            ("ptrace", &[], None),
        ],
    );
}

#[test]
fn permissive_deny_closes_five_groups_and_nothing_else() {
    assert_facts(
        &Policy::permissive_deny(),
        &[
            ("keyctl", &[], Some(libc::ENOSYS)),
            ("add_key", &[], Some(libc::ENOSYS)),
            ("request_key", &[], Some(libc::ENOSYS)),
            ("socket", &[40, 1, 0], Some(libc::EAFNOSUPPORT)),
            ("socket", &[0x1_0000_0028, 1, 0], Some(libc::EAFNOSUPPORT)),
            ("socket", &[16, 3, 0], Some(0)),
            ("flock", &[3, 2], Some(libc::ENOSYS)),
            ("fcntl", &[3, 6], Some(libc::EPERM)),    // F_SETLK
            ("fcntl", &[3, 38], Some(libc::EPERM)),   // F_OFD_SETLKW
            ("fcntl", &[3, 1024], Some(libc::EPERM)), // F_SETLEASE
            ("fcntl", &[3, 1026], Some(libc::EPERM)), // F_NOTIFY
            ("fcntl", &[3, 1], Some(0)),
            ("io_uring_setup", &[], Some(libc::ENOSYS)),
            ("io_uring_enter", &[], Some(0)),
            ("ptrace", &[], Some(0)),
            ("mount", &[], Some(0)),
        ],
    );
    let closed = Policy::permissive_deny().effective_on(&X86_64).unwrap();
    assert_eq!(closed.calls.len(), 7);
}
