//! A box is cloned while other threads hold every lock there is: the copy must not wait for one of them.

use std::{
    collections::HashMap,
    hint::black_box,
    io::{self, Write as _},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use sandbox_exec::{Stdin, Verdict};
use sandbox_test_support::{
    boxes, host, in_child,
    leaks::{self, Snapshot},
    sys,
};

/// A lock that is never released again in the copy would hold a start up for a minute, until its deadline.
fn longest() -> Duration {
    host::patience(20_000)
}

/// Takes and releases the allocator's lock in all its arenas: small, large, growing, mapped.
fn allocate(stop: &AtomicBool, count: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let mut map = HashMap::new();
        for size in [1_usize, 100, 5_000, 200_000] {
            map.insert(size, black_box(vec![0_u8; size]));
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Holds the lock of standard output, of the environment and of the resolver most of the time.
fn print(stop: &AtomicBool, count: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let mut stdout = io::stdout().lock();
        stdout.flush().expect("open");
        black_box(std::env::vars_os().count());
        black_box(format!("{:?}", thread::current()));
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn two_hundred_boxes_beside_four_busy_threads() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let count: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let busy = [allocate, allocate, allocate, print];
        let threads = busy.map(|work| thread::spawn(move || work(stop, count)));
        let sandbox = boxes::sandbox(&["cat"]);
        // Fewer where the machine is emulated, for the time that they take there.
        for number in 0..if host::is_emulated() { 30 } else { 200 } {
            let started = Instant::now();
            let text = format!("{number}\n");
            let finished = sandbox
                .run(Stdin::Bytes(text.clone().into_bytes()), boxes::KEEP)
                .unwrap_or_else(|error| panic!("box {number}: {}", boxes::full(&error)));
            assert_eq!(
                finished.outcome.judgement.verdict,
                Verdict::Ok,
                "box {number}"
            );
            assert_eq!(boxes::said(&finished), text);
            assert!(
                started.elapsed() < longest(),
                "box {number} waited for a lock"
            );
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert!(count.load(Ordering::Relaxed) > 200, "the threads were busy");
        leaks::await_single_thread();
        drop(sandbox);
        Snapshot::take().assert_same(&before);
    });
}

/// An embedder may fork without an exec, as a server with worker processes does. Such a copy holds all of its descriptors,
/// those of a start that another thread is in the middle of too; the start must not wait for their end.
#[test]
fn a_copy_of_the_embedder_does_not_hold_a_start_up() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let forker = thread::spawn(|| {
            let mut copies = Vec::new();
            while !stop.load(Ordering::Relaxed) && copies.len() < 200 {
                match sys::fork() {
                    0 => loop {
                        thread::park();
                    },
                    copy => copies.push(copy),
                }
            }
            copies
        });
        let sandbox = boxes::sandbox(&["exit"]);
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let started = Instant::now();
            let finished = boxes::finish(&sandbox);
            assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
            slowest = slowest.max(started.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        let copies = forker.join().expect("no panic");
        leaks::await_single_thread();
        for copy in &copies {
            sys::kill(*copy, libc::SIGKILL);
            sys::wait(*copy);
        }
        assert!(copies.len() > 10, "there were copies at all times");
        assert!(slowest < longest(), "a start took {slowest:?}");
        drop(sandbox);
        Snapshot::take().assert_same(&before);
    });
}
