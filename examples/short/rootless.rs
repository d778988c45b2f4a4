//! A box without root: in a user namespace, an ordinary user is 0 inside and has no right outside.

#![expect(clippy::print_stdout, reason = "shows what the box sees")]

use sandbox_exec::{
    Bytes, CgroupParent, Command, Identity, Limits, Policy, Quota, RootSpec, Sandbox, Stdin,
    UserMap,
};
use std::{error::Error, os::unix::process::CommandExt as _, process, time::Duration};

const NOBODY: u32 = 65_534;
const SCRIPT: &str = "grep -E '^(Uid|CapEff|CapBnd|Seccomp):' /proc/self/status; hostname; ls /";
const ADVICE: &str = "Are user namespaces forbidden? See sysctl user.max_user_namespaces, \
    kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns.";

fn main() -> Result<(), Box<dyn Error>> {
    let map = UserMap::own();
    if map.uids[0].outside == 0 {
        println!("started by root: again as uid {NOBODY}, without groups");
        // Not by its path, whose directories may be root's alone.
        let mut again = process::Command::new("/proc/self/exe");
        let status = again.uid(NOBODY).gid(NOBODY).current_dir("/").status()?;
        return if status.success() {
            Ok(())
        } else {
            Err("the box did not start".into())
        };
    }
    println!("uid {} outside is 0 inside", map.uids[0].outside);
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    let shell = Command::new("/bin/sh").env("PATH", "/bin").arg("-c");
    let run = Sandbox::builder()
        .root(RootSpec::minimal(quota))
        .user_map(map)
        .identity(Identity::new(0, 0))
        // Limits of cgroups need a delegated one, `CgroupParent::Path`; clocks and rlimits need none.
        .cgroup_parent(CgroupParent::Own)
        .limits(Limits::default().wall_time(Duration::from_secs(5)))
        .policy(Policy::judge())
        .command(&shell.arg(SCRIPT))
        .and_then(|sandbox| sandbox.run(Stdin::Null, Bytes::kib(64)))
        .inspect_err(|_| println!("{ADVICE}"))?;
    println!("{}", String::from_utf8_lossy(&run.stdout));
    println!("{:?}", run.outcome.judgement);
    Ok(())
}
