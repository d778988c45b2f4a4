//! Why a policy did not become a filter.

use crate::ArgCondition;

/// A policy that cannot be compiled, or must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No architecture of this crate has a call of this name.
    #[error("unknown system call {name:?}{}", hint(*nearest))]
    UnknownSyscall {
        /// The name in the rule.
        name: String,
        /// The known name that is spelt most alike, if any is.
        nearest: Option<&'static str>,
    },
    /// No group has this name.
    #[error("unknown group {name:?}{}", hint(*nearest))]
    UnknownGroup {
        /// The name in the rule.
        name: String,
        /// The name of a group that is spelt most alike, if any is.
        nearest: Option<&'static str>,
    },
    /// The condition can never hold, or names an argument that no call has.
    #[error("condition on {syscall}: {condition} {problem}")]
    Condition {
        /// The call of the rule.
        syscall: String,
        /// The condition.
        condition: ArgCondition,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The errno of an action is not one that a call can return: 1 to 4095.
    ///
    /// 0 would report success for a call that was never made.
    #[error("{errno} is not an errno that a system call can return (1 to 4095)")]
    Errno {
        /// The number in the rule.
        errno: i32,
    },
    /// The policy forbids a call that the start makes after the filter is installed.
    #[error(
        "the policy forbids {syscall}, which the start needs after the filter: {}",
        way_out(syscall)
    )]
    BlocksSetup {
        /// The call.
        syscall: &'static str,
    },
    /// The policy reports calls and lets the program install filters of its own, which could answer in place of the supervisor.
    #[error(
        "the policy reports calls and allows {syscall} to install a filter, which could hide them: {}",
        refusal(syscall)
    )]
    HidesReports {
        /// The call.
        syscall: &'static str,
    },
    /// The program is longer than the kernel takes.
    #[error("the policy needs {instructions} BPF instructions, the kernel takes at most 4096")]
    TooLong {
        /// The program's length.
        instructions: usize,
    },
    /// This crate has no table of system calls for the architecture that it was built for.
    #[error("no system call table for {architecture}")]
    Architecture {
        /// The architecture, as the compiler names it.
        architecture: &'static str,
    },
}

fn way_out(syscall: &str) -> &'static str {
    if syscall == "execve" {
        "allow it, or have it reported, which lets the start alone call it"
    } else {
        "allow it"
    }
}

fn refusal(syscall: &str) -> &'static str {
    if syscall == "prctl" {
        "refuse its PR_SET_SECCOMP (argument 0 is 22)"
    } else {
        "refuse it"
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name:?}?"))
}
