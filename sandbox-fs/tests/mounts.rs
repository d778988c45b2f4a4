//! What mounts look like and hold from inside a box. As root, on the real kernel.

mod support;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use sandbox_core::Bytes;
use sandbox_fs::{FileMode, MountFlags, Quota, RootSpec};
use support::{
    ROOMY, USER, become_user, errno, in_box, in_child, mount_tmpfs, own_mounts, private_room,
};

const W: MountFlags = MountFlags::WRITABLE;

/// A directory of the host with a file, and a tmpfs mounted below it in the caller's namespace.
fn tree_with_submount() -> tempfile::TempDir {
    private_room();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    mount_tmpfs(&below);
    dir
}

#[test]
fn a_read_only_bind_is_read_only_at_every_level() {
    in_child(|| {
        let dir = tree_with_submount();
        // The twin: with WRITABLE both levels can be written.
        for (flags, expected) in [(MountFlags::empty(), Some(libc::EROFS)), (W, None)] {
            let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", flags);
            in_box(&spec, || {
                assert_eq!(errno(fs::write("/box/new", "x")), expected);
                assert_eq!(errno(fs::write("/box/below/new", "x")), expected);
            });
        }
    });
}

#[test]
fn a_non_recursive_bind_leaves_submounts_outside() {
    in_child(|| {
        let dir = tree_with_submount();
        fs::write(dir.path().join("below/secret"), "x").unwrap();
        for (flags, seen) in [
            (MountFlags::NON_RECURSIVE, false),
            (MountFlags::empty(), true),
        ] {
            let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", flags);
            in_box(&spec, || {
                assert_eq!(Path::new("/box/below/secret").exists(), seen);
            });
        }
    });
}

#[test]
fn flags_are_on_every_mount_and_nothing_but_the_rules_is_mounted() {
    in_child(|| {
        let dir = tree_with_submount();
        let spec = RootSpec::minimal(ROOMY)
            .bind(dir.path(), "plain", MountFlags::empty())
            .bind(dir.path(), "noexec", MountFlags::NOEXEC | W)
            .tmpfs("tmp", ROOMY, W)
            .tmpfs("dev/shm", ROOMY, W | MountFlags::NOEXEC);
        in_box(&spec, || {
            let mounts = own_mounts();
            let found: BTreeSet<_> = mounts.keys().map(String::as_str).collect();
            let host_usr: Vec<_> = found.iter().filter(|m| m.starts_with("/usr/")).collect();
            assert!(host_usr.is_empty(), "{host_usr:?}");
            let expected = [
                "/",
                "/usr",
                "/proc",
                "/plain",
                "/plain/below",
                "/noexec",
                "/noexec/below",
                "/tmp",
                "/dev/shm",
                "/dev/null",
                "/dev/zero",
                "/dev/full",
                "/dev/random",
                "/dev/urandom",
            ];
            assert_eq!(found, BTreeSet::from(expected));
            for (point, options) in &mounts {
                assert!(options.contains(",nosuid,"), "{point} {options}");
                let device = point.starts_with("/dev/") && point != "/dev/shm";
                assert_eq!(options.contains(",nodev,"), !device, "{point} {options}");
                let writable = ["/tmp", "/dev/shm", "/noexec", "/noexec/below"];
                let writable = writable.contains(&point.as_str());
                assert_eq!(options.contains(",rw,"), writable, "{point} {options}");
            }
            for point in ["/noexec", "/noexec/below", "/dev/shm", "/dev/null", "/proc"] {
                assert!(mounts[point].contains(",noexec,"), "{point}");
            }
            assert!(!mounts["/plain"].contains(",noexec,"));
        });
    });
}

#[test]
fn noexec_keeps_programs_from_starting() {
    in_child(|| {
        for (flags, expected) in [(W | MountFlags::NOEXEC, Some(libc::EACCES)), (W, None)] {
            let spec = RootSpec::minimal(ROOMY).tmpfs("tmp", ROOMY, flags);
            in_box(&spec, || {
                fs::copy("/usr/bin/true", "/tmp/true").unwrap();
                let status = std::process::Command::new("/tmp/true").status();
                assert_eq!(errno(status), expected);
            });
        }
    });
}

#[test]
fn a_tmpfs_is_full_at_its_bytes_and_at_its_inodes() {
    in_child(|| {
        let small = Quota {
            bytes: Bytes::kib(64),
            inodes: 10,
        };
        let large = Quota {
            bytes: Bytes::mib(4),
            inodes: 1000,
        };
        // The twin with the larger quota takes what the small one refuses.
        for (quota, full) in [(small, true), (large, false)] {
            let spec = RootSpec::new(ROOMY)
                .tmpfs("a", quota, W)
                .tmpfs("b", quota, W);
            in_box(&spec, || {
                let fits = fs::write("/a/fits", vec![1; 64 << 10]);
                assert_eq!(errno(fits), None);
                let expected = full.then_some(libc::ENOSPC);
                assert_eq!(errno(fs::write("/a/more", vec![1; 4 << 10])), expected);
                // The root directory of the tmpfs is one of the ten.
                for n in 0..9 {
                    fs::write(format!("/b/{n}"), "").unwrap();
                }
                assert_eq!(errno(fs::write("/b/10th", "")), expected);
            });
        }
    });
}

#[test]
fn the_root_is_read_only_and_its_files_are_as_ruled() {
    in_child(|| {
        let spec = RootSpec::minimal(ROOMY)
            .file("etc/passwd", "box:x:0:0::/:\n", FileMode::Plain)
            .file("run.sh", "#!/bin/sh\nexit 7\n", FileMode::Executable)
            .symlink("etc/link", "passwd")
            .dir("empty/deep")
            .tmpfs("ro", ROOMY, MountFlags::empty())
            .file("ro/inside", "y", FileMode::Plain);
        // SAFETY: takes a number. The embedder's mask must not cut the modes.
        #[expect(unsafe_code, reason = "umask")]
        unsafe {
            libc::umask(0o077)
        };
        in_box(&spec, || {
            assert_eq!(fs::read_to_string("/etc/link").unwrap(), "box:x:0:0::/:\n");
            assert_eq!(fs::read_to_string("/ro/inside").unwrap(), "y");
            let status = std::process::Command::new("/run.sh").status().unwrap();
            assert_eq!(status.code(), Some(7));
            for (path, mode) in [
                ("/", 0o755),
                ("/etc", 0o755),
                ("/empty/deep", 0o755),
                ("/ro", 0o755),
                ("/etc/passwd", 0o444),
                ("/run.sh", 0o555),
            ] {
                let found = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(found, mode, "{path}");
            }
            for path in ["/new", "/etc/new", "/empty/deep/new", "/ro/new", "/dev/new"] {
                assert_eq!(errno(fs::write(path, "x")), Some(libc::EROFS), "{path}");
            }
            let chmod = fs::set_permissions("/etc/passwd", fs::Permissions::from_mode(0o666));
            assert_eq!(errno(chmod), Some(libc::EROFS));
        });
    });
}

#[test]
fn rules_lie_beneath_each_other_in_any_order() {
    in_child(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("hole")).unwrap();
        fs::write(dir.path().join("file"), "host").unwrap();
        let spec = RootSpec::new(ROOMY)
            .file("tmp/box/hole/made", "synthetic", FileMode::Plain)
            .tmpfs("tmp/box/hole", ROOMY, W)
            .bind(dir.path(), "tmp/box", MountFlags::empty())
            .bind(dir.path().join("file"), "tmp/one/file", MountFlags::empty())
            .tmpfs("tmp", ROOMY, W);
        in_box(&spec, || {
            let read = |path: &str| fs::read_to_string(path).unwrap();
            assert_eq!(read("/tmp/box/file"), "host");
            assert_eq!(read("/tmp/box/hole/made"), "synthetic");
            assert_eq!(read("/tmp/one/file"), "host");
            fs::write("/tmp/box/hole/new", "x").unwrap();
            fs::write("/tmp/new", "x").unwrap();
        });
        assert_eq!(fs::read_dir(dir.path().join("hole")).unwrap().count(), 0);
    });
}

#[test]
fn dev_has_working_devices_and_no_others() {
    in_child(|| {
        in_box(&RootSpec::minimal(ROOMY), || {
            let mut names: Vec<_> = fs::read_dir("/dev")
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            assert_eq!(
                names,
                [
                    "fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"
                ]
            );
            fs::write("/dev/null", "gone").unwrap();
            assert_eq!(errno(fs::write("/dev/full", "x")), Some(libc::ENOSPC));
            assert!(fs::read_link("/dev/fd").unwrap().starts_with("/proc/self"));
            let mut some = [7; 4];
            for name in ["zero", "urandom", "random"] {
                use std::io::Read as _;
                fs::File::open(Path::new("/dev").join(name))
                    .and_then(|mut file| file.read_exact(&mut some))
                    .unwrap();
            }
            let chmod = fs::set_permissions("/dev/null", fs::Permissions::from_mode(0o600));
            assert_eq!(errno(chmod), Some(libc::EROFS));
        });
    });
}

#[test]
fn device_nodes_in_a_bind_work_only_with_the_flag() {
    in_child(|| {
        private_room();
        let dir = tempfile::tempdir().unwrap();
        mount_tmpfs(dir.path());
        let node = std::ffi::CString::new(format!("{}/null", dir.path().display())).unwrap();
        #[expect(unsafe_code, reason = "mknod")]
        // SAFETY: the path is a live C string.
        let made =
            unsafe { libc::mknod(node.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)) };
        assert_eq!(made, 0);
        for (flags, expected) in [
            (MountFlags::empty(), Some(libc::EACCES)),
            (MountFlags::DEVICES, None),
        ] {
            let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", flags);
            in_box(&spec, || {
                assert_eq!(errno(fs::File::open("/box/null")), expected);
            });
        }
    });
}

#[test]
fn proc_shows_the_box_only_and_hides_the_init_from_other_users() {
    in_child(|| {
        in_box(&RootSpec::minimal(ROOMY), || {
            assert_eq!(std::process::id(), 1);
            for path in [
                "/proc/sys",
                "/proc/kcore",
                "/proc/kallsyms",
                "/proc/sysrq-trigger",
            ] {
                assert!(!Path::new(path).exists(), "{path}");
            }
            let write = fs::write("/proc/self/comm", "x");
            assert_eq!(errno(write), Some(libc::EROFS));
            // The twin: root sees PID 1.
            assert!(Path::new("/proc/1/status").exists());
            in_child(|| {
                become_user(USER);
                assert!(!Path::new("/proc/1").exists());
                assert!(Path::new("/proc/self/status").exists());
            });
        });
        in_box(&RootSpec::new(ROOMY).proc_full("proc"), || {
            assert!(Path::new("/proc/meminfo").exists());
            let write = fs::write("/proc/sys/kernel/hostname", "x");
            assert_eq!(errno(write), Some(libc::EROFS));
            in_child(|| {
                become_user(USER);
                assert!(!Path::new("/proc/1").exists());
            });
        });
    });
}
