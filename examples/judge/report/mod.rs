//! Tells people and programs what was found.

pub(crate) mod assess;
pub(crate) mod model;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use model::{Report, SubmissionReport};

use crate::verdicts::Verdict;

/// Writes lines to standard output as submissions are finished, or one JSON document at the end, and moves a bar on
/// standard error where that is a terminal.
#[derive(Debug)]
pub(crate) struct Reporter {
    json: bool,
    bar: ProgressBar,
}

impl Reporter {
    /// A reporter for so many steps.
    pub(crate) fn new(json: bool) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Self { json, bar }
    }

    /// More steps are known.
    pub(crate) fn expect(&self, steps: usize) {
        self.bar.inc_length(u64::try_from(steps).unwrap_or(0));
    }

    /// A step is done.
    pub(crate) fn step(&self, steps: usize, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(u64::try_from(steps).unwrap_or(0));
    }

    /// A warning.
    pub(crate) fn warn(&self, text: &str) -> io::Result<()> {
        self.bar
            .suspend(|| writeln!(io::stderr(), "judge: warning: {text}"))
    }

    /// A submission is finished.
    pub(crate) fn submission(&self, report: &SubmissionReport) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.bar
            .suspend(|| writeln!(io::stdout(), "{}", line(report)))
    }

    /// Everything is finished.
    pub(crate) fn finish(&self, report: &Report) -> io::Result<()> {
        self.bar.finish_and_clear();
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", last_line(report))?;
        }
        out.flush()
    }

    /// The judge ends without a report.
    pub(crate) fn abandon(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(report: &SubmissionReport) -> String {
    let mark = match (report.verdict, report.as_promised) {
        (Verdict::JudgeError, _) => "ERROR ",
        (Verdict::NotInstalled, _) => "absent",
        (_, Some(true)) => "ok    ",
        (_, Some(false)) => "BROKEN",
        (_, None) => "      ",
    };
    let mut line = format!(
        "{mark} {:<3} {}: {}",
        report.verdict.short(),
        report.path,
        report.verdict
    );
    if let Some(test) = &report.deciding_test {
        line.push_str(&format!(" on {test}"));
    }
    if let Some(wall) = report.wall_time {
        let cpu = report.cpu_time.map_or_else(|| "?".to_owned(), seconds);
        line.push_str(&format!(", cpu {cpu}, wall {}", seconds(wall)));
    }
    if let Some(peak) = report.memory_peak {
        let tenths = peak.get() * 10 / (1 << 20);
        line.push_str(&format!(", memory {}.{} MiB", tenths / 10, tenths % 10));
    }
    if let Some(basis) = report.basis {
        line.push_str(&format!(", by {}", name(&basis)));
    }
    let detail = report.detail.lines().next().unwrap_or("");
    if !detail.is_empty() {
        line.push_str(&format!(" ({detail})"));
    }
    for violation in &report.violations {
        line.push_str(&format!("\n           promised otherwise: {violation}"));
    }
    line
}

fn last_line(report: &Report) -> String {
    let s = &report.summary;
    let limit = match report.problem.time_limit {
        Some(limit) => format!("time limit {}", seconds(limit)),
        None => "no time limit was needed".to_owned(),
    };
    let counts: String = [
        (s.broken, "not as promised"),
        (s.no_promise, "without a promise"),
        (s.not_installed, "not installed"),
        (s.judge_errors, "judge errors"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!(", {count} {what}"))
    .collect();
    format!(
        "{limit}, memory {}; {} submissions: {} as promised{counts}",
        report.problem.memory_limit, s.submissions, s.as_promised
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// The name of a value as the JSON writes it.
fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        line,
        model::{CompileReport, SubmissionReport},
    };
    use crate::verdicts::Verdict;
    use sandbox_exec::{Basis, Bytes};
    use std::time::Duration;

    #[test]
    fn a_line_has_verdict_test_times_memory_and_basis() {
        let report = SubmissionReport {
            path: "accepted/sum.c".to_owned(),
            language: "c".to_owned(),
            verdict: Verdict::Accepted,
            as_promised: Some(true),
            violations: Vec::new(),
            deciding_test: Some("secret/01".to_owned()),
            basis: Some(Basis::ExitStatus),
            cpu_time: Some(Duration::from_millis(12)),
            wall_time: Some(Duration::from_millis(15)),
            memory_peak: Some(Bytes::kib(1536)),
            detail: String::new(),
            compile: CompileReport::default(),
            tests: Vec::new(),
        };
        assert_eq!(
            line(&report),
            "ok     AC  accepted/sum.c: accepted on secret/01, cpu 0.012 s, wall 0.015 s, memory 1.5 MiB, by exit_status"
        );
    }
}
