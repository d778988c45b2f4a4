//! What happens to a system call.

use core::fmt;

use sandbox_core::Errno;

/// What the kernel does with a system call that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Action {
    /// The call is made.
    Allow,
    /// The call is not made and fails with this errno (1 to 4095).
    Errno(#[cfg_attr(feature = "serde", serde(with = "crate::errno_name"))] Errno),
    /// The whole process dies of `SIGSYS`, with a core dump where core dumps are on.
    Kill,
    /// Only the calling thread dies of `SIGSYS`: the others go on without it, and mostly hang.
    ///
    /// For policies made elsewhere, which have it as `SCMP_ACT_KILL`; [`Action::Kill`] is what one wants.
    KillThread,
    /// The call is not made, and the thread gets a `SIGSYS`, which the program may handle.
    Trap,
    /// The call is made and the kernel logs it (auditd, or the kernel's own log).
    Log,
    /// The call is not made: the supervisor is told of it, and answers.
    ///
    /// A policy that has it anywhere also reports, to end the run, the calls of foreign tables that otherwise kill. It must
    /// refuse filters of the program's own, which could answer in place of the supervisor ([`Error::HidesReports`]).
    ///
    /// Of what the start itself calls after the filter is installed, only `execve` can be reported: the supervisor lets the one
    /// through by which the start becomes the program ([`Filter::reports_start`]). So a program that may not execute another has
    /// [`Answer::Kill`] or an errno for it; an action without a report would be the start's as well ([`Error::BlocksSetup`]).
    ///
    /// Kernel: Linux 5.0; 5.5 for `execve`.
    ///
    /// [`Filter::reports_start`]: crate::Filter::reports_start
    /// [`Error::HidesReports`]: crate::Error::HidesReports
    /// [`Error::BlocksSetup`]: crate::Error::BlocksSetup
    Report(Answer),
}

/// What the supervisor does about a call that a policy reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Answer {
    /// It ends the run, whichever of its processes made the call.
    Kill,
    /// The call fails with this errno (1 to 4095), and the program goes on.
    Errno(#[cfg_attr(feature = "serde", serde(with = "crate::errno_name"))] Errno),
}

impl Action {
    /// The return value of the BPF program that means this action; `None` for an errno out of range.
    pub(crate) fn encode(self) -> Option<u32> {
        match self {
            Self::Allow => Some(libc::SECCOMP_RET_ALLOW),
            Self::Errno(errno) => u32::try_from(errno.raw())
                .ok()
                .filter(|number| (1..=MAX_ERRNO).contains(number))
                .map(|number| libc::SECCOMP_RET_ERRNO | number),
            Self::Kill => Some(libc::SECCOMP_RET_KILL_PROCESS),
            Self::KillThread => Some(libc::SECCOMP_RET_KILL_THREAD),
            Self::Trap => Some(libc::SECCOMP_RET_TRAP),
            Self::Log => Some(libc::SECCOMP_RET_LOG),
            // The kernel passes the value's lower half to nobody. The supervisor finds it by running the program again.
            Self::Report(Answer::Kill) => Some(libc::SECCOMP_RET_USER_NOTIF),
            Self::Report(Answer::Errno(errno)) => Self::Errno(errno)
                .encode()
                .map(|value| libc::SECCOMP_RET_USER_NOTIF | value & libc::SECCOMP_RET_DATA),
        }
    }

    /// The action that a return value means; a value that we never emit is [`Action::Kill`], as the kernel has it.
    pub(crate) fn decode(value: u32) -> Self {
        let errno = || {
            let number = i32::try_from(value & libc::SECCOMP_RET_DATA).unwrap_or(libc::EPERM);
            Errno::from_raw(number)
        };
        match value & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_ALLOW => Self::Allow,
            libc::SECCOMP_RET_ERRNO => Self::Errno(errno()),
            libc::SECCOMP_RET_USER_NOTIF if value & libc::SECCOMP_RET_DATA == 0 => {
                Self::Report(Answer::Kill)
            }
            libc::SECCOMP_RET_USER_NOTIF => Self::Report(Answer::Errno(errno())),
            libc::SECCOMP_RET_LOG => Self::Log,
            libc::SECCOMP_RET_KILL_THREAD => Self::KillThread,
            libc::SECCOMP_RET_TRAP => Self::Trap,
            _ => Self::Kill,
        }
    }

    /// Whether the supervisor is told of the call.
    pub(crate) fn reports(self) -> bool {
        matches!(self, Self::Report(_))
    }

    /// Whether the call is made.
    pub(crate) fn permits(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Errno(errno) => write!(f, "{errno}"),
            Self::Kill => f.write_str("kill"),
            Self::KillThread => f.write_str("kill the thread"),
            Self::Trap => f.write_str("trap"),
            Self::Log => f.write_str("allow and log"),
            Self::Report(Answer::Kill) => f.write_str("report and kill"),
            Self::Report(Answer::Errno(errno)) => write!(f, "report, {errno}"),
        }
    }
}

/// The kernel's `MAX_ERRNO`; it cuts greater values down to this one.
const MAX_ERRNO: u32 = 4095;

#[cfg(test)]
mod tests {
    use super::{Action, Answer};
    use sandbox_core::Errno;

    #[test]
    fn every_action_survives_the_encoding() {
        for action in [
            Action::Allow,
            Action::Errno(Errno::from_raw(1)),
            Action::Errno(Errno::from_raw(4095)),
            Action::Kill,
            Action::KillThread,
            Action::Trap,
            Action::Log,
            Action::Report(Answer::Kill),
            Action::Report(Answer::Errno(Errno::from_raw(1))),
            Action::Report(Answer::Errno(Errno::from_raw(4095))),
        ] {
            assert_eq!(Action::decode(action.encode().unwrap()), action);
        }
    }

    #[test]
    fn no_errno_claims_success_or_is_cut_down() {
        for number in [0, -1, 4096, i32::MIN] {
            let errno = Errno::from_raw(number);
            assert_eq!(Action::Errno(errno).encode(), None);
            assert_eq!(Action::Report(Answer::Errno(errno)).encode(), None);
        }
    }

    #[test]
    fn a_foreign_return_value_is_fatal() {
        assert_eq!(Action::decode(libc::SECCOMP_RET_TRACE), Action::Kill);
        assert_eq!(Action::decode(0x1234_5678), Action::Kill);
    }
}
