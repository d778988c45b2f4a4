//! The groups themselves.

use super::Group;

const fn group(name: &'static str, about: &'static str, calls: &'static [&'static str]) -> Group {
    Group { name, about, calls }
}

#[rustfmt::skip]
pub(super) const GROUPS: &[Group] = &[
    group("@descriptors", "closes, copies and configures open descriptors; pipes", &[
        "close", "close_range", "dup", "dup2", "dup3", "fcntl", "pipe", "pipe2",
    ]),
    group("@file-read", "opens files, reads them, and asks about them; whether `open` is for writing is in its flags", &[
        "open", "openat", "openat2", "read", "readv", "pread64", "preadv", "preadv2", "lseek", "fadvise64", "readahead",
        "getdents", "getdents64", "fstat", "fstatfs", "stat", "lstat", "newfstatat", "statx", "statfs", "access",
        "faccessat", "faccessat2", "getcwd", "chdir", "fchdir", "readlink", "readlinkat",
        "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
    ]),
    group("@file-write", "writes open files and changes the tree", &[
        "creat", "write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice", "tee",
        "fsync", "fdatasync", "sync_file_range", "truncate", "ftruncate", "fallocate", "flock",
        "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat",
        "rmdir", "mknod", "mknodat", "umask", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown",
        "fchownat", "utime", "utimes", "utimensat", "futimesat",
    ]),
    group("@attributes", "changes extended attributes", &[
        "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
    ]),
    group("@file-new", "asks about files in ways of Linux 6.5 and later", &[
        "cachestat", "file_getattr", "file_setattr", "getxattrat", "listxattrat",
    ]),
    group("@memory", "the program's own memory", &[
        "brk", "mmap", "munmap", "mprotect", "mremap", "msync", "madvise", "mincore", "mlock", "mlock2", "munlock",
        "mlockall", "munlockall", "memfd_create", "mseal",
    ]),
    group("@memory-placement", "NUMA policies, which the JVM asks about, and protection keys, which V8 uses", &[
        "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node", "mbind", "pkey_alloc", "pkey_free", "pkey_mprotect",
    ]),
    group("@process", "makes processes, executes programs, waits for them; `clone` also makes threads and namespaces", &[
        "fork", "vfork", "clone", "clone3", "execve", "execveat", "wait4", "waitid", "pidfd_open", "getpgid", "getpgrp",
        "setpgid", "getsid", "setsid",
    ]),
    group("@threads", "what a thread needs once it exists", &[
        "futex", "futex_waitv", "membarrier", "rseq", "set_robust_list", "get_robust_list", "set_tid_address",
        "sched_yield", "getcpu",
    ]),
    group("@scheduling", "priorities and processors", &[
        "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler",
        "sched_setscheduler", "sched_getattr", "sched_setattr", "sched_get_priority_max", "sched_get_priority_min",
        "sched_rr_get_interval", "getpriority", "setpriority", "ioprio_get",
    ]),
    group("@signals", "sends, blocks and handles signals", &[
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo",
        "rt_tgsigqueueinfo", "rt_sigsuspend", "sigaltstack", "pause", "kill", "tkill", "tgkill", "pidfd_send_signal",
        "signalfd", "signalfd4", "restart_syscall",
    ]),
    group("@time", "reads clocks and runs timers", &[
        "time", "gettimeofday", "clock_gettime", "clock_getres", "nanosleep", "clock_nanosleep", "times", "alarm",
        "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
        "timerfd_create", "timerfd_settime", "timerfd_gettime",
    ]),
    group("@waiting", "waits for descriptors", &[
        "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
        "epoll_pwait2", "eventfd", "eventfd2",
    ]),
    group("@network", "makes, names and configures sockets; their families and options are arguments", &[
        "socket", "socketpair", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername", "shutdown",
        "setsockopt", "getsockopt",
    ]),
    group("@messages", "sends and receives on sockets that exist; the start needs `sendto`, so this is apart", &[
        "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg",
    ]),
    group("@self", "ends, and asks about the program itself", &[
        "exit", "exit_group", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
        "getresgid", "getgroups", "capget", "getrlimit", "getrusage", "sysinfo", "uname", "getrandom",
        "arch_prctl", "riscv_flush_icache", "riscv_hwprobe",
    ]),
    group("@limits", "sets resource limits", &["setrlimit", "prlimit64"]),
    group("@switchboards", "one number, many operations; which is an argument", &["ioctl", "prctl", "personality"]),
    group("@credentials", "changes ids and capabilities", &[
        "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
    ]),
    group("@host", "names and tunes the machine, as far as the kernel lets it", &[
        "sethostname", "setdomainname", "adjtimex", "clock_adjtime", "ioprio_set", "syslog", "vhangup", "sync", "syncfs",
    ]),
    group("@ipc", "System V and POSIX queues, semaphores and shared memory", &[
        "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv",
        "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr",
    ]),
    group("@io-uring", "queues of calls that pass no filter", &["io_uring_setup", "io_uring_enter", "io_uring_register"]),
    group("@aio", "the older asynchronous input and output", &[
        "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
    ]),
    group("@keys", "the kernel's keyrings", &["add_key", "request_key", "keyctl"]),
    group("@watch", "tells when files are used", &[
        "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_init", "fanotify_mark",
    ]),
    group("@confine", "filters and sandboxes of the program's own", &[
        "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    ]),
    group("@kernel-code", "runs code of the program in the kernel, or counts events there", &["bpf", "perf_event_open"]),
    group("@exploit-aids", "rarely called in honest work and dear to exploits: they stop the kernel, hide memory or move it", &[
        "userfaultfd", "memfd_secret", "modify_ldt", "vmsplice", "kcmp", "process_madvise", "process_mrelease",
        "move_pages", "migrate_pages", "name_to_handle_at", "remap_file_pages", "map_shadow_stack",
    ]),
    group("@other-processes", "memory and descriptors of other processes", &[
        "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
    ]),
    group("@mount", "the tree of files: the old interface, the new one, and the way around it by handle", &[
        "mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig",
        "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "quotactl", "quotactl_fd",
    ]),
    group("@mount-read", "asks about mounts and namespaces", &["statmount", "listmount", "listns"]),
    group("@namespaces", "changes namespaces; `clone` and `clone3` do so too", &["unshare", "setns"]),
    group("@machine", "the kernel and the machine", &[
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
        "acct", "iopl", "ioperm", "settimeofday", "clock_settime",
    ]),
    group("@futex2", "the futex calls of Linux 6.7", &["futex_wake", "futex_wait", "futex_requeue"]),
    group("@time-slice", "gives back the rest of a time slice that was made longer (Linux 7.0)", &["rseq_slice_yield"]),
    group("@lsm", "asks security modules, and tells them", &["lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"]),
    group("@obsolete", "gone from the kernel, reserved, for programs of the last century, or of the kernel's own probes", &[
        "_sysctl", "afs_syscall", "create_module", "epoll_ctl_old", "epoll_wait_old", "get_kernel_syms", "get_thread_area",
        "getpmsg", "lookup_dcookie", "nfsservctl", "putpmsg", "query_module", "security",
        "set_thread_area", "sysfs", "tuxcall", "uprobe", "uretprobe", "uselib", "ustat", "vserver",
    ]),
];
