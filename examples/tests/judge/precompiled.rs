//! `--keep-artefacts` and `--artefacts`: what one machine compiled, another one runs.

use std::fs;

use sandbox_test_support::host;

use crate::package::{ECHO, Package, WRONG, submission};

/// A package with a program that is accepted and one that does not compile, and what the judge kept of both.
fn kept() -> Option<(Package, tempfile::TempDir)> {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return None;
    }
    let package = Package::legacy();
    package.write("submissions/compile_error/syntax.py", "print(\n");
    let store = tempfile::tempdir().unwrap();
    let directory = store.path().to_str().unwrap();
    let judged = package.judge(&["--keep-artefacts", directory]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    Some((package, store))
}

#[test]
fn what_was_kept_is_run_in_place_of_compiling() {
    let Some((package, store)) = kept() else {
        return;
    };
    let take = ["--json", "--artefacts", store.path().to_str().unwrap()];
    let judged = package.judge(&take);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    let report = judged.json();
    let refused = submission(&report, "compile_error/syntax.py");
    assert_eq!(refused["verdict"], "compile_error");
    assert!(
        refused["compile"]["message"]
            .as_str()
            .unwrap()
            .contains("SyntaxError")
    );
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .contains("not compiled here")
    );

    // The program that is kept is the one that runs.
    let program = store
        .path()
        .join("submissions/accepted/echo.py/box/echo.py");
    assert_eq!(fs::read_to_string(&program).unwrap(), ECHO);
    fs::write(&program, WRONG).unwrap();
    let judged = package.judge(&take);
    assert_eq!(judged.status(), Some(1));
    let report = judged.json();
    let echo = submission(&report, "accepted/echo.py");
    assert_eq!(echo["verdict"], "wrong_answer");
}

#[test]
fn what_was_made_of_other_sources_is_refused() {
    let Some((package, store)) = kept() else {
        return;
    };
    let take = ["--artefacts", store.path().to_str().unwrap()];
    package.write("submissions/accepted/echo.py", "print(input())\n\n");
    let judged = package.judge(&take);
    assert_eq!(judged.status(), Some(2));
    assert!(
        judged.stderr().contains("other sources"),
        "{}",
        judged.stderr()
    );

    package.write("submissions/accepted/echo.py", ECHO);
    assert_eq!(package.judge(&take).status(), Some(0));
    package.write("submissions/accepted/second.py", ECHO);
    let judged = package.judge(&take);
    assert_eq!(judged.status(), Some(2));
    assert!(
        judged.stderr().contains("--keep-artefacts"),
        "{}",
        judged.stderr()
    );
    // Nothing is promised of a program from elsewhere, and nothing of it was kept.
    package.remove("submissions/accepted/second.py");
    let elsewhere = store.path().join("mine.py");
    fs::write(&elsewhere, ECHO).unwrap();
    let mine = elsewhere.to_str().unwrap();
    let judged = package.judge(&["--artefacts", store.path().to_str().unwrap(), mine]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
}

#[test]
fn compilers_can_be_given_more_time() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = Package::legacy();
    let problem = "name: echo\nlimits: {memory: 128, compilation_time: 1}\n";
    package.write("problem.yaml", problem);
    let limit = |arguments: &[&str]| {
        let report = package.judge(arguments).json();
        let outcome = &submission(&report, "accepted/echo.py")["compile"]["outcome"];
        outcome["limits"]["cpu_time"]["secs"].as_u64()
    };
    assert_eq!(limit(&["--json"]), Some(1));
    assert_eq!(limit(&["--json", "--tool-time-factor", "7"]), Some(7));
}
