//! Latency of a cold sandboxed run as a ratio to std's `Command` (`posix_spawn`), interleaved in one process.
//!
//! A loop of our own: Criterion measures one thing after the other and never pauses, but machines drift, and a judge that
//! is not saturated starts each run on a CPU that has just been idle. `cargo bench -p sandbox-exec --bench latency`;
//! `-- --quick` for a short look, `-- --ballast MIB` to give the embedder that much resident memory, `-- --mounts N` to add
//! mounts to the host's tree (in a mount namespace of this process).

use std::{
    ffi::CString,
    fs,
    num::NonZeroUsize,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command as Plain, Stdio},
    thread,
    time::{Duration, Instant},
};

use sandbox_exec::{
    Bytes, Command, Error, Identity, Limits, MountFlags, Output, Policy, Quota, RootSpec, Running,
    Sandbox, Stdin, Verdict,
};

const PAUSE: Duration = Duration::from_millis(2);

/// A static ELF program whose only act is `exit_group(0)`: what is left is the cost of starting and ending a process.
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05];
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
];
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

fn no_op_program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
    let word = |elf: &mut Vec<u8>, value: u32| elf.extend(value.to_le_bytes());
    let long = |elf: &mut Vec<u8>, value: u64| elf.extend(value.to_le_bytes());
    half(&mut elf, 2); // ET_EXEC
    half(&mut elf, MACHINE);
    word(&mut elf, 1);
    long(&mut elf, BASE + HEADERS); // entry
    long(&mut elf, 64); // program headers
    long(&mut elf, 0);
    word(&mut elf, 0);
    for value in [64, 56, 1, 0, 0, 0] {
        half(&mut elf, value);
    }
    word(&mut elf, 1); // PT_LOAD
    word(&mut elf, 5); // read and execute
    let size = HEADERS + CODE.len() as u64;
    for value in [0, BASE, BASE, size, size, 0x1000] {
        long(&mut elf, value);
    }
    elf.extend(CODE);
    elf
}

struct Options {
    rounds: usize,
    ballast: usize,
    mounts: usize,
    ready: usize,
}

fn options() -> Options {
    let mut options = Options {
        rounds: 400,
        ballast: 0,
        mounts: 0,
        ready: 2,
    };
    let mut args = std::env::args().skip(1);
    let number = |args: &mut dyn Iterator<Item = String>| {
        args.next()
            .and_then(|n| n.parse().ok())
            .expect("the option takes a number")
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.rounds = 40,
            "--rounds" => options.rounds = number(&mut args),
            "--ballast" => options.ballast = number(&mut args),
            "--ready" => options.ready = number(&mut args),
            "--mounts" => options.mounts = number(&mut args),
            // cargo bench passes --bench.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    options
}

/// Mounts a tmpfs on the directory and `count` more in it, in a mount namespace of this process only.
#[expect(unsafe_code, reason = "unshare and mount, in a benchmark")]
fn add_mounts(directory: &mut WorkDir, count: usize) {
    // SAFETY: plain flags; the process is single-threaded here.
    let ret = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(ret, 0, "unshare needs root");
    let none = std::ptr::null();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: live C strings and null data.
    let ret = unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) };
    assert_eq!(ret, 0, "mount private");
    let mount = |target: &Path| {
        let target = CString::new(target.as_os_str().as_bytes()).expect("no NUL");
        let kind = c"tmpfs".as_ptr();
        // SAFETY: live C strings and null data.
        let ret = unsafe { libc::mount(kind, target.as_ptr(), kind, 0, none.cast()) };
        assert_eq!(ret, 0, "mount a tmpfs");
    };
    mount(&directory.path);
    directory.mounted = true;
    for i in 0..count {
        let target = directory.path.join(format!("mount{i}"));
        fs::create_dir(&target).expect("create a mount point");
        mount(&target);
    }
}

struct WorkDir {
    path: PathBuf,
    /// Something is mounted on it, in a mount namespace of this process.
    mounted: bool,
}

impl WorkDir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sandbox-bench-{}", std::process::id()));
        fs::create_dir(&path).expect("create the work directory");
        let mounted = false;
        Self { path, mounted }
    }
}

impl Drop for WorkDir {
    #[expect(unsafe_code, reason = "umount, in a benchmark")]
    fn drop(&mut self) {
        if self.mounted {
            let path = CString::new(self.path.as_os_str().as_bytes()).expect("no NUL");
            // SAFETY: a live C string; the mounts are those of `add_mounts`.
            let ret = unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
            assert_eq!(ret, 0, "detach the mounts");
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            report(&format!("left {} behind: {error}", self.path.display()));
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a benchmark")]
fn report(line: &str) {
    println!("{line}");
}

fn plain(program: &Path) -> Duration {
    let start = Instant::now();
    let status = Plain::new(program)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("plain spawn");
    let elapsed = start.elapsed();
    assert!(status.success());
    elapsed
}

/// What bubblewrap (Debian's bwrap) needs for the same program, with the same namespaces and the like of a root, but without
/// cgroup and filter. `None` where it is not installed.
fn peer(program: &Path, inside: &str) -> Option<Duration> {
    let bwrap = Path::new("/usr/bin/bwrap");
    if !bwrap.exists() {
        return None;
    }
    let mut command = Plain::new(bwrap);
    command.args(["--unshare-all", "--new-session", "--die-with-parent"]);
    command.args(["--uid", "60042", "--gid", "60042"]);
    command.args(["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"]);
    command.args([
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
    ]);
    command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    if !inside.starts_with("/bin") {
        command.arg("--ro-bind").arg(program).arg(inside);
    }
    command
        .arg(inside)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("spawn bwrap");
    let elapsed = start.elapsed();
    assert!(status.success(), "bwrap: {status}");
    Some(elapsed)
}

/// One run, from this call to its outcome.
fn boxed(spawn: impl FnOnce(Stdin, Output, Output) -> Result<Running, Error>) -> Duration {
    let start = Instant::now();
    let running = spawn(Stdin::Null, Output::Null, Output::Null).expect("spawn");
    let finished = running.wait().expect("wait");
    let elapsed = start.elapsed();
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    elapsed
}

fn sandbox(host: &Path, inside: &str) -> Sandbox {
    let quota = Quota {
        bytes: Bytes::mib(16),
        inodes: 1_000,
    };
    let root = RootSpec::minimal(quota).tmpfs("tmp", quota, MountFlags::WRITABLE);
    let root = if host.starts_with("/usr") || host.starts_with("/bin") {
        root
    } else {
        root.bind(host, inside, MountFlags::empty())
    };
    let limits = Limits::default()
        .cpu_time(Duration::from_secs(2))
        .wall_time(Duration::from_secs(5))
        .memory(Bytes::mib(256))
        .processes(16);
    Sandbox::builder()
        .root(root)
        .identity(Identity::new(60_042, 60_042))
        .limits(limits)
        .policy(Policy::judge())
        .command(&Command::new(inside))
        .expect("compile the box")
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn main() {
    let options = options();
    let mut directory = WorkDir::new();
    if options.mounts > 0 {
        add_mounts(&mut directory, options.mounts);
    }
    let ballast = vec![1_u8; options.ballast << 20];
    let no_op = directory.path.join("noop");
    fs::write(&no_op, no_op_program()).expect("write the program");
    fs::set_permissions(&no_op, fs::Permissions::from_mode(0o755)).expect("make it executable");
    let programs = [
        ("static no-op", no_op, "/noop"),
        ("/bin/true", "/bin/true".into(), "/bin/true"),
    ];
    let boxes: Vec<_> = programs
        .iter()
        .map(|(_, host, inside)| sandbox(host, inside))
        .collect();

    let size = NonZeroUsize::new(options.ready).expect("a pool holds something");
    let pools: Vec<_> = boxes
        .iter()
        .map(|sandbox| sandbox.pool(size).expect("make a pool"))
        .collect();

    let mut times = vec![[const { Vec::new() }; 5]; programs.len()];
    for round in 0..options.rounds + 5 {
        for ((((_, program, inside), sandbox), pool), times) in
            programs.iter().zip(&boxes).zip(&pools).zip(&mut times)
        {
            thread::sleep(PAUSE);
            let plain = Some(plain(program));
            thread::sleep(PAUSE);
            let cold = Some(boxed(|i, o, e| sandbox.spawn(i, o, e)));
            let prepared = sandbox.prepare().expect("prepare");
            thread::sleep(PAUSE);
            let prepared = Some(boxed(|i, o, e| prepared.spawn(i, o, e)));
            thread::sleep(PAUSE);
            let pooled = Some(boxed(|i, o, e| pool.spawn(i, o, e)));
            thread::sleep(PAUSE);
            let peer = peer(program, inside);
            // The first rounds fill caches.
            if round >= 5 {
                for (list, time) in times.iter_mut().zip([plain, cold, prepared, pooled, peer]) {
                    list.extend(time);
                }
            }
        }
    }
    report(&format!(
        "{} rounds, {:?} pauses, {} MiB resident, {} extra mounts; median and p95 in µs, ratio of medians",
        options.rounds,
        PAUSE,
        ballast.len() >> 20,
        options.mounts
    ));
    for ((name, ..), times) in programs.iter().zip(&mut times) {
        times.iter_mut().for_each(|list| list.sort_unstable());
        let base = at(&times[0], 50);
        for (what, list) in ["plain", "sandbox", "prepared", "pool", "bwrap"]
            .iter()
            .zip(times.iter())
        {
            if list.is_empty() {
                report(&format!("{name:<13} {what:<9} not run: not installed"));
                continue;
            }
            report(&format!(
                "{name:<13} {what:<9} {:>7} {:>7} {:>7.2}",
                at(list, 50).as_micros(),
                at(list, 95).as_micros(),
                at(list, 50).as_secs_f64() / base.as_secs_f64()
            ));
        }
    }
}
