//! Ways into a group.

use std::{fs, os::fd::AsRawFd as _};

use sandbox_core::{Bytes, ChildStep as _, Controller, Explain as _, HierarchyVersion, Limits};

use crate::support::{create, file, needs_v2, read, spawn, version};

#[test]
fn the_payload_is_in_every_group_before_it_executes() {
    let limits = Limits::default()
        .memory(Bytes::mib(64))
        .processes(5)
        .cpu_weight(10);
    let cgroup = create(&limits);
    let mut child = spawn(&cgroup, "sleep", &["60"]);
    for path in cgroup.paths() {
        let procs = fs::read_to_string(path.join("cgroup.procs")).unwrap();
        assert_eq!(procs.trim(), child.id().to_string(), "{}", path.display());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    cgroup.destroy().unwrap();
}

#[test]
#[expect(unsafe_code, reason = "clone3 has no wrapper")]
fn a_v2_group_is_entered_by_clone() {
    if !needs_v2(Controller::Pids) {
        return;
    }
    let cgroup = create(&Limits::default().processes(5));
    let entry = cgroup.prepare().unwrap();
    let directory = entry
        .clone_into()
        .expect("kernels with v2 alone have CLONE_INTO_CGROUP");
    // SAFETY: an all-zero `clone_args` is valid.
    let mut args: libc::clone_args = unsafe { core::mem::zeroed() };
    args.flags = sandbox_core::sys::CLONE_INTO_CGROUP;
    args.exit_signal = u64::try_from(libc::SIGCHLD).unwrap();
    args.cgroup = u64::try_from(directory.as_raw_fd()).unwrap();
    // SAFETY: without CLONE_VM this is a fork; the child below makes async-signal-safe calls only.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    if pid == 0 {
        let status = i32::from(entry.apply().is_err());
        if status != 0 {
            sandbox_core::sys::exit_now(status);
        }
        loop {
            // SAFETY: pause takes nothing.
            unsafe { libc::pause() };
        }
    }
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    assert_eq!(read(&cgroup, "cgroup.procs"), pid.to_string());
    cgroup.kill().unwrap();
    let mut status = 0;
    // SAFETY: `status` is a live int.
    let reaped = unsafe { libc::waitpid(i32::try_from(pid).unwrap(), &raw mut status, 0) };
    assert_eq!(i64::from(reaped), pid);
    assert_eq!(libc::WTERMSIG(status), libc::SIGKILL);
    cgroup.destroy().unwrap();
}

#[test]
fn descriptors_are_those_of_the_entry_and_none_holds_the_lock() {
    let cgroup = create(&Limits::default().memory(Bytes::mib(64)).processes(5));
    let entry = cgroup.prepare().unwrap();
    let names = |fds: Vec<i32>| -> Vec<String> {
        let name = |fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        fds.into_iter()
            .map(|fd| name(fd).file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let plain = names(entry.descriptors());
    match version(Controller::Pids) {
        HierarchyVersion::V1 => assert!(plain.iter().all(|name| name == "tasks"), "{plain:?}"),
        HierarchyVersion::V2 => assert_eq!(plain.len(), 1),
    }
    let entry = entry.by_write();
    assert!(entry.clone_into().is_none());
    let written = names(entry.descriptors());
    assert!(
        written
            .iter()
            .all(|name| name == "tasks" || name == "cgroup.procs"),
        "{written:?}"
    );
    for (index, fd) in (0_u16..).zip(entry.descriptors()) {
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        assert_eq!(
            entry.explain(index),
            format!("write 0 to {}", path.display())
        );
    }
    drop(entry);
    cgroup.destroy().unwrap();
}

#[test]
fn a_group_that_is_gone_is_a_fault_with_its_index() {
    let cgroup = create(&Limits::default().processes(5));
    let last = file(&cgroup, "pids.max").with_file_name("");
    let entry = cgroup.prepare().unwrap().by_write();
    cgroup.destroy().unwrap();
    let fault = entry.apply().unwrap_err();
    assert_eq!((fault.index, fault.errno.raw()), (0, libc::ENODEV));
    let name = last.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(entry.explain(0).contains(&name), "{}", entry.explain(0));
}
