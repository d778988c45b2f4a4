//! How a run ended, in words for people.

use core::fmt;

use nix::sys::signal::Signal;

use crate::{Exit, Verdict};

/// `exit code 3`, `signal 11 (SIGSEGV)`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { signo, .. } => match Signal::try_from(signo) {
                Ok(signal) => write!(f, "signal {signo} ({signal})"),
                // The real-time ones have no names.
                Err(_) => write!(f, "signal {signo}"),
            },
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

#[cfg(test)]
mod tests {
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
        for signo in 1..32 {
            let words = signal(signo).to_string();
            assert!(words.contains(" (SIG"), "{words}");
        }
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
