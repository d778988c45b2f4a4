//! From outcome and opinion to a verdict, and from the verdicts of all tests to that of the submission.

use std::fmt;

use sandbox_exec::{Judgement, Verdict as Box};
use serde::Serialize;

use crate::{package::promise::Class, validator::Opinion};

/// A verdict of this judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Right on every test.
    Accepted,
    /// The validator says no.
    WrongAnswer,
    /// Too much CPU time, or too much wall time.
    TimeLimitExceeded,
    /// A non-zero exit code or a signal.
    RunTimeError,
    /// Too much memory.
    MemoryLimitExceeded,
    /// Too much output.
    OutputLimitExceeded,
    /// Too many processes.
    ProcessLimitExceeded,
    /// A forbidden system call.
    SecurityViolation,
    /// It does not compile.
    CompileError,
    /// The host has no compiler or interpreter for it.
    NotInstalled,
    /// No verdict: the validator or the sandbox is at fault.
    JudgeError,
}

impl Verdict {
    /// The verdict of one test. `opinion` is there where the program ended well.
    pub(crate) fn of(judgement: Judgement, opinion: Option<&Opinion>) -> Self {
        match judgement.verdict {
            Box::Ok => match opinion {
                Some(Opinion::Accepted { .. }) => Self::Accepted,
                Some(Opinion::Wrong { .. }) => Self::WrongAnswer,
                Some(Opinion::Broken { .. }) | None => Self::JudgeError,
            },
            Box::RuntimeError(_) => Self::RunTimeError,
            Box::CpuTimeLimit | Box::WallTimeLimit | Box::IdleTimeLimit => Self::TimeLimitExceeded,
            Box::MemoryLimit => Self::MemoryLimitExceeded,
            Box::ProcessLimit => Self::ProcessLimitExceeded,
            Box::OutputLimit | Box::DiskLimit => Self::OutputLimitExceeded,
            Box::SecurityViolation { .. } => Self::SecurityViolation,
            // Cancelled, Indeterminate, and what later versions of the library may add: never the contestant's fault.
            _ => Self::JudgeError,
        }
    }

    /// What the package format calls it; `None` where it has no name for it.
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Self::Accepted => Some(Class::Ac),
            Self::WrongAnswer => Some(Class::Wa),
            Self::TimeLimitExceeded => Some(Class::Tle),
            Self::RunTimeError
            | Self::MemoryLimitExceeded
            | Self::OutputLimitExceeded
            | Self::ProcessLimitExceeded
            | Self::SecurityViolation => Some(Class::Rte),
            Self::CompileError | Self::NotInstalled | Self::JudgeError => None,
        }
    }

    /// Three letters or so for the report.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Accepted => "AC",
            Self::WrongAnswer => "WA",
            Self::TimeLimitExceeded => "TLE",
            Self::RunTimeError => "RTE",
            Self::MemoryLimitExceeded => "MLE",
            Self::OutputLimitExceeded => "OLE",
            Self::ProcessLimitExceeded => "PLE",
            Self::SecurityViolation => "SEC",
            Self::CompileError => "CE",
            Self::NotInstalled => "--",
            Self::JudgeError => "JE",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::WrongAnswer => "wrong answer",
            Self::TimeLimitExceeded => "time limit exceeded",
            Self::RunTimeError => "run-time error",
            Self::MemoryLimitExceeded => "memory limit exceeded",
            Self::OutputLimitExceeded => "output limit exceeded",
            Self::ProcessLimitExceeded => "process limit exceeded",
            Self::SecurityViolation => "security violation",
            Self::CompileError => "compile error",
            Self::NotInstalled => "not installed",
            Self::JudgeError => "judge error",
        })
    }
}

/// The test that decides: a judge error if there is one, else the first that is not accepted, else the slowest.
pub(crate) fn deciding(tests: &[(Verdict, std::time::Duration)]) -> Option<usize> {
    let first = |wanted: &dyn Fn(Verdict) -> bool| tests.iter().position(|(v, _)| wanted(*v));
    first(&|verdict| verdict == Verdict::JudgeError)
        .or_else(|| first(&|verdict| verdict != Verdict::Accepted))
        .or_else(|| {
            let slowest = tests.iter().enumerate().max_by_key(|(_, (_, time))| *time);
            slowest.map(|(index, _)| index)
        })
}

#[cfg(test)]
mod tests {
    use super::{Verdict, deciding};
    use crate::{package::promise::Class, validator::Opinion};
    use sandbox_exec::{Basis, Exit, Judgement, Verdict as Box};
    use std::time::Duration;

    fn of(verdict: Box, opinion: Option<&Opinion>) -> Verdict {
        Verdict::of(
            Judgement {
                verdict,
                basis: Basis::ExitStatus,
            },
            opinion,
        )
    }

    #[test]
    fn every_verdict_of_the_box_has_its_own() {
        let good = Opinion::Accepted {
            message: String::new(),
        };
        let wrong = Opinion::Wrong {
            message: String::new(),
        };
        let broken = Opinion::Broken {
            reason: String::new(),
        };
        assert_eq!(of(Box::Ok, Some(&good)), Verdict::Accepted);
        assert_eq!(of(Box::Ok, Some(&wrong)), Verdict::WrongAnswer);
        assert_eq!(of(Box::Ok, Some(&broken)), Verdict::JudgeError);
        for (verdict, class) in [
            (Box::RuntimeError(Exit::Code(1)), Class::Rte),
            (Box::CpuTimeLimit, Class::Tle),
            (Box::WallTimeLimit, Class::Tle),
            (Box::IdleTimeLimit, Class::Tle),
            (Box::MemoryLimit, Class::Rte),
            (Box::ProcessLimit, Class::Rte),
            (Box::OutputLimit, Class::Rte),
            (Box::DiskLimit, Class::Rte),
            (Box::SecurityViolation { syscall: None }, Class::Rte),
        ] {
            assert_eq!(of(verdict, None).class(), Some(class), "{verdict:?}");
        }
        for verdict in [Box::Indeterminate, Box::Cancelled] {
            assert_eq!(of(verdict, None), Verdict::JudgeError);
        }
    }

    #[test]
    fn the_first_failure_decides_and_else_the_slowest() {
        use Verdict::{Accepted, JudgeError, WrongAnswer};
        let ms = Duration::from_millis;
        assert_eq!(deciding(&[]), None);
        let tests = [(Accepted, ms(1)), (Accepted, ms(9)), (Accepted, ms(2))];
        assert_eq!(deciding(&tests), Some(1));
        let tests = [
            (Accepted, ms(1)),
            (WrongAnswer, ms(1)),
            (WrongAnswer, ms(2)),
        ];
        assert_eq!(deciding(&tests), Some(1));
        let tests = [(WrongAnswer, ms(1)), (JudgeError, ms(1))];
        assert_eq!(deciding(&tests), Some(1));
    }
}
