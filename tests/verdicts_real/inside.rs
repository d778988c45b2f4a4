//! What a program finds out about itself, although the embedder is the strangest there is.

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt as _, time::Duration};

use sandbox_exec::{Bytes, Command, Controller, Finished, Landlock, Reading, Stage, Unavailable};
use sandbox_test_support::{Setup, boxes, host, in_child, outside, scene};

use crate::can_run;

/// `name: value` lines.
fn facts(finished: &Finished) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// status(5) of a program in C, which unlike Rust's runtime leaves the dispositions as it found them.
fn status(setup: &Setup) -> BTreeMap<String, String> {
    let command = Command::new("/bin/cat").arg("/proc/self/status");
    facts(&boxes::finish(&setup.sandbox_of(&command)))
}

#[test]
fn no_signal_is_ignored_or_blocked() {
    if !can_run() {
        return;
    }
    in_child(|| {
        scene::make_signals_strange();
        let twin = std::process::Command::new("/bin/cat")
            .arg("/proc/self/status")
            .output();
        let twin = String::from_utf8_lossy(&twin.expect("it runs").stdout).into_owned();
        assert!(!twin.contains("SigIgn:\t0000000000000000"), "{twin}");

        let status = status(&Setup::new());
        for set in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
            assert_eq!(status[set], "0000000000000000", "{set}");
        }
    });
}

#[test]
fn a_broken_pipe_ends_a_program() {
    if !can_run() {
        return;
    }
    let command = Command::new("/bin/sh").args(["-c", "yes | head -n 1; echo ended"]);
    let finished = boxes::finish(&Setup::new().sandbox_of(&command.env("PATH", "/usr/bin:/bin")));
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "y\nended\n");
    assert_eq!(
        finished.stderr, b"",
        "with SIGPIPE ignored, yes(1) complains"
    );
}

#[test]
fn no_capability_is_left() {
    if !can_run() {
        return;
    }
    let status = status(&Setup::new());
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!(status["NoNewPrivs"], "1");
    assert_eq!(status["Seccomp"], "2");

    let ask = |option: i32, value: i32| {
        boxes::said(&Setup::new().run(&["prctl", &option.to_string(), &value.to_string()]))
    };
    // All four bits and their locks, but for KEEP_CAPS, which execve(2) clears and the lock keeps clear.
    assert_eq!(ask(libc::PR_GET_SECUREBITS, 0), "prctl: ok 239\n");
    for capability in [0, 7, 21, 40] {
        assert_eq!(ask(libc::PR_CAPBSET_READ, capability), "prctl: ok 0\n");
    }
    let twin = outside::run(0, &["prctl", &libc::PR_CAPBSET_READ.to_string(), "21"]);
    assert_eq!(twin, "prctl: ok 1\n");
}

#[test]
fn ids_and_session_are_its_own() {
    if !can_run() {
        return;
    }
    in_child(|| {
        scene::make_identity_strange();
        let setup = Setup::new();
        let id = setup.identity.uid;
        let facts = facts(&setup.run(&["session"]));
        let ids = format!("[{id}, {id}, {id}]");
        let expected = [
            ("pid", "ok 2"),
            ("ppid", "ok 1"),
            ("sid", "ok 2"),
            ("pgid", "ok 2"),
            ("priority", "ok 20"),
            ("policy", "ok 0"),
            ("personality", "ok 0"),
            ("uids", &ids),
            ("gids", &ids),
            ("groups", "ok 0"),
        ];
        for (name, value) in expected {
            assert_eq!(facts[name], value, "{name}");
        }
        let slack = boxes::said(&setup.run(&["prctl", &libc::PR_GET_TIMERSLACK.to_string(), "0"]));
        assert_eq!(slack, "prctl: ok 50000\n");
        let umask = boxes::said(&setup.run(&["umask"]));
        assert_eq!(umask, format!("umask: ok {}\n", 0o022));

        // The embedder is what it said it is.
        let twin = outside::run(0, &["session"]);
        assert!(
            twin.contains("priority: ok 13\n") && twin.contains("groups: ok 2\n"),
            "{twin}"
        );
        assert_eq!(
            outside::run(0, &["umask"]),
            format!("umask: ok {}\n", 0o077)
        );
    });
}

#[test]
fn protection_from_the_oom_killer_is_not_inherited() {
    if !can_run() || !host::has(&["cap_sys_resource"]) {
        return;
    }
    in_child(|| {
        scene::protect_from_oom();
        let said = boxes::said(&Setup::new().run(&["read", "/proc/self/oom_score_adj"]));
        assert_eq!(said, "0\n");
        assert_eq!(
            outside::run(0, &["read", "/proc/self/oom_score_adj"]),
            "-500\n"
        );
    });
}

#[test]
fn arguments_and_environment_are_exact() {
    if !can_run() {
        return;
    }
    let odd = OsStr::from_bytes(b"\xff\xfe%s\n");
    let setup = Setup::new();
    let command = boxes::command(&["arguments", "", "two words"]).arg(odd);
    let finished = boxes::finish(&setup.sandbox_of(&command));
    let expected = r#"["/payload", "arguments", "", "two words", "\xFF\xFE%s\n"]"#;
    assert_eq!(boxes::said(&finished), format!("{expected}\n"));

    let none = boxes::finish(&setup.sandbox_of(&boxes::command(&["environment"])));
    assert_eq!(boxes::said(&none), "[]\n");
    let command = boxes::command(&["environment"])
        .env("LANG", "C")
        .env("EMPTY", "")
        .env("ODD", odd);
    let finished = boxes::finish(&setup.sandbox_of(&command));
    let expected = r#"[("LANG", "C"), ("EMPTY", ""), ("ODD", "\xFF\xFE%s\n")]"#;
    assert_eq!(boxes::said(&finished), format!("{expected}\n"));
}

#[test]
fn three_descriptors_are_open() {
    if !can_run() {
        return;
    }
    in_child(|| {
        scene::leak(b"x", 3);
        scene::leak(b"x", 500);
        let finished = Setup::new().run(&["open-descriptors"]);
        assert_eq!(boxes::said(&finished), "[0, 1, 2]\n");
        let twin = outside::run(0, &["open-descriptors"]);
        assert!(twin.contains("500"), "{twin}");
    });
}

#[test]
fn resource_limits_are_as_compiled() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| {
        limits.cpu_time = Some(Duration::from_secs(7));
        limits.file_size = Some(Bytes::mib(3));
        limits.open_files = Some(33);
        limits.stack = Some(Bytes::mib(2));
        limits.address_space = Some(Bytes::mib(900));
    });
    let facts = facts(&setup.run(&["limits"]));
    let expected = [
        (libc::RLIMIT_FSIZE, 3 << 20),
        (libc::RLIMIT_NOFILE, 33),
        (libc::RLIMIT_STACK, 2 << 20),
        (libc::RLIMIT_AS, 900 << 20),
        (libc::RLIMIT_CORE, 1),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
        (libc::RLIMIT_MEMLOCK, 64 << 10),
    ];
    for (resource, value) in expected {
        assert_eq!(
            facts[&format!("limit {resource}")],
            format!("{value} {value}")
        );
    }
    // The back stop behind the supervisor's clock.
    let cpu = facts[&format!("limit {}", libc::RLIMIT_CPU)].split_once(' ');
    let seconds: u64 = cpu
        .and_then(|(soft, _)| soft.parse().ok())
        .expect("a number");
    assert!((8..=60).contains(&seconds), "{seconds}");
    for (name, value) in &facts {
        let pair = value.split_once(' ').filter(|_| name.starts_with("limit"));
        assert!(
            pair.is_none_or(|(soft, hard)| soft == hard),
            "{name}: {value}"
        );
    }
}

#[test]
fn the_host_is_out_of_sight() {
    if !can_run() {
        return;
    }
    assert_eq!(boxes::said(&Setup::new().run(&["host-name"])), "box\n");
    let groups = boxes::said(&Setup::new().run(&["read", "/proc/self/cgroup"]));
    assert!(
        !groups.contains("sandbox-"),
        "the group of the run is the root that it sees: {groups}"
    );
    let mounts = boxes::said(&Setup::new().run(&["read", "/proc/self/mountinfo"]));
    assert!(
        !mounts.contains("cgroup") && !mounts.contains("sysfs"),
        "{mounts}"
    );
    let routes = boxes::said(&Setup::new().run(&["stat", "/sys"]));
    assert_eq!(routes, format!("stat: errno {}\n", libc::ENOENT));
}

#[test]
fn loopback_works() {
    if !can_run() {
        return;
    }
    for address in ["127.0.0.1", "::1"] {
        let finished = Setup::new().run(&["loopback", address]);
        assert_eq!(boxes::said(&finished), format!("{address}: ok 4\n"));
    }
}

#[test]
fn every_stage_is_proved() {
    if !can_run() {
        return;
    }
    let but = |left_out: &[Stage]| -> Vec<Stage> {
        let mut all = Stage::ALL.to_vec();
        all.retain(|stage| !left_out.contains(stage));
        all
    };
    let finished = boxes::run(&["exit"]);
    let proved = &finished.outcome.evidence.proved;
    assert_eq!(*proved, but(&[Stage::Landlock]), "it was not asked for");
    let open = Setup::new().without_filter().run(&["exit"]);
    let proved = &open.outcome.evidence.proved;
    assert_eq!(*proved, but(&[Stage::Landlock, Stage::Seccomp]));
}

#[test]
fn the_evidence_tells_what_of_landlock_held() {
    if !can_run() {
        return;
    }
    let evidence = |landlock| {
        let mut setup = Setup::new();
        setup.landlock = landlock;
        setup.run(&["exit"]).outcome.evidence
    };
    let none = evidence(None).landlock;
    assert_eq!(none, Reading::Unavailable(Unavailable::NotRequested));
    if !host::has(&["landlock"]) {
        return;
    }
    for landlock in [Landlock::required(), Landlock::optional()] {
        let seen = evidence(Some(landlock));
        assert_eq!(seen.proved, Stage::ALL);
        let held = seen.landlock.value().expect("it was proved");
        assert!(held.version == 6 && held.tcp && held.scopes, "{held:?}");
    }
    let less = evidence(Some(Landlock::at_least(4))).landlock.value();
    assert_eq!(less.map(|held| held.version), Some(6), "all that there is");
}

#[test]
fn the_evidence_names_what_served_each_controller() {
    if !can_run() {
        return;
    }
    let finished = boxes::run(&["exit"]);
    let hierarchies = sandbox_exec::Hierarchies::host().expect("/proc is mounted");
    let served = &finished.outcome.evidence.controllers;
    for used in served {
        assert_eq!(hierarchies.version(used.controller), Some(used.version));
    }
    for controller in [Controller::Cpuacct, Controller::Memory, Controller::Pids] {
        assert!(
            served.iter().any(|used| used.controller == controller),
            "{controller:?}: {served:?}"
        );
    }
}
