//! The package's own output validators.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sandbox_test_support::host;

use crate::package::{Package, WRONG, submission};

/// A legacy package with an output validator in Python.
fn with_validator(text: &str) -> Package {
    let package = Package::legacy();
    package
        .write(
            "problem.yaml",
            "name: x\nvalidation: custom\nvalidator_flags: one two\nlimits: {memory: 128}\n",
        )
        .write("output_validators/check.py", text);
    package
}

#[test]
fn a_validator_sees_input_answer_output_flags_and_its_feedback_directory() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = with_validator(
        "import sys\n\
         program, inp, ans, feedback, *flags = sys.argv\n\
         assert flags == ['one', 'two'], flags\n\
         assert feedback.endswith('/')\n\
         assert open(inp).read() == open(ans).read() == 'hello\\n'\n\
         good = sys.stdin.read() == 'hello\\n'\n\
         open(feedback + 'judgemessage.txt', 'w').write('seen\\x1b[2J')\n\
         sys.exit(42 if good else 43)\n",
    );
    package.write("submissions/wrong_answer/wrong.py", WRONG);
    // As after a checkout under umask 077: the validator's own user could not open these.
    for name in ["data/secret/1.in", "data/secret/1.ans"] {
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(package.root().join(name), private).unwrap();
    }
    let judged = package.judge(&["--json"]);
    assert_eq!(
        judged.status(),
        Some(0),
        "{}{}",
        judged.stdout(),
        judged.stderr()
    );
    let report = judged.json();
    let wrong = submission(&report, "wrong_answer/wrong.py");
    assert_eq!(wrong["verdict"], "wrong_answer");
    assert_eq!(
        wrong["detail"], "seen\u{fffd}[2J",
        "no escape sequence reaches a terminal"
    );
}

#[test]
fn a_validator_that_does_not_work_is_a_judge_error() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    for (text, part) in [
        ("raise SystemExit(0)\n", "Ok"),
        ("raise SystemExit(1)\n", "Code(1)"),
        ("import os\nos.abort()\n", "signo: 6"),
        ("open('/box/x', 'w')\n", "Read-only"),
        ("open('/etc/shadow')\n", "No such file"),
        (
            "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)\n",
            "SecurityViolation",
        ),
    ] {
        let judged = with_validator(text).judge(&["--json"]);
        assert_eq!(judged.status(), Some(2), "{text}");
        let report = judged.json();
        let entry = submission(&report, "accepted/echo.py");
        assert_eq!(entry["verdict"], "judge_error", "{text}");
        assert!(entry["as_promised"].is_null());
        let detail = entry["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{text}: {detail}");
        assert_eq!(report["summary"]["judge_errors"], 1);
    }
}

#[test]
fn a_validator_that_does_not_compile_stops_the_judge() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let judged = with_validator("def x(:\n").judge(&[]);
    assert_eq!(judged.status(), Some(2));
    let said = judged.stderr();
    assert!(
        said.contains("check.py") && said.contains("SyntaxError"),
        "{said}"
    );
}

#[test]
fn build_and_run_scripts_are_used() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = with_validator("");
    package.remove("output_validators/check.py");
    let script = "#!/bin/sh\nprintf '#!/bin/sh\\nread x; test \"$x\" = hello && exit 42; exit 43\\n' > run\nchmod +x run\n";
    package
        .write("output_validators/check/build", script)
        .write("submissions/wrong_answer/wrong.py", WRONG);
    let build = package.root().join("output_validators/check/build");
    fs::set_permissions(build, fs::Permissions::from_mode(0o755)).unwrap();
    let judged = package.judge(&[]);
    assert_eq!(
        judged.status(),
        Some(0),
        "{}{}",
        judged.stdout(),
        judged.stderr()
    );
}

#[test]
fn all_validators_have_to_accept() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = with_validator("raise SystemExit(42)\n");
    package.write("output_validators/strict.py", "raise SystemExit(43)\n");
    let report = package.judge(&["--json"]).json();
    assert_eq!(
        submission(&report, "accepted/echo.py")["verdict"],
        "wrong_answer"
    );
}
