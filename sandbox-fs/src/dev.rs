//! What a minimal `/dev` holds, and what of the kernel's own filesystems is better hidden.

/// Character devices that need no right and leak nothing, bound from the host one by one: a user namespace may not
/// make device nodes.
pub(crate) const NODES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Links that programs expect, name and where it points.
pub(crate) const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// What to hide in a full proc(5): interfaces of the host's kernel that programs under judgement have no use for.
pub(crate) const PROC_MASKS: &[&str] = &[
    "acpi",
    "asound",
    "bus",
    "driver",
    "fs",
    "irq",
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "latency_stats",
    "modules",
    "sched_debug",
    "scsi",
    "slabinfo",
    "sys",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
];

/// The same for sysfs(5).
pub(crate) const SYSFS_MASKS: &[&str] = &[
    "firmware",
    "fs/bpf",
    "fs/cgroup",
    "kernel/debug",
    "kernel/security",
    "kernel/tracing",
    "module",
];
