//! 0, 1 and 2, the time limit, and which submissions are judged.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sandbox_test_support::host;

use crate::package::{ECHO, Package, WRONG, submission};

const SPIN: &str = "while True: pass\n";

#[test]
fn each_verdict_as_promised_is_0_and_any_other_is_1() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    package.write("submissions/wrong_answer/wrong.py", WRONG);
    let judged = package.judge(&[]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let out = judged.stdout();
    assert!(
        out.contains("ok     AC  accepted/echo.py: accepted on secret/1"),
        "{out}"
    );
    assert!(
        out.contains("ok     WA  wrong_answer/wrong.py: wrong answer on secret/1"),
        "{out}"
    );
    assert!(out.contains("2 submissions: 2 as promised"), "{out}");
    package.write("submissions/accepted/liar.py", WRONG);
    let judged = package.judge(&[]);
    assert_eq!(judged.status(), Some(1));
    let out = judged.stdout();
    assert!(out.contains("BROKEN WA  accepted/liar.py"), "{out}");
    assert!(out.contains("permitted is AC"), "{out}");
}

#[test]
fn a_language_that_is_not_installed_is_neither_kept_nor_broken() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    let table = "[[language]]\ncode = 'python3'\nname = 'Python'\nextensions = ['.py']\n\
                 run = ['python3', '/box/{entry}']\nprobe = ['python3', '--version']\n\
                 [[language]]\ncode = 'none'\nname = 'None'\nextensions = ['.none']\n\
                 run = ['no-such-program']\nprobe = ['no-such-program']\n\
                 [[language]]\ncode = 'ill'\nname = 'Ill'\nextensions = ['.ill']\n\
                 run = ['false']\nprobe = ['false']\n";
    package
        .write("table.toml", table)
        .write("submissions/accepted/x.none", "x")
        .write("submissions/accepted/x.ill", "x");
    let path = package.root().join("table.toml");
    let judged = package.judge(&["--json", "--languages", path.to_str().unwrap()]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let report = judged.json();
    for name in ["accepted/x.none", "accepted/x.ill"] {
        let absent = submission(&report, name);
        assert_eq!(absent["verdict"], "not_installed");
        assert!(absent["as_promised"].is_null());
    }
    assert_eq!(report["summary"]["not_installed"], 2);
    assert_eq!(report["languages"]["python3"]["installed"], true);
    assert_eq!(report["languages"]["none"]["installed"], false);
    let reason = report["languages"]["none"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("no-such-program") && reason.contains("ENOENT"),
        "{reason}"
    );
    let reason = report["languages"]["ill"]["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 1"), "{reason}");
}

#[test]
fn the_command_line_has_the_last_word_on_the_time_limit() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    package
        .write("submissions/time_limit_exceeded/spin.py", SPIN)
        .write(".timelimit", "1000\n");
    let judged = package.judge(&["--json", "--time-limit", "0.5"]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let report = judged.json();
    assert_eq!(report["problem"]["time_limit_origin"], "command_line");
    assert_eq!(report["problem"]["time_limit"]["nanos"], 500_000_000);
    let spin = submission(&report, "time_limit_exceeded/spin.py");
    assert_eq!(spin["verdict"], "time_limit_exceeded");
    assert_eq!(spin["basis"], "cpu_reading");
}

#[test]
fn without_a_time_limit_the_slowest_accepted_submission_makes_one() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    package
        .remove(".timelimit")
        .write("submissions/time_limit_exceeded/spin.py", SPIN);
    let report = package.judge(&["--json"]).json();
    assert_eq!(report["problem"]["time_limit_origin"], "measured");
    assert!(report["problem"]["time_limit"]["secs"].as_u64().unwrap() >= 1);
    assert_eq!(report["problem"]["time_limit"]["nanos"], 0, "whole seconds");
    assert_eq!(report["summary"]["as_promised"], 2);
    // The accepted one is measured, and not reported.
    let report = package
        .judge(&["--json", "time_limit_exceeded/spin.py"])
        .json();
    assert_eq!(report["submissions"].as_array().unwrap().len(), 1);
    assert_eq!(report["summary"]["as_promised"], 1);
}

#[test]
fn a_package_whose_bounds_cross_has_no_time_limit() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::current();
    package
        .write(
            "problem.yaml",
            "problem_format_version: 2025-09\nname: echo\nuuid: 0\nlimits: {memory: 128}\n",
        )
        .write("submissions/time_limit_exceeded/quick.py", ECHO);
    let judged = package.judge(&[]);
    assert_eq!(judged.status(), Some(2));
    assert!(
        judged.stderr().contains("no time limit fits"),
        "{}",
        judged.stderr()
    );
}

#[test]
fn nothing_is_promised_of_a_strangers_submission() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    let stranger = package.root().parent().unwrap().join("mine.py");
    fs::write(&stranger, WRONG).unwrap();
    let path = stranger.to_str().unwrap();
    let judged = package.judge(&["--json", path]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let report = judged.json();
    let mine = submission(&report, path);
    assert_eq!(mine["verdict"], "wrong_answer");
    assert!(mine["as_promised"].is_null());
    assert_eq!(report["summary"]["no_promise"], 1);
}

#[test]
fn too_much_code_is_a_compile_error() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    package
        .write("problem.yaml", "name: x\nlimits: {code: 1, memory: 128}\n")
        .write(
            "submissions/compile_error/long.py",
            &format!("#{}\n{ECHO}", "x".repeat(1024)),
        );
    let judged = package.judge(&["--json"]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let report = judged.json();
    let long = submission(&report, "compile_error/long.py");
    assert_eq!(long["verdict"], "compile_error");
    assert!(
        long["detail"]
            .as_str()
            .unwrap()
            .contains("allowed are 1 KiB")
    );
}

#[test]
fn a_submission_cannot_change_its_test() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    let input = package.root().join("data/secret/1.in");
    for mode in [0o644, 0o666] {
        fs::set_permissions(&input, fs::Permissions::from_mode(mode)).unwrap();
        package.write(
            "submissions/accepted/echo.py",
            "try:\n    open('/proc/self/fd/0', 'r+').truncate(0)\nexcept OSError:\n    print(input())\n",
        );
        let judged = package.judge(&[]);
        assert_eq!(judged.status(), Some(0), "{mode:o}: {}", judged.stdout());
        assert_eq!(fs::read_to_string(&input).unwrap(), "hello\n");
    }
}
