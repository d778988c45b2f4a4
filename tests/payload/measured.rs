//! Known amounts of CPU time, wall time and memory, told by the program itself: the truth for tests/measure.

#![expect(unsafe_code, reason = "maps and touches memory")]

use std::{fs::File, io::Write as _, sync::atomic::Ordering, thread, time::Duration};

use crate::{
    Subcommand,
    raw::{call, exit, fork, number, say, shared, text, until_stdin_ends, wait},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("measured-cpu", |args| {
        cpu(text(args, 0), number(args, 1), number(args, 2));
    }),
    ("measured-wall", |args| wall(number(args, 0))),
    ("measured-memory", |args| {
        memory(text(args, 0), number(args, 1), args.get(2));
    }),
];

const PAGE: usize = 4096;
const BLOCK: usize = 1 << 16;

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = [0_u64; 2];
    let id = usize::try_from(id).expect("a constant");
    let args = [id, time.as_mut_ptr().addr(), 0, 0, 0, 0];
    call(libc::SYS_clock_gettime, args).expect("the clock exists");
    time[0] * 1_000_000_000 + time[1]
}

/// CPU time of this process since its clone, all threads together.
fn own_cpu() -> u64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn spin(millis: usize) {
    crate::raw::burn(Duration::from_millis(millis as u64));
}

/// Burns in system calls: reads of zeros.
fn spin_system(millis: usize) {
    let start = clock(libc::CLOCK_THREAD_CPUTIME_ID);
    let mut zeros = vec![0_u8; 1 << 16];
    let mut zero = File::open("/dev/zero").expect("the box has /dev/zero");
    while clock(libc::CLOCK_THREAD_CPUTIME_ID) - start < millis as u64 * 1_000_000 {
        std::io::Read::read_exact(&mut zero, &mut zeros).expect("zeros");
    }
}

/// `measured-cpu KIND MILLISECONDS COUNT`: says the nanoseconds that all processes of the run have burnt.
fn cpu(kind: &str, millis: usize, count: usize) {
    let end = cost_of_an_end();
    let unseen_ends = match kind {
        "nothing" => 1,
        "user" => {
            spin(millis);
            1
        }
        "system" => {
            spin_system(millis);
            1
        }
        "threads" => {
            thread::scope(|scope| {
                for _ in 0..count {
                    scope.spawn(|| spin(millis));
                }
            });
            1
        }
        "children" => {
            let children: Vec<_> = (0..count).map(|_| child(|| spin(millis))).collect();
            for child in children {
                wait(child).expect("a child to wait for");
            }
            1
        }
        "orphans" => return orphans(millis, count, end),
        other => panic!("no kind {other}"),
    };
    say(format!(
        "cpu {}",
        own_cpu() + of_children() + unseen_ends * end
    ));
}

fn child(work: impl FnOnce()) -> usize {
    match fork().expect("fork") {
        0 => {
            work();
            exit(0)
        }
        child => child,
    }
}

/// CPU time of the children that were waited for, their ends included; getrusage(2) has microseconds.
fn of_children() -> u64 {
    // SAFETY: an all-zero `rusage` is valid.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: `usage` is live and filled.
    let ret = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(ret, 0, "getrusage");
    let nanos =
        |time: libc::timeval| (time.tv_sec * 1_000_000_000 + time.tv_usec * 1000).unsigned_abs();
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

/// What the end of a process costs, which it cannot time itself: what is charged for a child beyond its own last look.
fn cost_of_an_end() -> u64 {
    let told = shared();
    let before = of_children();
    let child = child(|| told.store(own_cpu(), Ordering::SeqCst));
    wait(child).expect("a child to wait for");
    (of_children() - before).saturating_sub(told.load(Ordering::SeqCst))
}

/// Orphans, which nobody here can wait for, report their own clocks as the last thing that they do.
fn orphans(millis: usize, count: usize, end: u64) {
    let (sum, reports) = (shared(), shared());
    let parents: Vec<_> = (0..count)
        .map(|_| {
            child(|| {
                child(|| {
                    spin(millis);
                    sum.fetch_add(own_cpu(), Ordering::SeqCst);
                    reports.fetch_add(1, Ordering::SeqCst);
                });
            })
        })
        .collect();
    for parent in parents {
        wait(parent).expect("a child to wait for");
    }
    while reports.load(Ordering::SeqCst) < count as u64 {
        thread::sleep(Duration::from_millis(1));
    }
    let unseen_ends = count as u64 + 1;
    let seen = own_cpu() + of_children() + sum.load(Ordering::SeqCst);
    say(format!("cpu {}", seen + unseen_ends * end));
}

/// `measured-wall MILLISECONDS`: sleeps, and says how long it was there, by its own look at the clock.
fn wall(millis: usize) {
    let start = clock(libc::CLOCK_MONOTONIC);
    thread::sleep(Duration::from_millis(millis as u64));
    say(format!("wall {}", clock(libc::CLOCK_MONOTONIC) - start));
}

/// `measured-memory KIND BYTES [hold]`: touches so many bytes, says so, and holds them until standard input ends.
fn memory(kind: &str, bytes: usize, hold: Option<&String>) {
    let held = || {
        say(format!("touched {bytes}"));
        if hold.is_some() {
            until_stdin_ends();
        }
    };
    match kind {
        "nothing" => held(),
        "heap" => {
            // Below the allocator's threshold for mappings of their own.
            let blocks: Vec<_> = (0..bytes / BLOCK).map(|_| vec![1_u8; BLOCK]).collect();
            held();
            drop(core::hint::black_box(blocks));
        }
        "mmap" => {
            touch(map(bytes, libc::MAP_PRIVATE), bytes);
            held();
        }
        "shared" => {
            touch(map(bytes, libc::MAP_SHARED), bytes);
            held();
        }
        "stack" => on_a_stack(bytes, &held),
        "memfd" => {
            let name = c"measured".as_ptr().addr();
            let fd = call(libc::SYS_memfd_create, [name, 0, 0, 0, 0, 0]).expect("memfd_create");
            let fd = i32::try_from(fd).expect("a descriptor");
            // SAFETY: the descriptor was just made and has no other owner.
            let mut file: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
            write(&mut file, bytes);
            held();
        }
        "file" => {
            // Where it lies says what it is: a tmpfs is memory of its own, a disk has its pages in the cache.
            let mut file = File::create("/data/measured").expect("the box has /data");
            write(&mut file, bytes);
            held();
        }
        "children" => {
            let ready = shared();
            let count = 4;
            let mut children = Vec::with_capacity(count);
            for _ in 0..count {
                match fork().expect("fork") {
                    0 => {
                        touch(map(bytes / count, libc::MAP_PRIVATE), bytes / count);
                        ready.fetch_add(1, Ordering::SeqCst);
                        // All have theirs at once, or the peak would be less.
                        while ready.load(Ordering::SeqCst) < count as u64 + 1 {
                            thread::sleep(Duration::from_millis(1));
                        }
                        exit(0);
                    }
                    child => children.push(child),
                }
            }
            while ready.load(Ordering::SeqCst) < count as u64 {
                thread::sleep(Duration::from_millis(1));
            }
            held();
            ready.fetch_add(1, Ordering::SeqCst);
            for child in children {
                wait(child).expect("a child to wait for");
            }
        }
        other => panic!("no kind {other}"),
    }
}

fn map(bytes: usize, sharing: i32) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = sharing | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let start = unsafe { libc::mmap(core::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    assert!(start != libc::MAP_FAILED, "mmap");
    start.cast()
}

fn touch(start: *mut u8, bytes: usize) {
    for offset in (0..bytes).step_by(PAGE) {
        // SAFETY: inside of the mapping of `bytes` bytes.
        let byte = unsafe { start.add(offset) };
        // SAFETY: as above; nobody else has the mapping.
        unsafe { byte.write_volatile(1) };
    }
}

/// One page per call, until so many bytes of the stack are touched.
fn on_a_stack(bytes: usize, held: &dyn Fn()) {
    #[inline(never)]
    fn deeper(target: usize, held: &dyn Fn()) {
        let frame = core::hint::black_box([1_u8; PAGE]);
        if frame.as_ptr().addr() > target {
            deeper(target, held);
        } else {
            held();
        }
        core::hint::black_box(&frame);
    }
    let here = 0_u8;
    deeper((&raw const here).addr() - bytes, held);
}

fn write(file: &mut File, bytes: usize) {
    let block = vec![7_u8; BLOCK];
    for _ in 0..bytes / BLOCK {
        file.write_all(&block).expect("room for it");
    }
}
