//! The host's side: the payload without a box, and what the host sees of a box.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

use crate::{
    boxes::{self, STARTED},
    host,
};

/// The processes of this user, as the host numbers them. Zombies are none: they run no code.
///
/// # Panics
/// Where /proc is not mounted.
#[must_use]
pub fn processes_of(uid: u32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        // A process that ends while it is being looked at is none either.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            return false;
        };
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let zombie = line("State:").is_some_and(|state| state.trim_start().starts_with('Z'));
        let owner = line("Uid:").and_then(|ids| ids.split_whitespace().next());
        !zombie && owner == Some(&uid.to_string())
    })
    .collect()
}

/// The host's number of the thread of this user that has the number `inside` in its box.
///
/// # Panics
/// Where there is none.
#[track_caller]
#[must_use]
pub fn thread_of(uid: u32, inside: u32) -> u32 {
    let tasks = processes_of(uid).into_iter().flat_map(|pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        tasks.expect("the test ends it").flatten()
    });
    let mut found = tasks.filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        // First as this procfs numbers it, last as its own namespace does.
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let last = numbers.split_whitespace().next_back()?;
        (last == inside.to_string()).then(|| task.file_name())
    });
    let number = found.next().expect("the thread is there");
    number.to_string_lossy().parse().expect("a number")
}

/// Returns when somebody traces this process.
///
/// # Panics
/// Where nobody ever does.
#[track_caller]
pub fn await_tracer(pid: i32) {
    let deadline = Instant::now() + host::patience(5_000);
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
        if !status.lines().any(|line| line == "TracerPid:\t0") {
            return;
        }
        assert!(Instant::now() < deadline, "nobody traces it");
        std::thread::yield_now();
    }
}

/// The state of a thread, a letter of proc(5).
///
/// # Panics
/// Where it is gone.
#[track_caller]
#[must_use]
pub fn state_of(thread: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).expect("it is there");
    // The name before it may hold anything.
    let rest = stat.rsplit(") ").next().expect("a name");
    rest.chars().next().expect("a state")
}

/// The payload on the host, started, as this user; 0 is root itself. Nothing of the test is inherited but what has no close-on-exec.
///
/// # Panics
/// Where it cannot be started.
#[track_caller]
#[must_use]
pub fn start(uid: u32, args: &[&str]) -> Child {
    let mut child = spawn(uid, args, Stdio::piped());
    let stdout = child.stdout.as_mut().expect("piped");
    let mut token = [0; STARTED.len()];
    stdout
        .read_exact(&mut token)
        .expect("it says that it has started");
    assert_eq!(token, STARTED.as_bytes());
    child
}

/// Runs the payload on the host to its end; what it said after `started`.
///
/// # Panics
/// Where it cannot be started.
#[track_caller]
#[must_use]
pub fn run(uid: u32, args: &[&str]) -> String {
    run_with(uid, args, Stdio::null())
}

/// As [`run`], with this standard input.
///
/// # Panics
/// Where it cannot be started.
#[track_caller]
#[must_use]
pub fn run_with(uid: u32, args: &[&str], stdin: Stdio) -> String {
    said(spawn(uid, args, stdin).wait_with_output())
}

/// As [`run`], with another program than the payload.
///
/// # Panics
/// Where it cannot be started.
#[track_caller]
#[must_use]
pub fn run_program(uid: u32, program: &Path, args: &[&str]) -> String {
    let mut command = command(uid, program, args);
    said(command.stdin(Stdio::null()).output())
}

#[track_caller]
fn said(output: io::Result<Output>) -> String {
    let output = output.expect("a child can be waited for");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rest = text.strip_prefix(STARTED);
    rest.unwrap_or_else(|| panic!("the payload has not started: {output:?}"))
        .to_owned()
}

fn command(uid: u32, program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if uid != 0 {
        command.uid(uid).gid(uid);
    }
    command
}

fn spawn(uid: u32, args: &[&str], stdin: Stdio) -> Child {
    // By descriptor: the directories above it may be closed to the user. It closes at the exec.
    let file = File::open(boxes::payload_on_host()).expect("the payload is there");
    let program = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut command = command(uid, Path::new(&program), args);
    command.stdin(stdin).spawn().expect("the payload starts")
}
