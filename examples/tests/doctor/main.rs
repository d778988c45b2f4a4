//! `sandbox-doctor` as its users see it, on hosts that are as it says: this one, and worse ones made of it.

mod hosts;
mod said;

use sandbox_test_support::host;

use hosts::{ORDINARY, in_a_box, in_a_user_namespace};
use said::{Doctor, NEEDS, Said};

/// What a doctor of its own says.
#[track_caller]
fn says(before: &[&str], options: &[&str]) -> Said {
    Doctor::new().says(before, options)
}

#[test]
fn every_need_is_looked_at_once() {
    if !host::has(&["root"]) {
        return;
    }
    let said = says(&[], &["--json"]);
    let names: Vec<String> = said
        .findings()
        .iter()
        .map(|one| one["need"].to_string())
        .collect();
    let expected: Vec<String> = NEEDS.iter().map(|need| format!("{need:?}")).collect();
    assert_eq!(names, expected);
    for one in said.findings() {
        let complains = ["degraded", "missing"].contains(&one["state"].as_str().unwrap());
        assert_eq!(one["costs"].is_string(), complains, "{one}");
        assert!(!one["found"].as_str().unwrap().is_empty(), "{one}");
    }
    assert_eq!(said.document["privileged"], true);
}

#[test]
fn controllers_are_served_as_declared() {
    if !host::has(&["root"]) {
        return;
    }
    let said = says(&[], &["--json"]);
    let pairs = [
        ("memory", "memory"),
        ("pids", "processes"),
        ("cpuacct", "cpu_time"),
        ("cpu", "cpu_rate"),
        ("cpuset", "cpu_set"),
    ];
    for (controller, need) in pairs {
        for version in ["v1", "v2"] {
            let feature = format!("{version}:{controller}");
            if host::has(&[&feature]) {
                assert_ne!(said.state(need), "missing", "{feature}");
                let found = said.found(need);
                assert!(found.starts_with(version), "{feature}: {found}");
                let served = said.found("cgroups");
                assert!(
                    served.contains(&format!("{controller} {version}")),
                    "{served}"
                );
            }
        }
    }
    if host::has(&["memory", "pids", "cpuacct"]) {
        assert_eq!(said.state("box"), "ok", "{}", said.found("box"));
        assert_eq!(said.status, 0, "{}", said.document);
    }
}

#[test]
fn lines_and_document_agree() {
    if !host::has(&["root"]) {
        return;
    }
    let (lines, document) = (says(&[], &[]), says(&[], &["--json"]));
    assert_eq!(lines.status, document.status);
    let states: Vec<_> = lines
        .text
        .lines()
        .map(|line| line.split_whitespace().next())
        .collect();
    let expected: Vec<_> = document
        .findings()
        .iter()
        .map(|one| one["state"].as_str())
        .collect();
    assert_eq!(states[..expected.len()], expected);
    assert_eq!(states.len(), expected.len() + 1, "and one line of sums");
    assert_eq!(says(&[], &["--help"]).status, 0);
    assert_eq!(says(&[], &["--no-such-option"]).status, 2);
}

#[test]
fn the_kernels_texts_are_told_as_they_are() {
    if !host::has(&["root"]) {
        return;
    }
    let said = says(&[], &["--json"]);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let swaps = read("/proc/swaps").lines().count();
    assert_eq!(said.state("swap") == "ok", swaps <= 1);
    let piped = read("/proc/sys/kernel/core_pattern").starts_with('|');
    assert_eq!(said.state("core_pattern") == "degraded", piped);
    let random = read("/proc/sys/kernel/randomize_va_space");
    assert_eq!(said.state("aslr") == "ok", random.trim() == "0");
    let always = read("/sys/kernel/mm/transparent_hugepage/enabled").contains("[always]");
    assert_eq!(said.state("huge_pages") == "degraded", always);
}

#[test]
fn an_ordinary_user_has_needs_of_its_own() {
    if !host::has(&["root"]) {
        return;
    }
    let said = says(ORDINARY, &["--json"]);
    assert_eq!(said.document["privileged"], false);
    assert_eq!(said.finding("user_namespaces")["required"], true);
    assert_eq!(said.state("delegation"), "missing");
    let found = said.found("delegation");
    assert!(found.contains("EACCES"), "{found}");
    assert_eq!(said.status, 1);
    let no_parent = says(&[], &["--json", "--cgroup-parent", "no/such/group"]);
    assert_eq!(
        (no_parent.state("delegation"), no_parent.status),
        ("missing", 1)
    );
}

#[test]
fn a_namespace_limit_of_zero_is_found_and_named() {
    if !host::has(&["root"]) {
        return;
    }
    let zero = "echo 0 > /proc/sys/user/max_user_namespaces";
    let said = says(&in_a_user_namespace(zero), &["--json"]);
    assert_eq!(said.state("namespace_limits"), "missing");
    assert_eq!(said.state("user_namespaces"), "missing");
    let found = said.found("user_namespaces");
    assert!(found.contains("ENOSPC"), "{found}");
    assert_eq!(
        said.finding("user_namespaces")["mend"],
        "see the line namespace_limits"
    );
    let twin = says(&in_a_user_namespace(":"), &["--json"]);
    assert_eq!(twin.state("namespace_limits"), "ok");
    assert_eq!(
        twin.state("user_namespaces"),
        "ok",
        "{}",
        twin.found("user_namespaces")
    );
}

#[test]
fn a_proc_that_is_covered_in_part_is_found_and_named() {
    if !host::has(&["root"]) {
        return;
    }
    let cover = "mount -t tmpfs none /proc/sys/kernel";
    let said = says(&in_a_user_namespace(cover), &["--json"]);
    assert_eq!(said.state("proc_mounts"), "missing");
    let found = said.found("user_namespaces");
    assert!(found.contains("new /proc: EPERM"), "{found}");
    let covered = said.found("proc_mounts");
    assert!(covered.contains("/proc/sys/kernel"), "{covered}");
}

#[test]
fn helpers_are_of_no_use_without_new_rights() {
    if !host::has(&["root"]) {
        return;
    }
    let mut before = ORDINARY.to_vec();
    before.push("--no-new-privs");
    let said = says(&before, &["--json"]);
    let found = said.found("id_helpers").to_owned();
    let told = found.contains("no_new_privs") || found.contains("not in /usr/bin");
    assert!(said.state("id_helpers") == "missing" && told, "{found}");
}

#[test]
fn in_a_box_of_the_family_it_looks_as_far_as_it_may_and_claims_no_more() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let said = in_a_box();
    assert_eq!(said.status, 1, "{}", said.document);
    assert_eq!(said.state("seccomp_profile"), "degraded");
    for need in ["kernel", "namespaces", "user_namespaces"] {
        assert_eq!(said.state(need), "missing", "{}", said.found(need));
    }
    // There is no /sys, and /proc has processes only.
    for need in [
        "box",
        "swap",
        "namespace_limits",
        "namespace_sysctl",
        "core_pattern",
        "aslr",
        "smt",
        "cpu_governor",
        "cpu_turbo",
        "huge_pages",
        "landlock",
        "seccomp_notify",
    ] {
        assert_eq!(said.state(need), "unknown", "{need}: {}", said.found(need));
    }
}
