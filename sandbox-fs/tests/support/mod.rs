//! Runs a root in a box of its own: a child with fresh mount and pid namespaces, and an init in there.

#![expect(
    unsafe_code,
    reason = "forks, and changes ids and namespaces of the forked child"
)]
#![expect(dead_code, reason = "each test binary uses a part")]

pub(crate) mod disks;
pub(crate) mod trees;

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    fs,
    io::{Read as _, Write as _},
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, net::UnixStream},
    },
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::Once,
    time::Duration,
};

use sandbox_core::{Bytes, ChildStep as _, Explain as _, Host};
use sandbox_fs::{KeptDir, Quota, RootInstance, RootPlan, RootSpec, Trees};

/// Enough for every test that is not about quotas.
pub(crate) const ROOMY: Quota = Quota {
    bytes: Bytes::mib(1),
    inodes: 200,
};

/// The id that unprivileged tests take.
pub(crate) const USER: u32 = 1000;

/// A bound of time, ten times wider where the machine is emulated.
pub(crate) fn patience(seconds: u64) -> Duration {
    let is_emulated = std::env::var_os("VM_RUN").is_some();
    Duration::from_secs(seconds * if is_emulated { 10 } else { 1 })
}

pub(crate) fn check(call: &str, ret: i64) -> i64 {
    assert!(ret >= 0, "{call}: {}", std::io::Error::last_os_error());
    ret
}

/// The harness keeps what a test prints in memory, and that of a copy goes with it: there a panic speaks for itself.
fn let_copies_speak() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (usual, original) = (panic::take_hook(), std::process::id());
        panic::set_hook(Box::new(move |panic| {
            if std::process::id() == original {
                usual(panic);
            } else {
                writeln!(std::io::stderr(), "in a child: {panic}").ok();
            }
        }));
    });
}

fn fork() -> i32 {
    let_copies_speak();
    // Once per process, so it must not be under way in another thread: the copy would wait for that thread for ever.
    _ = Host::probe();
    // SAFETY: glibc makes allocation safe in the copy.
    let pid = unsafe { libc::fork() };
    check("fork", pid.into());
    pid
}

pub(crate) fn unshare(flags: i32) {
    // SAFETY: takes a number.
    check("unshare", unsafe { libc::unshare(flags) }.into());
}

fn reap(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status pointer is live.
    let ret = unsafe { libc::waitpid(child, &raw mut status, 0) };
    check("waitpid", ret.into());
    status
}

/// Runs `work` in a forked child and fails where it panics.
pub(crate) fn in_child(work: impl FnOnce()) {
    let child = fork();
    if child == 0 {
        end_with(work);
    }
    assert_eq!(reap(child), 0, "the child failed; its message is above");
}

fn end_with(work: impl FnOnce()) -> ! {
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    // SAFETY: ends the copy without the destructors of the test harness.
    unsafe { libc::_exit(i32::from(outcome.is_err())) }
}

/// Takes another user's ids for good, groups and capabilities included.
pub(crate) fn become_user(uid: u32) {
    // SAFETY: takes numbers; an empty list needs no pointer.
    let groups = unsafe { libc::syscall(libc::SYS_setgroups, 0, core::ptr::null::<u32>()) };
    check("setgroups", groups);
    // SAFETY: takes numbers.
    check("setresgid", unsafe {
        libc::syscall(libc::SYS_setresgid, uid, uid, uid)
    });
    // SAFETY: takes numbers.
    check("setresuid", unsafe {
        libc::syscall(libc::SYS_setresuid, uid, uid, uid)
    });
    // A process that changed its ids may not write its own uid_map otherwise.
    // SAFETY: takes numbers.
    check(
        "prctl",
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }.into(),
    );
}

/// Which namespaces the box gets beside mount and pid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// No user namespace.
    Host,
    /// A user namespace in which this process' id is 0.
    Mapped,
}

/// Prepares `spec`, starts a box with it and runs `inside` there as PID 1; fails where anything panics.
pub(crate) fn in_box(spec: &RootSpec, inside: impl FnOnce()) {
    let plan = spec.prepare().expect("the rules are right");
    in_planned_box(&plan, Trees::FromParent, Ids::Host, inside);
}

/// Starts a box with a prepared tree and runs `inside` there as PID 1.
pub(crate) fn in_planned_box(plan: &RootPlan, trees: Trees, ids: Ids, inside: impl FnOnce()) {
    let outcome = attempt(plan, trees, ids, inside);
    assert_eq!(outcome, Ok(()));
}

/// As [`in_planned_box`]; the error is what the step's fault reads like, and then `inside` did not run.
pub(crate) fn attempt(
    plan: &RootPlan,
    trees: Trees,
    ids: Ids,
    inside: impl FnOnce(),
) -> Result<(), String> {
    let instance = plan.instantiate(trees).expect("the mounts can be made");
    attempt_with(instance, ids, inside)
}

/// As [`attempt`], with mounts that were made before.
pub(crate) fn attempt_with(
    instance: RootInstance<'_>,
    ids: Ids,
    inside: impl FnOnce(),
) -> Result<(), String> {
    let (mut ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    let spawner = fork();
    if spawner == 0 {
        drop(ours);
        end_with(|| {
            enter_namespaces(ids);
            let init = fork();
            if init == 0 {
                let before = open_descriptors();
                end_with(|| match instance.apply() {
                    Ok(()) => {
                        assert_eq!(open_descriptors(), before, "apply left descriptors open");
                        inside();
                    }
                    Err(fault) => {
                        let name = instance.explain(fault.index);
                        let text = format!("{name}: {}", fault.errno);
                        theirs.write_all(text.as_bytes()).expect("the test listens");
                    }
                });
            }
            assert_eq!(reap(init), 0, "init failed; its message is above");
        });
    }
    drop(theirs);
    drop(instance);
    let mut fault = String::new();
    ours.read_to_string(&mut fault).expect("the box ends");
    assert_eq!(reap(spawner), 0, "the box failed; its message is above");
    if fault.is_empty() { Ok(()) } else { Err(fault) }
}

/// Numbers of the open descriptors; a box has no /proc of the host to ask.
fn open_descriptors() -> Vec<i32> {
    (0..256)
        .filter(|fd| {
            // SAFETY: takes numbers.
            let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
            flags >= 0
        })
        .collect()
}

fn enter_namespaces(ids: Ids) {
    let base = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    match ids {
        Ids::Host => unshare(base),
        Ids::Mapped => {
            // SAFETY: takes nothing.
            let uid = unsafe { libc::geteuid() };
            // SAFETY: takes nothing.
            let gid = unsafe { libc::getegid() };
            unshare(base | libc::CLONE_NEWUSER);
            fs::write("/proc/self/setgroups", "deny").expect("setgroups");
            fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("uid_map");
            fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("gid_map");
        }
    }
}

/// Runs `inside` in a box with one kept directory and returns that when every process of the box is dead.
pub(crate) fn in_kept_box(spec: &RootSpec, inside: impl FnOnce()) -> KeptDir {
    let plan = spec.prepare().expect("the rules are right");
    assert_eq!(plan.kept_len(), 1);
    let instance = plan
        .instantiate(Trees::FromParent)
        .expect("the mounts can be made");
    let (mut ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    let child = fork();
    if child == 0 {
        end_with(|| {
            enter_namespaces(Ids::Host);
            let init = fork();
            if init == 0 {
                end_with(|| {
                    instance.apply().expect("the tree can be built");
                    let fd = instance
                        .plan()
                        .open_kept(0)
                        .expect("the kept directory is there");
                    inside();
                    theirs
                        .write_all(&fd.to_ne_bytes())
                        .expect("the test listens");
                    let mut go = [0];
                    theirs.read_exact(&mut go).expect("the test answers");
                });
            }
            theirs
                .write_all(&init.to_ne_bytes())
                .expect("the test listens");
            assert_eq!(reap(init), 0, "init failed; its message is above");
        });
    }
    drop(theirs);
    let mut number = || {
        let mut bytes = [0; 4];
        ours.read_exact(&mut bytes).expect("the box speaks");
        i64::from(i32::from_ne_bytes(bytes))
    };
    let (first, second) = (number(), number());
    // The pid is written by the one process and the descriptor by the other, in any order; a pid is the larger.
    let (fd, pid) = (first.min(second), first.max(second));
    // SAFETY: takes numbers.
    let pidfd = check("pidfd_open", unsafe {
        libc::syscall(libc::SYS_pidfd_open, pid, 0)
    });
    // SAFETY: takes numbers.
    let kept = check("pidfd_getfd", unsafe {
        libc::syscall(libc::SYS_pidfd_getfd, pidfd, fd, 0)
    });
    ours.write_all(&[1]).expect("init listens");
    assert_eq!(reap(child), 0, "the box failed; its message is above");
    // SAFETY: the kernel just made this descriptor for us.
    KeptDir::from(unsafe { OwnedFd::from_raw_fd(i32::try_from(kept).unwrap()) })
}

/// Mount point to options of every mount that this process sees: mount options, `|`, superblock options.
pub(crate) fn mounts(mountinfo: &str) -> BTreeMap<String, String> {
    mountinfo
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            (fields[4].to_owned(), format!(",{},", fields[5]))
        })
        .collect()
}

/// The mounts of the reader's own namespace, by the proc that is mounted at /proc.
pub(crate) fn own_mounts() -> BTreeMap<String, String> {
    mounts(&fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"))
}

/// Mounts a tmpfs at `path` in the caller's own mount namespace.
pub(crate) fn mount_tmpfs(path: &Path) {
    mount(Path::new("tmpfs"), path, Some(c"tmpfs"), 0);
}

/// `mount(2)` in the caller's own mount namespace.
pub(crate) fn mount(source: &Path, target: &Path, kind: Option<&CStr>, flags: libc::c_ulong) {
    let [source, target] =
        [source, target].map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
    let kind = kind.map_or(core::ptr::null(), CStr::as_ptr);
    let none = core::ptr::null();
    // SAFETY: all strings are live; no data is passed.
    let ret = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, none) };
    check("mount", ret.into());
}

/// Takes the topmost mount at `path` off.
pub(crate) fn umount(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a live C string.
    check("umount2", unsafe { libc::umount2(path.as_ptr(), 0) }.into());
}

/// A mount namespace of its own for the caller, nothing of which reaches the host.
pub(crate) fn private_mounts() {
    own_mount_namespace(libc::MS_PRIVATE);
}

/// As [`private_mounts`], and later temporary directories are its own too: on the host, one with a mount inside would stay.
pub(crate) fn private_room() {
    private_mounts();
    mount_tmpfs(&std::env::temp_dir());
}

/// As [`private_mounts`], and every mount in there is shared, as systemd makes them.
pub(crate) fn shared_mounts() {
    private_room();
    own_mount_namespace(libc::MS_SHARED);
}

fn own_mount_namespace(propagation: libc::c_ulong) {
    unshare(libc::CLONE_NEWNS);
    let none = core::ptr::null();
    // SAFETY: a change of propagation reads the target path only.
    let ret = unsafe {
        libc::mount(
            none,
            c"/".as_ptr(),
            none,
            libc::MS_REC | propagation,
            none.cast(),
        )
    };
    check("mount", ret.into());
}

/// The errno of a failed file operation.
pub(crate) fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// For overlays by the new mount calls and idmapped tmpfs. A host that is declared to have them must.
#[expect(clippy::print_stdout, reason = "a skip is said")]
pub(crate) fn is_linux_6_5() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|n| n.parse::<u32>().ok());
    let is = (numbers.next(), numbers.next()) >= (Some(6), Some(5));
    let declared = std::env::var("SANDBOX_TEST_HOST").unwrap_or_default();
    assert!(is || !declared.split(',').any(|item| item == "linux6.5"));
    if !is {
        println!("skipped: needs linux6.5");
    }
    is
}
