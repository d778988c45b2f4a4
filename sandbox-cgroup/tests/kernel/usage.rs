//! What was used is counted, and charged to nobody else.

use core::time::Duration;

use sandbox_cgroup::{Cgroup, CgroupParent};
use sandbox_core::{
    Bytes, Controller, HierarchyVersion, Limits, MemoryCharge, Reading, Unavailable,
};

use crate::support::{below, create, host, read, readable, shell, spawn, version};

/// Uses about one second of CPU time, however busy the machine is, and dies. `RLIMIT_CPU` counts whole timer ticks: on a
/// busy machine it comes up to 20 % of CPU time too early.
const SPIN: &str = "sh -c 'ulimit -t 1; while :; do :; done'";

#[test]
fn cpu_time_of_the_whole_tree_is_charged_to_its_own_group_only() {
    let busy = create(&Limits::default());
    let idle = create(&Limits::default());
    // Both spinning processes are grandchildren.
    shell(&busy, &format!("{SPIN} & {SPIN} & wait"));
    let used = busy.cpu_time().value().expect("accounted");
    // More than one of them alone could use.
    assert!(used > Duration::from_millis(1400), "{used:?}");
    // A reaped process still runs its last instructions, so the reading may yet grow a little.
    assert!(busy.usage().cpu_time.value() >= Some(used));
    assert_eq!(idle.cpu_time(), Reading::Value(Duration::ZERO));
    busy.destroy().unwrap();
    idle.destroy().unwrap();
}

#[test]
fn an_own_oom_is_counted_and_notified() {
    let cgroup = create(&Limits::default().memory(Bytes::mib(16)));
    let before = cgroup.usage();
    assert_eq!(
        (before.oom_kills, before.memory_limit_hits),
        (Reading::Value(0), Reading::Value(0))
    );
    spawn(
        &cgroup,
        "dd",
        &["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"],
    )
    .wait()
    .unwrap();
    let usage = cgroup.usage();
    assert!(usage.oom_kills.value() > Some(0), "{usage:?}");
    assert!(usage.memory_limit_hits.value() > Some(0), "{usage:?}");
    let peak = usage.memory_peak.value().expect("accounted");
    assert!(peak > Bytes::mib(8) && peak <= Bytes::mib(16), "{peak}");
    match (version(Controller::Memory), cgroup.oom_notifier()) {
        (HierarchyVersion::V1, Some(fd)) => assert!(readable(fd, Duration::ZERO)),
        (HierarchyVersion::V2, None) => assert_eq!(read(&cgroup, "memory.oom.group"), "1"),
        other => panic!("{other:?}"),
    }
    cgroup.destroy().unwrap();
}

#[test]
fn the_notifier_is_silent_while_memory_lasts() {
    let cgroup = create(&Limits::default().memory(Bytes::mib(64)));
    assert!(shell(&cgroup, "exit 0").status.success());
    assert!(
        cgroup
            .oom_notifier()
            .is_none_or(|fd| !readable(fd, Duration::ZERO))
    );
    assert_eq!(cgroup.oom_kills(), Reading::Value(0));
    cgroup.destroy().unwrap();
}

#[test]
fn an_ancestors_oom_is_no_hit_of_the_own_limit() {
    let parent = create(&Limits::default().memory(Bytes::mib(16)));
    let limits = Limits::default().memory(Bytes::mib(256));
    let cgroup = Cgroup::create(host(), &below(&parent), &limits).unwrap();
    spawn(
        &cgroup,
        "dd",
        &["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"],
    )
    .wait()
    .unwrap();
    let usage = cgroup.usage();
    assert!(usage.oom_kills.value() > Some(0), "{usage:?}");
    assert_eq!(usage.memory_limit_hits, Reading::Value(0), "{usage:?}");
    cgroup.destroy().unwrap();
    parent.destroy().unwrap();
}

#[test]
fn what_a_dead_program_left_is_charged_by_kind() {
    let cgroup = create(&Limits::default().memory(Bytes::mib(64)));
    let write = "f=$(mktemp -p /dev/shm) && head -c 8388608 /dev/zero >$f && echo $f";
    let wrote = shell(&cgroup, write);
    let file = String::from_utf8(wrote.stdout).unwrap();
    let charge = || cgroup.usage().memory_charge;
    let left = charge();
    std::fs::remove_file(file.trim()).unwrap();
    let value = |reading: Reading<Bytes>| reading.value().expect("accounted");
    assert!(value(left.shared) >= Bytes::mib(8), "{left:?}");
    assert!(value(left.total) >= value(left.shared), "{left:?}");
    assert!(value(left.page_cache) < Bytes::mib(8), "{left:?}");
    assert!(value(left.anonymous) < Bytes::mib(1), "{left:?}");
    assert!(value(left.kernel) < Bytes::mib(8), "{left:?}");
    assert!(value(charge().shared) < Bytes::mib(1), "{:?}", charge());
    cgroup.destroy().unwrap();
}

#[test]
fn denied_forks_are_counted() {
    let cgroup = create(&Limits::default().processes(3));
    assert_eq!(cgroup.usage().forks_denied, Reading::Value(0));
    shell(&cgroup, "for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait");
    assert!(
        cgroup.usage().forks_denied.value() > Some(0),
        "{:?}",
        cgroup.usage()
    );
    cgroup.destroy().unwrap();
}

#[test]
fn what_was_not_asked_for_reads_as_such_and_never_as_zero() {
    let cgroup = Cgroup::create(host(), &CgroupParent::Root, &Limits::default()).unwrap();
    let usage = cgroup.usage();
    let absent = Unavailable::NotRequested;
    assert_eq!(usage.oom_kills, Reading::Unavailable(absent));
    assert_eq!(usage.memory_peak, Reading::Unavailable(absent));
    assert_eq!(usage.memory_charge, MemoryCharge::unavailable(absent));
    assert_eq!(usage.memory_limit_hits, Reading::Unavailable(absent));
    assert_eq!(usage.forks_denied, Reading::Unavailable(absent));
    assert!(cgroup.oom_notifier().is_none());
    cgroup.destroy().unwrap();
}
