//! The host's side: the payload without a box, and what the host sees of a box.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
};

use crate::boxes::{self, STARTED};

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

/// The payload on the host, as this user; 0 is root itself. Nothing of the test is inherited but what has no close-on-exec.
///
/// # Panics
/// Where it cannot be started.
#[track_caller]
#[must_use]
pub fn start(uid: u32, args: &[&str]) -> Child {
    let (child, _file) = spawn(uid, args, Stdio::piped());
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
    let (child, _file) = spawn(uid, args, stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rest = text.strip_prefix(STARTED);
    rest.unwrap_or_else(|| panic!("the payload has not started: {output:?}"))
        .to_owned()
}

fn spawn(uid: u32, args: &[&str], stdin: Stdio) -> (Child, File) {
    // By descriptor: the directories above it may be closed to the user.
    let file = File::open(boxes::payload_on_host()).expect("the payload is there");
    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    command
        .args(args)
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if uid != 0 {
        command.uid(uid).gid(uid);
    }
    (command.spawn().expect("the payload starts"), file)
}
