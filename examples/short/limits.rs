//! Each limit once, on a program that notices: it is killed, refused, slowed down, or told when it asks.

#![expect(clippy::print_stdout, reason = "prints a table")]

use sandbox_exec::{
    Bytes, Command, CpuSet, Identity, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox, Stdin,
};
use std::{error::Error, time::Duration};

const SPIN: &str = "while :; do :; done";
const BOMB: &str = "x=x; while :; do x=$x$x; done";
const FORK: &str = "sleep 1 & sleep 1 & wait";
const CHATTER: &str = "while :; do echo 0123456789; done";
const COUNT: &str = "i=0; while [ $i -lt 99999 ]; do i=$((i + 1)); done";
const WRITE: &str = "exec head -c 9999 /dev/zero >/tmp/file";

fn main() -> Result<(), Box<dyn Error>> {
    let (ms, mib, kib) = (Duration::from_millis, Bytes::mib, Bytes::kib);
    let five = || Limits::default().wall_time(ms(5_000));
    let cases = [
        ("cpu_time", five().cpu_time(ms(200)), SPIN),
        ("wall_time", five().wall_time(ms(200)), "sleep 9"),
        ("idle_time", five().idle_time(ms(200)), "sleep 9"),
        ("memory", five().memory(mib(16)), BOMB),
        ("processes", five().processes(2), FORK),
        ("output", five().output(kib(4)), CHATTER),
        ("cpu_rate", five().cpu_rate(200), COUNT),
        ("cpu_weight", five().cpu_weight(10), COUNT),
        ("cpus", five().cpus(CpuSet::new([0])), "nproc"),
        ("file_size", five().file_size(kib(4)), WRITE),
        ("open_files", five().open_files(10), "ulimit -n"),
        ("stack", five().stack(mib(1)), "ulimit -s"),
        ("address_space", five().address_space(mib(64)), "ulimit -v"),
    ];
    let shell = Command::new("/bin/sh").env("PATH", "/bin").arg("-c");
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    for (name, limits, script) in cases {
        let sandbox = Sandbox::builder()
            .root(RootSpec::minimal(quota).tmpfs("tmp", quota, MountFlags::WRITABLE))
            .identity(Identity::new(60_042, 60_042))
            .limits(limits)
            .policy(Policy::judge())
            .command(&shell.clone().arg(script))?;
        let run = sandbox.run(Stdin::Null, Bytes::new(16))?;
        let (judged, seen) = (run.outcome.judgement, run.outcome.evidence);
        let (wall, cpu) = (seen.wall_time, seen.cpu_time);
        println!("{name}: {:?} by {:?}", judged.verdict, judged.basis);
        println!("    wall {wall:?}, CPU {cpu:?}, {:?}", seen.controllers);
        println!("    printed {:?}", String::from_utf8_lossy(&run.stdout));
    }
    Ok(())
}
