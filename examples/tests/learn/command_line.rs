//! What is asked for, and where the answer goes.

use std::{
    fs, io,
    process::{Command, Output, Stdio},
};

use sandbox_exec::Policy;

use crate::{can_run, learned};

fn learn(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seccomp-learn"));
    command.args(args);
    command
}

/// Status and standard error of one that has to fail.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = learn(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn an_option_spelt_wrongly_is_no_program_and_the_programs_options_are_its_own() {
    let (status, said) = refused(&["--inputs", "/dev/null", "/usr/bin/true"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("unexpected argument '--inputs'"), "{said}");
    if can_run() {
        let echo = ["/usr/bin/test", "--input", "=", "--input"];
        learned(&[], &echo);
    }
}

#[test]
fn the_directory_is_made_before_anything_is_learned() {
    let (status, said) = refused(&["--output", "/dev/null/x", "/usr/bin/true"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("make the directory /dev/null/x"), "{said}");
    if !can_run() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let below = scratch.path().join("a/b");
    let shown = below.to_str().unwrap();
    let done = learn(&["--output", shown, "/usr/bin/true"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(below.join("policy.json").is_file() && below.join("oci.json").is_file());
}

/// So that one reads what was learned, and not sixty rules that were there before.
#[test]
fn a_policy_that_builds_on_a_preset_is_printed_so_and_one_on_a_file_whole() {
    if !can_run() {
        return;
    }
    let command = ["/usr/bin/env", "/usr/bin/true"];
    let (policy, said, directory) = learned(&["--policy", "strict_compute"], &command);
    assert_eq!(policy, Policy::strict_compute().then(&tail(&policy)));
    let printed = between(&said, "-- policy\n", "\n-- OCI profile\n");
    let lines = printed.lines().count();
    assert!(
        lines < 20 && printed.contains("\"base\": \"strict_compute\""),
        "{printed}"
    );

    let file = directory.path().join("strict.json");
    fs::write(
        &file,
        serde_json::to_string(&Policy::strict_compute()).unwrap(),
    )
    .unwrap();
    let (whole, said, _) = learned(&["--policy", file.to_str().unwrap()], &command);
    assert_eq!(whole, policy);
    assert!(!said.contains("\"base\""), "{said}");
}

/// The rules behind those of the preset.
fn tail(policy: &Policy) -> Policy {
    let from = Policy::strict_compute().list().len();
    let rules = policy.list().iter().skip(from);
    rules.fold(Policy::deny_list(), |all, rule| {
        let names: Vec<&str> = rule.syscalls.iter().map(String::as_str).collect();
        all.rules_if(&names, rule.conditions.clone(), rule.action)
            .because(&rule.reason)
    })
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

/// `seccomp-learn ... 2>&1 | head`: nobody reads either of both.
#[test]
fn without_a_reader_there_is_a_status_and_no_panic() {
    for args in [&["/nowhere"][..], &["/usr/bin/true"]] {
        if args != ["/nowhere"] && !can_run() {
            continue;
        }
        let gone = || {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        let status = learn(args).stdout(gone()).stderr(gone()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}");
    }
}
