//! A crash of a program starts nothing on the host.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sandbox_exec::{Error, Exit, Finished, Sandbox};
use sandbox_test_support::{
    Setup, boxes, host, host::CAP_SYS_RESOURCE, in_child, outside, scene, sys,
};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// One test changes what the kernel does at a crash, the other makes crashes.
static CRASHES: Mutex<()> = Mutex::new(());

fn crashes_are_mine() -> MutexGuard<'static, ()> {
    CRASHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds a box on a host with this pattern, by a process with this hard limit that it cannot raise.
fn build(pattern: &str, hard: Option<u64>) -> Result<Sandbox, Error> {
    scene::unshare_mounts();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), pattern).expect("our file");
    scene::mount_file(file.path(), Path::new(CORE_PATTERN));
    if let Some(hard) = hard {
        sys::limit_core(hard);
    }
    sys::drop_effective(CAP_SYS_RESOURCE);
    boxes::builder(boxes::limits()).command(&boxes::command(&["abort"]))
}

fn assert_aborted(finished: &Finished) {
    let abort = Exit::Signal {
        signo: libc::SIGABRT,
        core_dumped: false,
    };
    assert_eq!(finished.outcome.evidence.exit, Some(abort));
}

#[test]
fn dumps_that_cannot_be_prevented_are_refused() {
    if !host::has(&NEEDS) {
        return;
    }
    let _guard = crashes_are_mine();
    in_child(|| {
        let error = build("|/usr/lib/reporter %p\n", Some(0)).expect_err("a crash would run it");
        assert!(matches!(error, Error::CoreDumps), "{error}");
    });
    // The twins: a limit of 1 stops the pipe, a limit of 0 the files.
    for (pattern, hard) in [("|/usr/lib/reporter %p\n", 1), ("core\n", 0)] {
        in_child(|| {
            let sandbox = build(pattern, Some(hard)).expect("nothing would be run");
            assert_aborted(&boxes::finish(&sandbox));
        });
    }
    // A process that may raise its limits is refused nothing.
    if host::has(&["cap_sys_resource"]) {
        in_child(|| {
            sys::limit_core(0);
            let sandbox = boxes::sandbox(&["abort"]);
            assert_aborted(&boxes::finish(&sandbox));
        });
    }
}

/// The real pipe, on a kernel that is ours to set up: the program that it names leaves a file per uid that crashed.
#[test]
fn no_crash_runs_the_program_of_core_pattern() {
    if !host::has(&NEEDS) || !host::has(&["own_kernel"]) {
        return;
    }
    let _guard = crashes_are_mine();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("reporter");
    fs::write(&script, "#!/bin/sh\n: >${0%/*}/$1\n").expect("our directory");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("our file");
    let before = fs::read_to_string(CORE_PATTERN).expect("readable");
    fs::write(CORE_PATTERN, format!("|{} %u", script.display())).expect("root's kernel");

    let setup = Setup::new();
    assert_aborted(&setup.run(&["abort"]));
    // The twin: on the host, not even a limit of 0 keeps a crash from running it.
    let twin = boxes::identity().uid;
    in_child(|| {
        sys::limit_core(0);
        outside::start(twin, &["abort"]).wait().expect("our child");
    });
    let reported = directory.path().join(twin.to_string());
    let started = Instant::now();
    while !reported.exists() {
        assert!(started.elapsed() < host::patience(2_000), "nothing reports");
        std::thread::sleep(Duration::from_millis(5));
    }
    // It was first by far.
    assert!(
        !directory
            .path()
            .join(setup.identity.uid.to_string())
            .exists()
    );
    fs::write(CORE_PATTERN, before).expect("root's kernel");
}
