//! Nothing is allocated or freed between `clone3(2)` and `execve(2)`: an allocator that refuses to serve anybody but the
//! process that armed it. A test program of its own, since an allocator is one per program.

#![expect(
    unsafe_code,
    reason = "a global allocator, shared memory, and chains of the test's own"
)]
#![expect(
    clippy::print_stdout,
    reason = "without libtest, the report is printed here"
)]

use core::{
    alloc::{GlobalAlloc, Layout},
    convert::Infallible,
    hint::black_box,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering},
};
use std::{alloc::System, os::fd::OwnedFd, time::Duration};

use sandbox_exec::{
    Bytes, Command, Error, IdRange, Identity, Landlock, MountFlags, Output, Plan, Policy,
    Requester, RootSpec, Sandbox, Stdin, UserMap, Verdict,
    child::{Chain, Child, Cloned, standard_chain},
    core::{Host, StepFailure},
};
use sandbox_test_support::{
    boxes::{self, capture},
    faults, host, in_fresh_child, sys,
};

/// Exit status of a copy that allocates.
const TRIPPED: i32 = 99;

/// The only process that may allocate; 0 while nobody is watched.
static ARMED: AtomicI32 = AtomicI32::new(0);

/// How many copies have tripped, in memory that they share with this process.
static TRIPS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

struct Tripwire;

impl Tripwire {
    fn step_on() {
        let armed = ARMED.load(Ordering::Relaxed);
        // SAFETY: no arguments. In a box this is 1 or 2, which `arm` makes sure is somebody else.
        if armed == 0 || unsafe { libc::getpid() } == armed {
            return;
        }
        // SAFETY: null, or the live mapping that `arm` made.
        if let Some(trips) = unsafe { TRIPS.load(Ordering::Relaxed).as_ref() } {
            trips.fetch_add(1, Ordering::Relaxed);
        }
        let text = b"ALLOC IN CHILD\n";
        // SAFETY: a live text of that length. A closed stream is as good: the count is what the test reads.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        sys::exit_now(TRIPPED);
    }
}

// SAFETY: the system's allocator, with a look at the process id before.
unsafe impl GlobalAlloc for Tripwire {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::step_on();
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // A free takes the allocator's lock as well.
        Self::step_on();
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::step_on();
        // SAFETY: passed on as it came.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Tripwire = Tripwire;

/// Makes the shared count. Later copies of this process share it too.
fn map_count() {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh anonymous mapping that nothing else knows.
    let page = unsafe { libc::mmap(core::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED, "mmap");
    TRIPS.store(page.cast(), Ordering::Relaxed);
}

fn trips() -> u32 {
    // SAFETY: made by `map_count` before the first test and never unmapped.
    unsafe { &*TRIPS.load(Ordering::Relaxed) }.swap(0, Ordering::Relaxed)
}

/// From here on nobody but this process may allocate.
fn arm() {
    let own = std::process::id().cast_signed();
    assert!(own > 2, "in a box the ids 1 and 2 are taken");
    ARMED.store(own, Ordering::Relaxed);
}

fn disarm() {
    ARMED.store(0, Ordering::Relaxed);
}

/// Runs the work with the wire armed and fails where a copy has stepped on it.
#[track_caller]
fn watched<T>(work: impl FnOnce() -> T) -> T {
    arm();
    let result = work();
    disarm();
    assert_eq!(trips(), 0, "a copy of the embedder allocated");
    result
}

/// The roads that a start can take: a root with every kind of rule, kept directories, bytes as input, ends by itself and by
/// a kill.
fn every_road() {
    let rich = boxes::root()
        .file("etc/motd", "hello", sandbox_exec::fs::FileMode::Plain)
        .symlink("etc/link", "motd")
        .dir("srv/empty")
        .proc_full("full")
        .bind("/nowhere", "optional", MountFlags::OPTIONAL)
        .keep("tmp");
    let build = |root: RootSpec, policy: Policy, args: &[&str]| {
        Sandbox::builder()
            .host_name("tripwire")
            .root(root)
            .identity(boxes::identity())
            .limits(boxes::limits().wall_time(Duration::from_millis(500)))
            .policy(policy)
            .command(&boxes::command(args).env("A", "B"))
            .expect("a good box")
    };
    let good = build(rich, Policy::judge().report_kills(), &["cat"]);
    let slow = build(boxes::root(), Policy::judge(), &["forks", "5", "60"]);
    watched(|| {
        let finished = good
            .run(Stdin::Bytes(b"text".to_vec()), boxes::KEEP)
            .expect("it runs");
        assert_eq!(
            finished.outcome.judgement.verdict,
            Verdict::Ok,
            "{:?}",
            finished.outcome
        );
        assert_eq!(finished.kept.len(), 1);
        let killed = slow.run(Stdin::Null, Bytes::new(3)).expect("it starts");
        assert_eq!(killed.outcome.judgement.verdict, Verdict::WallTimeLimit);
        drop(
            slow.spawn(Stdin::Null, capture(), capture())
                .expect("it starts"),
        );
        let (read, write): (OwnedFd, OwnedFd) = sys::pipe();
        let streams = good
            .spawn(Stdin::Fd(read), Output::Null, Output::Null)
            .expect("it starts");
        drop(write);
        streams.wait().expect("it ends");
    });
}

/// Without a filter, in the host's network, in a user namespace, on behalf of a requester.
fn every_weaker_road() {
    let start = || {
        Sandbox::builder()
            .root(boxes::root())
            .identity(Identity::new(1_000, 1_000))
            .limits(boxes::limits())
    };
    let command = boxes::command(&["exit"]);
    let unfiltered = start()
        .dangerous()
        .without_seccomp()
        .dangerous()
        .share_network();
    let range = || IdRange {
        inside: 0,
        outside: 300_000,
        count: 2_000,
    };
    let map = UserMap {
        uids: vec![range()],
        gids: vec![range()],
    };
    let mapped = start().policy(Policy::judge()).user_map(map);
    let requester = Requester {
        uid: 1_000,
        gid: 1_000,
        groups: vec![1_000],
    };
    watched(|| {
        for builder in [unfiltered, mapped] {
            let finished = boxes::finish(&builder.command(&command).expect("a good box"));
            assert_eq!(
                finished.outcome.judgement.verdict,
                Verdict::Ok,
                "{:?}",
                finished.outcome
            );
        }
        // A copy of the embedder opens the sources for it.
        RootSpec::minimal(boxes::QUOTA)
            .requester(requester)
            .prepare()
            .expect("everybody may read /usr");
    });
}

/// The ways round what a kernel lacks. In a copy, for a process probes once.
fn every_road_of_an_older_kernel() {
    in_fresh_child(|| {
        let found = Host::probe_without(|host| {
            host.mount_setattr = false;
            host.clone_into_cgroup = false;
            host.cgroup_kill = false;
        });
        assert!(found.is_ok_and(|host| !host.mount_setattr));
        every_road();
        every_weaker_road();
    });
}

/// The way out is as bare as the way in: each stage fails once.
fn every_failure() {
    for fault in faults::all() {
        if !host::has(&[fault.needs]) {
            continue;
        }
        in_fresh_child(|| {
            let sandbox = Sandbox::builder()
                .root(boxes::root())
                .landlock(Landlock::optional())
                .identity(Identity::new(faults::PAYLOAD_ID, faults::PAYLOAD_ID))
                .limits(boxes::limits())
                .policy(Policy::judge())
                .command(&boxes::command(&["exit"]))
                .expect("a good box");
            fault.injection.install();
            watched(|| match sandbox.run(Stdin::Null, boxes::KEEP) {
                Err(Error::Setup(failure)) => assert_eq!(failure.stage, fault.stage),
                other => panic!("{:?} should fail: {other:?}", fault.stage),
            });
        });
    }
    let bad = [
        boxes::command(&["exit"]).work_dir("/nowhere"),
        Command::new("/nowhere"),
        Command::new("/usr"),
    ];
    for command in bad {
        let sandbox = boxes::builder(boxes::limits())
            .command(&command)
            .expect("checked later");
        let failed = watched(|| sandbox.run(Stdin::Null, boxes::KEEP));
        assert!(matches!(failed, Err(Error::Setup(_))));
    }
}

fn allocates_in_init(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    drop(black_box(String::from("x")));
    standard_chain(child, plan)
}

fn frees_in_init(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    // SAFETY: never done: the wire is stepped on before anything is freed.
    unsafe { ALLOCATOR.dealloc(core::ptr::null_mut(), Layout::new::<u64>()) };
    standard_chain(child, plan)
}

fn allocates_in_payload(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    let (framed, frame) = child
        .await_release(plan.init)?
        .isolate(plan.namespaces)?
        .frame_root(plan.root)?;
    let joined = framed.fork_payload(plan.init, frame, plan.namespaces)?;
    drop(black_box(vec![1_u8]));
    let unprivileged = joined.limit(plan.rlimits)?.drop_privileges(plan.identity)?;
    unprivileged
        .attach_stdio()?
        .confine(plan.landlock)?
        .dangerous()
        .seal_unfiltered(plan.image)?
        .execve(plan.image)
}

/// The proof that the wire works: chains that do what no chain may.
fn the_wire_trips() {
    let sandbox = boxes::sandbox(&["exit"]);
    let chains: [(&str, Chain); 3] = [
        ("init allocates", allocates_in_init),
        ("init frees", frees_in_init),
        ("the payload allocates", allocates_in_payload),
    ];
    for (name, chain) in chains {
        arm();
        // SAFETY: it breaks the promise on purpose; the allocator ends the copy before it takes any lock.
        let started = unsafe { sandbox.spawn_with(chain, Stdin::Null, capture(), capture()) };
        disarm();
        assert!(
            matches!(started, Err(Error::Vanished)),
            "{name}: {started:?}"
        );
        assert_eq!(trips(), 1, "{name}");
    }
}

fn main() {
    map_count();
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let tests: [(&str, fn()); 5] = [
        // First, before this process itself probes.
        (
            "every_road_of_an_older_kernel",
            every_road_of_an_older_kernel,
        ),
        ("the_wire_trips", the_wire_trips),
        ("every_road", every_road),
        ("every_weaker_road", every_weaker_road),
        ("every_failure", every_failure),
    ];
    // cargo passes a filter, as to any test program.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, test) in tests {
        if wanted
            .as_ref()
            .is_none_or(|wanted| name.contains(wanted.as_str()))
        {
            test();
            println!("test {name} ... ok");
        }
    }
}
