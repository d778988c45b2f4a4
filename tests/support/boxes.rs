//! The box that tests run in unless they are about another one.

use std::{
    env, fs,
    io::Read as _,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use sandbox_exec::{
    Bytes, Command, Error, Finished, Identity, Limits, MountFlags, Output, Policy, Quota, RootSpec,
    Running, Sandbox, SandboxBuilder, Stdin, WantsCommand,
};

use crate::{host, sys};

/// What every payload prints first, so that a test knows that the sandbox did start.
pub const STARTED: &str = "started\n";

/// Where the payload lies in the box.
pub const PAYLOAD: &str = "/payload";

/// How much of a stream the helpers keep.
pub const KEEP: Bytes = Bytes::mib(1);

/// Enough for a root and a scratch directory.
pub const QUOTA: Quota = Quota {
    bytes: Bytes::mib(16),
    inodes: 1_000,
};

/// The multi-call program of `payload/main.rs`, on the host.
#[must_use]
pub fn payload_on_host() -> PathBuf {
    let test = env::current_exe().expect("/proc is mounted");
    // target/debug/deps/NAME-HASH
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("cargo's layout");
    let payload = profile.join("payload");
    assert!(
        fs::exists(&payload).is_ok_and(|found| found),
        "{} is missing",
        payload.display()
    );
    payload
}

/// `/usr`, `/proc`, `/dev`, a writable `/tmp`, and the payload.
pub fn root() -> RootSpec {
    RootSpec::minimal(QUOTA)
        .tmpfs("tmp", QUOTA, MountFlags::WRITABLE)
        .bind(payload_on_host(), PAYLOAD, MountFlags::empty())
}

/// Limits that no well-behaved payload meets. Time is generous where everything is slow, and where what the machine itself
/// waits for its host counts as CPU time.
#[must_use]
pub fn limits() -> Limits {
    Limits::default()
        .cpu_time(host::patience(5_000))
        .wall_time(host::patience(20_000))
        .memory(Bytes::mib(256))
        .processes(64)
        .output(Bytes::mib(8))
}

/// Ids of a box, others at each call: boxes of tests that run at once do not share a uid.
#[must_use]
pub fn identity() -> Identity {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id =
        100_000 + (std::process::id() % 10_000) * 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
    Identity::new(id, id)
}

/// The payload with these arguments, in `/tmp`, with no environment.
#[must_use]
pub fn command(args: &[&str]) -> Command {
    Command::new(PAYLOAD).args(args).work_dir("/tmp")
}

/// The builder of the ordinary box, but for the command.
pub fn builder(limits: Limits) -> SandboxBuilder<WantsCommand> {
    Sandbox::builder()
        .root(root())
        .identity(identity())
        .limits(limits)
        .policy(Policy::judge())
}

/// The ordinary box with the payload in it.
#[track_caller]
pub fn sandbox(args: &[&str]) -> Sandbox {
    ok(builder(limits()).command(&command(args)))
}

/// Runs the payload in the ordinary box to its end, with an empty standard input.
#[track_caller]
pub fn run(args: &[&str]) -> Finished {
    finish(&sandbox(args))
}

/// Runs a box to its end, with an empty standard input.
#[track_caller]
pub fn finish(sandbox: &Sandbox) -> Finished {
    ok(sandbox.run(Stdin::Null, KEEP))
}

/// What must not fail; where it does, the error is shown with its causes.
#[track_caller]
pub fn ok<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", full(&error)))
}

/// A stream that is kept for the test to read.
#[must_use]
pub fn capture() -> Output {
    Output::Capture { keep: KEEP }
}

/// Each fact is a line of what the payload said.
#[track_caller]
pub fn assert_lines(said: &str, facts: &[&str]) {
    for fact in facts {
        assert!(said.lines().any(|line| line == *fact), "{fact}: {said}");
    }
}

/// Starts the payload under these limits and returns when it has said [`STARTED`], which is the proof that it runs; what it
/// says after that can be read from the second value. Nothing counts its output, so that limit is taken away.
#[track_caller]
pub fn start(mut limits: Limits, args: &[&str]) -> (Running, fs::File) {
    limits.output = None;
    let sandbox = ok(builder(limits).command(&command(args)));
    let (read, write): (OwnedFd, OwnedFd) = sys::pipe();
    let running = ok(sandbox.spawn(Stdin::Null, Output::Fd(write), Output::Null));
    let mut stdout = fs::File::from(read);
    expect(&mut stdout, STARTED);
    (running, stdout)
}

/// Reads exactly this from a payload.
#[track_caller]
pub fn expect(stdout: &mut fs::File, text: &str) {
    let mut said = vec![0; text.len()];
    stdout.read_exact(&mut said).expect("the payload says it");
    assert_eq!(String::from_utf8_lossy(&said), text);
}

/// What the payload said after [`STARTED`].
#[track_caller]
#[must_use]
pub fn said(finished: &Finished) -> String {
    let all = String::from_utf8_lossy(&finished.stdout).into_owned();
    match all.strip_prefix(STARTED) {
        Some(rest) => rest.to_owned(),
        None => panic!(
            "the payload has not started: {:?}; it said {all:?} and {:?}",
            finished.outcome,
            String::from_utf8_lossy(&finished.stderr)
        ),
    }
}

/// An error with its causes.
#[must_use]
pub fn full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
