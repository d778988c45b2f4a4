//! The shipped problems: each submission has the verdict that is written here, and the report has its documented shape.

use std::{collections::BTreeMap, path::PathBuf};

use sandbox_exec::{Evidence, Exit, Judgement, Limits, Outcome, Reading, Stage, StreamEnd};
use sandbox_test_support::host;
use serde_json::Value;

use crate::package::{Judged, judge, submission};

fn run(problem: &str, arguments: &[&str]) -> Judged {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../problems");
    let tmp = tempfile::tempdir().unwrap();
    let mut command = judge(&root.join(problem), tmp.path());
    let judged = Judged(command.args(arguments).output().unwrap());
    let left: Vec<_> = tmp.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    judged
}

fn verdicts(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = report["submissions"].as_array().unwrap();
    all.iter()
        .map(|s| (text(&s["path"]), text(&s["verdict"])))
        .collect()
}

#[test]
fn sumup_shows_every_verdict() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let judged = run("sumup", &["--json", "-j2"]);
    assert_eq!(
        judged.status(),
        Some(0),
        "{}{}",
        judged.stdout(),
        judged.stderr()
    );
    let report = judged.json();
    let own = [
        (
            "run_time_error/memory.c",
            "memory_limit_exceeded",
            "oom_kill",
        ),
        (
            "run_time_error/memory_child.py",
            "memory_limit_exceeded",
            "oom_kill",
        ),
        (
            "run_time_error/memory_tmp.py",
            "memory_limit_exceeded",
            "oom_kill",
        ),
        (
            "run_time_error/output.c",
            "output_limit_exceeded",
            "output_count",
        ),
        (
            "run_time_error/output_stderr.py",
            "output_limit_exceeded",
            "output_count",
        ),
        (
            "run_time_error/fork_bomb.c",
            "process_limit_exceeded",
            "fork_denied",
        ),
        (
            "run_time_error/thread_bomb.cpp",
            "process_limit_exceeded",
            "fork_denied",
        ),
        (
            "run_time_error/ptrace.c",
            "security_violation",
            "syscall_report",
        ),
        (
            "run_time_error/mount.c",
            "security_violation",
            "syscall_report",
        ),
        ("run_time_error/network.py", "run_time_error", "exit_status"),
        (
            "time_limit_exceeded/spin.c",
            "time_limit_exceeded",
            "cpu_reading",
        ),
        (
            "time_limit_exceeded/spin_children.py",
            "time_limit_exceeded",
            "cpu_reading",
        ),
        (
            "time_limit_exceeded/sleep.py",
            "time_limit_exceeded",
            "wall_reading",
        ),
    ];
    for (path, verdict, basis) in own {
        let entry = submission(&report, path);
        assert_eq!(entry["verdict"], verdict, "{entry:#}");
        assert_eq!(entry["basis"], basis, "{path}");
    }
    for (path, detail) in [
        ("run_time_error/abort.c", "signal 6 (SIGABRT)"),
        ("run_time_error/signal.c", "signal 11 (SIGSEGV)"),
        ("run_time_error/stack_overflow.c", "signal 11 (SIGSEGV)"),
        ("run_time_error/exit_code.c", "exit code 3"),
        ("run_time_error/ptrace.c", "system call ptrace"),
        ("run_time_error/mount.c", "system call mount"),
    ] {
        assert_eq!(submission(&report, path)["detail"], detail, "{path}");
    }
    for (path, verdict) in verdicts(&report) {
        let directory = path.split('/').next().unwrap().to_owned();
        if verdict != "not_installed" && !own.iter().any(|(own, ..)| *own == path) {
            assert!(directory == verdict, "{path} is {verdict}");
        }
    }
    let shadow = submission(&report, "compile_error/includes_answers.c");
    let message = shadow["compile"]["message"].as_str().unwrap();
    assert!(message.contains("No such file"), "{message}");
    shape(&report);
}

#[test]
fn average_measures_its_time_limit() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let judged = run("average", &["--json", "-j2"]);
    assert_eq!(
        judged.status(),
        Some(0),
        "{}{}",
        judged.stdout(),
        judged.stderr()
    );
    let report = judged.json();
    assert_eq!(report["problem"]["time_limit_origin"], "measured");
    assert_eq!(report["problem"]["format"], "legacy");
}

#[test]
fn splitup_has_a_validator_of_its_own() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let judged = run("splitup", &["--json", "-j2"]);
    assert_eq!(
        judged.status(),
        Some(0),
        "{}{}",
        judged.stdout(),
        judged.stderr()
    );
    let report = judged.json();
    assert_eq!(report["problem"]["format"], "2025-09");
    let unordered = submission(&report, "wrong_answer/unordered.py");
    assert_eq!(unordered["detail"], "the integers are not in order");
    assert_eq!(unordered["deciding_test"], "secret/large/most");
}

/// docs/judge.md, "JSON": every field is there, and what the library wrote can be read back and judged again.
fn shape(report: &Value) {
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(report),
        [
            "languages",
            "problem",
            "schema",
            "submissions",
            "summary",
            "warnings"
        ]
    );
    assert_eq!(report["schema"], 1);
    assert_eq!(
        keys(&report["problem"]),
        [
            "format",
            "memory_limit",
            "output_limit",
            "path",
            "tests",
            "time_limit",
            "time_limit_origin"
        ]
    );
    assert_eq!(report["problem"]["memory_limit"], 256 << 20);
    let entry = submission(report, "accepted/sum.c");
    assert_eq!(
        keys(entry),
        [
            "as_promised",
            "basis",
            "compile",
            "cpu_time",
            "deciding_test",
            "detail",
            "language",
            "memory_peak",
            "path",
            "tests",
            "verdict",
            "violations",
            "wall_time"
        ]
    );
    let tests = entry["tests"].as_array().unwrap();
    let names: Vec<_> = tests.iter().map(|test| test["name"].clone()).collect();
    assert_eq!(names, ["sample/1", "secret/01-none", "secret/02-wide"]);
    for test in tests.iter().chain([&entry["compile"]]) {
        let outcome: Outcome = serde_json::from_value(test["outcome"].clone()).unwrap();
        again(&outcome);
    }
    assert_eq!(
        keys(&tests[0]),
        ["detail", "name", "outcome", "stderr", "verdict"]
    );
    let summary = &report["summary"];
    let total: u64 = [
        "as_promised",
        "broken",
        "no_promise",
        "not_installed",
        "judge_errors",
    ]
    .iter()
    .map(|name| summary[name].as_u64().unwrap())
    .sum();
    assert_eq!(summary["submissions"], total);
}

fn again(outcome: &Outcome) {
    let Outcome {
        limits,
        evidence,
        judgement,
    }: &Outcome = outcome;
    let second: Judgement = sandbox_exec::judge(evidence, limits);
    assert_eq!(second, *judgement);
    let _: (&Limits, &Evidence) = (limits, evidence);
    assert_eq!(evidence.exit, Some(Exit::Code(0)));
    assert_eq!(evidence.stdout.end, StreamEnd::Complete);
    assert!(matches!(evidence.cpu_time, Reading::Value(_)));
    assert!(matches!(evidence.memory_peak, Reading::Value(_)));
    assert!(evidence.proved.contains(&Stage::Seccomp));
}
