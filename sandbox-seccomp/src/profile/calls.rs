//! The groups of calls of [`Policy::judge`](crate::Policy::judge).

/// Open descriptors. The kernel checks rights at the open; a filter has nothing to add. `fcntl` has rules of its own.
pub(super) const FILES: &[&str] = &[
    "open", "openat", "openat2", "creat", "close", "close_range", "read", "write", "readv", "writev",
    "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek", "dup", "dup2", "dup3",
    "flock", "fsync", "fdatasync", "sync_file_range", "truncate", "ftruncate", "fallocate",
    "fadvise64", "readahead", "sendfile", "copy_file_range", "splice", "tee", "pipe", "pipe2",
    "fstat", "fstatfs", "fchdir", "fchmod", "fchown", "getdents", "getdents64",
];

/// Paths. What exists is the mount namespace's business.
pub(super) const FILE_NAMES: &[&str] = &[
    "stat", "lstat", "newfstatat", "statx", "statfs", "access", "faccessat", "faccessat2", "getcwd", "chdir",
    "readlink", "readlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmodat", "fchmodat2", "chown", "lchown",
    "fchownat", "umask", "utime", "utimes", "utimensat", "futimesat",
    // FIFOs; the kernel refuses device nodes without CAP_MKNOD.
    "mknod", "mknodat",
    "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
];

/// The program's own memory; the cgroup counts it, all but huge pages, which are refused by their flag. NUMA calls are the JVM's, protection keys V8's.
pub(super) const MEMORY: &[&str] = &[
    "brk", "mmap", "munmap", "mprotect", "mremap", "msync", "madvise", "mincore", "mlock", "mlock2", "munlock",
    "mlockall", "munlockall", "memfd_create", "membarrier", "mseal", "get_mempolicy", "set_mempolicy", "mbind",
    "pkey_alloc", "pkey_free", "pkey_mprotect",
];

/// Processes and threads; the cgroup counts them. `clone` has rules of its own.
pub(super) const PROCESSES: &[&str] = &[
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "pidfd_open", "getpid", "getppid",
    "gettid", "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "set_tid_address", "set_robust_list",
    "get_robust_list", "rseq", "arch_prctl", "riscv_flush_icache", "riscv_hwprobe",
];

/// Scheduling among the program's own threads; without a capability priorities only fall.
pub(super) const SCHEDULING: &[&str] = &[
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler",
    "sched_setscheduler", "sched_getattr", "sched_setattr", "sched_get_priority_max", "sched_get_priority_min",
    "sched_rr_get_interval", "getpriority", "setpriority", "ioprio_get", "getcpu",
];

/// Signals; the pid namespace bounds whom they reach. A pidfd of init cannot be had: `pidfd_open` refuses its number, and
/// `/proc/1` is hidden.
pub(super) const SIGNALS: &[&str] = &[
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "rt_sigsuspend", "sigaltstack", "pause", "kill", "tkill", "tgkill", "pidfd_send_signal",
    "signalfd", "signalfd4", "restart_syscall",
];

/// Of these, what acts on the process that the first argument names; init is exempt.
pub(super) const BY_NUMBER: &[&str] = &[
    "kill", "tkill", "rt_sigqueueinfo", "pidfd_open", "sched_setaffinity", "sched_setscheduler", "sched_setparam",
    "sched_setattr",
];

/// Of these, what acts on the thread that the second argument names, in the process that the first one names.
pub(super) const BY_TWO_NUMBERS: &[&str] = &["tgkill", "rt_tgsigqueueinfo"];

/// Clocks, to read, and timers.
pub(super) const TIME: &[&str] = &[
    "time", "gettimeofday", "clock_gettime", "clock_getres", "nanosleep", "clock_nanosleep", "times", "alarm",
    "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
    "timerfd_create", "timerfd_settime", "timerfd_gettime",
];

/// Waiting for descriptors and for other threads.
pub(super) const WAITING: &[&str] = &[
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2", "futex", "futex_waitv",
];

/// Sockets once they exist; which may exist is decided at `socket`.
pub(super) const SOCKETS: &[&str] = &[
    "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername", "sendto", "recvfrom", "sendmsg",
    "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "setsockopt", "getsockopt",
];

/// What a program asks about itself. `capget` is what node calls at its start.
pub(super) const SELF: &[&str] = &[
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "getrlimit", "setrlimit",
    "getrusage", "sysinfo", "uname", "getrandom",
];

/// Credentials are final, and the host is not the program's to name or tune. `EPERM` is what the kernel itself says to a
/// program without capabilities; it holds here even if one were left.
pub(super) const CREDENTIALS: &[&str] = &[
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
    "sethostname", "setdomainname", "adjtimex", "clock_adjtime", "ioprio_set", "syslog", "vhangup",
];

/// Extended attributes of tmpfs are kernel memory. cp(1) and tar(1) take this errno for a filesystem without them.
pub(super) const ATTRIBUTES: &[&str] = &[
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
];

/// What libraries and runtimes try, and do without on an older kernel. Named although the default is the same: a policy
/// made from this one with another default must not open them.
pub(super) const PROBED: &[&str] = &[
    // The flags lie in memory, out of the filter's sight; glibc, musl and Go then use clone.
    "clone3",
    // Calls made through io_uring pass no filter at all.
    "io_uring_setup", "io_uring_enter", "io_uring_register",
    // A handler of page faults stops the kernel where an exploit wants it.
    "userfaultfd",
    "bpf", "perf_event_open", "add_key", "request_key", "keyctl", "memfd_secret", "seccomp", "modify_ldt", "vmsplice",
    "kcmp", "process_madvise", "process_mrelease", "move_pages", "migrate_pages", "name_to_handle_at",
    // Who uses a file of a bind, and when, is nothing that boxes may tell each other or learn about the host.
    "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_init", "fanotify_mark",
    "io_setup", "sync", "syncfs",
];

/// What no program and no compiler calls in honest work; to call it is the verdict.
pub(super) const ATTACKS: &[&str] = &[
    // Other processes' memory and descriptors.
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
    // The tree of files: the old interface, the new one, and the way around it by handle.
    "mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "quotactl", "quotactl_fd",
    // Namespaces.
    "unshare", "setns",
    // The kernel and the machine.
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "acct", "iopl", "ioperm", "settimeofday", "clock_settime",
];
