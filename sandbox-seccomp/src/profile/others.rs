//! Variants of the judge policy, and the one that only closes what isolate closes.

use std::sync::LazyLock;

use super::{
    EACCES, EAFNOSUPPORT, ENOSYS, EPERM,
    arguments::{eq, flags},
};
use crate::Policy;

impl Policy {
    /// The policy for a script and its runtime: threads, timers and event loops, but one process and no network.
    ///
    /// [`Policy::judge`] with these changes:
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | `clone` of a thread | allowed | the JVM, Node, .NET and Go are made of threads |
    /// | `clone` of a process, `fork`, `vfork` | `EPERM` | `subprocess`, `child_process` and `ProcessBuilder` fail with an exception that names it |
    /// | `socket`, `socketpair` | `AF_UNIX`; else `EACCES` | event loops wake themselves by a `socketpair`; there is nobody else to talk to |
    ///
    /// `execve` stays allowed, other than in [`Policy::strict_compute`]: launchers such as `java` execute themselves anew.
    #[must_use]
    pub fn interpreter() -> Self {
        static PRESET: LazyLock<Policy> = LazyLock::new(Policy::make_interpreter);
        PRESET.clone()
    }

    fn make_interpreter() -> Self {
        Self::judge()
            .deny(&["fork", "vfork"])
            .because("a script is one process")
            .clone_of_threads(EPERM)
            .without_internet()
    }

    /// The policy for a compiler of untrusted source: it may start its parts, and talks to nobody.
    ///
    /// [`Policy::judge`] with this change:
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | `socket`, `socketpair` | `AF_UNIX`; else `EACCES` | compilers of .NET, Scala and others have a server, beside them in the box; macros and build scripts are untrusted code as well |
    #[must_use]
    pub fn compiler() -> Self {
        static PRESET: LazyLock<Policy> = LazyLock::new(Policy::make_compiler);
        PRESET.clone()
    }

    fn make_compiler() -> Self {
        Self::judge().without_internet()
    }

    fn without_internet(self) -> Self {
        self.unix_sockets(EACCES)
            .because("sockets within the box only")
    }

    /// The policy that allows everything but what crosses boxes or passes filters: the groups that isolate closes.
    ///
    /// For programs that one mostly trusts, in a box whose namespaces and ids do the work; the difference to no policy at
    /// all. It is a deny list: calls of the next kernel are open, and so are `ptrace` within the box, namespaces by
    /// `clone`, and `bpf`.
    ///
    /// | Calls | What happens | Why |
    /// |---|---|---|
    /// | `keyctl`, `add_key`, `request_key` | `ENOSYS` | keyrings of a user outlive the box and are seen from the next one |
    /// | `socket(AF_VSOCK)` | `EAFNOSUPPORT` | no network namespace holds it: it reaches the hypervisor |
    /// | `flock` | `ENOSYS` | boxes that share a bind signal each other by it |
    /// | `fcntl` record locks, leases, directory notes | `EPERM` | as above |
    /// | `io_uring_setup` | `ENOSYS` | calls made through it pass no filter |
    /// | tables of other architectures | kill | as with every policy of this crate |
    #[must_use]
    pub fn permissive_deny() -> Self {
        static PRESET: LazyLock<Policy> = LazyLock::new(Policy::make_permissive_deny);
        PRESET.clone()
    }

    fn make_permissive_deny() -> Self {
        let mut policy = Self::deny_list()
            .rule("@keys", ENOSYS)
            .because("keyrings outlive the box")
            .rule_if("socket", [eq(0, flags(libc::AF_VSOCK))], EAFNOSUPPORT)
            .because("no network namespace holds it")
            .rule("flock", ENOSYS)
            .because("boxes that share a bind signal each other by locks");
        for command in CROSSING_FCNTLS {
            policy = policy.rule_if("fcntl", [eq(1, command)], EPERM);
        }
        policy
            .because("locks, leases and notes cross boxes that share a bind")
            .rule("io_uring_setup", ENOSYS)
            .because("calls made through it pass no filter")
    }
}

/// `F_GETLK`, `F_SETLK`, `F_SETLKW`, `F_OFD_GETLK`, `F_OFD_SETLK`, `F_OFD_SETLKW`, `F_SETLEASE`, `F_GETLEASE`, `F_NOTIFY`.
const CROSSING_FCNTLS: [u64; 9] = [5, 6, 7, 36, 37, 38, 1024, 1025, 1026];
