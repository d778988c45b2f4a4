//! One small program for each way to end, with the verdict and the observation that it rests on.

#![expect(clippy::print_stdout, reason = "prints a table")]

use sandbox_exec::{
    Bytes, Command, Exit, Identity, Judgement, Limits, MountFlags, Policy, Quota, RootSpec,
    Sandbox, Stdin, Verdict,
};
use std::{error::Error, time::Duration};

const PROGRAMS: [(&str, Verdict); 8] = [
    ("exit 0", Verdict::Ok),
    ("exit 3", Verdict::RuntimeError(Exit::Code(3))),
    ("while :; do :; done", Verdict::CpuTimeLimit),
    ("sleep 9", Verdict::WallTimeLimit),
    ("x=x; while :; do x=$x$x; done", Verdict::MemoryLimit),
    ("while :; do echo 0123456789; done", Verdict::OutputLimit),
    ("sleep 1 & sleep 1 & sleep 1 & wait", Verdict::ProcessLimit),
    (
        "exec unshare --user true",
        Verdict::SecurityViolation { syscall: None },
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    let limits = Limits::default()
        .cpu_time(Duration::from_millis(200))
        .wall_time(Duration::from_secs(3))
        .memory(Bytes::mib(32))
        .processes(3)
        .output(Bytes::kib(64));
    let shell = Command::new("/bin/sh").env("PATH", "/bin").arg("-c");
    let mut surprises = 0;
    for (script, expected) in PROGRAMS {
        let sandbox = Sandbox::builder()
            .root(RootSpec::minimal(quota).tmpfs("tmp", quota, MountFlags::WRITABLE))
            .identity(Identity::new(60_042, 60_042))
            .limits(limits.clone())
            .policy(Policy::judge())
            .command(&shell.clone().arg(script))?;
        let run = sandbox.run(Stdin::Null, Bytes::kib(64))?;
        let Judgement { verdict, basis, .. } = run.outcome.judgement;
        println!("{script:<36} {verdict:?} by {basis:?}");
        surprises += u32::from(verdict != expected);
    }
    match surprises {
        0 => Ok(()),
        n => Err(format!("{n} programs did not end as expected").into()),
    }
}
