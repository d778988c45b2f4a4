//! What the judge reports, and the shape of its JSON (docs/judge.md).

use std::{collections::BTreeMap, time::Duration};

use sandbox_exec::{Basis, Bytes, Outcome};
use serde::Serialize;

use crate::{package::metadata::Format, timelimit::Origin, verdicts::Verdict};

/// Version of the JSON's shape. Grows when a field goes away or changes its meaning.
const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: u32,
    /// The problem and its limits.
    pub(crate) problem: Problem,
    /// Things that are odd but do not stop the judge.
    pub(crate) warnings: Vec<String>,
    /// The languages that were needed, by code.
    pub(crate) languages: BTreeMap<String, LanguageState>,
    /// The submissions, in the order of the package.
    pub(crate) submissions: Vec<SubmissionReport>,
    /// The counts.
    pub(crate) summary: Summary,
}

/// The problem and its limits.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// Its directory.
    pub(crate) path: String,
    /// Version of its format.
    pub(crate) format: Format,
    /// Number of tests.
    pub(crate) tests: usize,
    /// CPU time of a run; absent where nothing had to be run.
    pub(crate) time_limit: Option<Duration>,
    /// Where the time limit comes from.
    pub(crate) time_limit_origin: Option<Origin>,
    /// Memory of a run.
    pub(crate) memory_limit: Bytes,
    /// Output of a run.
    pub(crate) output_limit: Bytes,
}

/// Whether a language is there.
#[derive(Debug, Serialize)]
pub(crate) struct LanguageState {
    /// Whether its probe worked.
    pub(crate) installed: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
}

/// One submission.
#[derive(Debug, Serialize)]
pub(crate) struct SubmissionReport {
    /// Path below `submissions/`, or as it was given.
    pub(crate) path: String,
    /// Code of its language.
    pub(crate) language: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Whether the verdict is the promised one; `None` where nothing was promised or nothing can be said.
    pub(crate) as_promised: Option<bool>,
    /// What breaks the promise.
    pub(crate) violations: Vec<String>,
    /// The test that decides; see the documentation.
    pub(crate) deciding_test: Option<String>,
    /// What decided on that test.
    pub(crate) basis: Option<Basis>,
    /// CPU time on that test.
    pub(crate) cpu_time: Option<Duration>,
    /// Wall time on that test.
    pub(crate) wall_time: Option<Duration>,
    /// Peak memory on that test.
    pub(crate) memory_peak: Option<Bytes>,
    /// What there is to say in words.
    pub(crate) detail: String,
    /// The compiler.
    pub(crate) compile: CompileReport,
    /// The tests, in the order of judging.
    pub(crate) tests: Vec<TestReport>,
}

/// One compilation.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CompileReport {
    /// What the compiler said, where it refused.
    pub(crate) message: Option<String>,
    /// Its outcome; absent where the language has no compiler.
    pub(crate) outcome: Option<Outcome>,
}

/// One test.
#[derive(Debug, Serialize)]
pub(crate) struct TestReport {
    /// Name below `data/`.
    pub(crate) name: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// What there is to say in words: the validator's message, the signal, the exit code.
    pub(crate) detail: String,
    /// The first bytes of standard error.
    pub(crate) stderr: String,
    /// Limits, evidence and judgement; absent where the program could not be started.
    pub(crate) outcome: Option<Outcome>,
}

/// The counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Submissions that were asked for.
    pub(crate) submissions: usize,
    /// With the promised verdict.
    pub(crate) as_promised: usize,
    /// With another.
    pub(crate) broken: usize,
    /// Without a promise.
    pub(crate) no_promise: usize,
    /// Without a compiler or interpreter on this host.
    pub(crate) not_installed: usize,
    /// Without a verdict.
    pub(crate) judge_errors: usize,
}

impl Report {
    /// A report; the counts are made here.
    pub(crate) fn new(
        problem: Problem,
        warnings: Vec<String>,
        languages: BTreeMap<String, LanguageState>,
        submissions: Vec<SubmissionReport>,
    ) -> Self {
        let summary = Summary::count(&submissions);
        Self {
            schema: SCHEMA,
            problem,
            warnings,
            languages,
            submissions,
            summary,
        }
    }
}

impl Summary {
    fn count(submissions: &[SubmissionReport]) -> Self {
        let mut summary = Self {
            submissions: submissions.len(),
            ..Self::default()
        };
        for submission in submissions {
            let place = match (submission.verdict, submission.as_promised) {
                (Verdict::JudgeError, _) => &mut summary.judge_errors,
                (Verdict::NotInstalled, _) => &mut summary.not_installed,
                (_, Some(true)) => &mut summary.as_promised,
                (_, Some(false)) => &mut summary.broken,
                (_, None) => &mut summary.no_promise,
            };
            *place += 1;
        }
        summary
    }

    /// Exit status: 2 where a verdict is missing for a fault that is not the submission's, 1 where a promise is broken.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self { judge_errors, .. } if *judge_errors > 0 => 2,
            Self { broken, .. } if *broken > 0 => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_exit_status_follows_from_the_counts() {
        let good = Summary {
            submissions: 3,
            as_promised: 1,
            not_installed: 1,
            no_promise: 1,
            ..Summary::default()
        };
        assert_eq!(good.exit_status(), 0);
        let broken = Summary { broken: 1, ..good };
        assert_eq!(broken.exit_status(), 1);
        let judge = Summary {
            judge_errors: 1,
            ..broken
        };
        assert_eq!(judge.exit_status(), 2);
    }
}
