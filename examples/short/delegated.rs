//! A memory limit for an ordinary user: in a group of cgroup v2 that was handed over, as `Delegate=yes` of systemd does.
//!
//! `systemd-run --user --scope -p Delegate=yes target/debug/examples/delegated`, on a host with nothing but v2.

#![expect(clippy::print_stdout, reason = "shows the verdict")]

use sandbox_exec::{
    Bytes, CgroupParent, Command, Hierarchies, Identity, Limits, Policy, Quota, RootSpec, Sandbox,
    Stdin, UserMap, Verdict,
};
use std::{error::Error, time::Duration};

const EATER: &str = "x=x; while :; do x=$x$x; done";

fn main() -> Result<(), Box<dyn Error>> {
    // From here on this process is in a child of its group, and boxes can be made beside it.
    let mut delegation = Hierarchies::delegate_self()?;
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    let limits = Limits::default()
        .wall_time(Duration::from_secs(60))
        .memory(Bytes::mib(32))
        .processes(8);
    let run = Sandbox::builder()
        .root(RootSpec::minimal(quota))
        .user_map(UserMap::own())
        .identity(Identity::new(0, 0))
        .cgroup_parent(CgroupParent::Own)
        .limits(limits)
        .policy(Policy::judge())
        .command(&Command::new("/bin/sh").args(["-c", EATER]))?
        .run(Stdin::Null, Bytes::kib(4))?;
    println!("{:?}", run.outcome.judgement);
    println!("peak: {:?}", run.outcome.evidence.memory_peak);
    delegation.undo()?;
    match run.outcome.judgement.verdict {
        Verdict::MemoryLimit => Ok(()),
        other => Err(format!("{other:?} where the memory limit was to be met").into()),
    }
}
