//! `seccomp-learn` as its users see it, and what it learned in boxes that enforce it.

mod command_line;
#[cfg(target_arch = "x86_64")]
mod values;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use sandbox_exec::{
    Bytes, Finished, Identity, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox, Verdict,
    seccomp::{
        Action, ArgCondition, Comparison,
        oci::{Profile, Target},
    },
};
use sandbox_test_support::{boxes, host};
use tempfile::TempDir;

/// The rules of the policy that allows nothing: for the start, and for its report.
const OF_THE_START: usize = 2;

fn can_run() -> bool {
    host::has(&["root", "memory", "pids", "cpuacct"])
}

/// Learns; the status, and the directory with the policy.
fn learn(options: &[&str], command: &[&str]) -> (Output, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_seccomp-learn"))
        .arg("--output")
        .arg(directory.path())
        .args(options)
        .args(command)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(stderr.contains("not a sandbox"), "{stderr}");
    (said, directory)
}

#[track_caller]
fn learned(options: &[&str], command: &[&str]) -> (Policy, String, TempDir) {
    let (said, directory) = learn(options, command);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let text = fs::read_to_string(directory.path().join("policy.json")).unwrap();
    let stdout = String::from_utf8(said.stdout).unwrap();
    assert!(stdout.contains(&text), "{stdout}");
    (serde_json::from_str(&text).unwrap(), stdout, directory)
}

/// Runs a command in a box of its own under this policy.
#[track_caller]
fn enforce(policy: Policy, command: &[&str], shown: &[&Path]) -> Finished {
    let quota = Quota {
        bytes: Bytes::mib(16),
        inodes: 1_000,
    };
    let mut root = RootSpec::minimal(quota).tmpfs("tmp", quota, MountFlags::WRITABLE);
    for path in shown {
        root = root.bind(path, path, MountFlags::empty());
    }
    let limits = Limits::default()
        .wall_time(host::patience(5_000))
        .memory(Bytes::mib(256))
        .processes(64);
    let sandbox = Sandbox::builder()
        .root(root)
        .identity(Identity::new(60_043, 60_043))
        .limits(limits)
        .policy(policy)
        .command(
            &sandbox_exec::Command::new(command[0])
                .args(&command[1..])
                .work_dir("/tmp")
                .env("PATH", "/usr/bin:/bin"),
        )
        .unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
    boxes::finish(&sandbox)
}

fn is_ok(finished: &Finished) -> bool {
    finished.outcome.judgement.verdict == Verdict::Ok
}

/// Every policy that comes of taking one call, or the values of one, away from what was learned.
fn with_less(policy: &Policy) -> Vec<(String, Policy)> {
    let mut all = Vec::new();
    for (place, rule) in policy.list().iter().enumerate().skip(OF_THE_START) {
        for gone in &rule.syscalls {
            let mut less = Policy::allow_list(policy.default_action());
            for (other, kept) in policy.list().iter().enumerate() {
                let names = kept.syscalls.iter();
                let names: Vec<&str> = names
                    .filter(|name| other != place || *name != gone)
                    .map(String::as_str)
                    .collect();
                less = less.rules_if(&names, kept.conditions.clone(), kept.action);
            }
            all.push((format!("{gone} of {rule}"), less));
        }
    }
    all
}

#[test]
fn a_program_passes_under_what_was_learned_and_not_under_less() {
    if !can_run() {
        return;
    }
    let command = ["/usr/bin/printf", "%s", "passes"];
    let (policy, _, directory) = learned(&[], &command);
    let run = enforce(policy.clone(), &command, &[]);
    assert!(is_ok(&run), "{:?}", run.outcome.judgement);
    assert_eq!(run.stdout, b"passes");
    let less = with_less(&policy);
    assert!(less.len() > 5, "{policy:?}");
    for (gone, less) in less {
        let run = enforce(less, &command, &[]);
        assert!(!is_ok(&run) || run.stdout != b"passes", "without {gone}");
    }

    // The other form says the same.
    let text = fs::read_to_string(directory.path().join("oci.json")).unwrap();
    let profile: Profile = serde_json::from_str(&text).unwrap();
    let imported = profile.import(&Target::native((6, 1)).unwrap()).unwrap();
    assert!(imported.unknown.is_empty());
    assert_eq!(enforce(imported.policy, &command, &[]).stdout, b"passes");
}

const SCRIPT: &str = r#"
import subprocess, sys, threading
text = sys.stdin.read()
thread = threading.Thread(target=print, args=["thread"])
thread.start()
thread.join()
if "subprocess" in text:
    print(subprocess.run(["/usr/bin/env", "true"], check=True).returncode)
"#;

#[test]
fn a_script_is_learned_on_each_of_its_inputs() {
    if !can_run() {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = room.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (script, plain, more) = (
        file("script.py", SCRIPT),
        file("plain", ""),
        file("more", "subprocess"),
    );
    // The box of the program is another user's.
    let command = ["/usr/bin/python3", "-I", &script];
    let options = ["--policy", "interpreter", "--bind", &script];
    let one = [&options[..], &["--input", &plain]].concat();
    let (policy, said, _) = learned(&one, &command);
    assert_eq!(policy, Policy::interpreter(), "{said}");

    let both = [&options[..], &["--input", &plain, "--input", &more]].concat();
    let (policy, said, _) = learned(&both, &command);
    let rules = &policy.list()[Policy::interpreter().list().len()..];
    assert!(!rules.is_empty(), "{said}");
    let names: Vec<&str> = rules
        .iter()
        .flat_map(|rule| &rule.syscalls)
        .map(String::as_str)
        .collect();
    let makes_processes = |name: &&str| ["vfork", "fork", "clone"].contains(name);
    assert!(names.iter().all(makes_processes), "{said}");
}

#[test]
fn what_a_descendant_calls_is_learned_and_clone3_never() {
    if !can_run() {
        return;
    }
    let command = ["/bin/sh", "-c", "/usr/bin/ls / >/dev/null; echo $?"];
    let (policy, said, _) = learned(&[], &command);
    assert_eq!(enforce(policy.clone(), &command, &[]).stdout, b"0\n");
    let names = policy.list().iter().flat_map(|rule| &rule.syscalls);
    let names: Vec<&str> = names.map(String::as_str).collect();
    // The shell lists no directory.
    assert!(names.contains(&"getdents64"), "{said}");
    assert!(!names.contains(&"clone3"), "{said}");
    let clone3 = policy.explain(435, [0; 6]).unwrap();
    assert!(matches!(clone3.action, Action::Errno(_)));
}

/// `MSG_NOSIGNAL` is what the box's own message has.
#[test]
fn what_watching_itself_opens_is_learned_where_it_is_needed() {
    if !can_run() {
        return;
    }
    let text = "import socket\na, b = socket.socketpair()\na.sendmsg([b'x'], [], 0x4000)\nprint(b.recv(1))";
    let command = ["/usr/bin/python3", "-I", "-c", text];
    let (policy, said, _) = learned(&[], &command);
    assert_eq!(enforce(policy, &command, &[]).stdout, b"b'x'\n", "{said}");
    let others = said
        .lines()
        .filter(|line| line.contains("sendmsg where arg2"));
    assert!(others.count() == 1, "{said}");
}

#[test]
fn what_judge_refuses_is_marked_as_that() {
    if !can_run() {
        return;
    }
    let (_, said, _) = learned(&["--all"], &["/usr/bin/unshare", "--user", "true"]);
    let mut lines = said
        .lines()
        .filter(|line| line.ends_with("judge refuses it"));
    assert!(
        lines.any(|line| line.contains("unshare where arg0")),
        "{said}"
    );
}

#[test]
fn a_trap_is_learned_from_as_a_kill_is() {
    if !can_run() {
        return;
    }
    let base = Policy::allow_list(Action::Trap)
        .then(&Policy::strict_compute())
        .rule_if(
            "write",
            [ArgCondition::qword(2, Comparison::Gt(9))],
            Action::Trap,
        );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), serde_json::to_string(&base).unwrap()).unwrap();
    let command = ["/usr/bin/mkdir", "-v", "/tmp/made"];
    let run = enforce(base.clone(), &command, &[]);
    assert!(matches!(
        run.outcome.judgement.verdict,
        Verdict::SecurityViolation { .. }
    ));

    let options = ["--policy", file.path().to_str().unwrap()];
    let (policy, said, _) = learned(&options, &command);
    let wider = format!("  write; whatever arg2, by which {} decides\n", options[1]);
    assert!(
        said.contains("  mkdir\n") && said.contains(&wider),
        "{said}"
    );
    assert_eq!(policy.default_action(), Action::Trap);
    let run = enforce(policy, &command, &[]);
    assert_eq!(
        run.stdout,
        b"/usr/bin/mkdir: created directory '/tmp/made'\n"
    );
}

#[test]
fn what_makes_no_difference_is_left_out_unless_all_is_asked_for() {
    if !can_run() {
        return;
    }
    let count = |policy: &Policy| {
        policy
            .list()
            .iter()
            .map(|rule| rule.syscalls.len())
            .sum::<usize>()
    };
    let (needed, said, _) = learned(&[], &["/usr/bin/true"]);
    let (all, everything, _) = learned(&["--all"], &["/usr/bin/true"]);
    assert!(count(&needed) < count(&all), "{said}{everything}");
    assert!(said.contains("not needed"), "{said}");
    assert!(!everything.contains("not needed"), "{everything}");
}

#[test]
fn what_teaches_nothing_is_said_and_nothing_is_printed() {
    if !can_run() {
        return;
    }
    let flood =
        "import fcntl\nfor n in range(4097):\n  try: fcntl.fcntl(0, n)\n  except OSError: pass";
    let sockets = format!(
        "import ctypes\nfor n in range(1000): ctypes.CDLL(None).syscall({}, n * 977, n * 131, n * 31)",
        libc::SYS_socket
    );
    let cases: [(&[&str], &[&str], i32, &str); 9] = [
        (
            &[],
            &["/usr/bin/python3", "-I", "-c", &sockets],
            1,
            "too much for a filter",
        ),
        (
            &[],
            &["/usr/bin/python3", "-I", "-c", flood],
            1,
            "more than 4096 calls",
        ),
        (
            &[],
            &["/bin/sh", "-c", "kill -9 $$"],
            1,
            "no example to learn from",
        ),
        (
            &["--seconds", "1"],
            &["/usr/bin/sleep", "60"],
            1,
            "wall time limit exceeded",
        ),
        (&[], &["/usr/bin/date", "+%N"], 1, "the same each time"),
        (&[], &["/nowhere"], 2, "cannot find the program"),
        (&[], &["/usr"], 2, "directory"),
        (
            &["--input", "/nowhere"],
            &["/usr/bin/true"],
            2,
            "the input /nowhere",
        ),
        (
            &["--policy", "/nowhere"],
            &["/usr/bin/true"],
            2,
            "nor a preset (judge, ",
        ),
    ];
    for (options, command, status, why) in cases {
        let (said, directory) = learn(options, command);
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(status), "{command:?}: {stderr}");
        assert!(stderr.contains(why), "{command:?}: {stderr}");
        assert_eq!(said.stdout, b"", "{command:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    learned(&["--ignore-output"], &["/usr/bin/date", "+%N"]);
}
