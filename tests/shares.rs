//! What the cgroup of a run keeps from its neighbours beside the limits that were asked for: CPU time, and memory in sockets.

use std::{fs, path::PathBuf};

use sandbox_exec::{Bytes, Verdict};
use sandbox_test_support::{Setup, boxes, host, leaks, outside, setup::Live};

const NEEDS: [&str; 5] = ["root", "memory", "pids", "cpuacct", "cpu"];

/// How long the two compete, in milliseconds: long beside the start of a program, which counts and takes ten times as long in
/// an emulated machine.
fn time() -> String {
    let time = if host::is_emulated() { 6000 } else { 1500 };
    time.to_string()
}

/// How many sessions the greedy one opens.
const SESSIONS: &str = "16";

/// `cgroup.procs` of the root of the hierarchy that shares the CPUs out.
fn root_of_cpu() -> PathBuf {
    let groups = leaks::own_cgroups();
    let shares = |group: &&PathBuf| {
        ["cpu.shares", "cpu.weight"]
            .iter()
            .any(|file| group.join(file).exists())
    };
    let group = groups.iter().find(shares).expect("every run has one");
    let root = group.parent().expect("made in the root");
    root.join("cgroup.procs")
}

/// The part of one CPU that a single process gets beside a box of many sessions, of what the two get.
fn share_beside_a_storm(in_own_group: bool) -> f64 {
    // Each of them must be able to spend the whole time that it is given, and nothing else may end it.
    let start = |sessions: &str| -> Live {
        let setup = Setup::new();
        let uid = setup.identity.uid;
        let live = setup.live(&["compete", "0", &time(), sessions]);
        if !in_own_group {
            // Its children will be born where it is: in no group, as if there were no cpu controller.
            let processes = outside::processes_of(uid);
            let [one] = processes[..] else {
                panic!("one process, not {processes:?}")
            };
            fs::write(root_of_cpu(), one.to_string()).expect("root moves whom it wants");
        }
        live
    };
    let both = [start("1"), start(SESSIONS)];
    let burning = both.map(|mut live| {
        live.end_input();
        live
    });
    let [single, storm] = burning.map(|mut live| {
        let said = live.line();
        assert_eq!(live.finish().outcome.judgement.verdict, Verdict::Ok);
        let burnt = said.strip_prefix("burnt ").expect("what it got");
        burnt.parse::<f64>().expect("milliseconds")
    });
    single / (single + storm)
}

#[test]
fn many_sessions_get_no_more_cpu_time_than_one() {
    if !host::has(&NEEDS) {
        return;
    }
    let share = share_beside_a_storm(true);
    assert!(share > 0.3, "half is fair; it got {share}");
    let twin = share_beside_a_storm(false);
    assert!(twin < 0.2, "without a group, {twin}");
}

/// What a box could put into sockets that nobody reads, in bytes; `None` where it was ended for its memory.
fn held_in(what: &str, memory: Option<Bytes>) -> Option<u64> {
    let finished = Setup::new()
        .limits(|limits| limits.memory = memory)
        .run(&[what, MIB_IN_SOCKETS]);
    if finished.outcome.judgement.verdict == Verdict::MemoryLimit {
        assert_eq!(boxes::said(&finished), "");
        return None;
    }
    let said = boxes::said(&finished);
    let held = said.trim_end().strip_prefix("held ").expect("what it got");
    Some(held.parse().expect("bytes"))
}

const MIB_IN_SOCKETS: &str = "96";

/// Unix sockets are charged like all memory of the kernel.
#[test]
fn unix_sockets_count_as_memory() {
    if !host::has(&NEEDS) {
        return;
    }
    assert_eq!(held_in("unix-buffers", Some(Bytes::mib(32))), None);
    assert!(held_in("unix-buffers", None) >= Some(96 << 20), "the twin");
}

/// v1 counts TCP apart and enforces that limit softly: every pair of sockets keeps a little (80 KiB were seen), so that the
/// number of descriptors bounds the rest.
#[test]
fn tcp_buffers_are_bounded() {
    if !host::has(&NEEDS) {
        return;
    }
    let held = held_in("tcp-buffers", Some(Bytes::mib(32)));
    assert!(held < Some(48 << 20), "held {held:?}");
    assert!(held_in("tcp-buffers", None) >= Some(96 << 20), "the twin");
}
