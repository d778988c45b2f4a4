//! Whatever kills an embedder, and whenever: no process of it is left, the next start removes the rest, and nobody else's boxes
//! are touched.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sandbox_exec::{
    Bytes, CgroupParent, Finished, Hierarchies, Limits, Stdin, UidPool, Verdict, cgroup::Cgroup,
};
use sandbox_test_support::{Fork, Setup, boxes, host, in_child, leaks, sys, watch::Watched};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

/// How often an embedder is killed.
const POINTS: u32 = 200;

/// How often a bound of time may be missed: what else the machine does only ever makes an end later, never earlier.
const TRIES: usize = 5;

/// With this variable a failing order of kills can be had again.
const SEED: &str = "SANDBOX_TEST_SEED";

/// The one uid of the dying embedders: each needs the lock of the one before.
const UID: u32 = 1_900_100_000;

/// xorshift64: good enough to fall everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// What ends an embedder.
#[derive(Debug, Clone, Copy)]
enum End<'g> {
    Signal(i32),
    /// In these groups.
    OutOfMemory(&'g [PathBuf]),
}

/// Everything that an embedder does with a box, from reading the host to removing the cgroups.
fn whole_life(directory: &Path) -> Result<Finished, sandbox_exec::Error> {
    let pool = UidPool::open(directory, UID..=UID)?;
    let sandbox = Setup::new().in_pool(&pool).sandbox(&["sleep", "3"]);
    sandbox.run(Stdin::Bytes(b"input".to_vec()), boxes::KEEP)
}

/// An embedder that runs box after box until it dies. Returns when that time has come, or is about to come.
fn dying(directory: &Path, end: End, delay: Duration) -> Fork {
    let mut embedder = Fork::start(|pipe| {
        // A piped dump of it would be another process.
        sys::limit_core(1);
        // Rust's own handler survives one that nobody's fault has sent.
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        if let End::OutOfMemory(groups) = end {
            for group in groups {
                fs::write(group.join("cgroup.procs"), "0").expect("root joins what it made");
            }
            thread::spawn(move || {
                thread::sleep(delay);
                let eaten: Vec<_> = (0..64).map(|_| vec![1_u8; 4 << 20]).collect();
                panic!("{} is more than the limit", eaten.len());
            });
        }
        pipe.write_all(b"x").expect("the test listens");
        loop {
            match (whole_life(directory), end) {
                (Ok(run), _) => assert_eq!(run.outcome.judgement.verdict, Verdict::Ok),
                // The kernel may take init before it takes its embedder.
                (Err(_), End::OutOfMemory(_)) => {}
                (Err(error), End::Signal(_)) => panic!("{}", boxes::full(&error)),
            }
        }
    });
    assert_eq!(embedder.read(1), b"x");
    if let End::Signal(_) = end {
        thread::sleep(delay);
    }
    embedder
}

/// How long it takes until this process has no child but `living`. Orphans of whatever namespace come to it, and a box is
/// gone with its init: so nothing else can be left.
#[track_caller]
fn time_until_alone_with(living: i32) -> Duration {
    let started = Instant::now();
    loop {
        sys::reap_all();
        let left = leaks::children();
        if left == [living] {
            return started.elapsed();
        }
        let is_late = started.elapsed() > host::patience(5_000);
        assert!(!is_late, "left: {left:?} beside {living}");
        thread::yield_now();
    }
}

/// The next start removes what these left. What another embedder on the machine is removing just then is left to that one.
#[track_caller]
fn collect(creators: &[u32]) {
    let started = Instant::now();
    loop {
        drop(boxes::sandbox(&["exit"]));
        let left: Vec<_> = creators
            .iter()
            .copied()
            .flat_map(leaks::cgroups_of)
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < host::patience(2_000), "left: {left:?}");
    }
}

fn await_box(embedder: &Fork) -> Watched {
    let watched = Watched::boxes_of(embedder.pid().unsigned_abs());
    assert_eq!(watched.count(), 2, "init and the program");
    watched
}

/// The groups of an embedder that dies of its own memory.
fn small_group() -> (Cgroup, Vec<PathBuf>) {
    let limits = Limits::default().memory(Bytes::mib(48));
    let hierarchies = Hierarchies::host().expect("/proc is mounted");
    let group = Cgroup::create(hierarchies, &CgroupParent::Root, &limits);
    let group = group.expect("root makes groups");
    let paths = group.paths().map(Path::to_owned).collect();
    (group, paths)
}

/// Kills embedders at random moments, as the seed says.
fn kill_everywhere(directory: &Path, seed: u64) {
    let mut random = Random(seed);
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    // One that lives, with a box that must not notice anything.
    let mut living = Fork::start(|pipe| {
        let live = Setup::new()
            .limits(|limits| limits.wall_time = None)
            .live(&["cat"]);
        pipe.write_all(b"x").expect("the test listens");
        // Until this embedder is told to end its box.
        sys::stop_self();
        assert_eq!(live.finish().outcome.judgement.verdict, Verdict::Ok);
        pipe.write_all(b"y").expect("the test listens");
    });
    assert_eq!(living.read(1), b"x");
    let living_box = await_box(&living);

    whole_life(directory).expect("a healthy host");
    let started = Instant::now();
    whole_life(directory).expect("a healthy host");
    // The moments are those of two whole lives, from the first call to what comes after the last.
    let span = u64::try_from(started.elapsed().as_micros()).expect("short") * 2;
    let (group, groups) = small_group();
    let mut creators = Vec::new();
    for point in 0..POINTS {
        let end = match point % 10 {
            9 => End::OutOfMemory(&groups),
            even if even % 2 == 0 => End::Signal(libc::SIGKILL),
            _ => End::Signal(libc::SIGSEGV),
        };
        let delay = Duration::from_micros(random.below(span));
        let mut took = Vec::new();
        while took.last().is_none_or(|took| *took > host::patience(100)) {
            assert!(took.len() < TRIES, "point {point}, {end:?}: {took:?}");
            let embedder = dying(directory, end, delay);
            creators.push(embedder.pid().unsigned_abs());
            match end {
                End::Signal(signal) => embedder.kill_by(signal),
                End::OutOfMemory(_) => embedder.ends_by(libc::SIGKILL),
            }
            took.push(time_until_alone_with(living.pid()));
        }

        collect(&creators);
        creators.clear();
        // Now and then the next start also runs, for which the lock of the only uid must be free; the next of the dying needs
        // that too.
        if point % 10 == 0 {
            let next = whole_life(directory).unwrap_or_else(|error| {
                panic!(
                    "point {point}, {end:?} after {delay:?}: {}",
                    boxes::full(&error)
                )
            });
            assert_eq!(next.outcome.judgement.verdict, Verdict::Ok);
        }
        living_box.assert_alive();
    }
    group.destroy().expect("nobody is in it");
    assert!(!leaks::cgroups_of(living.pid().unsigned_abs()).is_empty());
    sys::kill(living.pid(), libc::SIGCONT);
    assert_eq!(living.read(1), b"y", "its box ended as it should");
    living.join(&[]);
}

#[test]
fn nothing_outlives_an_embedder_that_dies_at_any_moment() {
    if !host::has(&NEEDS) {
        return;
    }
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
    };
    let given = env::var(SEED).map(|text| text.parse().expect("a number"));
    let seed: u64 = given.unwrap_or_else(|_| u64::from(clock().subsec_nanos()) | 1);
    say(&format!("{SEED}={seed}"));
    let directory = directory();
    in_child(|| kill_everywhere(directory.path(), seed));
}

#[expect(clippy::print_stdout, reason = "shown with a failure")]
fn say(text: &str) {
    println!("{text}");
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    directory
}

/// Each of them looks for leftovers at every start, while the other makes groups, fills and removes them.
#[test]
fn embedders_side_by_side_never_touch_each_others_boxes() {
    if !host::has(&NEEDS) {
        return;
    }
    let lives = || {
        Fork::start(|_| {
            for _ in 0..40 {
                let finished = boxes::run(&["sleep", "2"]);
                let judgement = finished.outcome.judgement;
                assert_eq!(judgement.verdict, Verdict::Ok, "{:?}", finished.outcome);
            }
        })
    };
    let mut both = [lives(), lives()];
    for embedder in &mut both {
        let said = embedder.read_to_end();
        embedder.join(&said);
    }
}
