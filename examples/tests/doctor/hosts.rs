//! Hosts that lack something, made of this one without changing it.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Output},
    time::Duration,
};

use sandbox_exec::{
    Bytes, Command, Exit, Identity, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox, Stdin,
};

use crate::said::{Doctor, Said};

/// Starts what follows as an ordinary user without groups.
pub(crate) const ORDINARY: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];

/// Starts what follows in a user namespace whose root has done this first.
pub(crate) fn in_a_user_namespace(first: &str) -> Vec<&str> {
    // The words after a script of sh are $0 and the rest: the doctor and its options.
    let script: &'static str = Box::leak(format!("{first} && exec \"$0\" \"$@\"").into_boxed_str());
    vec![
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
    ]
}

/// Runs the doctor as the program of a judge's box.
pub(crate) fn in_a_box() -> Said {
    let quota = Quota {
        bytes: Bytes::mib(16),
        inodes: 100,
    };
    let limits = Limits::default()
        .cpu_time(Duration::from_secs(20))
        .wall_time(Duration::from_secs(60))
        .memory(Bytes::mib(256))
        .processes(16)
        .output(Bytes::mib(1));
    let doctor = Doctor::new();
    let root = RootSpec::minimal(quota).bind(doctor.path(), "doctor", MountFlags::empty());
    let finished = Sandbox::builder()
        .root(root)
        .identity(Identity::new(60_077, 60_077))
        .limits(limits)
        .policy(Policy::judge())
        .command(&Command::new("/doctor").arg("--json"))
        .and_then(|sandbox| sandbox.run(Stdin::Null, Bytes::mib(1)))
        .expect("the box starts");
    let status = match finished.outcome.evidence.exit {
        Some(Exit::Code(code)) => ExitStatus::from_raw(i32::from(code) << 8),
        other => panic!("the doctor ended as {other:?}"),
    };
    Said::from(&Output {
        status,
        stdout: finished.stdout,
        stderr: finished.stderr,
    })
}
