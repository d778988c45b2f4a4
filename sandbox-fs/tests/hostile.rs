//! Trees made to harm whoever cleans up, hands over or copies: as root, on the real kernel.

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
        net::UnixListener,
    },
    path::Path,
    time::{Duration, Instant},
};

use sandbox_fs::{Bounds, Error};
use support::{
    USER, become_user, check, in_child, mount_tmpfs, patience, private_room,
    trees::{BOX, JUDGE, intact, kept, special, victim},
};

/// Sets `FS_IMMUTABLE_FL` or `FS_APPEND_FL`. Beside the flags that are there: ext4 says by one of them how it keeps the blocks,
/// and to take that away asks it to keep them in another way, which it refuses now and then.
#[expect(unsafe_code, reason = "ioctl")]
fn flag(path: &Path, flag: i32) {
    use std::os::fd::AsRawFd as _;
    let file = fs::File::open(path).unwrap();
    let mut flags = 0;
    // SAFETY: the call writes an int to a live one.
    let got = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) };
    check("FS_IOC_GETFLAGS", got.into());
    flags |= flag;
    // SAFETY: the call reads an int from a live one.
    let set = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) };
    check("FS_IOC_SETFLAGS", set.into());
}

const IMMUTABLE: i32 = 0x10;
const APPEND: i32 = 0x20;

/// A chain of directories named `d`, each with a file and no permissions. Works in the caller's working directory.
#[expect(unsafe_code, reason = "no path is long enough for std")]
fn dig(top: &Path, levels: usize) {
    std::env::set_current_dir(top).unwrap();
    for _ in 0..levels {
        // SAFETY: static C strings.
        check("mkdir", unsafe { libc::mkdir(c"d".as_ptr(), 0) }.into());
        // SAFETY: static C strings.
        check("chdir", unsafe { libc::chdir(c"d".as_ptr()) }.into());
        fs::write("file", "x").unwrap();
    }
    std::env::set_current_dir("/").unwrap();
}

/// Everything that makes removal or a change of owner go wrong, in one directory.
fn zoo(top: &Path, victim: &Path) {
    fs::create_dir(top.join("closed")).unwrap();
    fs::write(top.join("closed/file"), "x").unwrap();
    fs::create_dir(top.join("closed/dir")).unwrap();
    fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    symlink(victim, top.join("link")).unwrap();
    symlink("/proc/self/root", top.join("magic")).unwrap();
    symlink(".", top.join("loop")).unwrap();
    fs::hard_link(victim.join("secret"), top.join("hard")).unwrap();
    special(&top.join("fifo"), libc::S_IFIFO, 0);
    special(&top.join("device"), libc::S_IFCHR, libc::makedev(1, 5));
    drop(UnixListener::bind(top.join("socket")).unwrap());
    fs::write(top.join(OsStr::from_bytes(b"\xff\xfe\n\x01")), "x").unwrap();
    fs::create_dir(top.join(OsStr::from_bytes(b"\x80dir"))).unwrap();
    fs::write(top.join(OsStr::from_bytes(b"\x80dir/\xc0")), "x").unwrap();
    fs::write(top.join("-rf"), "x").unwrap();
    fs::write(top.join("n".repeat(255)), "x").unwrap();
}

#[test]
fn a_hostile_tree_is_removed_and_nothing_outside() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        zoo(top.path(), victim.path());
        fs::create_dir_all(top.path().join("locked/dir")).unwrap();
        fs::write(top.path().join("locked/dir/file"), "x").unwrap();
        flag(&top.path().join("locked/dir/file"), APPEND);
        flag(&top.path().join("locked/dir"), IMMUTABLE);
        flag(&top.path().join("locked"), IMMUTABLE);
        let locked = fs::remove_dir_all(top.path().join("locked"));
        assert_eq!(
            locked.unwrap_err().raw_os_error(),
            Some(libc::EPERM),
            "the twin: what does not take the flags away gets nowhere"
        );
        kept(top.path()).clear(Bounds::default()).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
        intact(&victim);
    });
}

#[test]
fn a_remover_that_goes_by_paths_leaves_the_box() {
    // The twin of the test above: why nothing goes by paths.
    fn naive(dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                naive(&path);
            } else {
                fs::remove_file(&path).unwrap();
            }
        }
    }
    let (top, victim) = (tempfile::tempdir().unwrap(), victim());
    symlink(victim.path(), top.path().join("link")).unwrap();
    naive(top.path());
    assert!(
        !victim.path().join("secret").exists(),
        "gone through the link"
    );
}

#[test]
fn one_name_is_removed_with_all_beneath_it_and_no_other() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        fs::create_dir(top.path().join("zoo")).unwrap();
        zoo(&top.path().join("zoo"), victim.path());
        fs::write(top.path().join("other"), "x").unwrap();
        symlink(victim.path(), top.path().join("out")).unwrap();
        let dir = kept(top.path());
        dir.remove("zoo", Bounds::default()).unwrap();
        dir.remove("out", Bounds::default()).unwrap();
        let left: Vec<_> = fs::read_dir(top.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        intact(&victim);
        symlink(victim.path(), top.path().join("out")).unwrap();
        for (path, expected) in [
            ("out/secret", libc::ELOOP),
            ("../x", libc::EXDEV),
            ("..", libc::EINVAL),
            ("/", libc::EINVAL),
            ("absent", libc::ENOENT),
        ] {
            match dir.remove(path, Bounds::default()) {
                Err(Error::Remove { source, .. }) => assert_eq!(source.raw(), expected, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        intact(&victim);
    });
}

/// Twenty descriptors, two megabytes and a few seconds are enough for ten thousand levels without permissions.
#[test]
#[expect(unsafe_code, reason = "setrlimit")]
fn ten_thousand_levels_cost_neither_memory_nor_descriptors() {
    in_child(|| {
        private_room();
        let top = tempfile::tempdir().unwrap();
        dig(top.path(), 10_000);
        let few = libc::rlimit {
            rlim_cur: 20,
            rlim_max: 20,
        };
        // SAFETY: the limit is live.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) };
        check("setrlimit", set.into());
        let dir = kept(top.path());
        // The program's own pages count too, and are mapped as it comes to them: it has been everywhere before.
        let shallow = tempfile::tempdir().unwrap();
        dig(shallow.path(), 10);
        let first = kept(shallow.path());
        let owned = first.chown(0, JUDGE, Bounds::default()).unwrap();
        assert_eq!(owned.given, 21);
        first.clear(Bounds::default()).unwrap();
        let before = peak_kib();
        let begun = Instant::now();
        let owned = dir.chown(0, JUDGE, Bounds::default()).unwrap();
        assert_eq!(owned.given, 20_001);
        assert_eq!((owned.foreign, owned.linked, owned.special), (0, 0, 0));
        dir.clear(Bounds::default()).unwrap();
        assert!(begun.elapsed() < patience(30));
        let grown = peak_kib() - before;
        assert!(grown < 2048, "{grown} KiB");
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    });
}

/// Largest resident set so far.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_wide_tree_of_deep_ones_is_removed() {
    in_child(|| {
        private_room();
        let top = tempfile::tempdir().unwrap();
        for n in 0..50 {
            let one = top.path().join(format!("{n}"));
            fs::create_dir(&one).unwrap();
            dig(&one, 40);
            for m in 0..40 {
                fs::create_dir(one.join(format!("a-name-of-some-length-{m}"))).unwrap();
            }
        }
        kept(top.path()).clear(Bounds::default()).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    });
}

#[test]
fn bounds_end_a_walk_and_say_so() {
    in_child(|| {
        let top = tempfile::tempdir().unwrap();
        dig(top.path(), 100);
        let dir = kept(top.path());
        let few = Bounds {
            entries: 50,
            ..Bounds::default()
        };
        let soon = Bounds {
            time: Duration::ZERO,
            ..Bounds::default()
        };
        for bounds in [few, soon] {
            let ended = dir.clear(bounds);
            assert!(matches!(ended, Err(Error::TooLarge { .. })), "{ended:?}");
            let ended = dir.chown(0, JUDGE, bounds);
            assert!(matches!(ended, Err(Error::TooLarge { .. })), "{ended:?}");
        }
        assert!(fs::read_dir(top.path()).unwrap().count() > 0, "the twin");
        dir.clear(Bounds::default()).unwrap();
    });
}

#[test]
fn an_owner_without_capabilities_removes_what_it_closed() {
    in_child(|| {
        let top = tempfile::tempdir().unwrap();
        chown(top.path(), Some(USER), Some(USER)).unwrap();
        become_user(USER);
        fs::create_dir_all(top.path().join("a/b/c")).unwrap();
        fs::write(top.path().join("a/b/c/file"), "x").unwrap();
        for dir in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(top.path().join(dir), fs::Permissions::from_mode(0o0)).unwrap();
        }
        kept(top.path()).clear(Bounds::default()).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    });
}

#[test]
fn a_mount_in_the_tree_is_an_error_and_not_entered() {
    in_child(|| {
        private_room();
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/mount")).unwrap();
        mount_tmpfs(&top.path().join("a/mount"));
        fs::write(top.path().join("a/mount/file"), "x").unwrap();
        let dir = kept(top.path());
        let mounted = |result: Result<(), Error>| match result {
            Err(Error::Remove { source, .. } | Error::Chown { source, .. }) => {
                assert!(
                    [libc::EBUSY, libc::EXDEV].contains(&source.raw()),
                    "{source}"
                );
            }
            other => panic!("{other:?}"),
        };
        mounted(dir.clear(Bounds::default()));
        mounted(dir.chown(0, JUDGE, Bounds::default()).map(drop));
        let inside = fs::metadata(top.path().join("a/mount/file")).unwrap();
        assert_eq!(inside.uid(), 0);
    });
}

#[test]
fn only_what_belongs_to_the_box_changes_hands() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        zoo(top.path(), victim.path());
        fs::write(top.path().join("tool"), "x").unwrap();
        let own = ["closed", "closed/file", "closed/dir", "-rf", "tool"];
        for name in own {
            chown(top.path().join(name), Some(BOX), Some(BOX)).unwrap();
        }
        std::os::unix::fs::lchown(top.path().join("link"), Some(BOX), Some(BOX)).unwrap();
        chown(top.path().join("fifo"), Some(BOX), Some(BOX)).unwrap();
        fs::set_permissions(top.path().join("tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        // Its own file under a second name, which might as well lie outside.
        fs::write(top.path().join("twice"), "x").unwrap();
        chown(top.path().join("twice"), Some(BOX), Some(BOX)).unwrap();
        fs::hard_link(top.path().join("twice"), victim.path().join("twice")).unwrap();

        let owned = kept(top.path())
            .chown(BOX, JUDGE, Bounds::default())
            .unwrap();
        assert_eq!(owned.given, 6);
        assert_eq!((owned.linked, owned.special), (1, 3));
        for name in own {
            let found = fs::metadata(top.path().join(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), (JUDGE.uid, JUDGE.gid), "{name}");
        }
        let link = fs::symlink_metadata(top.path().join("link")).unwrap();
        assert_eq!(link.uid(), JUDGE.uid, "the link itself");
        let tool = fs::metadata(top.path().join("tool")).unwrap();
        assert_eq!(
            tool.mode() & 0o7777,
            0o755,
            "no set-user-id program of the judge's"
        );
        assert_eq!(fs::metadata(top.path().join("twice")).unwrap().uid(), BOX);
        intact(&victim);
    });
}
