//! Calls that a policy reports, by every kind of process, in floods, and with attempts to hide them.

#![expect(unsafe_code, reason = "sets a signal handler")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Subcommand,
    raw::{call, exit, fork, number, report, say, shared, text, until_stdin_ends, wait},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("call-by", |args| call_by(text(args, 0), rest(args, 1))),
    ("call-numbered", |args| {
        call_numbered(text(args, 0), rest(args, 1));
    }),
    ("call-left", |args| call_left(rest(args, 0))),
    ("call-left-waiting", |args| {
        call_left_waiting(number(args, 0), rest(args, 1));
    }),
    ("call-all", |args| {
        call_all(number(args, 0), number(args, 1));
    }),
    ("call-hidden", |args| call_hidden(rest(args, 0))),
    ("flood", |args| {
        flood(number(args, 0), number(args, 1), number(args, 2));
    }),
    ("flood-of-all", |args| {
        flood_of_all(number(args, 0), number(args, 1));
    }),
    ("flood-interrupted", |args| {
        flood_interrupted(number(args, 0), number(args, 1));
    }),
];

/// A number and up to two arguments of a call, beginning with argument `index`.
fn rest(args: &[String], index: usize) -> [usize; 3] {
    [0, 1, 2].map(|place| {
        let text = args.get(index + place);
        text.map_or(0, |text| text.parse().expect("a number"))
    })
}

fn make([number, a, b]: [usize; 3]) -> Result<usize, i32> {
    let number = i64::try_from(number).expect("a number");
    call(number, [a, b, 0, 0, 0, 0])
}

/// `main`, a `thread`, a `child`, or an `orphan` in a session of its own that nobody waits for.
fn call_by(who: &str, what: [usize; 3]) {
    let outcome = shared();
    let in_process = || {
        outcome.store(encode(make(what)), Ordering::SeqCst);
        exit(0)
    };
    match who {
        "thread" => {
            let result = std::thread::spawn(move || make(what)).join();
            return report(who, result.expect("it does not panic"));
        }
        "child" => {
            let child = fork().expect("a child");
            if child == 0 {
                in_process();
            }
            wait(child).expect("it ends");
        }
        "orphan" => {
            if fork() == Ok(0) {
                call(libc::SYS_setsid, [0; 6]).expect("a child leads no group");
                if fork() == Ok(0) {
                    in_process();
                }
                exit(0);
            }
            // One that is killed says nothing, and nobody learns of it.
            for _ in 0..500 {
                if outcome.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
        }
        _ => outcome.store(encode(make(what)), Ordering::SeqCst),
    }
    report(who, decode(outcome.load(Ordering::SeqCst)));
}

/// As [`call_by`], but that who calls says its number first.
fn call_numbered(who: &str, what: [usize; 3]) {
    let numbered = move || {
        let number = call(libc::SYS_gettid, [0; 6]).expect("it has one");
        say(number.to_string());
        make(what)
    };
    match who {
        "thread" => {
            std::thread::spawn(numbered).join().expect("well").ok();
        }
        "child" => {
            let child = fork().expect("a child");
            if child == 0 {
                numbered().ok();
                exit(0);
            }
            wait(child).expect("it ends");
        }
        _ => {
            numbered().ok();
        }
    }
}

/// A child makes the call while this process ends.
fn call_left(what: [usize; 3]) {
    let begun = shared();
    if fork().expect("a child") == 0 {
        begun.store(1, Ordering::SeqCst);
        make(what).ok();
        exit(0);
    }
    while begun.load(Ordering::SeqCst) == 0 {
        core::hint::spin_loop();
    }
    exit(0);
}

/// Each child says its number and makes the call; this process ends with its input.
fn call_left_waiting(children: usize, what: [usize; 3]) {
    for _ in 0..children {
        if fork().expect("a child") == 0 {
            call_numbered("main", what);
            exit(0);
        }
    }
    until_stdin_ends();
    exit(0);
}

/// Never 0, which stands for "nothing yet".
fn encode(result: Result<usize, i32>) -> u64 {
    match result {
        Ok(value) => 1 << 32 | value as u64,
        Err(errno) => errno.unsigned_abs().into(),
    }
}

fn decode(value: u64) -> Result<usize, i32> {
    if value >> 32 == 1 {
        Ok(usize::try_from(value & 0xffff_ffff).unwrap_or(0))
    } else {
        Err(i32::try_from(value).unwrap_or(0))
    }
}

/// Every number from first to last.
fn call_all(first: usize, last: usize) {
    for number in first..=last {
        report(&number.to_string(), make([number, 0, 0]));
    }
}

/// Tries to put filters before the box's own that answer this call instead, and then makes it.
fn call_hidden(what: [usize; 3]) {
    let statement = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let number = u32::try_from(what[0]).expect("a number");
    let mut program = [
        statement(0x20, 0, 0), // load the number
        statement(0x15, 1, number),
        statement(0x06, 0, libc::SECCOMP_RET_ERRNO | 77),
        statement(0x06, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: 4,
        filter: program.as_mut_ptr(),
    };
    let at = (&raw const filter).addr();
    let set = libc::SECCOMP_SET_MODE_FILTER as usize;
    let option = libc::PR_SET_SECCOMP.unsigned_abs() as usize;
    let attempt = |name, number, [a, b]: [usize; 2]| {
        report(name, call(number, [a, b, at, 0, 0, 0]).map(|_| 0));
    };
    let listener = usize::try_from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER).unwrap_or(0);
    attempt("listener", libc::SYS_seccomp, [set, listener]);
    attempt("filter", libc::SYS_seccomp, [set, 0]);
    attempt("prctl", libc::SYS_prctl, [option, 2]);
    attempt("wide prctl", libc::SYS_prctl, [option | 1 << 32, 2]);
    report("call", make(what));
}

/// `threads` threads make the call together so many times.
fn flood(number: usize, threads: usize, count: usize) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..count / threads {
                    make([number, 0, 0]).ok();
                }
            });
        }
    });
    report("flooded", Ok(count));
}

/// Each number from the first to the last: no call twice.
fn flood_of_all(first: usize, last: usize) {
    for number in first..=last {
        make([number, 0, 0]).ok();
    }
    report("flooded", Ok(last));
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_it(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A child interrupts this process again and again while it makes the call, with pauses in which a single CPU gets to it.
fn flood_interrupted(number: usize, count: usize) {
    let handler: extern "C" fn(libc::c_int) = count_it;
    // SAFETY: the handler changes an atomic number, which is safe at any moment.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let parent = std::process::id() as usize;
    let child = fork().expect("a child");
    if child == 0 {
        let signal = libc::SIGUSR1.unsigned_abs() as usize;
        while call(libc::SYS_kill, [parent, signal, 0, 0, 0, 0]).is_ok() {
            std::thread::sleep(std::time::Duration::from_micros(10));
        }
        exit(0);
    }
    for _ in 0..count {
        make([number, 0, 0]).ok();
    }
    let kill = libc::SIGKILL.unsigned_abs() as usize;
    call(libc::SYS_kill, [child, kill, 0, 0, 0, 0]).expect("our child");
    assert!(SIGNALS.load(Ordering::Relaxed) > 0, "nothing interrupted");
    report("flooded", Ok(count));
}
