//! Every limit reaches the kernel, and does what it says.

use core::time::Duration;
use std::{os::unix::process::ExitStatusExt as _, time::Instant};

use sandbox_cgroup::{Cgroup, CgroupParent};
use sandbox_core::{Bytes, Controller, ControllerUse, CpuSet, HierarchyVersion, Limits};

use crate::support::{create, host, read, shell, spawn, version};

#[test]
fn every_limit_is_in_its_file() {
    let limits = Limits::default()
        .cpu_time(Duration::from_secs(1))
        .memory(Bytes::mib(64))
        .processes(9)
        .cpu_rate(500)
        .cpu_weight(50)
        .cpus(CpuSet::new([0]));
    let cgroup = create(&limits);
    let memory = Bytes::mib(64).get().to_string();
    match version(Controller::Memory) {
        HierarchyVersion::V1 => {
            assert_eq!(read(&cgroup, "memory.limit_in_bytes"), memory);
            // Sockets are counted apart, and have a small limit of their own.
            let sockets = Bytes::mib(8).get().to_string();
            assert_eq!(read(&cgroup, "memory.kmem.tcp.limit_in_bytes"), sockets);
            // 64 pages above, or memory.failcnt would not count: see usage::an_own_oom_is_counted_and_notified.
            let joint: u64 = read(&cgroup, "memory.memsw.limit_in_bytes")
                .parse()
                .unwrap();
            assert!(
                (1..=4 << 20).contains(&(joint - Bytes::mib(64).get())),
                "{joint}"
            );
        }
        HierarchyVersion::V2 => {
            assert_eq!(read(&cgroup, "memory.max"), memory);
            assert_eq!(read(&cgroup, "memory.swap.max"), "0");
            assert_eq!(read(&cgroup, "memory.oom.group"), "1");
        }
    }
    match version(Controller::Cpu) {
        HierarchyVersion::V1 => {
            assert_eq!(read(&cgroup, "cpu.cfs_quota_us"), "50000");
            assert_eq!(read(&cgroup, "cpu.cfs_period_us"), "100000");
            assert_eq!(read(&cgroup, "cpu.shares"), "512");
        }
        HierarchyVersion::V2 => {
            assert_eq!(read(&cgroup, "cpu.max"), "50000 100000");
            assert_eq!(read(&cgroup, "cpu.weight"), "50");
        }
    }
    assert_eq!(read(&cgroup, "pids.max"), "9");
    assert_eq!(read(&cgroup, "cpuset.cpus"), "0");
    let used = [
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Cpuset,
        Controller::Memory,
        Controller::Pids,
    ];
    let expected = used.map(|controller| ControllerUse {
        controller,
        version: version(controller),
    });
    assert_eq!(cgroup.controllers(), expected);
    cgroup.destroy().unwrap();
}

#[test]
fn the_extreme_weights_come_back_as_written() {
    for weight in [1, 2, 99, 10_000] {
        create(&Limits::default().cpu_weight(weight))
            .destroy()
            .unwrap();
    }
}

#[test]
fn a_memory_bomb_dies_and_its_twin_without_the_limit_lives() {
    let bomb = "dd if=/dev/zero of=/dev/null bs=64M count=1";
    let limited = create(&Limits::default().memory(Bytes::mib(16)));
    let status = spawn(&limited, "dd", &bomb.split(' ').skip(1).collect::<Vec<_>>())
        .wait()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    limited.destroy().unwrap();
    let free = create(&Limits::default());
    assert!(shell(&free, bomb).status.success());
    free.destroy().unwrap();
}

#[test]
fn a_fork_beyond_the_limit_fails() {
    let script = "for i in 1 2 3 4 5 6; do sleep 0 & done; wait; echo done";
    let limited = create(&Limits::default().processes(3));
    assert!(!shell(&limited, script).status.success());
    limited.destroy().unwrap();
    let free = create(&Limits::default().processes(60));
    assert_eq!(shell(&free, script).stdout, b"done\n");
    free.destroy().unwrap();
}

#[test]
fn the_rate_slows_a_spin_down() {
    let cgroup = create(&Limits::default().cpu_rate(200));
    let start = Instant::now();
    let output = shell(
        &cgroup,
        "exec timeout -s KILL 1.5 sh -c 'while :; do :; done'",
    );
    let wall = start.elapsed();
    assert!(!output.status.success(), "the spin had to be ended");
    let cpu = cgroup.cpu_time().value().expect("accounted");
    // 20 % is asked for. Two CPUs may each use a slice of the quota beyond it in a slow machine's first period.
    assert!(cpu < wall * 6 / 10, "{cpu:?} of {wall:?}");
    let stat = read(&cgroup, "cpu.stat");
    let throttled = stat
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    assert_ne!(throttled, Some("0"), "{stat}");
    cgroup.destroy().unwrap();
}

#[test]
fn the_payload_sees_only_its_cpus() {
    let cgroup = create(&Limits::default().cpus(CpuSet::new([0])));
    let output = shell(&cgroup, "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Cpus_allowed_list:\t0\n"
    );
    cgroup.destroy().unwrap();
}

/// A share of CPU time of its own keeps a box from taking another for each session that it opens.
#[test]
fn without_limits_a_run_has_accounting_and_its_own_share_of_cpu_time() {
    let cgroup = Cgroup::create(host(), &CgroupParent::default(), &Limits::default()).unwrap();
    let expected = [Controller::Cpu, Controller::Cpuacct].map(|controller| ControllerUse {
        controller,
        version: version(controller),
    });
    assert_eq!(cgroup.controllers(), expected);
    cgroup.destroy().unwrap();
}
