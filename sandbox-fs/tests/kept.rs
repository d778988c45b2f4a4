//! What the embedder reads of a dead box. As root, on the real kernel.

mod support;

use std::{
    ffi::CString,
    fs,
    io::Read as _,
    os::{
        fd::OwnedFd,
        unix::{fs::symlink, net::UnixListener},
    },
};

use sandbox_core::Bytes;
use sandbox_fs::{Error, KeptDir, KeptKind, MountFlags, RootSpec};
use support::{ROOMY, in_child, in_kept_box, mount_tmpfs, private_room};

fn special(path: &str, kind: u32, device: u64) {
    let path = CString::new(path).unwrap();
    #[expect(unsafe_code, reason = "mknod")]
    // SAFETY: the path is a live C string.
    let made = unsafe { libc::mknod(path.as_ptr(), kind | 0o666, device) };
    assert_eq!(made, 0);
}

#[test]
fn hostile_names_lead_nowhere_and_only_regular_files_are_read() {
    in_child(|| {
        let spec = RootSpec::minimal(ROOMY)
            .tmpfs("box", ROOMY, MountFlags::WRITABLE)
            .tmpfs("box/other", ROOMY, MountFlags::WRITABLE)
            .keep("box");
        let kept = in_kept_box(&spec, || {
            fs::write("/box/answer", "42").unwrap();
            fs::create_dir("/box/dir").unwrap();
            fs::write("/box/dir/deep", "deep").unwrap();
            symlink("/etc/passwd", "/box/out").unwrap();
            symlink("answer", "/box/in").unwrap();
            symlink("/etc", "/box/etc").unwrap();
            symlink("/proc/self/root", "/box/magic").unwrap();
            special("/box/fifo", libc::S_IFIFO, 0);
            special("/box/zero", libc::S_IFCHR, libc::makedev(1, 5));
            drop(UnixListener::bind("/box/socket").unwrap());
            fs::write("/box/other/x", "x").unwrap();
            let sparse = fs::File::create("/box/sparse").unwrap();
            sparse.set_len(1 << 40).unwrap();
        });
        let max = Bytes::kib(1);
        assert_eq!(kept.read("answer", max).unwrap(), b"42");
        assert_eq!(kept.read("dir/deep", max).unwrap(), b"deep");
        assert_eq!(kept.read("answer", Bytes::new(2)).unwrap(), b"42");
        for (path, expected) in [
            ("out", libc::ELOOP),
            ("in", libc::ELOOP),
            ("etc/passwd", libc::ELOOP),
            ("magic/etc/passwd", libc::ELOOP),
            ("..", libc::EXDEV),
            ("/etc/passwd", libc::EXDEV),
            ("../box/answer", libc::EXDEV),
            ("absent", libc::ENOENT),
            ("zero", libc::EACCES),
            ("socket", libc::ENXIO),
        ] {
            match kept.read(path, max) {
                Err(Error::Kept { source, .. }) => assert_eq!(source.raw(), expected, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        for path in ["fifo", "dir", "."] {
            assert!(
                matches!(kept.read(path, max), Err(Error::NotRegular { .. })),
                "{path}"
            );
        }
        for (path, max) in [("sparse", Bytes::mib(1)), ("answer", Bytes::new(1))] {
            assert!(
                matches!(kept.read(path, max), Err(Error::TooLarge { .. })),
                "{path}"
            );
        }
        // The mounts below went with the box's namespace.
        assert!(kept.read("other/x", max).is_err());
        let mut text = String::new();
        kept.open("answer")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "42");

        let mut entries: Vec<_> = kept
            .entries(20)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.name.into_string().unwrap(), entry.kind))
            .collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("answer", KeptKind::File),
            ("dir", KeptKind::Directory),
            ("etc", KeptKind::Symlink),
            ("fifo", KeptKind::Other),
            ("in", KeptKind::Symlink),
            ("magic", KeptKind::Symlink),
            ("other", KeptKind::Directory),
            ("out", KeptKind::Symlink),
            ("socket", KeptKind::Other),
            ("sparse", KeptKind::File),
            ("zero", KeptKind::Other),
        ];
        assert_eq!(
            entries,
            expected.map(|(name, kind)| (name.to_owned(), kind))
        );
        assert!(matches!(kept.entries(10), Err(Error::TooLarge { .. })));
        assert_eq!(kept.open_dir("dir").unwrap().entries(1).unwrap().len(), 1);
        assert!(kept.open_dir("etc").is_err());
    });
}

#[test]
fn a_directory_with_more_names_than_one_call_returns_is_listed_in_full() {
    in_child(|| {
        let spec = RootSpec::minimal(ROOMY)
            .tmpfs(
                "box",
                sandbox_fs::Quota {
                    bytes: ROOMY.bytes,
                    inodes: 2_000,
                },
                MountFlags::WRITABLE,
            )
            .keep("/box");
        let kept = in_kept_box(&spec, || {
            for n in 0..1_500 {
                fs::write(format!("/box/a-name-of-some-length-{n}"), "").unwrap();
            }
        });
        assert_eq!(kept.entries(2_000).unwrap().len(), 1_500);
    });
}

#[test]
fn a_mount_below_a_kept_directory_is_not_entered() {
    in_child(|| {
        private_room();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        mount_tmpfs(&dir.path().join("below"));
        fs::write(dir.path().join("below/x"), "x").unwrap();
        let kept = KeptDir::from(OwnedFd::from(fs::File::open(dir.path()).unwrap()));
        match kept.read("below/x", Bytes::kib(1)) {
            Err(Error::Kept { source, .. }) => assert_eq!(source.raw(), libc::EXDEV),
            other => panic!("{other:?}"),
        }
    });
}
