use sandbox_core::Errno;

use super::calls;
use crate::{
    Action, Filter, Policy,
    compile::program,
    table::{ALL, Architecture},
};

#[test]
fn no_call_is_in_two_groups() {
    let groups = [
        calls::FILES,
        calls::FILE_NAMES,
        calls::MEMORY,
        calls::PROCESSES,
        calls::SCHEDULING,
        calls::SIGNALS,
        calls::TIME,
        calls::WAITING,
        calls::SOCKETS,
        calls::SELF,
        calls::CREDENTIALS,
        calls::ATTRIBUTES,
        calls::PROBED,
        calls::ATTACKS,
        &[
            "clone",
            "socket",
            "socketpair",
            "ioctl",
            "prctl",
            "prlimit64",
            "personality",
        ],
    ];
    let mut names = groups.concat();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
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
    ("socket", &[1, 5, 0], Some(0)),                        // AF_UNIX
    ("socket", &[2, 1, 6], Some(0)),                        // TCP
    ("socket", &[2, 0x80802, 17], Some(0)),                 // UDP, close on exec, not blocking
    ("socket", &[10, 1, 0], Some(0)),                       // IPv6
    ("socket", &[0xffff_0000_0000_0002, 1, 0], Some(0)),    // only the low half counts
    ("socket", &[2, 5, 0], Some(libc::EPROTONOSUPPORT)),    // SCTP
    ("socket", &[2, 6, 0], Some(libc::EPROTONOSUPPORT)),    // DCCP
    ("socket", &[10, 1, 262], Some(libc::EPROTONOSUPPORT)), // MPTCP
    ("socket", &[16, 3, 0], Some(libc::EAFNOSUPPORT)),      // netlink
    ("socket", &[17, 3, 0], Some(libc::EAFNOSUPPORT)),      // packet
    ("socket", &[38, 5, 0], Some(libc::EAFNOSUPPORT)),      // AF_ALG
    ("socketpair", &[1, 1, 0], Some(0)),
    ("socketpair", &[2, 1, 0], Some(libc::EAFNOSUPPORT)),
    ("ioctl", &[0, 0x5401], Some(0)),
    ("ioctl", &[0, 0x5412], Some(libc::EPERM)),
    ("ioctl", &[0, 0xdead_0000_5412], Some(libc::EPERM)),
    ("ioctl", &[0, 0x1_0000_541c], Some(libc::EPERM)),
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
    ("ptrace", &[], None),
    ("unshare", &[], None),
    ("mount", &[], None),
    ("open_tree_attr", &[], None),
    ("bpf", &[], Some(libc::ENOSYS)),
];

#[test]
fn the_facts_hold_on_every_architecture() {
    for architecture in ALL {
        let filter = Filter::new(program(&Policy::judge(), architecture).unwrap());
        for &(name, given, errno) in FACTS {
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
