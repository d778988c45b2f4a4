//! Installed filters, as the kernel acts on them and the parent sees it.

mod in_child;

use core::ffi::{c_int, c_long};

use in_child::{End, NOT_INSTALLED, errno_of, in_child, under};
use sandbox_core::{ChildStep as _, Errno, Explain as _, Stage};
use sandbox_seccomp::{Action, ArgCondition, Comparison, Filter, Policy};

/// The errno of one call under `Policy::judge()`.
fn judged<const N: usize>(number: c_long, args: [c_long; N]) -> End {
    let filter = Policy::judge().prepare().unwrap();
    under(&filter, || errno_of(number, args))
}

const SIGSYS: End = End::Signal(libc::SIGSYS);

#[test]
fn honest_calls_are_made() {
    assert_eq!(judged(libc::SYS_getppid, [0; 3]), End::Exit(0));
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let end = judged(libc::SYS_socket, [family.into(), kind.into(), 0]);
        assert_eq!(end, End::Exit(0), "family {family}");
    }
    assert_eq!(
        judged(libc::SYS_prlimit64, [0, libc::RLIMIT_CPU.into(), 0]),
        End::Exit(0)
    );
    assert_eq!(
        judged(libc::SYS_personality, [0xffff_ffff, 0, 0]),
        End::Exit(0)
    );
}

#[test]
fn attacks_die_of_sigsys() {
    for number in [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_chroot,
        libc::SYS_kexec_load,
        libc::SYS_open_by_handle_at,
        libc::SYS_clock_settime,
    ] {
        assert_eq!(judged(number, [0; 3]), SIGSYS, "number {number}");
    }
}

#[test]
fn probes_get_the_errno_of_the_table() {
    let tiocsti_with_high_bits = 0x1_0000_5412;
    let cases = [
        (libc::SYS_clone3, [0; 3], libc::ENOSYS),
        (libc::SYS_io_uring_setup, [0; 3], libc::ENOSYS),
        (libc::SYS_seccomp, [0; 3], libc::ENOSYS),
        (
            libc::SYS_clone,
            [libc::CLONE_NEWUSER.into(), 0, 0],
            libc::EPERM,
        ),
        (
            libc::SYS_socket,
            [libc::AF_VSOCK.into(), 1, 0],
            libc::EAFNOSUPPORT,
        ),
        (
            libc::SYS_socket,
            [libc::AF_NETLINK.into(), 3, 0],
            libc::EAFNOSUPPORT,
        ),
        (
            libc::SYS_socket,
            [libc::AF_INET.into(), 5, 0],
            libc::EPROTONOSUPPORT,
        ),
        (
            libc::SYS_socket,
            [libc::AF_INET6.into(), 1, 132],
            libc::EPROTONOSUPPORT,
        ),
        (
            libc::SYS_socket,
            [libc::AF_INET.into(), 0, 0],
            libc::EPROTONOSUPPORT,
        ),
        (
            libc::SYS_socket,
            [libc::AF_INET.into(), 2, 1],
            libc::EPROTONOSUPPORT,
        ),
        (libc::SYS_socket, [libc::AF_INET.into(), 3, 1], libc::EPERM),
        // Without the filter these are EBADF.
        (libc::SYS_setsockopt, [-1, 1, 26], libc::EPERM),
        (libc::SYS_setsockopt, [-1, 1, 51], libc::EPERM),
        (libc::SYS_setsockopt, [-1, 0, 35], libc::EPERM),
        (libc::SYS_setsockopt, [-1, 41, 20], libc::EPERM),
        (libc::SYS_setsockopt, [-1, 1, 2], libc::EBADF),
        (libc::SYS_fcntl, [-1, 1024, 1], libc::EINVAL),
        (libc::SYS_fcntl, [-1, 1026, 1], libc::EINVAL),
        (libc::SYS_fcntl, [-1, 8, 1], libc::EPERM),
        (libc::SYS_fcntl, [-1, 1, 0], libc::EBADF),
        (libc::SYS_inotify_init1, [0; 3], libc::ENOSYS),
        (libc::SYS_fanotify_init, [0; 3], libc::ENOSYS),
        (libc::SYS_memfd_create, [0, 4, 0], libc::ENOMEM),
        (libc::SYS_memfd_create, [0, 1, 0], libc::EFAULT),
        (libc::SYS_pidfd_open, [1, 0, 0], libc::EPERM),
        (libc::SYS_ioctl, [0, tiocsti_with_high_bits, 0], libc::EPERM),
        (
            libc::SYS_prctl,
            [libc::PR_SET_SECCOMP.into(), 2, 0],
            libc::EINVAL,
        ),
        (libc::SYS_prlimit64, [1, 0, 0], libc::EPERM),
        (libc::SYS_personality, [0x0040_0000, 0, 0], libc::EPERM),
        (libc::SYS_setresuid, [0, 0, 0], libc::EPERM),
        (700, [0; 3], libc::ENOSYS),
    ];
    for (number, args, errno) in cases {
        assert_eq!(
            judged(number, args),
            End::Exit(errno),
            "number {number} {args:x?}"
        );
    }
}

#[test]
fn huge_pages_are_out_as_on_a_machine_without_them() {
    let map = |flags: c_int| {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        judged(libc::SYS_mmap, [0, 4096, 0, flags.into(), -1])
    };
    assert_eq!(map(0), End::Exit(0));
    assert_eq!(map(libc::MAP_HUGETLB), End::Exit(libc::ENOMEM));
    let of_2_mib = libc::MAP_HUGETLB | (21 << libc::MAP_HUGE_SHIFT);
    assert_eq!(map(of_2_mib), End::Exit(libc::ENOMEM));
}

/// Ways to slow down process 1 or to send it `SIGUSR1`.
fn act_on_init() -> [c_int; 6] {
    let signal = libc::SIGUSR1.into();
    [
        errno_of(libc::SYS_setpriority, [0, 1, 19]),
        errno_of(libc::SYS_setpriority, [1, 1, 19]),
        errno_of(libc::SYS_setpriority, [2, 0, 19]),
        errno_of(libc::SYS_kill, [1, signal]),
        errno_of(libc::SYS_tkill, [1, signal]),
        errno_of(libc::SYS_tgkill, [1, 1, signal]),
    ]
}

/// The thread of process 1 under the number of the own process, which the filter does not look at.
fn thread_of_another() -> c_int {
    let own = std::process::id().into();
    errno_of(libc::SYS_tgkill, [own, 1, libc::SIGUSR1.into()])
}

/// Is process 1 of a pid namespace, runs `payload` in a child of the same user, and tells by bits what became of itself:
/// 1 for a changed priority, 2 for a signal that waits.
#[expect(unsafe_code, reason = "only a process 1 can see what reaches it")]
fn as_init(payload: impl FnOnce() -> c_int) -> End {
    in_child(|| {
        if errno_of(libc::SYS_unshare, [libc::CLONE_NEWPID.into()]) != 0 {
            return NOT_INSTALLED;
        }
        let init = in_child(|| {
            // Blocked signals wait; others that have no handler do not reach a process 1. setsid gives it the group 1.
            let mask = 1_u64 << (libc::SIGUSR1 - 1);
            // SAFETY: `mask` is a live signal set of the eight bytes that the kernel has.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigprocmask,
                    libc::SIG_BLOCK,
                    &raw const mask,
                    core::ptr::null_mut::<u64>(),
                    8,
                );
            }
            // Whoever runs the tests may have another.
            if errno_of(libc::SYS_setpriority, [0; 3]) != 0 {
                return NOT_INSTALLED;
            }
            if errno_of(libc::SYS_setsid, [0; 0]) != 0 || in_child(payload) != End::Exit(0) {
                return NOT_INSTALLED;
            }
            let mut waiting = 0_u64;
            // SAFETY: `waiting` is a live signal set of the eight bytes that the kernel has.
            unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut waiting, 8) };
            // SAFETY: takes numbers only. The kernel's call answers 20 for the priority 0.
            let priority = unsafe { libc::syscall(libc::SYS_getpriority, 0, 0) };
            c_int::from(priority != 20) | (c_int::from(waiting & mask != 0) << 1)
        });
        match init {
            End::Exit(status) => status,
            End::Signal(_) => NOT_INSTALLED,
        }
    })
}

#[test]
fn init_is_out_of_reach_for_a_payload_of_its_user() {
    let open =
        as_init(|| c_int::from(act_on_init() != [0; 6] || thread_of_another() != libc::ESRCH));
    assert_eq!(
        open,
        End::Exit(3),
        "without a filter all of it reaches init"
    );

    let filter = Policy::judge().prepare().unwrap();
    let closed = as_init(|| {
        match under(&filter, || {
            c_int::from(act_on_init() != [libc::EPERM; 6] || thread_of_another() != libc::ESRCH)
        }) {
            End::Exit(status) => status,
            End::Signal(_) => NOT_INSTALLED,
        }
    });
    assert_eq!(closed, End::Exit(0));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_tables_of_the_same_processor_are_closed() {
    let filter = Policy::deny_list().prepare().unwrap();
    // A kernel without x32 would answer ENOSYS: the signal proves the filter.
    let x32_getpid = 0x4000_0000 | libc::SYS_getpid;
    assert_eq!(under(&filter, || errno_of(x32_getpid, [0; 3])), SIGSYS);
    assert_eq!(under(&filter, int80_getpid), SIGSYS);
    assert_eq!(
        under(&filter, || errno_of(libc::SYS_getpid, [0; 3])),
        End::Exit(0)
    );
}

/// `getpid` of i386, which is `writev` to a filter that does not look at the architecture.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "no library makes a 32-bit call")]
fn int80_getpid() -> c_int {
    let mut number = 20_i64;
    // SAFETY: the call takes no argument; the kernel changes rax and, on 32-bit entry, r8 to r11.
    unsafe {
        core::arch::asm!("int 0x80", inlateout("rax") number, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    c_int::from(number < 0)
}

#[test]
fn arguments_are_compared_in_full() {
    let long = ArgCondition::qword(1, Comparison::Gt(0x1_0000_0000));
    let errno = Action::Errno(Errno::from_raw(77));
    let filter = Policy::deny_list()
        .rule_if("getppid", [long], errno)
        .prepare()
        .unwrap();
    for (argument, end) in [
        (0, 0),
        (0xffff_ffff, 0),
        (0x1_0000_0000, 0),
        (0x1_0000_0001, 77),
        (0x2_0000_0000, 77),
        (-1, 77),
    ] {
        let seen = under(&filter, || errno_of(libc::SYS_getppid, [0, argument, 0]));
        assert_eq!(seen, End::Exit(end), "{argument:#x}");
    }
}

#[test]
fn signs_are_the_kernels() {
    let errno = Action::Errno(Errno::from_raw(77));
    let negative = ArgCondition::dword(0, Comparison::SignedLt(0));
    let small = ArgCondition::qword(1, Comparison::SignedLe(-(1 << 40)));
    let filter = Policy::deny_list()
        .rule_if("getppid", [negative], errno)
        .rule_if("getppid", [small], errno)
        .prepare()
        .unwrap();
    for (arguments, end) in [
        ([-1, 0], 77),
        ([0x8000_0000, 0], 77),
        ([0x7fff_ffff, 0], 0),
        ([-(1 << 32), 0], 0),
        ([0, -(1 << 40)], 77),
        ([0, -(1 << 40) + 1], 0),
        ([0, c_long::MIN], 77),
        ([0, c_long::MAX], 0),
    ] {
        let seen = under(&filter, || errno_of(libc::SYS_getppid, arguments));
        assert_eq!(seen, End::Exit(end), "{arguments:x?}");
    }
}

#[test]
fn traps_and_threads_end_in_sigsys() {
    let die = |action| {
        let filter = Policy::deny_list()
            .rule("getppid", action)
            .prepare()
            .unwrap();
        under(&filter, || errno_of(libc::SYS_getppid, [0; 3]))
    };
    assert_eq!(die(Action::Trap), SIGSYS);
    // The only thread is the process.
    assert_eq!(die(Action::KillThread), SIGSYS);
}

#[test]
fn a_strict_program_is_alone() {
    // Without a supervisor.
    let policy = Policy::strict_compute()
        .allow(&["execve"])
        .without_reports();
    let filter = policy.prepare().unwrap();
    for number in [libc::SYS_execveat, libc::SYS_socket, libc::SYS_ptrace] {
        assert_eq!(under(&filter, || errno_of(number, [0; 3])), SIGSYS);
    }
    let process = libc::SIGCHLD.into();
    assert_eq!(
        under(&filter, || errno_of(libc::SYS_clone, [process])),
        SIGSYS
    );
    let open = |flags: c_int| {
        let at = libc::AT_FDCWD.into();
        under(&filter, || {
            errno_of(libc::SYS_openat, [at, 0, flags.into()])
        })
    };
    // The kernel sees the flags before it looks at the missing path.
    assert_eq!(open(libc::O_RDONLY), End::Exit(libc::EFAULT));
    assert_eq!(open(libc::O_RDWR), End::Exit(libc::EACCES));
    assert_eq!(open(libc::O_CREAT), End::Exit(libc::EACCES));
}

#[test]
fn without_no_new_privs_apply_says_why() {
    let filter = Policy::judge().prepare().unwrap();
    // Root may install a filter without no_new_privs, so the child gives its ids away.
    let end = in_child(|| {
        let nobody = 65_534;
        if errno_of(libc::SYS_setresuid, [nobody; 3]) != 0 {
            return NOT_INSTALLED;
        }
        match filter.apply() {
            Ok(()) => 0,
            Err(fault) => fault.errno.raw(),
        }
    });
    assert_eq!(end, End::Exit(libc::EACCES));
    assert_eq!(<Filter as sandbox_core::ChildStep>::STAGE, Stage::Seccomp);
    assert!(filter.explain(0).contains("no_new_privs"));
}

#[test]
fn the_kernel_takes_programs_of_every_length_that_we_make() {
    for rules in [0, 1, 50, 130, 300, 600, 815] {
        let mut policy = Policy::deny_list();
        for value in 0..rules {
            let condition = ArgCondition::qword(0, Comparison::Eq(value));
            policy = policy.rule_if("getppid", [condition], Action::Errno(Errno::from_raw(77)));
        }
        let filter = policy.prepare().unwrap();
        let hit = |argument| under(&filter, || errno_of(libc::SYS_getppid, [argument, 0, 0]));
        let first = if rules > 0 { 77 } else { 0 };
        assert_eq!(hit(0), End::Exit(first), "{rules} rules");
        assert_eq!(hit(816), End::Exit(0), "{rules} rules");
    }
}
