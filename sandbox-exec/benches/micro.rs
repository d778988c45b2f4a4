//! Microbenchmarks of what the parent does before and after a run, without a box: compile once, judge once.
//!
//! `cargo bench -p sandbox-exec --bench micro`. The latency of a whole run is in `latency`.

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use sandbox_exec::{
    Bytes, Command, Evidence, Exit, Hierarchies, Limits, MountFlags, Policy, Quota, RootSpec, judge,
};

fn compile(c: &mut Criterion) {
    c.bench_function("compile the judge policy", |b| {
        b.iter(|| Policy::judge().prepare().expect("the policy compiles"));
    });
    let filter = Policy::judge().prepare().expect("the policy compiles");
    c.bench_function("evaluate one system call in user space", |b| {
        b.iter(|| filter.evaluate(black_box(0xc000_003e), black_box(110), black_box([0; 6])));
    });
    let quota = Quota {
        bytes: Bytes::mib(16),
        inodes: 1_000,
    };
    c.bench_function("compile the minimal root", |b| {
        b.iter(|| {
            let root = RootSpec::minimal(quota).tmpfs("tmp", quota, MountFlags::WRITABLE);
            root.prepare().expect("the root compiles")
        });
    });
    c.bench_function("compile a command", |b| {
        let command = Command::new("/box/a.out").args(["1", "2"]).env("LANG", "C");
        b.iter(|| command.prepare().expect("the command compiles"));
    });
    c.bench_function("discover the cgroup hierarchies", |b| {
        b.iter(|| Hierarchies::discover().expect("the hierarchies can be read"));
    });
}

fn verdict(c: &mut Criterion) {
    let limits = Limits::default()
        .cpu_time(Duration::from_secs(1))
        .memory(Bytes::mib(64));
    let mut evidence = Evidence::empty(Duration::from_millis(5));
    evidence.exit = Some(Exit::Code(0));
    c.bench_function("judge a run", |b| {
        b.iter(|| judge(black_box(&evidence), black_box(&limits)));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    compile(&mut criterion);
    verdict(&mut criterion);
    criterion.final_summary();
}
