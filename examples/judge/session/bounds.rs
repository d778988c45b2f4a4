//! The time limit of a session: from submissions that were run, and held against them.

use std::{sync::PoisonError, time::Duration};

use sandbox_exec::Verdict as BoxVerdict;

use super::Session;
use crate::{
    fatal::Fatal,
    package::promise::Bound,
    timelimit::{self, MEASURING_CAP, TimeLimitError},
};

impl Session<'_> {
    /// The smallest limit that leaves time to the measured submissions.
    pub(super) fn infer(&self, measured: &[usize]) -> Result<Duration, Fatal> {
        let mut slowest = None;
        for &index in measured {
            let state = self.state(index)?;
            let Some(submission) = self.submissions.get(index) else {
                continue;
            };
            for (number, run) in &state.runs {
                let test = self.context.package.tests.get(*number);
                let name = test.map_or("", |test| test.name.as_str());
                let mut rules = submission.promise.bounding(Bound::Lower);
                let Some(outcome) = &run.outcome else {
                    continue;
                };
                if !rules.any(|rule| rule.covers(name)) {
                    continue;
                }
                if matches!(
                    outcome.judgement.verdict,
                    BoxVerdict::CpuTimeLimit | BoxVerdict::WallTimeLimit
                ) {
                    return Err(TimeLimitError::TooSlow(MEASURING_CAP).into());
                }
                slowest = slowest.max(outcome.evidence.cpu_time.value());
            }
        }
        let slowest = slowest.ok_or(TimeLimitError::NothingMeasured)?;
        Ok(timelimit::smallest(
            self.context.package.limits().time_rule,
            slowest,
        ))
    }

    /// Each submission that must be stopped has to run long enough to be stopped with the format's margin.
    pub(super) fn check_upper(&self, limit: Duration) -> Result<(), Fatal> {
        let rule = self.context.package.limits().time_rule;
        match self.bound(Bound::Upper) {
            Some(tle) if tle < timelimit::least_tle(rule, limit) => {
                Err(TimeLimitError::NoneFits { limit, tle }.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn warn_of_bounds(&mut self, limit: Duration) -> Result<(), Fatal> {
        let warnings = timelimit::warnings(
            self.context.package.limits().time_rule,
            limit,
            self.bound(Bound::Lower),
            // Under a given limit these runs are stopped at it, so what they take without one is not known.
            None,
        );
        for warning in &warnings {
            self.reporter.warn(warning).map_err(Fatal::io("writing"))?;
        }
        self.warnings.extend(warnings);
        Ok(())
    }

    /// The tightest bound that finished submissions set: the slowest of those that must stay within the limit, or the
    /// fastest of those that must exceed it. Who was stopped by the clock exceeds every limit of this judging.
    fn bound(&self, bound: Bound) -> Option<Duration> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tightest: Option<Duration> = None;
        for (index, report) in reports.iter() {
            let Some(submission) = self.submissions.get(*index) else {
                continue;
            };
            for rule in submission.promise.bounding(bound) {
                let covered = report.tests.iter().filter(|test| rule.covers(&test.name));
                let outcomes = covered.filter_map(|test| test.outcome.as_ref());
                let time = outcomes
                    .map(|outcome| match outcome.evidence.kill {
                        Some(_) if bound == Bound::Upper => Duration::MAX,
                        _ => outcome.evidence.cpu_time.value().unwrap_or_default(),
                    })
                    .max();
                tightest = match (tightest, time, bound) {
                    (Some(a), Some(b), Bound::Lower) => Some(a.max(b)),
                    (Some(a), Some(b), Bound::Upper) => Some(a.min(b)),
                    (a, b, _) => a.or(b),
                };
            }
        }
        tightest
    }
}
