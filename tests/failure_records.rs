//! A failure in any stage is an error that names stage, operation and errno; the program has not run, nothing is left.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sandbox_exec::{
    Command, Error, Identity, Landlock, MountFlags, Policy, RootSpec, Sandbox, SandboxBuilder,
    SetupFailure, Stage, Stdin, Verdict, WantsCommand,
};
use sandbox_test_support::{
    boxes,
    faults::{self, PAYLOAD_ID},
    host, in_child,
    inject::Injection,
    leaks::Snapshot,
};

/// A directory of the host that the box may write to, so that a program that ran has left its mark where we see it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("sandbox-tests-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a fresh name");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("own directory");
        Self(path)
    }

    fn file(&self, name: &str, mode: u32, contents: &str) {
        let path = self.0.join(name);
        fs::write(&path, contents).expect("own directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
    }

    fn has_mark(&self) -> bool {
        self.0.join("ran").exists()
    }

    fn root(&self) -> RootSpec {
        boxes::root()
            .bind(&self.0, "out", MountFlags::WRITABLE)
            .bind(&self.0, "noexec", MountFlags::NOEXEC)
    }

    fn builder(&self) -> SandboxBuilder<WantsCommand> {
        Sandbox::builder()
            .root(self.root())
            // Where there is one, its stage must be able to fail.
            .landlock(Landlock::optional())
            .identity(Identity::new(PAYLOAD_ID, PAYLOAD_ID))
            .limits(boxes::limits())
            .policy(Policy::judge())
    }

    fn marker(&self) -> Sandbox {
        let command = boxes::command(&["marker", "/out/ran"]);
        self.builder()
            .command(&command)
            .expect("all is well so far")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Starts the box, which must fail in set-up without a trace.
#[track_caller]
fn failure(sandbox: &Sandbox, scratch: &Path) -> SetupFailure {
    let before = Snapshot::take();
    let failure = match sandbox.spawn(Stdin::Null, boxes::capture(), boxes::capture()) {
        Err(Error::Setup(failure)) => failure,
        Err(other) => panic!("{}", boxes::full(&other)),
        Ok(_) => panic!("the box has started"),
    };
    Snapshot::take().assert_same(&before);
    assert!(
        !scratch.join("ran").exists(),
        "the program ran although {failure}"
    );
    failure
}

#[test]
fn the_mark_is_there_when_nothing_fails() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("nothing");
    let finished = boxes::finish(&scratch.marker());
    assert_eq!(
        finished.outcome.judgement.verdict,
        Verdict::Ok,
        "{:?}",
        finished.outcome
    );
    assert!(scratch.has_mark());
}

#[test]
fn every_stage_reports_its_failure() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("stages");
    let mut seen = BTreeSet::from([Stage::WorkDir, Stage::CloseFds]);
    for fault in faults::all() {
        seen.insert(fault.stage);
        if !host::has(&[fault.needs]) {
            continue;
        }
        in_child(|| {
            let sandbox = scratch.marker();
            fault.injection.install();
            let failure = failure(&sandbox, &scratch.0);
            let found = (failure.stage, failure.errno.raw());
            assert_eq!(found, (fault.stage, fault.injection.errno), "{failure}");
            assert!(
                failure.operation.starts_with(&fault.operation),
                "{:?} should say {:?}",
                failure.operation,
                fault.operation
            );
        });
    }
    let missing: Vec<_> = Stage::ALL
        .iter()
        .filter(|stage| !seen.contains(stage))
        .collect();
    assert!(missing.is_empty(), "no test makes {missing:?} fail");
}

/// What init sends home before it fails must not hide why it failed.
#[test]
fn a_kept_directory_does_not_hide_the_failure_of_init() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("kept");
    in_child(|| {
        let sandbox = Sandbox::builder()
            .root(scratch.root().keep("tmp"))
            .identity(Identity::new(PAYLOAD_ID, PAYLOAD_ID))
            .limits(boxes::limits())
            .policy(Policy::judge())
            .command(&boxes::command(&["marker", "/out/ran"]))
            .expect("a good box");
        Injection::new(libc::SYS_close_range, libc::ENOMEM)
            .when(0, 0)
            .install();
        let failure = failure(&sandbox, &scratch.0);
        assert_eq!(failure.stage, Stage::Seal);
    });
}

/// The payload's `close_range(2)` starts above its one descriptor, whose number is not known here: every number is tried.
/// Others hit the same call of init.
#[test]
fn descriptors_that_cannot_be_closed_stop_the_payload() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("close");
    let mut hit = 0;
    for first in 4..64 {
        let injection = Injection::new(libc::SYS_close_range, libc::ENOMEM)
            .when(0, first)
            .when(1, u32::MAX);
        in_child(|| {
            let sandbox = scratch.marker();
            injection.install();
            let started = sandbox.run(Stdin::Null, boxes::KEEP);
            if let Err(Error::Setup(failure)) = started {
                assert_eq!(failure.errno.raw(), libc::ENOMEM);
                let expected = match failure.stage {
                    Stage::CloseFds => "close_range from 3",
                    Stage::Adopt => "close the embedder's descriptors",
                    Stage::Seal => "close init's descriptors",
                    other => panic!("{other} has no business with {first}"),
                };
                assert_eq!(failure.operation, expected);
                assert!(!scratch.has_mark());
                if failure.stage == Stage::CloseFds {
                    scratch.file("hit", 0o600, "");
                }
            } else {
                started.expect("the call is not made");
                fs::remove_file(scratch.0.join("ran")).expect("nothing failed, so it ran");
            }
        });
        hit += u32::from(fs::remove_file(scratch.0.join("hit")).is_ok());
    }
    assert_eq!(hit, 1, "one number is the payload's");
}

/// What no injection is needed for: commands that cannot work. The error says what to do.
#[test]
fn wrong_commands_name_what_is_wrong() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("commands");
    scratch.file("data", 0o755, "neither ELF nor #!\n");
    scratch.file("plain", 0o644, "#!/bin/sh\n");
    scratch.file("script", 0o755, "#!/nowhere/sh\ntouch /out/ran\n");
    scratch.file("good", 0o755, "#!/bin/sh\ntouch /out/ran\n");
    fs::create_dir(scratch.0.join("private")).expect("own directory");
    fs::set_permissions(scratch.0.join("private"), fs::Permissions::from_mode(0o700))
        .expect("own directory");
    let marker = || boxes::command(&["marker", "/out/ran"]);
    let cases = [
        (
            marker().work_dir("/nowhere"),
            (Stage::WorkDir, libc::ENOENT),
            "chdir to \"/nowhere\"",
            Some("brings this directory into the box"),
        ),
        (
            marker().work_dir("/out/private"),
            (Stage::WorkDir, libc::EACCES),
            "chdir to \"/out/private\"",
            Some("may not enter it"),
        ),
        (
            marker().work_dir("/payload"),
            (Stage::WorkDir, libc::ENOTDIR),
            "chdir to \"/payload\"",
            Some("is no directory"),
        ),
        (
            Command::new("/nowhere/a.out"),
            (Stage::WorkDir, libc::ENOENT),
            "find the program \"/nowhere/a.out\"",
            Some("no rule of the root"),
        ),
        (
            Command::new("/payload/below"),
            (Stage::WorkDir, libc::ENOTDIR),
            "find the program \"/payload/below\"",
            Some("is no directory"),
        ),
        (
            Command::new("/out/plain"),
            (Stage::WorkDir, libc::EACCES),
            "find the program \"/out/plain\"",
            Some("is it executable"),
        ),
        (
            Command::new("/noexec/good"),
            (Stage::WorkDir, libc::EACCES),
            "find the program \"/noexec/good\"",
            Some("noexec mount"),
        ),
        (
            Command::new("/out/script"),
            (Stage::Execve, libc::ENOENT),
            "execve \"/out/script\"",
            Some("interpreter"),
        ),
        (
            Command::new("/out/data"),
            (Stage::Execve, libc::ENOEXEC),
            "execve \"/out/data\"",
            Some("#!"),
        ),
        (
            marker().arg("x".repeat(200_000)),
            (Stage::Execve, libc::E2BIG),
            "execve \"/payload\"",
            Some("too large"),
        ),
        (
            Command::new("/out"),
            (Stage::Execve, libc::EACCES),
            "execve \"/out\"",
            Some("is no file"),
        ),
    ];
    for (command, expected, operation, advice) in cases {
        in_child(|| {
            let sandbox = scratch
                .builder()
                .command(&command)
                .expect("checked when it starts");
            let failure = failure(&sandbox, &scratch.0);
            assert_eq!((failure.stage, failure.errno.raw()), expected, "{failure}");
            assert_eq!(failure.operation, operation);
            let given = failure.advice.unwrap_or_default();
            assert!(given.contains(advice.unwrap_or_default()), "{failure}");
        });
    }
    let good = scratch
        .builder()
        .command(&Command::new("/out/good").env("PATH", "/usr/bin"));
    boxes::finish(&good.expect("a good command"));
    assert!(
        scratch.has_mark(),
        "the same script with its interpreter runs"
    );
}

/// A limit of the box so low that set-up itself meets it is a report, not a hang or a lost box.
#[test]
fn an_address_space_too_small_for_the_program_is_a_clear_end() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let scratch = Scratch::new("small");
    in_child(|| {
        let sandbox = Sandbox::builder()
            .root(scratch.root())
            .identity(Identity::new(PAYLOAD_ID, PAYLOAD_ID))
            .limits(boxes::limits().address_space(sandbox_exec::Bytes::kib(64)))
            .policy(Policy::judge())
            .command(&boxes::command(&["marker", "/out/ran"]))
            .expect("a limit that the kernel takes");
        let before = Snapshot::take();
        match sandbox.run(Stdin::Null, boxes::KEEP) {
            // The program's image does not fit: the kernel kills it after the point of no return.
            Ok(finished) => assert!(
                matches!(finished.outcome.judgement.verdict, Verdict::RuntimeError(_)),
                "{:?}",
                finished.outcome
            ),
            Err(Error::Setup(failure)) => assert_eq!(failure.stage, Stage::Execve, "{failure}"),
            Err(other) => panic!("{}", boxes::full(&other)),
        }
        Snapshot::take().assert_same(&before);
        assert!(!scratch.has_mark());
    });
}
