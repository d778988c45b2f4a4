//! Quotas of real file systems through the whole sandbox: set before the run, read after it, gone after that. On loop devices,
//! so in a machine of one's own.

#[path = "../sandbox-fs/tests/support/disks.rs"]
mod disks;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command as Program,
};

use disks::{DISKS, run, settle};
use sandbox_exec::{
    Basis, Bytes, Command, DiskLimit, DiskUse, Error, Evidence, Exit, Finished, MountFlags, Output,
    Reading, Running, Sandbox, Stdin, UidPool, Unavailable, Verdict,
};
use sandbox_test_support::{Fork, Setup, boxes, host, outside, setup::assert_judged, sys};
use tempfile::TempDir;

const NEEDS: [&str; 4] = ["root", "memory", "pids", "own_kernel"];

/// Tests run at once: each has a hundred of its own.
const FIRST: u32 = 1_910_000_000;
const PROJECT: u32 = 78;

/// A fresh file system with quotas, and a directory on it in which everybody may write.
struct Disk {
    name: &'static str,
    work: PathBuf,
    _room: TempDir,
}

impl Disk {
    fn each() -> impl Iterator<Item = Self> {
        DISKS.iter().map(|disk| {
            let room = tempfile::tempdir().expect("a directory");
            fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).expect("ours");
            let work = disk.mount(room.path(), 0);
            fs::set_permissions(&work, fs::Permissions::from_mode(0o777)).expect("ours");
            Self {
                name: disk.name,
                work,
                _room: room,
            }
        })
    }

    fn clear(&self) {
        for entry in fs::read_dir(&self.work).expect("ours") {
            fs::remove_file(entry.expect("ours").path()).expect("ours");
        }
        settle(&self.work);
    }

    /// Whether this uid, or in the directory anybody, may write as much as it likes.
    fn has_no_limit(&self, uid: u32) -> bool {
        let path = self.work.join("probe");
        let said = outside::run(uid, &["fill", path.to_str().expect("plain"), "24"]);
        fs::remove_file(&path).expect("it is there");
        settle(&self.work);
        said == format!("wrote {}\n", 24 << 20)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also where the test failed: the machine is used by other tests.
        Program::new("umount")
            .arg("-l")
            .arg(self.work.parent().expect("a mount point"))
            .status()
            .ok();
    }
}

fn pool(directory: &Path, first: u32, count: u32) -> UidPool {
    let pool = UidPool::open(directory.join("uids"), first..=first + count - 1);
    pool.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

fn mib(bytes: u64) -> DiskLimit {
    DiskLimit {
        bytes: Some(Bytes::mib(bytes)),
        inodes: None,
    }
}

/// The disk in a box whose uid no other has, without a quota.
fn plain(disk: &Disk, pool: &UidPool) -> Setup {
    Setup::new()
        .in_pool(pool)
        .root(|root| root.bind(&disk.work, "work", MountFlags::WRITABLE))
}

fn sh(setup: &Setup, script: &str) -> Finished {
    boxes::finish(&setup.sandbox_of(&Command::new("/bin/sh").args(["-c", script])))
}

fn quota_of(evidence: &Evidence) -> DiskUse {
    match evidence.quotas[..] {
        [Reading::Value(found)] => found,
        ref other => panic!("{other:?}"),
    }
}

fn seen(finished: &Finished) -> DiskUse {
    quota_of(&finished.outcome.evidence)
}

const TOO_MUCH: &str = "head -c 24M /dev/zero >/work/bomb";

/// For each disk and each kind of quota.
fn everywhere(first: u32, test: impl Fn(&Disk, &UidPool, Option<u32>)) {
    let room = tempfile::tempdir().expect("a directory");
    let pool = pool(room.path(), first, 4);
    for disk in Disk::each() {
        for project in [None, Some(PROJECT)] {
            test(&disk, &pool, project);
            disk.clear();
        }
    }
}

#[test]
fn a_box_is_held_to_its_quota_and_judged_by_it() {
    if !host::has(&NEEDS) {
        return;
    }
    everywhere(FIRST, |disk, pool, project| {
        let limited = || plain(disk, pool).quota(&disk.work, project, mib(8));
        let full = sh(&limited(), TOO_MUCH);
        assert_judged(&full, Verdict::DiskLimit, Basis::DiskQuota);
        let found = seen(&full);
        assert!(found.bytes <= Bytes::mib(8) && found.bytes >= Bytes::mib(7));
        assert_eq!(found.hit, Reading::Value(true));
        assert!(found.inodes >= 1);
        disk.clear();

        // What the end does not show.
        let undone = limited().run(&["fill-and-remove", "/work/bomb", "24"]);
        assert_judged(&undone, Verdict::DiskLimit, Basis::DiskQuota);
        assert_eq!(seen(&undone).hit, Reading::Value(true));

        let room = sh(&limited(), "head -c 3M /dev/zero >/work/some; exit 3");
        let verdict = Verdict::RuntimeError(Exit::Code(3));
        assert_judged(&room, verdict, Basis::ExitStatus);
        let found = seen(&room);
        assert_eq!((found.full, found.hit), (false, Reading::Value(false)));
        assert!(found.bytes >= Bytes::mib(3), "{found:?}");
        disk.clear();

        let few = DiskLimit {
            bytes: None,
            inodes: Some(20),
        };
        let spray = plain(disk, pool).quota(&disk.work, project, few);
        let spray = sh(&spray, "for n in $(seq 40); do : >/work/$n || exit 1; done");
        assert_judged(&spray, Verdict::DiskLimit, Basis::DiskQuota);
        assert_eq!(seen(&spray).inodes, 20);
        disk.clear();

        let twin = sh(&plain(disk, pool), TOO_MUCH);
        assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
        assert!(twin.outcome.evidence.quotas.is_empty());
        disk.clear();
    });
}

/// Both at once: the end of a run that was dropped, that never began, whose embedder panicked.
#[test]
fn every_way_out_takes_the_quota_away() {
    if !host::has(&NEEDS) {
        return;
    }
    let uid = FIRST + 100;
    everywhere(uid, |disk, pool, project| {
        let limited = || plain(disk, pool).quota(&disk.work, project, mib(8));
        let inner = || limited().sandbox(&["sleep", "60000"]);
        let still = |running: &Running| {
            assert_eq!(running.identity().uid, uid);
            assert!(!disk.has_no_limit(uid), "the twin: {}", disk.name);
        };
        let running = spawn(&inner());
        still(&running);
        drop(running);
        assert!(disk.has_no_limit(uid));

        let missing = limited().sandbox_of(&Command::new("/nowhere"));
        let error = missing.spawn(Stdin::Null, Output::Null, Output::Null);
        assert!(matches!(error, Err(Error::Setup(_))), "{error:?}");
        assert!(disk.has_no_limit(uid));

        let panicked = std::thread::spawn({
            let sandbox = inner();
            move || {
                let _running = spawn(&sandbox);
                panic!("as planned");
            }
        });
        assert!(panicked.join().is_err());
        assert!(disk.has_no_limit(uid));

        // A killed embedder cannot; the next run can.
        let mut embedder = Fork::start(|pipe| {
            let _running = spawn(&inner());
            pipe.write_all(b"x").expect("the test listens");
            sys::pause();
        });
        assert_eq!(embedder.read(1), b"x");
        embedder.kill_by(libc::SIGKILL);
        while !outside::processes_of(uid).is_empty() {}
        assert!(!disk.has_no_limit(uid), "it is left");
        let again = plain(disk, pool).quota(&disk.work, project, mib(16));
        let filled = boxes::finish(&again.sandbox(&["fill", "/work/some", "24"]));
        let found = seen(&filled);
        assert!(found.bytes > Bytes::mib(8), "a limit of its own: {found:?}");
        assert_eq!(found.hit, Reading::Value(true));
        disk.clear();
        assert!(disk.has_no_limit(uid));
    });
}

fn spawn(sandbox: &Sandbox) -> Running {
    let running = sandbox.spawn(Stdin::Null, Output::Null, Output::Null);
    running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

/// Each box of a pool has a quota of its own. Without one, the first takes what is left of the disk from the second.
#[test]
fn a_box_that_fills_its_quota_takes_nothing_from_another() {
    if !host::has(&NEEDS) {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let pool = pool(room.path(), FIRST + 200, 2);
    for disk in Disk::each() {
        leave(&disk, 20);
        let both = |setup: &Setup| {
            let mut first = setup.clone().live(&["fill-and-stay", "/work/first", "24"]);
            let first_said = first.line();
            let mut second = setup.clone().live(&["fill-and-stay", "/work/second", "6"]);
            let second_said = second.line();
            assert_ne!(first.identity.uid, second.identity.uid);
            let ended = [first.finish(), second.finish()];
            disk.clear();
            (first_said, second_said, ended)
        };
        let whole = format!("wrote {}", 6 << 20);
        let limited = plain(&disk, &pool).quota(&disk.work, None, mib(8));
        let (first, second, [filled, other]) = both(&limited);
        assert!(
            first.ends_with(&format!("errno {}", libc::EDQUOT)),
            "{first}"
        );
        assert_eq!(second, whole, "{}", disk.name);
        assert_eq!(seen(&filled).hit, Reading::Value(true));
        assert_eq!(seen(&other).hit, Reading::Value(false));

        let (first, second, _) = both(&plain(&disk, &pool));
        assert!(
            first.ends_with(&format!("errno {}", libc::ENOSPC)),
            "{first}"
        );
        assert_ne!(second, whole, "the twin");
    }
}

/// Takes all of a disk but so many MiB.
fn leave(disk: &Disk, mib: u64) {
    let stat = Program::new("stat")
        .args(["-f", "-c", "%a %S"])
        .arg(&disk.work)
        .output()
        .expect("coreutils");
    let text = String::from_utf8(stat.stdout).expect("numbers");
    let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
    let length = numbers[0] * numbers[1] - (mib << 20);
    let ballast = disk.work.parent().expect("the root").join("ballast");
    let ballast = ballast.to_str().expect("plain");
    run("fallocate", &["-l", &length.to_string(), ballast]);
}

#[test]
fn one_run_at_a_time_has_a_project() {
    if !host::has(&NEEDS) {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let pool = pool(room.path(), FIRST + 300, 2);
    for disk in Disk::each() {
        let limited = plain(&disk, &pool).quota(&disk.work, Some(PROJECT), mib(8));
        let sandbox = limited.sandbox(&["sleep", "60000"]);
        let running = spawn(&sandbox);
        let second = sandbox.spawn(Stdin::Null, Output::Null, Output::Null);
        match second {
            Err(Error::Root(error @ sandbox_exec::fs::Error::Quota { .. })) => {
                assert!(error.to_string().contains("another run"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        drop(running);
        drop(spawn(&sandbox));
    }
}

/// Nothing is limited that cannot be, and nobody is told that it was.
#[test]
fn a_quota_that_cannot_be_is_an_error() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let build = |setup: &Setup| {
        let wants = sandbox_exec::Sandbox::builder().root(setup.root.clone());
        let wants = match &setup.pool {
            Some(pool) => wants.uid_pool(pool),
            None => wants.identity(setup.identity),
        };
        let mut builder = wants
            .limits(setup.limits.clone())
            .policy(sandbox_exec::Policy::judge());
        for (directory, _, limit) in &setup.quotas {
            builder = builder.user_quota(directory, *limit);
        }
        builder.command(&boxes::command(&["exit"]))
    };
    let shared = Setup::new().quota(room.path(), None, mib(1));
    let error = build(&shared).expect_err("a uid that others may have");
    assert!(matches!(error, Error::QuotaOfSharedUid), "{error}");
    let pool = pool(room.path(), FIRST + 400, 1);
    let nowhere = Setup::new()
        .in_pool(&pool)
        .quota(Path::new("/nowhere"), None, mib(1));
    let error = build(&nowhere).expect_err("no directory");
    assert!(matches!(error, Error::QuotaDirectory { .. }), "{error}");

    // Files in memory have no quotas of this kind.
    let shm = Path::new("/dev/shm");
    let unable = Setup::new().in_pool(&pool).quota(shm, None, mib(1));
    let error = unable.sandbox(&["exit"]).prepare();
    let error = error.expect_err("a tmpfs has none");
    assert!(boxes::full(&error).contains("usrquota"), "{error}");
    let twin = Setup::new().in_pool(&pool).sandbox(&["exit"]);
    assert_judged(&boxes::finish(&twin), Verdict::Ok, Basis::ExitStatus);
}

/// No kernel tells whether a tmpfs was full at a time: the evidence says that, not that it was never full.
#[test]
fn a_tmpfs_does_not_tell_what_was_refused() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let quota = sandbox_exec::Quota {
        bytes: Bytes::mib(4),
        inodes: 10,
    };
    let setup =
        Setup::new().root(|root| root.tmpfs("disk", quota, MountFlags::WRITABLE).keep("disk"));
    let undone = setup.run(&["fill-and-remove", "/disk/bomb", "24"]);
    assert_judged(
        &undone,
        Verdict::RuntimeError(Exit::Code(1)),
        Basis::ExitStatus,
    );
    let found = undone.outcome.evidence.disks[0];
    assert_eq!(found.hit, Reading::Unavailable(Unavailable::NotCounted));
    assert!(!found.full);
}
