//! What filters cost: their installation, and each call under them, as a ratio to no filter and beside libseccomp's filter of
//! the same policy.
//!
//! A loop of our own: Criterion measures one thing after the other, but machines drift, and a filter cannot be taken off a
//! process again. Here a process per filter waits, and each round asks all of them in turn.
//! `cargo bench -p sandbox-seccomp --bench filter`; `-- --quick` for a short look.
#![expect(unsafe_code, reason = "forks, and makes raw system calls")]
#![expect(clippy::print_stdout, reason = "prints what it measured")]

#[path = "../tests/libseccomp/mod.rs"]
mod libseccomp;

use core::ffi::{c_int, c_long};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Instant,
};

use libseccomp::{CHAIN, Libseccomp};
use sandbox_core::ChildStep as _;
use sandbox_seccomp::{
    Filter, Policy, Preset,
    oci::{Profile, Target},
};

/// libseccomp's layout that is no chain.
const TREE: u32 = 2;

/// The program that a process installs.
enum Program {
    None,
    Ours(Filter),
    Theirs(Vec<[u8; 8]>),
}

struct Subject {
    name: String,
    program: Program,
}

impl Subject {
    fn len(&self) -> usize {
        match &self.program {
            Program::None => 0,
            Program::Ours(filter) => filter.len(),
            Program::Theirs(program) => program.len(),
        }
    }

    fn install(&self) {
        match &self.program {
            Program::None => {}
            // The listener lives as long as the process; no call that is measured is reported.
            Program::Ours(filter) if filter.reports() => drop(filter.install_reporting().unwrap()),
            Program::Ours(filter) => filter.apply().unwrap(),
            Program::Theirs(program) => {
                let filter = libc::sock_fprog {
                    len: program.len().try_into().unwrap(),
                    filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
                };
                // SAFETY: `filter` points at a live program of that many instructions, which the kernel copies.
                let set = unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &raw const filter) };
                assert_eq!(set, 0, "the kernel refused libseccomp's program");
            }
        }
    }
}

fn call<const N: usize>(number: c_long, args: [c_long; N]) -> c_long {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass numbers, NULL, and addresses of live memory.
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

const CALLS: [&str; 4] = ["getppid", "read", "futex", "fcntl"];

/// Makes one of the calls. The first three are allowed without a look at arguments, `fcntl` needs one under judge.
fn make(which: usize, null: c_int, word: &mut u32) -> c_long {
    match which {
        0 => call(libc::SYS_getppid, [0; 0]),
        1 => call(libc::SYS_read, [null.into(), 0, 0]),
        2 => {
            let address = c_long::try_from(core::ptr::from_mut(word).addr()).unwrap();
            call(libc::SYS_futex, [address, libc::FUTEX_WAKE.into(), 1])
        }
        _ => call(libc::SYS_fcntl, [null.into(), libc::F_GETFD.into()]),
    }
}

/// A forked process under a filter that measures what it is asked for.
struct Worker {
    pid: libc::pid_t,
    /// A socket, used as a file: filters allow `read` and `write`.
    stream: File,
}

impl Worker {
    /// Forks, installs, and tells how many nanoseconds that took.
    fn start(subject: &Subject) -> (Self, u64) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ours, theirs): (File, File) =
            (OwnedFd::from(ours).into(), OwnedFd::from(theirs).into());
        // SAFETY: this program has one thread.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            drop(ours);
            serve(theirs, subject);
        }
        // So that the end of the child is the end of the stream.
        drop(theirs);
        let mut worker = Self { pid, stream: ours };
        let nanoseconds = worker.answer();
        (worker, nanoseconds)
    }

    fn answer(&mut self) -> u64 {
        let mut answer = [0; 8];
        self.stream.read_exact(&mut answer).unwrap();
        u64::from_ne_bytes(answer)
    }

    /// Picoseconds per call.
    fn measure(&mut self, which: usize) -> u64 {
        self.stream
            .write_all(&[u8::try_from(which).unwrap()])
            .unwrap();
        self.answer() * 1000 / BATCH
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: as above; no status is asked for.
        unsafe { libc::waitpid(self.pid, core::ptr::null_mut(), 0) };
    }
}

const BATCH: u64 = 5_000;

/// The worker's side. Makes no other call than those measured and reads and writes of its socket.
fn serve(mut stream: File, subject: &Subject) -> ! {
    // SAFETY: the path is a C string.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
    let mut word = 0;
    // The payload sets it as a stage of its own, and has made dozens of calls by then: their code is at hand.
    assert_eq!(
        call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 1]),
        0
    );
    let start = Instant::now();
    subject.install();
    let mut answer = start.elapsed();
    let mut ask = [0];
    loop {
        let nanoseconds = u64::try_from(answer.as_nanos()).unwrap();
        let done = stream.write_all(&nanoseconds.to_ne_bytes()).is_err();
        if done || stream.read_exact(&mut ask).is_err() {
            // SAFETY: ends the child, which owns nothing that others see.
            unsafe { libc::_exit(0) };
        }
        let start = Instant::now();
        for _ in 0..BATCH {
            if make(ask[0].into(), null, &mut word) < 0 {
                // SAFETY: as above. Unwinding would end the other workers, whose handles are copied into this one.
                unsafe { libc::_exit(1) };
            }
        }
        answer = start.elapsed();
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The policies, ours and libseccomp's of the same profile.
fn subjects() -> Vec<Subject> {
    let ours = |name: &str, policy: &Policy| Subject {
        name: name.to_owned(),
        program: Program::Ours(policy.prepare().unwrap()),
    };
    let mut subjects = vec![Subject {
        name: "no filter".to_owned(),
        program: Program::None,
    }];
    // What the kernel takes for having a filter at all.
    subjects.push(ours("allow everything", &Policy::deny_list()));
    for preset in Preset::ALL {
        subjects.push(ours(&format!("{preset:?}"), &Policy::from(preset)));
    }
    subjects.push(ours("Judge, reporting", &Policy::judge().report_kills()));
    let Some(library) = Libseccomp::load() else {
        println!("not run: libseccomp is not installed");
        return subjects;
    };
    let judge = Policy::judge();
    let mut profiles = vec![(
        "judge".to_owned(),
        Profile::export(&judge).unwrap(),
        Some(judge),
    )];
    let docker = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/profiles/docker.json"
    );
    for (name, path) in [
        ("podman", "/usr/share/containers/seccomp.json"),
        ("docker", docker),
    ] {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                profiles.push((name.to_owned(), serde_json::from_str(&text).unwrap(), None));
            }
            Err(_) => println!("not run: no profile of {name}"),
        }
    }
    let target = Target::here().unwrap();
    for (name, profile, policy) in profiles {
        let imported = profile.import(&target).unwrap();
        let policy = policy.unwrap_or(imported.policy);
        subjects.push(ours(&format!("{name}, ours"), &policy));
        // The same entries for both, the ones that count here, so that neither has to choose.
        let same = serde_json::to_value(Profile::export(&policy).unwrap()).unwrap();
        for (layout, word) in [(CHAIN, "chain"), (TREE, "tree")] {
            let program = library.program(&same, layout, |_| true).unwrap();
            subjects.push(Subject {
                name: format!("{name}, libseccomp {word}"),
                program: Program::Theirs(program),
            });
        }
    }
    subjects
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (installs, rounds) = if quick { (15, 15) } else { (101, 101) };

    let start = Instant::now();
    let compiled = Policy::judge().prepare().unwrap();
    let once = start.elapsed();
    println!(
        "compiling judge, once per policy: {once:?}, {} instructions",
        compiled.len()
    );

    let subjects = subjects();
    let mut install = vec![Vec::new(); subjects.len()];
    for _ in 0..installs {
        for (subject, times) in subjects.iter().zip(&mut install) {
            times.push(Worker::start(subject).1);
        }
    }
    let mut workers: Vec<_> = subjects.iter().map(|one| Worker::start(one).0).collect();
    let mut times = vec![vec![Vec::new(); CALLS.len()]; subjects.len()];
    for _ in 0..rounds {
        for which in 0..CALLS.len() {
            for (worker, times) in workers.iter_mut().zip(&mut times) {
                times[which].push(worker.measure(which));
            }
        }
    }

    print!(
        "{:26} {:>6} {:>13} {:>6}",
        "filter", "instr.", "install µs", "best"
    );
    CALLS.iter().for_each(|name| print!(" {name:>16}"));
    println!();
    let medians: Vec<Vec<u64>> = times
        .into_iter()
        .map(|calls| calls.into_iter().map(median).collect())
        .collect();
    let plain = &medians[0];
    for ((subject, install), calls) in subjects.iter().zip(install).zip(&medians) {
        let (name, length) = (&subject.name, subject.len());
        let best = install.iter().copied().min().unwrap_or(0);
        let usual = thousandths(median(install));
        print!(
            "{name:26} {length:6} {usual:13.1} {:6.1}",
            thousandths(best)
        );
        for (&picoseconds, &bare) in calls.iter().zip(plain) {
            let ratio = thousandths(picoseconds * 1000 / bare);
            print!(" {:6.1} ns {ratio:.2}×", thousandths(picoseconds));
        }
        println!();
    }
}

fn thousandths(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap()) / 1000.0
}
