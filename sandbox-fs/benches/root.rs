//! What building a root costs per run: wall and system time, teardown included, with 1, 8 and 64 rules, beside bubblewrap
//! making the same mounts in the same run. `cargo bench -p sandbox-fs --bench root`, as root; `-- --quick` for a short look.
//!
//! System time is that of the child, from its birth in a mount namespace of its own to its end, where the mounts die with
//! it; what a child costs that does nothing is measured beside it.

#![expect(unsafe_code, reason = "forks, and reads what children used")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sandbox_core::{Bytes, ChildStep as _, sys::exit_now};
use sandbox_fs::{MountFlags, Quota, RootSpec, Trees};

const QUOTA: Quota = Quota {
    bytes: Bytes::mib(1),
    inodes: 400,
};

#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    system: Duration,
    /// Of all rounds: what it takes where nothing else runs.
    least: Duration,
}

/// User and system time of all children that have ended; the kernel tells them apart by ticks, so only their sum is exact.
fn children() -> Duration {
    // SAFETY: an all-zero `rusage` is valid.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `used` is live.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut used) };
    let time = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(micros.unsigned_abs())
    };
    time(used.ru_utime) + time(used.ru_stime)
}

/// Forks, runs `work` in the copy and waits for it.
fn in_copy(work: impl FnOnce() -> bool) {
    // SAFETY: the process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        exit_now(i32::from(!work()));
    }
    let mut status = 0;
    // SAFETY: the status is live.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(status, 0, "the child failed");
}

fn own_mounts() -> bool {
    // SAFETY: takes a number.
    unsafe { libc::unshare(libc::CLONE_NEWNS) == 0 }
}

/// Interleaved, so that a machine that drifts does so for all; the medians.
fn measure(rounds: usize, jobs: &mut [Box<dyn FnMut() + '_>]) -> Vec<Cost> {
    let mut walls = vec![Vec::with_capacity(rounds); jobs.len()];
    let mut system = walls.clone();
    for round in 0..rounds + 5 {
        for (number, job) in jobs.iter_mut().enumerate() {
            let (used, begun) = (children(), Instant::now());
            job();
            if round >= 5 {
                walls[number].push(begun.elapsed());
                system[number].push(children() - used);
            }
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let costs = walls
        .iter_mut()
        .zip(&mut system)
        .map(|(walls, system)| Cost {
            wall: median(walls),
            least: system.iter().min().copied().unwrap_or_default(),
            system: median(system),
        });
    costs.collect()
}

fn binds(source: &Path, program: &Path, count: usize) -> RootSpec {
    let targets = (0..count).map(|n| PathBuf::from(format!("d{n}")));
    let spec = RootSpec::new(QUOTA).bind(program, "true", MountFlags::empty());
    targets.fold(spec, |spec, target| {
        spec.bind(source, target, MountFlags::empty())
    })
}

fn become_true() -> bool {
    let argv = [c"true".as_ptr(), std::ptr::null()];
    // SAFETY: the path is a live C string, the arguments end with a null pointer.
    unsafe { libc::execv(c"/true".as_ptr(), argv.as_ptr()) == 0 }
}

fn bubblewrap(source: &Path, program: &Path, count: usize) -> Option<Command> {
    let bwrap = Path::new("/usr/bin/bwrap");
    if !bwrap.exists() {
        return None;
    }
    let mut command = Command::new(bwrap);
    for n in 0..count {
        command.arg("--ro-bind").arg(source).arg(format!("/d{n}"));
    }
    // The name chooses what busybox does.
    command.arg("--ro-bind").arg(program).arg("/true");
    command.arg("/true").stdin(Stdio::null());
    Some(command)
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let rounds = if quick { 40 } else { 400 };
    let source = std::env::temp_dir().join(format!("sandbox-fs-bench-{}", std::process::id()));
    fs::create_dir(&source).expect("a fresh name");
    // Static, so that it needs no library in the box.
    let program = Path::new("/bin/busybox");
    let mut plain = || in_copy(|| true);
    let mut namespace = || in_copy(own_mounts);
    let none = MountFlags::empty();
    let bare = RootSpec::new(QUOTA);
    let steps = [
        ("an empty root", bare.clone()),
        ("with a bind", bare.clone().bind("/usr", "usr", none)),
        ("with proc", bare.clone().proc("proc")),
        ("with /dev", bare.dev("dev")),
        ("the minimal root", RootSpec::minimal(QUOTA)),
    ];
    let plans = steps.map(|(name, spec)| (name, spec.prepare().expect("good rules")));
    let mut jobs: Vec<Box<dyn FnMut() + '_>> = vec![Box::new(&mut plain), Box::new(&mut namespace)];
    for (_, plan) in &plans {
        jobs.push(Box::new(move || {
            let instance = plan.instantiate(Trees::FromParent).expect("root");
            in_copy(|| own_mounts() && instance.apply().is_ok());
        }));
    }
    let costs = measure(rounds, &mut jobs);
    drop(jobs);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let names = ["fork", "fork, unshare(NEWNS)"].into_iter();
    let names = names.chain(plans.iter().map(|(name, _)| *name));
    for (name, cost) in names.zip(&costs) {
        let (wall, system) = (micros(cost.wall), micros(cost.system));
        let least = micros(cost.least) - micros(costs[1].least);
        let own = system - micros(costs[1].system);
        println!(
            "{name:22} {wall:7.0} us wall {system:7.0} us CPU; by itself {own:5.0}, at least {least:5.0}"
        );
    }

    if !program.exists() {
        println!("not run: a static /bin/busybox is what runs in the boxes (busybox-static)");
        fs::remove_dir(&source).expect("ours");
        return;
    }
    for count in [1, 8, 64] {
        let mut command = bubblewrap(&source, program, count);
        let plan = binds(&source, program, count)
            .prepare()
            .expect("good rules");
        let mut ours = || {
            let instance = plan.instantiate(Trees::FromParent).expect("root");
            in_copy(|| own_mounts() && instance.apply().is_ok() && become_true());
        };
        let mut jobs: Vec<Box<dyn FnMut() + '_>> = vec![Box::new(&mut ours)];
        if let Some(command) = &mut command {
            jobs.push(Box::new(|| {
                let status = command.status().expect("bwrap starts");
                assert!(status.success(), "bwrap: {status}");
            }));
        }
        let costs = measure(rounds, &mut jobs);
        let wall = micros(costs[0].wall);
        print!(
            "{count:2} rules {wall:7.0} us wall {:7.0} us CPU",
            micros(costs[0].system)
        );
        match costs.get(1) {
            Some(theirs) => println!(
                "; bwrap {:7.0} us wall {:7.0} us CPU, {:.2} of it",
                micros(theirs.wall),
                micros(theirs.system),
                wall / micros(theirs.wall)
            ),
            None => println!("; bwrap is not installed"),
        }
    }
    fs::remove_dir(&source).expect("ours");
}
