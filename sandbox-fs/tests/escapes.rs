//! The well-known ways out of judges through links in the box's directory, each beside what it does to an ordinary judge.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown, symlink},
};

use sandbox_core::Bytes;
use sandbox_fs::{Bounds, Error};
use support::{
    in_child,
    trees::{BOX, JUDGE, intact, kept, special, victim},
};

/// CVE-2024-28189: a judge that gives the box's directory back by `chown PATH` gives away what a link there points to.
#[test]
fn giving_a_directory_back_gives_no_file_of_the_host_away() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        let (link, secret) = (top.path().join("run"), victim.path().join("secret"));
        symlink(&secret, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(BOX), Some(BOX)).unwrap();
        let owned = kept(top.path())
            .chown(BOX, JUDGE, Bounds::default())
            .unwrap();
        assert_eq!((owned.given, owned.foreign), (1, 1));
        intact(&victim);
        chown(&link, Some(BOX), Some(BOX)).unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().uid(), BOX, "the twin");
    });
}

/// CVE-2024-28185: a judge that writes a script or redirects output into the box's directory writes where a link points.
#[test]
fn a_link_in_the_box_redirects_no_file_that_is_put_there() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        let secret = victim.path().join("secret");
        symlink(&secret, top.path().join("run")).unwrap();
        symlink(victim.path(), top.path().join("dir")).unwrap();
        special(&top.path().join("fifo"), libc::S_IFIFO, 0);
        fs::create_dir(top.path().join("taken")).unwrap();
        let dir = kept(top.path());
        let max = Bytes::kib(1);
        let put = |path: &str| dir.copy_in(path, &b"script"[..], max, 0o755, Some(JUDGE));
        for path in ["run", "fifo", "fresh"] {
            put(path).unwrap();
            let found = fs::symlink_metadata(top.path().join(path)).unwrap();
            assert!(found.is_file(), "{path}");
            assert_eq!((found.uid(), found.mode() & 0o7777), (JUDGE.uid, 0o755));
            assert_eq!(fs::read(top.path().join(path)).unwrap(), b"script");
        }
        for (path, expected) in [
            ("dir/new", libc::ELOOP),
            ("dir/sub/new", libc::ELOOP),
            ("../new", libc::EXDEV),
            ("/tmp/new", libc::EXDEV),
            ("taken", libc::EISDIR),
            ("taken/..", libc::EINVAL),
            ("", libc::EINVAL),
        ] {
            match put(path) {
                Err(Error::CopyIn { source, .. }) => assert_eq!(source.raw(), expected, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        let long = dir.copy_in("long", &[0; 2000][..], max, 0o644, None);
        assert!(matches!(long, Err(Error::TooLarge { .. })), "{long:?}");
        dir.create_dir("made", 0o2770, Some(JUDGE)).unwrap();
        let made = fs::metadata(top.path().join("made")).unwrap();
        assert_eq!((made.gid(), made.mode() & 0o7777), (JUDGE.gid, 0o2770));
        for path in ["dir", "run", "dir/x"] {
            assert!(dir.create_dir(path, 0o700, None).is_err(), "{path}");
        }
        intact(&victim);
        assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 2);
        let mut left: Vec<_> = fs::read_dir(top.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["dir", "fifo", "fresh", "made", "run", "taken"]);

        symlink(&secret, top.path().join("twin")).unwrap();
        fs::write(top.path().join("twin"), "script").unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"script", "the twin");
    });
}

/// Hydro and others: an output that is a link shows the contestant a file of the judge.
#[test]
fn an_output_that_is_a_link_shows_no_file_of_the_host() {
    in_child(|| {
        let (top, victim) = (tempfile::tempdir().unwrap(), victim());
        symlink(victim.path().join("secret"), top.path().join("output")).unwrap();
        symlink(victim.path(), top.path().join("dir")).unwrap();
        special(&top.path().join("fifo"), libc::S_IFIFO, 0);
        let dir = kept(top.path());
        for path in ["output", "dir/secret"] {
            match dir.read(path, Bytes::kib(1)) {
                Err(Error::Kept { source, .. }) => assert_eq!(source.raw(), libc::ELOOP),
                other => panic!("{path}: {other:?}"),
            }
            let twin = fs::read(top.path().join(path)).unwrap();
            assert_eq!(twin, b"secret", "the twin: {path}");
        }
        // Asked for, a FIFO without a writer opens at once and is empty.
        assert!(dir.open("fifo").is_err());
        let mut fifo = dir.open_special("fifo").unwrap();
        assert_eq!(std::io::Read::read(&mut fifo, &mut [0; 8]).unwrap(), 0);
        assert!(dir.open_special("output").is_err());
    });
}
