//! Attacks by and on processes.

#![expect(unsafe_code, reason = "sets a signal handler")]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    Subcommand,
    raw::{
        burn, call, exit, fork, number, report, say, shared, thread_cpu_time, until_stdin_ends,
        wait,
    },
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("fork-bomb", |args| fork_bomb(number(args, 0) as u64)),
    ("thread-bomb", |args| thread_bomb(number(args, 0))),
    ("spin", |args| spin(number(args, 0), number(args, 1))),
    ("spin-system", |args| spin_system(number(args, 0))),
    ("spin-catching-xcpu", |args| {
        spin_catching_xcpu(number(args, 0));
    }),
    ("orphan-spin", |args| orphan_spin(number(args, 0))),
    ("orphans", |args| orphans(number(args, 0))),
    ("orphans-unreaped", |args| {
        adopt_orphans();
        orphans(number(args, 0));
    }),
    ("compete", |args| {
        compete(number(args, 0), number(args, 1), number(args, 2));
    }),
    ("stop-self", |_| stop_self()),
    ("kill", kill),
    ("kill-everyone", |_| kill_everyone()),
    ("ptrace-child", |_| ptrace_child()),
    ("ptrace-attach", |args| ptrace_attach(number(args, 0))),
    ("limit-child", |_| limit_other(None)),
    ("limit", |args| limit_other(Some(number(args, 0)))),
    ("become-root", |_| become_root()),
    ("hurry", |_| hurry()),
];

/// Every process forks for as long as it may, until `most` attempts are made. One line says how the first of them ended; the
/// bomb then stands until standard input ends.
fn fork_bomb(most: u64) {
    let (attempts, made) = (shared(), shared());
    let first = std::process::id();
    let refused = loop {
        if attempts.fetch_add(1, Ordering::SeqCst) >= most {
            break None;
        }
        match fork() {
            Ok(0) => _ = made.fetch_add(1, Ordering::SeqCst),
            Ok(_) => {}
            Err(errno) => break Some(errno),
        }
    };
    if std::process::id() != first {
        loop {
            call(libc::SYS_pause, [0; 6]).ok();
        }
    }
    while refused.is_none() && made.load(Ordering::SeqCst) < most {
        std::thread::sleep(Duration::from_millis(1));
    }
    match refused {
        Some(errno) => say(format!("refused {errno}")),
        None => say("all made"),
    }
    until_stdin_ends();
    exit(usize::from(refused.is_some()));
}

fn thread_bomb(most: usize) {
    let mut made = 0;
    while made < most {
        let sleep = || std::thread::sleep(Duration::from_secs(60));
        match std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(sleep)
        {
            Ok(_) => made += 1,
            Err(_) => break,
        }
    }
    say(format!("threads {made}"));
    until_stdin_ends();
    exit(usize::from(made < most));
}

/// `threads` threads burn `millis` of CPU time each.
fn spin(millis: usize, threads: usize) {
    let amount = Duration::from_millis(millis as u64);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| burn(amount));
        }
    });
    say("spun to the end");
}

/// Burns CPU inside the kernel.
fn spin_system(millis: usize) {
    let start = thread_cpu_time();
    let mut zeros = vec![0_u8; 1 << 20];
    let zero = std::fs::File::open("/dev/zero");
    let Ok(mut zero) = zero else {
        return say("no /dev/zero");
    };
    while thread_cpu_time() - start < Duration::from_millis(millis as u64) {
        drop(std::io::Read::read(&mut zero, &mut zeros));
    }
    say("spun to the end");
}

extern "C" fn ignore_it(_: libc::c_int) {}

fn spin_catching_xcpu(millis: usize) {
    let handler: extern "C" fn(libc::c_int) = ignore_it;
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { libc::signal(libc::SIGXCPU, handler as libc::sighandler_t) };
    spin(millis, 1);
}

/// The main process waits; its grandchild, which nobody will ever wait for, burns.
fn orphan_spin(millis: usize) {
    let done = shared();
    if fork() == Ok(0) {
        if fork() == Ok(0) {
            burn(Duration::from_millis(millis as u64));
            done.store(1, Ordering::SeqCst);
        }
        exit(0);
    }
    while done.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    say("spun to the end");
}

/// Orphans come to this process instead of to init, and it never waits for them.
fn adopt_orphans() {
    let option = libc::PR_SET_CHILD_SUBREAPER.unsigned_abs() as usize;
    call(libc::SYS_prctl, [option, 1, 0, 0, 0, 0]).expect("prctl");
}

/// So many short-lived grandchildren that only their reaper can make room after, one after the other.
fn orphans(count: usize) {
    let patiently = || {
        let started = Instant::now();
        loop {
            // init reaps in its own time: a refusal that passes is no failure.
            match fork() {
                Err(libc::EAGAIN) if started.elapsed() < Duration::from_secs(2) => {
                    std::thread::yield_now();
                }
                other => break other,
            }
        }
    };
    for made in 0..count {
        let ended_well = patiently().is_ok_and(|child| {
            if child == 0 {
                exit(usize::from(patiently().is_err()));
            }
            wait(child) == Ok(0)
        });
        if !ended_well {
            say(format!("refused after {made}"));
            exit(1);
        }
    }
    say("all reaped");
}

/// When standard input ends, so many sessions of one process each burn on one CPU for some time; how much they got.
fn compete(cpu: usize, millis: usize, sessions: usize) {
    let mask = [1_u64 << cpu];
    let address = mask.as_ptr().addr();
    call(
        libc::SYS_sched_setaffinity,
        [0, size_of_val(&mask), address, 0, 0, 0],
    )
    .expect("the CPU is there");
    until_stdin_ends();
    let until = Instant::now() + Duration::from_millis(millis as u64);
    let burnt = shared();
    let children: Vec<_> = (0..sessions)
        .map(|_| burn_in_session(until, burnt))
        .collect();
    for child in children {
        wait(child).expect("our child");
    }
    say(format!(
        "burnt {}",
        burnt.load(Ordering::SeqCst) / 1_000_000
    ));
}

fn burn_in_session(until: Instant, burnt: &AtomicU64) -> usize {
    let child = fork().expect("fork");
    if child == 0 {
        // With autogroup, each session has a share of its own.
        call(libc::SYS_setsid, [0; 6]).expect("a child leads no group");
        while Instant::now() < until {
            burn(Duration::from_millis(1));
        }
        let nanos = thread_cpu_time().as_nanos();
        burnt.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::SeqCst);
        exit(0);
    }
    child
}

fn stop_self() {
    report("stop", signal(std::process::id() as usize, libc::SIGSTOP));
    say("went on");
}

fn signal(pid: usize, signal: libc::c_int) -> Result<usize, i32> {
    call(
        libc::SYS_kill,
        [pid, signal.unsigned_abs() as usize, 0, 0, 0, 0],
    )
}

/// Signals a process by number, then says so and lives on.
fn kill(args: &[String]) {
    report("kill", signal(number(args, 0), libc::SIGKILL));
}

/// `kill(-1, SIGKILL)` from a child, which it spares no more than anyone: who survives is whom it could not reach.
fn kill_everyone() {
    assert!(nix_uid() != 0, "as root this would end the machine");
    // kill(-1) spares the caller.
    report("kill", signal(usize::MAX, libc::SIGKILL));
    say("alone");
}

fn nix_uid() -> usize {
    call(libc::SYS_geteuid, [0; 6]).unwrap_or(0)
}

/// Reads a word of a child's memory, as a debugger does.
fn ptrace_child() {
    static SECRET: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let child = fork().expect("fork");
    if child == 0 {
        SECRET.store(4711, Ordering::SeqCst);
        let traceme = libc::PTRACE_TRACEME as usize;
        if call(libc::SYS_ptrace, [traceme, 0, 0, 0, 0, 0]).is_err() {
            exit(1);
        }
        signal(std::process::id() as usize, libc::SIGSTOP).ok();
        exit(0);
    }
    let mut status = 0_i32;
    let untraced = libc::WUNTRACED.unsigned_abs() as usize;
    call(
        libc::SYS_wait4,
        [child, (&raw mut status).addr(), untraced, 0, 0, 0],
    )
    .ok();
    let mut word = 0_u64;
    let peek = libc::PTRACE_PEEKDATA as usize;
    let address = (&raw const SECRET).addr();
    let read = call(
        libc::SYS_ptrace,
        [peek, child, address, (&raw mut word).addr(), 0, 0],
    );
    report("ptrace", read.map(|_| usize::try_from(word).unwrap_or(0)));
    signal(child, libc::SIGKILL).ok();
    if libc::WIFSIGNALED(status) {
        say(format!("child ended by {}", libc::WTERMSIG(status)));
    }
}

fn ptrace_attach(pid: usize) {
    let seize = libc::PTRACE_SEIZE as usize;
    report("ptrace", call(libc::SYS_ptrace, [seize, pid, 0, 0, 0, 0]));
}

/// Takes all CPU time from another process by its resource limit, init or a child of its own.
fn limit_other(pid: Option<usize>) {
    let target = pid.unwrap_or_else(|| {
        let child = fork().expect("fork");
        if child == 0 {
            call(libc::SYS_pause, [0; 6]).ok();
            exit(0);
        }
        child
    });
    let cpu = libc::RLIMIT_CPU as usize;
    let limit = [1_u64, 1];
    let result = call(
        libc::SYS_prlimit64,
        [target, cpu, limit.as_ptr().addr(), 0, 0, 0],
    );
    report("prlimit", result);
    if pid.is_none() {
        signal(target, libc::SIGKILL).ok();
        wait(target).ok();
    }
}

fn become_root() {
    report("setuid", call(libc::SYS_setuid, [0; 6]));
    report("setgid", call(libc::SYS_setgid, [0; 6]));
    report("setresuid", call(libc::SYS_setresuid, [0; 6]));
    report("setgroups", call(libc::SYS_setgroups, [0; 6]));
    report("euid", call(libc::SYS_geteuid, [0; 6]));
}

/// Asks for a better place in the queue than others.
fn hurry() {
    let higher = (-5_isize).cast_unsigned();
    report("nice", call(libc::SYS_setpriority, [0, 0, higher, 0, 0, 0]));
    let fifo = libc::SCHED_FIFO.unsigned_abs() as usize;
    let priority = 1_i32;
    let address = (&raw const priority).addr();
    report(
        "fifo",
        call(libc::SYS_sched_setscheduler, [0, fifo, address, 0, 0, 0]),
    );
}
