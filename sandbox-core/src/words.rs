//! How a run ended, in words for people.

use core::fmt;

use crate::{Exit, Verdict};

/// `exit code 3`, `signal 11 (SIGSEGV)`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { signo, .. } => {
                write!(f, "signal {signo}")?;
                let mut named = SIGNALS.iter().filter(|(number, _)| *number == signo);
                named
                    .next()
                    .map_or(Ok(()), |(_, name)| write!(f, " ({name})"))
            }
        }
    }
}

/// `memory limit exceeded`, `run-time error (exit code 3)`, `security violation (system call ptrace)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Ok => return f.write_str("ok"),
            Self::RuntimeError(exit) => return write!(f, "run-time error ({exit})"),
            Self::SecurityViolation { syscall: None } => return f.write_str("security violation"),
            Self::SecurityViolation { syscall: Some(it) } => {
                return write!(f, "security violation (system call {it})");
            }
            Self::Cancelled => return f.write_str("cancelled"),
            Self::Indeterminate => return f.write_str("indeterminate"),
            Self::CpuTimeLimit => "CPU time",
            Self::WallTimeLimit => "wall time",
            Self::IdleTimeLimit => "idle time",
            Self::MemoryLimit => "memory",
            Self::ProcessLimit => "process",
            Self::OutputLimit => "output",
            Self::DiskLimit => "disk",
        };
        write!(f, "{what} limit exceeded")
    }
}

/// Those whose default action ends a process; the real-time ones have no names.
const SIGNALS: [(i32, &str); 23] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGSYS, "SIGSYS"),
];

#[cfg(test)]
mod tests {
    use super::SIGNALS;
    use crate::{Abi, Exit, Syscall, SyscallName, Verdict};

    fn signal(signo: i32) -> Exit {
        Exit::Signal {
            signo,
            core_dumped: false,
        }
    }

    #[test]
    fn ends_are_told_by_code_and_by_name_of_the_signal() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(signal(libc::SIGABRT).to_string(), "signal 6 (SIGABRT)");
        assert_eq!(signal(64).to_string(), "signal 64");
        // What is left of 1 to 31 stops or continues a process, or does nothing to it.
        let named = |number: &i32| SIGNALS.iter().any(|(signo, _)| signo == number);
        let harmless: Vec<i32> = (1..32).filter(|number| !named(number)).collect();
        let (cont, chld, winch) = (libc::SIGCONT, libc::SIGCHLD, libc::SIGWINCH);
        let mut wanted = [
            libc::SIGSTOP,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            libc::SIGURG,
            cont,
            chld,
            winch,
        ];
        wanted.sort_unstable();
        assert_eq!(harmless, wanted);
    }

    #[test]
    fn verdicts_name_the_limit_the_end_and_the_call() {
        let name = SyscallName::new("ptrace").ok();
        let syscall = Some(Syscall::new(Abi::X86_64, 101, name));
        let known = if Abi::X86_64.is_native() {
            "security violation (system call ptrace)"
        } else {
            "security violation (system call ptrace of x86_64)"
        };
        for (verdict, words) in [
            (Verdict::Ok, "ok"),
            (
                Verdict::RuntimeError(signal(libc::SIGSEGV)),
                "run-time error (signal 11 (SIGSEGV))",
            ),
            (Verdict::CpuTimeLimit, "CPU time limit exceeded"),
            (Verdict::DiskLimit, "disk limit exceeded"),
            (
                Verdict::SecurityViolation { syscall: None },
                "security violation",
            ),
            (Verdict::SecurityViolation { syscall }, known),
            (Verdict::Indeterminate, "indeterminate"),
        ] {
            assert_eq!(verdict.to_string(), words);
        }
    }
}
