//! The judge of the README: runs a program on one test and compares what it prints with the answer.

#![expect(clippy::print_stdout, reason = "prints the verdict")]

use sandbox_exec::{
    Bytes, Command, Identity, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox, Stdin, Verdict,
};
use std::{env, error::Error, fs, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let [program, input, answer] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: quickstart PROGRAM INPUT ANSWER".into());
    };
    let quota = Quota {
        bytes: Bytes::mib(16),
        inodes: 1_000,
    };
    let limits = Limits::default()
        .cpu_time(Duration::from_secs(2))
        .wall_time(Duration::from_secs(5))
        .memory(Bytes::mib(256))
        .processes(16)
        .output(Bytes::mib(8));
    let sandbox = Sandbox::builder()
        .root(RootSpec::minimal(quota).bind(program, "box/program", MountFlags::empty()))
        .identity(Identity::new(60_042, 60_042))
        .limits(limits)
        .policy(Policy::judge())
        .command(&Command::new("/box/program"))?;
    let run = sandbox.run(Stdin::Fd(fs::File::open(input)?.into()), Bytes::mib(8))?;
    let judgement = run.outcome.judgement;
    match judgement.verdict {
        Verdict::Ok if run.stdout == fs::read(answer)? => println!("accepted"),
        Verdict::Ok => println!("wrong answer"),
        other => println!("{other}, because of {:?}", judgement.basis),
    }
    println!("CPU time: {:?}", run.outcome.evidence.cpu_time);
    Ok(())
}
