//! Every field of `Limits`: a run that fails if the field is ignored, and the same run without it.

use core::time::Duration;
use std::thread;

use sandbox_exec::{Basis, Bytes, CpuSet, Evidence, Exit, Finished, MountFlags, Quota, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, host};

/// What a look at a clock may come too late.
fn slack() -> Duration {
    host::patience(20)
}

/// How often a bound of time may be missed: what else the machine does only ever makes a run later, never earlier.
const TRIES: usize = 5;

fn cpus() -> u32 {
    let count = thread::available_parallelism().expect("known").get();
    u32::try_from(count).expect("few")
}

fn cpu_time(finished: &Finished) -> Duration {
    finished
        .outcome
        .evidence
        .cpu_time
        .value()
        .expect("measured")
}

/// Runs until the overshoot is within the bound.
#[track_caller]
fn assert_prompt(bound: Duration, mut overshoot: impl FnMut() -> Duration) {
    let seen: Vec<_> = (0..TRIES)
        .map(|_| overshoot())
        .take_while(|seen| *seen > bound)
        .collect();
    assert!(
        seen.len() < TRIES,
        "past the limit by {seen:?}, allowed are {bound:?}"
    );
}

#[test]
fn cpu_time_ends_a_spinner_promptly() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let limit = Duration::from_millis(300);
    for threads in ["1", "4"] {
        let setup = Setup::new().limits(|limits| limits.cpu_time = Some(limit));
        assert_prompt(slack() * cpus(), || {
            let finished = setup.run(&["spin", "9000", threads]);
            assert_judged(&finished, Verdict::CpuTimeLimit, Basis::CpuReading);
            cpu_time(&finished)
                .checked_sub(limit)
                .expect("not before its time")
        });
        let twin = Setup::new()
            .limits(|limits| limits.cpu_time = None)
            .run(&["spin", "500", threads]);
        assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
        assert!(cpu_time(&twin) > limit);
    }
}

/// A sleeper under a limit of time: ended by it promptly, measured by `time`.
#[track_caller]
fn assert_sleeper_ended(
    setup: &Setup,
    limit: Duration,
    verdict: (Verdict, Basis),
    time: fn(&Evidence) -> Duration,
) {
    assert_prompt(slack(), || {
        let finished = setup.run(&["sleep", "10000"]);
        assert_judged(&finished, verdict.0, verdict.1);
        // Dying costs CPU time, which the last reading of idle time no longer has.
        time(&finished.outcome.evidence).saturating_sub(limit)
    });
    let twin = Setup::new().run(&["sleep", "500"]);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    assert!(time(&twin.outcome.evidence) > limit);
}

#[test]
fn wall_time_ends_a_sleeper_promptly() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let limit = Duration::from_millis(250);
    let setup = Setup::new().limits(|limits| limits.wall_time = Some(limit));
    let verdict = (Verdict::WallTimeLimit, Basis::WallReading);
    assert_sleeper_ended(&setup, limit, verdict, |evidence| evidence.wall_time);
}

#[test]
fn idle_time_ends_a_sleeper_promptly() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let limit = Duration::from_millis(250);
    let setup = Setup::new().limits(|limits| limits.idle_time = Some(limit));
    let verdict = (Verdict::IdleTimeLimit, Basis::IdleReading);
    assert_sleeper_ended(&setup, limit, verdict, |evidence| {
        evidence.idle_time().value().expect("measured")
    });
}

#[test]
fn memory_is_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.memory = Some(Bytes::mib(24)));
    let finished = setup.run(&["memory", "48"]);
    assert_judged(&finished, Verdict::MemoryLimit, Basis::OomKill);
    let peak = finished
        .outcome
        .evidence
        .memory_peak
        .value()
        .expect("measured");
    assert!(peak <= Bytes::mib(24) && peak > Bytes::mib(20), "{peak}");

    let twin = Setup::new().run(&["memory", "48"]);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    let peak = twin.outcome.evidence.memory_peak.value().expect("measured");
    assert!(peak >= Bytes::mib(48), "{peak}");
}

#[test]
fn processes_are_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    for (limit, expected) in [(4, "threads 3"), (9, "threads 8"), (64, "threads 12")] {
        let setup = Setup::new().limits(|limits| limits.processes = Some(limit));
        let finished = setup.run(&["thread-bomb", "12"]);
        assert_eq!(boxes::said(&finished).trim_end(), expected);
        let denied = finished
            .outcome
            .evidence
            .forks_denied
            .value()
            .expect("counted");
        assert_eq!(denied > 0, limit < 12, "{denied}");
    }
}

#[test]
fn output_is_limited_to_the_byte() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let limit = 10_000;
    let setup = Setup::new().limits(|limits| limits.output = Some(Bytes::new(limit)));
    let started = boxes::STARTED.len() as u64;
    for (stream, already) in [("1", started), ("2", 0)] {
        let write = |bytes: u64| setup.run(&["write", stream, &(bytes - already).to_string()]);
        assert_judged(&write(limit), Verdict::Ok, Basis::ExitStatus);
        assert_judged(&write(limit - 1), Verdict::Ok, Basis::ExitStatus);
        let over = write(limit + 1);
        assert_judged(&over, Verdict::OutputLimit, Basis::OutputCount);
    }
    let twin = Setup::new().run(&["write", "1", &(limit * 2).to_string()]);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
}

#[test]
fn cpu_rate_slows_a_spinner() {
    if !host::has(&["root", "memory", "pids", "cpuacct", "cpu"]) {
        return;
    }
    // CPU time per wall time of two threads that have a second.
    let share = |rate| {
        let setup = Setup::new().limits(|limits| {
            limits.cpu_rate = rate;
            limits.wall_time = Some(Duration::from_secs(1));
        });
        let finished = setup.run(&["spin", "9000", "2"]);
        assert_judged(&finished, Verdict::WallTimeLimit, Basis::WallReading);
        cpu_time(&finished).as_secs_f64() / finished.outcome.evidence.wall_time.as_secs_f64()
    };
    // In an emulated machine, throttling comes late.
    let most = if host::is_emulated() { 0.3 } else { 0.16 };
    let slowed = share(Some(100));
    assert!(slowed < most, "a tenth of a CPU, got {slowed}");
    let free = (0..TRIES).map(|_| share(None)).find(|share| *share > 0.3);
    assert!(free.is_some(), "without the limit it never got more");
}

#[test]
fn cpu_weight_decides_between_boxes() {
    if !host::has(&["root", "memory", "pids", "cpuacct", "cpu", "cpuset"]) {
        return;
    }
    // Two spinners on one CPU for the same second: how many times more the first one got. The start of a program costs both
    // alike; where that is dear, they have more seconds.
    let together = Duration::from_millis(if host::is_emulated() { 5_000 } else { 1_200 });
    let ratio = |weights: [Option<u32>; 2]| {
        let spin = |weight| {
            let setup = Setup::new().limits(|limits| {
                limits.cpu_weight = weight;
                limits.cpus = Some(CpuSet::new([0]));
                limits.wall_time = Some(together);
            });
            thread::spawn(move || cpu_time(&setup.run(&["spin", "9000", "1"])).as_secs_f64())
        };
        let [first, second] = weights.map(spin).map(|run| run.join().expect("it ran"));
        first / second
    };
    let favoured = ratio([Some(1000), Some(50)]);
    assert!(
        favoured > 4.0,
        "twenty times the weight got {favoured} times the time"
    );
    let even = ratio([None, None]);
    assert!((0.4..2.5).contains(&even), "without weights: {even}");
}

#[test]
fn cpus_are_restricted() {
    if !host::has(&["root", "memory", "pids", "cpuacct", "cpuset"]) {
        return;
    }
    let last = u16::try_from(cpus() - 1).expect("few");
    let setup = Setup::new().limits(|limits| limits.cpus = Some(CpuSet::new([last])));
    let finished = setup.run(&["cpus"]);
    assert_eq!(boxes::said(&finished), format!("[{last}]\n"));

    let twin = boxes::said(&Setup::new().run(&["cpus"]));
    assert_eq!(
        twin.split(',').count(),
        usize::try_from(cpus()).expect("few"),
        "{twin}"
    );
}

#[test]
fn file_size_is_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let fill = |setup: Setup| {
        let quota = Quota {
            bytes: Bytes::mib(16),
            inodes: 10,
        };
        let setup = setup.root(|root| root.tmpfs("disk", quota, MountFlags::WRITABLE).keep("disk"));
        let finished = setup.run(&["fill", "/disk/file", "2"]);
        let file = finished.kept[0].open("file").expect("it is there");
        (file.metadata().expect("readable").len(), finished)
    };
    let limit = Bytes::kib(300);
    let (size, finished) = fill(Setup::new().limits(|limits| limits.file_size = Some(limit)));
    assert_eq!(size, limit.get());
    assert_judged(&finished, Verdict::OutputLimit, Basis::Sigxfsz);

    let (size, twin) = fill(Setup::new());
    assert_eq!(size, 2 << 20);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
}

#[test]
fn open_files_are_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let setup = Setup::new().limits(|limits| limits.open_files = Some(20));
    let said = boxes::said(&setup.run(&["descriptors", "100"]));
    assert_eq!(said, format!("dup 17 errno {}\n", libc::EMFILE));
    assert_eq!(
        boxes::said(&Setup::new().run(&["descriptors", "100"])),
        "dup 100\n"
    );
}

#[test]
fn the_stack_is_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let args = ["stack", "2000"];
    let finished = Setup::new()
        .limits(|limits| limits.stack = Some(Bytes::mib(1)))
        .run(&args);
    let Verdict::RuntimeError(Exit::Signal { signo, .. }) = finished.outcome.judgement.verdict
    else {
        panic!("{:?}", finished.outcome);
    };
    assert_eq!(signo, libc::SIGSEGV);
    assert_eq!(boxes::said(&finished), "");

    let twin = Setup::new().run(&args);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    assert!(boxes::said(&twin).starts_with("stack: ok"));
}

#[test]
fn address_space_is_limited() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let args = ["map", "512"];
    let setup = Setup::new().limits(|limits| limits.address_space = Some(Bytes::mib(256)));
    assert_eq!(
        boxes::said(&setup.run(&args)),
        format!("mmap: errno {}\n", libc::ENOMEM)
    );
    assert_eq!(boxes::said(&Setup::new().run(&args)), "mmap: ok 512\n");
}
