//! What is wrong with a package is said once, clearly, and before anything untrusted runs. No case needs root.

use std::process::Command;

use crate::package::{ECHO, Judged, Package, judge};

/// A package that would betray itself if anything of it ran, and what the judge must say of it.
fn refused(package: &Package, arguments: &[&str], parts: &[&str]) {
    let judged = package.judge(arguments);
    let said = judged.stderr();
    assert_eq!(judged.status(), Some(2), "{said}");
    assert_eq!(judged.stdout(), "", "no verdict was given");
    assert_eq!(said.lines().count(), 1, "one error: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
}

#[test]
fn a_broken_problem_yaml_is_named_with_the_place() {
    for (text, parts) in [
        ("name: [", &["problem.yaml", "line"][..]),
        ("nmae: x\n", &["problem.yaml", "nmae", "validator_flags"]),
        (
            "limits: {memory: lots}\n",
            &["problem.yaml", "limits.memory"],
        ),
        ("limits: {memory: 0}\n", &["limits.memory is 0", "positive"]),
        ("limits: {memory: -5}\n", &["limits.memory is -5"]),
        (
            "limits: {compilation_time: 0}\n",
            &["limits.compilation_time"],
        ),
        (
            "limits: {memory: 100000000}\n",
            &["limits.memory", "this host has", "cannot be honoured"],
        ),
        ("validation: perhaps\n", &["validation", "perhaps"]),
        (
            "validator_flags: float_tolerance\n",
            &["float_tolerance", "number"],
        ),
        ("validator_flags: colour_sensitive\n", &["colour_sensitive"]),
        ("\u{0}", &["problem.yaml"]),
    ] {
        let package = Package::legacy();
        package.write("problem.yaml", text);
        refused(&package, &[], parts);
    }
}

#[test]
fn kinds_that_are_not_supported_are_refused_by_name() {
    for (text, name) in [
        ("type: scoring\n", "type scoring"),
        ("validation: custom interactive\n", "custom interactive"),
        ("validation: custom score\n", "custom score"),
        ("grading: {objective: max}\n", "scoring"),
        ("problem_format_version: draft\n", "draft"),
    ] {
        let package = Package::legacy();
        package.write("problem.yaml", text);
        refused(&package, &[], &[name, "not supported"]);
    }
    for (line, name) in [
        ("type: scoring", "type scoring"),
        ("type: [pass-fail, interactive]", "type interactive"),
        ("type: multi-pass", "type multi-pass"),
        ("type: submit-answer", "type submit-answer"),
        ("allow_file_writing: true", "allow_file_writing"),
        ("limits: {validation_passes: 2}", "multi-pass"),
    ] {
        let package = Package::current();
        let head = "problem_format_version: 2025-09\nname: x\nuuid: 0\n";
        package.write("problem.yaml", &format!("{head}{line}\n"));
        refused(&package, &[], &[name, "not supported"]);
    }
    let package = Package::legacy();
    package.write("data/secret/testdata.yaml", "grading: custom\n");
    refused(&package, &[], &["grading: custom", "not supported"]);
    let package = Package::current();
    package.write("data/secret/test_group.yaml", "max_score: 5\n");
    refused(&package, &[], &["max_score", "not supported"]);
    let package = Package::legacy();
    package.write("submissions/partially_accepted/x.py", ECHO);
    refused(&package, &[], &["partially_accepted", "not supported"]);
}

#[test]
fn missing_files_are_named() {
    for (path, parts) in [
        ("problem.yaml", &["problem.yaml", "No such file"][..]),
        ("data/secret/1.ans", &["1.ans is missing", "answer"]),
        ("data/secret/1.in", &["1.in is missing"]),
        ("data/secret", &["secret is missing"]),
        ("submissions", &["accepted/* is missing"]),
        ("submissions/accepted", &["accepted/* is missing"]),
    ] {
        let package = Package::legacy();
        package.write("submissions/wrong_answer/x.py", ECHO);
        package.remove(path);
        refused(&package, &[], parts);
    }
    let package = Package::legacy();
    package.write("problem.yaml", "validation: custom\n");
    refused(&package, &[], &["output_validators/* is missing"]);
    refused(
        &Package::legacy(),
        &["no/such/submission.py"],
        &["no/such/submission.py"],
    );
}

#[test]
fn a_submission_without_a_language_is_named() {
    let package = Package::legacy();
    package.write("submissions/accepted/notes.txt", "not a program\n");
    refused(&package, &[], &["notes.txt", "no known language", ".py"]);
    let package = Package::legacy();
    package
        .write("submissions/accepted/both/a.py", ECHO)
        .write("submissions/accepted/both/b.c", "");
    refused(&package, &[], &["both", "mixes c and python3"]);
    let package = Package::current();
    package.write(
        "submissions/submissions.yaml",
        "accepted/echo.py: {language: klingon}\n",
    );
    refused(&package, &[], &["echo.py", "klingon"]);
}

#[test]
fn no_link_leads_out_of_the_package() {
    for (path, points_to) in [
        ("submissions/accepted/shadow.py", "/etc/shadow"),
        ("submissions/accepted/up.py", "../../../../../../etc/passwd"),
        ("submissions/accepted/all", "/"),
        ("data/secret/2.in", "/etc/passwd"),
        ("data/secret/more", "/etc"),
    ] {
        let package = Package::legacy();
        package.link(path, points_to);
        refused(&package, &[], &["leads out of the package", path]);
    }
    let package = Package::legacy();
    package.write("submissions/accepted/dir/main.py", ECHO);
    package.link("submissions/accepted/dir/helper.py", "/etc/passwd");
    refused(&package, &[], &["leads out of the package"]);
}

#[test]
fn a_fifo_does_not_stop_the_judge() {
    let package = Package::legacy();
    let fifo = package.root().join("data/secret/2.in");
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    refused(&package, &[], &["2.in", "neither a file nor a directory"]);
}

#[test]
fn other_files_of_the_package_are_checked_too() {
    let package = Package::legacy();
    package.write(".timelimit", "soon\n");
    refused(&package, &[], &[".timelimit", "seconds"]);
    let package = Package::current();
    package.write(
        "submissions/submissions.yaml",
        "accepted: {permited: [AC]}\n",
    );
    refused(&package, &[], &["submissions.yaml", "permited"]);
    let package = Package::current();
    package.write("data/secret/1.yaml", "agrs: [x]\n");
    refused(&package, &[], &["1.yaml", "agrs"]);
    let package = Package::current();
    package.write(
        "data/secret/test_group.yaml",
        "output_validator_args: fast\n",
    );
    refused(&package, &[], &["test_group.yaml"]);
}

#[test]
fn the_table_of_languages_is_checked() {
    let package = Package::legacy();
    let table = package.root().join("table.toml");
    let path = table.to_str().unwrap();
    refused(
        &package,
        &["--languages", path],
        &["table.toml", "No such file"],
    );
    package.write("table.toml", "[[language]]\ncode = 5\n");
    refused(&package, &["--languages", path], &["table.toml", "line 2"]);
}

#[test]
fn the_command_line_is_checked() {
    for arguments in [
        &["--jobs", "0"][..],
        &["--time-limit", "-1"],
        &["--no-such"],
    ] {
        let judged = Package::legacy().judge(arguments);
        assert_eq!(judged.status(), Some(2));
        assert!(!judged.stderr().is_empty());
    }
    let tmp = tempfile::tempdir().unwrap();
    let nothing = judge(&tmp.path().join("nothing"), tmp.path()).output();
    let nothing = Judged(nothing.unwrap());
    assert_eq!(nothing.status(), Some(2));
    assert!(nothing.stderr().contains("nothing"));
    let help = Judged(
        judge(tmp.path(), tmp.path())
            .arg("--help")
            .output()
            .unwrap(),
    );
    assert_eq!(help.status(), Some(0));
    for part in ["Exit status", "not installed", "--cgroup-parent"] {
        assert!(help.stdout().contains(part), "{part}");
    }
}
