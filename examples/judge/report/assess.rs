//! From what was seen of a submission to its entry in the report.

use std::time::Duration;

use sandbox_exec::{Limits, Outcome, Verdict as Box};

use super::model::{CompileReport, SubmissionReport, TestReport};
use crate::{
    package::promise::{Promise, Seen},
    run::TestRun,
    submission::Submission,
    validator::Opinion,
    verdicts::{Verdict, deciding},
};

/// What was seen of a submission.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Why its language is not installed.
    pub(crate) not_installed: Option<String>,
    /// What the compiler said where it refused.
    pub(crate) compile_error: Option<String>,
    /// The compiler's outcome.
    pub(crate) compiler: Option<Outcome>,
    /// One for each test that was run, with the test's name.
    pub(crate) tests: Vec<(String, TestRun)>,
}

/// Assesses a submission under the final limits of a run.
///
/// Runs that were made before the time limit was known had a longer one; their evidence is judged again under the final
/// limits by the library's own table.
pub(crate) fn assess(
    submission: &Submission,
    observed: &Observed,
    limits: &Limits,
) -> SubmissionReport {
    let tests: Vec<TestReport> = observed
        .tests
        .iter()
        .map(|(name, run)| test_report(name, run, limits))
        .collect();
    let mut report = SubmissionReport {
        path: submission.path.clone(),
        language: submission.language.code.clone(),
        verdict: Verdict::JudgeError,
        as_promised: None,
        violations: Vec::new(),
        deciding_test: None,
        basis: None,
        cpu_time: None,
        wall_time: None,
        memory_peak: None,
        detail: String::new(),
        compile: CompileReport {
            message: observed.compile_error.clone(),
            outcome: observed.compiler.clone(),
        },
        tests,
    };
    if let Some(reason) = &observed.not_installed {
        report.verdict = Verdict::NotInstalled;
        report.detail = reason.clone();
    } else if let Some(message) = &observed.compile_error {
        compile_error(&mut report, &submission.promise, message);
    } else {
        judged(&mut report, &submission.promise, observed);
    }
    report
}

fn compile_error(report: &mut SubmissionReport, promise: &Promise, message: &str) {
    report.verdict = Verdict::CompileError;
    report.detail = message.lines().next().unwrap_or("").to_owned();
    report.as_promised = match promise {
        Promise::None => None,
        Promise::CompileError => Some(true),
        Promise::Rules(_) => {
            report.violations.push("it does not compile".to_owned());
            Some(false)
        }
    };
}

fn judged(report: &mut SubmissionReport, promise: &Promise, observed: &Observed) {
    let verdicts: Vec<(Verdict, Duration)> = report
        .tests
        .iter()
        .map(|test| (test.verdict, cpu_time(test.outcome.as_ref())))
        .collect();
    if let Some(test) = deciding(&verdicts).and_then(|index| report.tests.get(index)) {
        report.verdict = test.verdict;
        report.deciding_test = Some(test.name.clone());
        report.detail.clone_from(&test.detail);
        if let Some(outcome) = &test.outcome {
            report.basis = Some(outcome.judgement.basis);
            report.cpu_time = outcome.evidence.cpu_time.value();
            report.wall_time = Some(outcome.evidence.wall_time);
            report.memory_peak = outcome.evidence.memory_peak.value();
        }
    }
    let seen: Option<Vec<Seen<'_>>> = report
        .tests
        .iter()
        .zip(&observed.tests)
        .map(|(test, (_, run))| {
            Some(Seen {
                test: &test.name,
                class: test.verdict.class()?,
                message: message(run),
            })
        })
        .collect();
    // A judge error leaves nothing to hold a promise against.
    if let (Some(seen), false) = (seen, *promise == Promise::None) {
        report.violations = promise.violations(&seen);
        report.as_promised = Some(report.violations.is_empty());
    }
}

fn test_report(name: &str, run: &TestRun, limits: &Limits) -> TestReport {
    let outcome = run
        .outcome
        .clone()
        .map(|outcome| Outcome::new(limits.clone(), outcome.evidence));
    let verdict = match &outcome {
        Some(outcome) => Verdict::of(outcome.judgement, run.opinion.as_ref()),
        // The compiler made something that the kernel does not start.
        None => Verdict::RunTimeError,
    };
    let detail = match (
        &run.not_started,
        outcome.as_ref().map(|o| o.judgement.verdict),
    ) {
        (Some(reason), _) => reason.clone(),
        (None, Some(Box::RuntimeError(exit))) => exit.to_string(),
        (
            None,
            Some(Box::SecurityViolation {
                syscall: Some(call),
            }),
        ) => format!("system call {call}"),
        (None, Some(Box::WallTimeLimit)) => "wall time".to_owned(),
        (None, Some(Box::Indeterminate)) => "the evidence does not say what happened".to_owned(),
        (None, Some(Box::Ok)) => message(run).trim_end().to_owned(),
        _ => String::new(),
    };
    TestReport {
        name: name.to_owned(),
        verdict,
        detail,
        stderr: run.stderr.clone(),
        outcome,
    }
}

fn message(run: &TestRun) -> &str {
    match &run.opinion {
        Some(Opinion::Accepted { message } | Opinion::Wrong { message }) => message,
        Some(Opinion::Broken { reason }) => reason,
        None => "",
    }
}

fn cpu_time(outcome: Option<&Outcome>) -> Duration {
    outcome
        .and_then(|outcome| outcome.evidence.cpu_time.value())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Observed, assess};
    use crate::{
        language::Languages,
        package::{
            metadata::Format,
            promise::{Promise, default_rule},
        },
        run::TestRun,
        submission::Submission,
        validator::Opinion,
        verdicts::Verdict,
    };
    use sandbox_exec::{Evidence, Exit, Limits, Outcome, Reading};
    use std::{path::PathBuf, time::Duration};

    fn submission(promise: Promise) -> Submission {
        Submission {
            path: "x/a.c".to_owned(),
            source: PathBuf::new(),
            root: PathBuf::new(),
            promise,
            language: Languages::load(None).unwrap().by_code("c").unwrap().clone(),
            entry: None,
            selected: true,
        }
    }

    fn promised(directory: &str) -> Promise {
        Promise::Rules(vec![default_rule(Format::Legacy, directory).unwrap()])
    }

    fn ran(cpu: Duration, opinion: Opinion) -> TestRun {
        let mut evidence = Evidence::empty(cpu);
        evidence.cpu_time = Reading::Value(cpu);
        evidence.exit = Some(Exit::Code(0));
        let long = Limits::default().cpu_time(Duration::from_secs(60));
        TestRun {
            outcome: Some(Outcome::new(long, evidence)),
            not_started: None,
            opinion: Some(opinion),
            stderr: String::new(),
        }
    }

    fn good() -> Opinion {
        Opinion::Accepted {
            message: String::new(),
        }
    }

    fn limits() -> Limits {
        Limits::default().cpu_time(Duration::from_secs(1))
    }

    #[test]
    fn evidence_is_judged_again_under_the_final_limit() {
        let observed = Observed {
            tests: vec![
                (
                    "secret/1".to_owned(),
                    ran(Duration::from_millis(10), good()),
                ),
                (
                    "secret/2".to_owned(),
                    ran(Duration::from_millis(1500), good()),
                ),
            ],
            ..Observed::default()
        };
        let report = assess(&submission(promised("accepted")), &observed, &limits());
        assert_eq!(report.verdict, Verdict::TimeLimitExceeded);
        assert_eq!(report.deciding_test.as_deref(), Some("secret/2"));
        assert_eq!(report.as_promised, Some(false));
        let report = assess(
            &submission(promised("time_limit_exceeded")),
            &observed,
            &limits(),
        );
        assert_eq!(report.as_promised, Some(true), "{:?}", report.violations);
    }

    #[test]
    fn a_judge_error_promises_nothing() {
        let broken = Opinion::Broken {
            reason: "why".to_owned(),
        };
        let observed = Observed {
            tests: vec![("secret/1".to_owned(), ran(Duration::ZERO, broken))],
            ..Observed::default()
        };
        let report = assess(&submission(promised("accepted")), &observed, &limits());
        assert_eq!(report.verdict, Verdict::JudgeError);
        assert_eq!(report.as_promised, None);
        assert_eq!(report.detail, "why");
    }

    #[test]
    fn compile_errors_and_missing_languages_have_verdicts_of_their_own() {
        let mut observed = Observed {
            compile_error: Some("no\nreally".to_owned()),
            ..Observed::default()
        };
        let report = assess(&submission(Promise::CompileError), &observed, &limits());
        assert_eq!(report.verdict, Verdict::CompileError);
        assert_eq!(report.as_promised, Some(true));
        let report = assess(&submission(promised("accepted")), &observed, &limits());
        assert_eq!(report.as_promised, Some(false));
        let report = assess(&submission(Promise::None), &observed, &limits());
        assert_eq!(report.as_promised, None);
        observed.not_installed = Some("no compiler".to_owned());
        let report = assess(&submission(promised("accepted")), &observed, &limits());
        assert_eq!(report.verdict, Verdict::NotInstalled);
        assert_eq!(report.as_promised, None);
        let compiles = Observed {
            tests: vec![("secret/1".to_owned(), ran(Duration::ZERO, good()))],
            ..Observed::default()
        };
        let report = assess(&submission(Promise::CompileError), &compiles, &limits());
        assert_eq!(report.verdict, Verdict::Accepted);
        assert_eq!(report.as_promised, Some(false), "it compiles");
    }
}
