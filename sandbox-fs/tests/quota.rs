//! Quotas of real filesystems on loop devices. As root, in a machine of one's own: the images are mounted there.
//!
//! Most kernels of containers have no ext4 quotas; `VM_RUN=1` says that this one is a throw-away machine that has.

mod support;

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{FileExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use sandbox_core::Bytes;
use sandbox_fs::{Bounds, DiskLimit, DiskQuota, Error, Holder, MountFlags, RootSpec};
use support::{ROOMY, USER, become_user, errno, in_box, in_child, private_room};

const PROJECT: u32 = 77;

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text}");
}

struct Disk {
    name: &'static str,
    make: &'static [&'static str],
    options: &'static str,
}

const DISKS: [Disk; 2] = [
    Disk {
        name: "ext4",
        make: &[
            "-q",
            "-b",
            "4096",
            "-O",
            "quota,project",
            "-E",
            "quotatype=usrquota:prjquota",
        ],
        options: "loop,usrquota,prjquota",
    },
    Disk {
        name: "xfs",
        make: &["-q"],
        options: "loop,uquota,pquota",
    },
];

impl Disk {
    /// Mounts a fresh image and returns a directory on it that the box may write to.
    fn mount(&self, at: &Path) -> PathBuf {
        let image = at.join(format!("{}.image", self.name));
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        let image = image.to_str().unwrap();
        let mut args = self.make.to_vec();
        args.push(image);
        run(&format!("mkfs.{}", self.name), &args);
        let dir = at.join(self.name);
        fs::create_dir(&dir).unwrap();
        run("mount", &["-o", self.options, image, dir.to_str().unwrap()]);
        let work = dir.join("work");
        fs::create_dir(&work).unwrap();
        chown(&work, Some(USER), Some(USER)).unwrap();
        work
    }
}

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
            let work = disk.mount(room.path());
            // One after the other: a user's quota counts what the user has anywhere on the disk.
            both(&work, "fill", disk_fill);
            both(&work, "inodes", inode_spray);
            both(&work, "sparse", sparse_files);
            both(&work, "small", many_small_files);
            both(&work, "open", deleted_but_held_open);
            both(&work, "again", set_again_and_cleared);
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
    assert!(!quota.usage().unwrap().full);
    as_user(dir, |dir| {
        let went = fill(&dir.join("big"));
        assert!((6..=8).contains(&went), "{went} MiB");
    });
    let used = quota.usage().unwrap();
    assert!(used.bytes <= Bytes::mib(8), "{used:?}");
    assert!(used.bytes >= Bytes::mib(7), "{used:?}");
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
    assert!(quota.usage().unwrap().bytes <= Bytes::mib(4));
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

fn set_again_and_cleared(dir: &Path, holder: Holder) {
    let first = set(dir, holder, bytes(2));
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
    drop(first);
    as_user(dir, |dir| assert_eq!(fill(&dir.join("c")), 24));
    // Dropped, it is taken away as well.
    drop(set(dir, holder, bytes(1)));
    as_user(dir, |dir| {
        assert!(!refused(fs::write(dir.join("d"), vec![1; 4 << 20])));
    });
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
