//! Processes inside of groups.

use core::time::Duration;
use std::{
    fs, io,
    os::{fd::BorrowedFd, unix::process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use sandbox_cgroup::{Cgroup, CgroupParent, Hierarchies};
use sandbox_core::{ChildStep as _, Controller, HierarchyVersion, Limits};

pub(crate) fn host() -> &'static Hierarchies {
    Hierarchies::host().expect("/proc is mounted")
}

pub(crate) fn create(limits: &Limits) -> Cgroup {
    Cgroup::create(host(), &CgroupParent::Root, limits).expect("root can make groups")
}

pub(crate) fn version(controller: Controller) -> HierarchyVersion {
    host()
        .version(controller)
        .expect("the machines we test on have all five controllers")
}

/// A parent that accounts and limits as `limits` say, for groups below it.
pub(crate) fn below(parent: &Cgroup) -> CgroupParent {
    let name = parent
        .paths()
        .next()
        .and_then(|path| path.file_name())
        .expect("one group at least");
    CgroupParent::Path(name.into())
}

/// Starts a program that joins every group by writing before it executes.
#[expect(
    unsafe_code,
    reason = "pre_exec runs between fork and exec, as apply is made for"
)]
pub(crate) fn spawn(cgroup: &Cgroup, program: &str, arguments: &[&str]) -> Child {
    let entry = cgroup.prepare().expect("descriptors open").by_write();
    let join = move || {
        entry
            .apply()
            .map_err(|fault| io::Error::from_raw_os_error(fault.errno.raw()))
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // SAFETY: `apply` is async-signal-safe by the promise of `ChildStep`.
    unsafe { command.pre_exec(join) };
    command
        .spawn()
        .expect("the program exists and the groups take it")
}

/// Runs a shell script to its end inside of the groups.
pub(crate) fn shell(cgroup: &Cgroup, script: &str) -> std::process::Output {
    spawn(cgroup, "/bin/sh", &["-c", script])
        .wait_with_output()
        .expect("a child can be waited for")
}

/// The path of `file` in the group that has it.
pub(crate) fn file(cgroup: &Cgroup, file: &str) -> PathBuf {
    let found = cgroup
        .paths()
        .map(|path| path.join(file))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no group has {file}"))
}

pub(crate) fn read(cgroup: &Cgroup, name: &str) -> String {
    fs::read_to_string(file(cgroup, name))
        .expect("readable")
        .trim()
        .to_owned()
}

/// Whether a descriptor becomes readable in time.
#[expect(unsafe_code, reason = "poll has no safe wrapper in std")]
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    use std::os::fd::AsRawFd as _;
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let milliseconds = i32::try_from(timeout.as_millis()).expect("short");
    // SAFETY: `entry` is one live pollfd, as the count says.
    let ready = unsafe { libc::poll(&raw mut entry, 1, milliseconds) };
    ready == 1
}

/// A process whose standard output has just been read to its end without success is gone: nobody holds the pipe.
pub(crate) fn read_to_end(child: &mut Child) -> String {
    io::read_to_string(child.stdout.take().expect("piped")).expect("a pipe can be read")
}

/// Whether `controller` is on v2 here; says so where a test has nothing to prove because it is not.
///
/// `SANDBOX_TEST_HOST` declares the machine (CONTRIBUTING.md): a machine that lost what it is declared to have fails.
#[expect(
    clippy::print_stderr,
    reason = "a skipped test must not look like a passed one"
)]
pub(crate) fn needs_v2(controller: Controller) -> bool {
    let found = version(controller) == HierarchyVersion::V2;
    let name = format!("{controller:?}").to_lowercase();
    let declared = std::env::var("SANDBOX_TEST_HOST").unwrap_or_default();
    let on_v2 = declared
        .split(',')
        .find_map(|item| item.strip_prefix("v2:"));
    let promised = on_v2.is_some_and(|list| list.split('+').any(|one| one == name));
    assert!(
        found || !promised,
        "SANDBOX_TEST_HOST declares v2:{name}, which this machine lacks"
    );
    if !found {
        eprintln!("skipped: needs v2:{name}");
    }
    found
}
