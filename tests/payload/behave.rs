//! Ordinary behaviour.

#![expect(unsafe_code, reason = "forks")]

use std::{io::Write as _, time::Duration};

use crate::Subcommand;

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("exit", exit),
    ("sleep", sleep),
    ("daemon", daemon),
    ("forks", forks),
    ("marker", marker),
];

/// `exit [STATUS]`.
#[expect(clippy::exit, reason = "that is what it is for")]
fn exit(args: &[String]) {
    std::process::exit(
        args.first()
            .map_or(0, |status| status.parse().expect("a number")),
    );
}

/// `sleep MILLISECONDS`.
fn sleep(args: &[String]) {
    let milliseconds = args[0].parse().expect("a number");
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// `daemon SECONDS`: leaves a process in a session of its own behind that keeps the streams open.
fn daemon(args: &[String]) {
    if fork() == 0 {
        // SAFETY: no arguments.
        unsafe { libc::setsid() };
        if fork() == 0 {
            println!("daemon");
            std::io::stdout().flush().expect("open");
            std::thread::sleep(Duration::from_secs(args[0].parse().expect("a number")));
        }
    } else {
        // Long enough to be born: the pause of the main program is not what is tested.
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// `forks COUNT SECONDS`: so many processes that sleep, each a child of the one before, none ever waited for.
fn forks(args: &[String]) {
    let count: u32 = args[0].parse().expect("a number");
    let seconds = args[1].parse().expect("a number");
    for _ in 1..count.min(50) {
        if fork() != 0 {
            break;
        }
    }
    println!("sleeping");
    std::io::stdout().flush().expect("open");
    std::thread::sleep(Duration::from_secs(seconds));
}

/// `marker PATH`: proves in the file system that it ran.
fn marker(args: &[String]) {
    std::fs::write(&args[0], "ran").expect("writable");
}

pub(crate) fn fork() -> i32 {
    // SAFETY: the payload has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    pid
}
