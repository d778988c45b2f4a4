//! Quotas of real filesystems on loop devices. As root, in a machine of one's own: the images are mounted there.
//!
//! Most kernels of containers have no ext4 quotas; `VM_RUN=1` says that this one is a throw-away machine that has.

mod support;

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{FileExt as _, PermissionsExt as _, chown},
    path::Path,
};

use sandbox_core::{Bytes, Reading, Unavailable};
use sandbox_fs::{Bounds, DiskLimit, DiskQuota, Error, Holder, MountFlags, RootSpec};
use support::{
    ROOMY, USER, become_user,
    disks::{DISKS, run, settle},
    errno, in_box, in_child, private_room, unshare,
};

const PROJECT: u32 = 77;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn cannot_mount() -> bool {
    let lacks = std::env::var_os("VM_RUN").is_none();
    if lacks {
        println!("skipped: needs own_kernel");
    }
    lacks
}

fn both(work: &Path, name: &str, test: impl Fn(&Path, Holder)) {
    for (n, holder) in [Holder::User(USER), Holder::Project(PROJECT)]
        .into_iter()
        .enumerate()
    {
        let dir = work.join(format!("{name}-{n}"));
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(USER), Some(USER)).unwrap();
        test(&dir, holder);
        fs::remove_dir_all(&dir).unwrap();
        settle(work);
    }
}

fn set(dir: &Path, holder: Holder, limit: DiskLimit) -> DiskQuota {
    let open = File::open(dir).unwrap();
    DiskQuota::set(&open, holder, limit, Bounds::default()).unwrap()
}

fn bytes(mib: u64) -> DiskLimit {
    DiskLimit {
        bytes: Some(Bytes::mib(mib)),
        inodes: None,
    }
}

fn inodes(count: u64) -> DiskLimit {
    DiskLimit {
        bytes: None,
        inodes: Some(count),
    }
}

/// Whether the write was refused for want of room; XFS says ENOSPC for projects.
fn refused<T>(result: std::io::Result<T>) -> bool {
    match errno(result) {
        None => false,
        Some(number) => {
            assert!([libc::EDQUOT, libc::ENOSPC].contains(&number), "{number}");
            true
        }
    }
}

/// Writes until it is refused, or 24 MiB are written; how many MiB went.
fn fill(path: &Path) -> usize {
    let mut file = File::create(path).unwrap();
    let block = vec![1; 256 << 10];
    let written =
        (0..96).take_while(|_| !refused(file.write_all(&block).and_then(|()| file.sync_data())));
    written.count() / 4
}

fn as_user(dir: &Path, attack: impl Fn(&Path)) {
    in_child(|| {
        become_user(USER);
        attack(dir);
    });
}

#[test]
fn quotas_hold_against_every_way_to_fill_a_disk() {
    if cannot_mount() {
        return;
    }
    in_child(|| {
        private_room();
        let room = tempfile::tempdir().unwrap();
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for disk in DISKS {
            let work = disk.mount(room.path(), USER);
            // One after the other: a user's quota counts what the user has anywhere on the disk.
            both(&work, "fill", disk_fill);
            both(&work, "inodes", inode_spray);
            both(&work, "sparse", sparse_files);
            both(&work, "small", many_small_files);
            both(&work, "open", deleted_but_held_open);
            both(&work, "undone", filled_and_deleted);
            both(&work, "near", near_the_limit);
            both(&work, "others", the_limits_of_others);
            both(&work, "deaf", where_the_kernel_does_not_tell);
            both(&work, "again", set_again_and_cleared);
            one_directory_has_a_project(&work);
            adopted_and_kept_in_a_box(&work);
            run("umount", &[disk_root(&work)]);
        }
    });
}

fn disk_root(work: &Path) -> &str {
    work.parent().unwrap().to_str().unwrap()
}

fn disk_fill(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(8));
    let before = quota.usage().unwrap();
    assert_eq!((before.full, before.hit), (false, Reading::Value(false)));
    as_user(dir, |dir| {
        let went = fill(&dir.join("big"));
        assert!((6..=8).contains(&went), "{went} MiB");
    });
    let used = quota.usage().unwrap();
    assert!(used.bytes <= Bytes::mib(8), "{used:?}");
    assert!(used.bytes >= Bytes::mib(7), "{used:?}");
    assert_eq!(used.hit, Reading::Value(true));
    quota.clear().unwrap();
    as_user(dir, |dir| assert_eq!(fill(&dir.join("twin")), 24));
}

fn inode_spray(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, inodes(50));
    let spray = |prefix: &'static str| {
        move |dir: &Path| {
            let made = (0..100).take_while(|n| {
                let path = dir.join(format!("{prefix}{n}"));
                !refused(match n % 2 {
                    0 => File::create(path).map(drop),
                    _ => fs::create_dir(path),
                })
            });
            let made = made.count();
            assert_eq!(made == 100, prefix == "twin", "{made}");
            assert!((40..=100).contains(&made), "{made}");
        }
    };
    as_user(dir, spray("x"));
    let used = quota.usage().unwrap();
    assert_eq!((used.inodes, used.full), (50, true));
    assert_eq!(used.hit, Reading::Value(true));
    quota.clear().unwrap();
    as_user(dir, spray("twin"));
}

fn sparse_files(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(4));
    as_user(dir, |dir| {
        let file = File::create(dir.join("sparse")).unwrap();
        file.set_len(1 << 30).unwrap();
        // A hole is nothing; what is written into it is.
        let step = 1 << 20;
        let written = (0..64).take_while(|n| {
            !refused(
                file.write_all_at(&[1; 128 << 10], n * step)
                    .and_then(|()| file.sync_data()),
            )
        });
        let written = written.count();
        assert!((16..=32).contains(&written), "{written} x 128 KiB");
    });
    let used = quota.usage().unwrap();
    assert!(used.bytes <= Bytes::mib(4));
    assert_eq!(used.hit, Reading::Value(true));
    quota.clear().unwrap();
}

fn many_small_files(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(1));
    as_user(dir, |dir| {
        let made = (0..1000).take_while(|n| {
            let wrote = File::create(dir.join(format!("{n}")))
                .and_then(|mut file| file.write_all(b"x").and_then(|()| file.sync_data()));
            !refused(wrote)
        });
        let made = made.count();
        assert!(made < 260, "a byte takes a block: {made}");
    });
    let used = quota.usage().unwrap();
    // XFS refuses a new file already where the most that it might need does not fit.
    let exact = dir.to_str().unwrap().contains("/ext4/");
    assert!(used.full || !exact, "{used:?}");
    assert_eq!(used.hit, Reading::Value(true));
    quota.clear().unwrap();
}

fn deleted_but_held_open(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(4));
    as_user(dir, |dir| {
        let path = dir.join("gone");
        let mut held = File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        held.write_all(&vec![1; 3 << 20]).unwrap();
        held.sync_data().unwrap();
        assert!(fill(&dir.join("more")) <= 1, "what is deleted still counts");
        drop(held);
        fs::remove_file(dir.join("more")).unwrap();
        assert!(fill(&dir.join("twin")) >= 2, "what is closed does not");
    });
    quota.clear().unwrap();
}

/// What the end does not show: the program was refused, and removed what it had written.
fn filled_and_deleted(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(4));
    as_user(dir, |dir| {
        assert!(fill(&dir.join("gone")) <= 4);
        fs::remove_file(dir.join("gone")).unwrap();
    });
    settle(dir.parent().unwrap());
    let used = quota.usage().unwrap();
    assert_eq!((used.full, used.hit), (false, Reading::Value(true)));
    assert_eq!(quota.usage().unwrap().hit, Reading::Value(true), "again");
    quota.clear().unwrap();
    let quota = set(dir, holder, inodes(20));
    as_user(dir, |dir| {
        let made = (0..30).take_while(|n| !refused(File::create(dir.join(format!("{n}")))));
        let made = made.count();
        assert!(made < 30);
        (0..made).for_each(|n| fs::remove_file(dir.join(format!("{n}"))).unwrap());
    });
    assert_eq!(quota.usage().unwrap().hit, Reading::Value(true));
    quota.clear().unwrap();
}

/// The twin: much is written, all of it fits.
fn near_the_limit(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(32));
    as_user(dir, |dir| {
        assert_eq!(fill(&dir.join("much")), 24);
        assert!(!refused(fs::write(dir.join("more"), vec![1; 1 << 20])));
    });
    let used = quota.usage().unwrap();
    assert_eq!((used.full, used.hit), (false, Reading::Value(false)));
    quota.clear().unwrap();
}

/// Another user, another project: whatever they run into is not this one's.
fn the_limits_of_others(dir: &Path, holder: Holder) {
    let quota = set(dir, holder, bytes(4));
    let other = dir.join("other");
    fs::create_dir(&other).unwrap();
    chown(&other, Some(USER + 1), Some(USER + 1)).unwrap();
    let (user, theirs) = match holder {
        Holder::User(id) => (id + 1, Holder::User(id + 1)),
        _ => (USER + 1, Holder::Project(PROJECT + 5)),
    };
    let limit = set(&other, theirs, bytes(1));
    in_child(|| {
        become_user(user);
        for _ in 0..5 {
            assert!(fill(&other.join("x")) <= 1);
        }
    });
    assert_eq!(limit.usage().unwrap().hit, Reading::Value(true));
    assert_eq!(quota.usage().unwrap().hit, Reading::Value(false));
    limit.clear().unwrap();
    quota.clear().unwrap();
}

/// As in a container with a network of its own: what is not known reads as that.
fn where_the_kernel_does_not_tell(dir: &Path, holder: Holder) {
    in_child(|| {
        unshare(libc::CLONE_NEWNET);
        let quota = set(dir, holder, bytes(2));
        as_user(dir, |dir| assert!(fill(&dir.join("big")) <= 2));
        let used = quota.usage().unwrap();
        assert_eq!(used.hit, Reading::Unavailable(Unavailable::NotCounted));
        assert!(used.bytes > Bytes::mib(1), "{used:?}");
    });
}

fn set_again_and_cleared(dir: &Path, holder: Holder) {
    // An embedder that dies with the quota in force.
    in_child(|| std::mem::forget(set(dir, holder, bytes(2))));
    as_user(dir, |dir| assert!(fill(&dir.join("a")) <= 2));
    // Set again on the next initialisation, with another limit and of the other kind.
    let second = set(
        dir,
        holder,
        DiskLimit {
            bytes: Some(Bytes::mib(6)),
            inodes: Some(30),
        },
    );
    assert_eq!(second.limit().inodes, Some(30));
    as_user(dir, |dir| {
        let went = fill(&dir.join("b"));
        assert!((2..=4).contains(&went), "{went}");
    });
    second.clear().unwrap();
    as_user(dir, |dir| assert_eq!(fill(&dir.join("c")), 24));
    // Dropped, it is taken away as well.
    drop(set(dir, holder, bytes(1)));
    as_user(dir, |dir| {
        assert!(!refused(fs::write(dir.join("d"), vec![1; 4 << 20])));
    });
}

/// The end of one run must not take the limits of another away.
fn one_directory_has_a_project(work: &Path) {
    let [one, two] = ["one", "two"].map(|name| work.join(name));
    for dir in [&one, &two] {
        fs::create_dir(dir).unwrap();
    }
    let project = Holder::Project(PROJECT + 2);
    let again = |dir: &Path| {
        let open = File::open(dir).unwrap();
        DiskQuota::set(&open, project, bytes(4), Bounds::default())
    };
    let expect = |dir: &Path, expected| match again(dir) {
        Err(Error::Quota { source, .. }) => assert_eq!(source.raw(), expected),
        other => panic!("{other:?}"),
    };
    let first = again(&one).unwrap();
    expect(&one, libc::EWOULDBLOCK);
    expect(&two, libc::EBUSY);
    first.clear().unwrap();
    expect(&two, libc::EBUSY);
    drop(again(&one).unwrap());
    fs::remove_dir(&one).unwrap();
    drop(again(&two).unwrap());
    fs::remove_dir(&two).unwrap();
}

/// A persistent work directory with files in it already becomes the project's, and holds its quota inside a box.
fn adopted_and_kept_in_a_box(work: &Path) {
    let dir = work.join("adopted");
    fs::create_dir_all(dir.join("old/deep")).unwrap();
    fs::write(dir.join("old/deep/file"), vec![1; 1 << 20]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    run("chown", &["-R", "1000:1000", dir.to_str().unwrap()]);
    let quota = set(&dir, Holder::Project(PROJECT + 1), bytes(4));
    assert!(
        quota.usage().unwrap().bytes >= Bytes::mib(1),
        "what was there counts"
    );
    let spec = RootSpec::new(ROOMY).bind(&dir, "work", MountFlags::WRITABLE);
    in_box(&spec, || {
        become_user(USER);
        let went = fill(Path::new("/work/old/deep/new"));
        assert!((2..=3).contains(&went), "{went}");
    });
    quota.clear().unwrap();
}

#[test]
fn a_disk_without_quotas_says_how_to_enable_them() {
    in_child(|| {
        private_room();
        let dir = tempfile::tempdir().unwrap();
        let open = File::open(dir.path()).unwrap();
        for (holder, advice) in [
            (Holder::User(USER), "usrquota"),
            (Holder::Project(PROJECT), "prjquota"),
        ] {
            match DiskQuota::set(&open, holder, bytes(1), Bounds::default()) {
                Err(error @ Error::Quota { .. }) => {
                    assert!(error.to_string().contains(advice), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
        let zero = DiskLimit {
            bytes: Some(Bytes::new(1023)),
            inodes: None,
        };
        for nothing in [zero, inodes(0), DiskLimit::default()] {
            let error = DiskQuota::set(&open, Holder::User(1), nothing, Bounds::default());
            assert!(matches!(error, Err(Error::QuotaZero { .. })), "{error:?}");
        }
    });
}
