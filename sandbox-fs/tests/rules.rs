//! The rules beyond bind, tmpfs and proc, each by its effect in the box. As root, on the real kernel.

mod support;

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::Path,
};

use sandbox_core::Bytes;
use sandbox_fs::{Conflict, Error, FileMode, MountFlags, Quota, RootSpec, Rule, Trees, Upper};
use support::{
    Ids, ROOMY, USER, become_user, errno, in_box, in_child, in_planned_box, is_linux_6_5,
    own_mounts,
};

const W: MountFlags = MountFlags::WRITABLE;
const RO: MountFlags = MountFlags::empty();

fn open_dir(mode: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    dir
}

#[test]
fn a_descriptor_is_bound_wherever_its_path_leads_by_now() {
    in_child(|| {
        let dir = open_dir(0o755);
        let (old, new) = (dir.path().join("file"), dir.path().join("moved"));
        let file = OwnedFd::from(fs::File::open(&old).unwrap());
        let whole = OwnedFd::from(fs::File::open(dir.path()).unwrap());
        fs::rename(&old, &new).unwrap();
        fs::write(&old, "another").unwrap();
        let spec = RootSpec::new(ROOMY)
            .bind_open(file, "one", RO)
            .bind_open(whole, "all", W);
        in_box(&spec, || {
            assert_eq!(fs::read_to_string("/one").unwrap(), "x");
            assert_eq!(errno(fs::write("/one", "y")), Some(libc::EROFS));
            fs::write("/all/new", "y").unwrap();
        });
        let missing = RootSpec::new(ROOMY).rule(Rule::BindOpen {
            handle: "nobody gave it".into(),
            target: "x".into(),
            flags: RO,
        });
        let error = missing.prepare().unwrap_err();
        assert!(matches!(error, Error::Handle { .. }), "{error}");
    });
}

#[test]
fn a_mask_hides_files_and_directories_and_nothing_beside_them() {
    in_child(|| {
        let dir = open_dir(0o755);
        fs::create_dir_all(dir.path().join("hidden/below")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        let spec = RootSpec::new(ROOMY)
            .bind(dir.path(), "box", W)
            .mask("box/hidden")
            .mask("box/secret")
            .rule(Rule::Mask {
                target: "box/absent".into(),
                optional: true,
            });
        in_box(&spec, || {
            assert_eq!(fs::read("/box/secret").unwrap(), b"");
            assert_eq!(fs::read_dir("/box/hidden").unwrap().count(), 0);
            assert_eq!(fs::read("/box/file").unwrap(), b"x", "the twin");
            for path in ["/box/secret", "/box/hidden/new"] {
                assert_eq!(errno(fs::write(path, "y")), Some(libc::EROFS), "{path}");
            }
            assert_eq!(errno(fs::remove_file("/box/secret")), Some(libc::EBUSY));
        });
        assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"secret");
    });
}

#[test]
fn masks_close_what_a_full_proc_and_a_sysfs_tell() {
    in_child(|| {
        let open = RootSpec::new(ROOMY).proc_full("proc").sysfs("sys");
        let paths = ["/proc/sys/kernel", "/sys/module/kernel"];
        // Kernels without modules lack the second.
        let files = ["/proc/kallsyms", "/proc/modules"].map(Path::new);
        let files: Vec<_> = files.into_iter().filter(|path| path.exists()).collect();
        in_box(&open, || {
            for path in paths {
                assert!(Path::new(path).exists(), "the twin: {path}");
            }
            assert!(!fs::read("/proc/kallsyms").unwrap().is_empty(), "the twin");
            let mounts = own_mounts();
            for option in ["ro", "nosuid", "nodev", "noexec"] {
                assert!(mounts["/sys"].contains(&format!(",{option},")), "{option}");
            }
        });
        in_box(&open.mask_kernel_files(), || {
            for path in paths {
                assert!(!Path::new(path).exists(), "{path}");
            }
            for path in files {
                assert_eq!(fs::read(path).unwrap(), b"", "{path:?}");
            }
            assert!(Path::new("/proc/self/status").exists());
            assert!(Path::new("/sys/kernel").exists());
        });
    });
}

#[test]
fn terminals_are_the_boxs_own_and_counted() {
    in_child(|| {
        let spec = RootSpec::minimal(ROOMY)
            .devpts("dev/pts", 2)
            .symlink("dev/ptmx", "pts/ptmx");
        in_box(&spec, || {
            assert_eq!(fs::read_dir("/dev/pts").unwrap().count(), 1, "ptmx alone");
            let first = fs::File::open("/dev/ptmx").unwrap();
            let second = fs::File::open("/dev/ptmx").unwrap();
            assert!(Path::new("/dev/pts/0").exists());
            assert_eq!(errno(fs::File::open("/dev/ptmx")), Some(libc::ENOSPC));
            drop((first, second));
            fs::File::open("/dev/ptmx").unwrap();
        });
    });
}

#[test]
fn shared_memory_is_the_boxs_own() {
    in_child(|| {
        let spec = RootSpec::minimal(ROOMY).shm(ROOMY);
        in_box(&spec, || {
            assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);
            fs::write("/dev/shm/sem.x", "x").unwrap();
            assert!(own_mounts()["/dev/shm"].contains(",noexec,"));
        });
        assert!(!Path::new("/dev/shm/sem.x").exists());
    });
}

fn layers() -> [tempfile::TempDir; 2] {
    let [top, bottom] = [open_dir(0o755), open_dir(0o755)];
    fs::write(bottom.path().join("file"), "hidden").unwrap();
    fs::write(bottom.path().join("below"), "below").unwrap();
    fs::create_dir(bottom.path().join("dir")).unwrap();
    fs::write(bottom.path().join("dir/inner"), "x").unwrap();
    [top, bottom]
}

#[test]
fn an_overlay_takes_changes_within_its_quota_and_leaves_the_host_as_it_is() {
    if !is_linux_6_5() {
        return;
    }
    in_child(|| {
        let [top, bottom] = layers();
        let small = Quota {
            bytes: Bytes::kib(64),
            inodes: 20,
        };
        let lowers = [top.path(), bottom.path()];
        let spec = RootSpec::new(ROOMY).proc("proc").overlay(
            lowers,
            Some(Upper::Memory(small)),
            "box",
            RO,
        );
        for ids in [Ids::Host, Ids::Mapped] {
            let plan = spec.prepare().unwrap();
            in_planned_box(&plan, Trees::FromParent, ids, || {
                assert_eq!(fs::read("/box/file").unwrap(), b"x", "the topmost wins");
                assert_eq!(fs::read("/box/below").unwrap(), b"below");
                fs::write("/box/new", "new").unwrap();
                fs::remove_dir_all("/box/dir").unwrap();
                fs::create_dir("/box/dir").unwrap();
                assert_eq!(fs::read_dir("/box/dir").unwrap().count(), 0);
                let large = errno(fs::write("/box/large", vec![0; 128 << 10]));
                assert_eq!(large, Some(libc::ENOSPC));
                let names: Vec<_> = own_mounts().into_keys().collect();
                assert_eq!(names, ["/", "/box", "/proc"], "no layer is left");
                let info = fs::read_to_string("/proc/self/mountinfo").unwrap();
                assert!(!info.contains("/tmp/"), "no path of the host: {info}");
                assert!(own_mounts()["/box"].contains(",nodev,"));
            });
        }
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1);
        assert_eq!(fs::read(bottom.path().join("dir/inner")).unwrap(), b"x");
        in_box(
            &RootSpec::new(ROOMY).overlay(lowers, None, "box", RO),
            || {
                assert_eq!(fs::read("/box/below").unwrap(), b"below");
                assert_eq!(errno(fs::write("/box/new", "x")), Some(libc::EROFS));
            },
        );
    });
}

#[test]
fn an_overlays_changes_are_kept_where_the_embedder_says() {
    if !is_linux_6_5() {
        return;
    }
    in_child(|| {
        let [top, bottom] = layers();
        let changes = open_dir(0o755);
        for name in ["upper", "work"] {
            fs::create_dir(changes.path().join(name)).unwrap();
        }
        let upper = Some(Upper::Directory(changes.path().into()));
        let spec =
            RootSpec::new(ROOMY).overlay([top.path(), bottom.path()], upper.clone(), "box", RO);
        for expected in [None, Some("kept")] {
            in_box(&spec, || {
                assert_eq!(fs::read_to_string("/box/new").ok().as_deref(), expected);
                fs::write("/box/new", "kept").unwrap();
            });
        }
        let found = fs::read_to_string(changes.path().join("upper/new"));
        assert_eq!(found.unwrap(), "kept");
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1);

        // Whoever may name the directory may not lead the changes elsewhere by a link in it.
        let victim = open_dir(0o755);
        fs::remove_dir_all(changes.path().join("upper")).unwrap();
        std::os::unix::fs::symlink(victim.path(), changes.path().join("upper")).unwrap();
        let plan = spec.prepare().unwrap();
        let text = support::attempt(&plan, Trees::FromParent, Ids::Host, || {}).unwrap_err();
        assert!(text.contains("ELOOP"), "{text}");
    });
}

#[test]
fn an_overlay_works_for_an_ordinary_user() {
    if !is_linux_6_5() {
        return;
    }
    let [top, bottom] = layers();
    in_child(|| {
        become_user(USER);
        let spec = RootSpec::minimal(ROOMY).overlay(
            [top.path(), bottom.path()],
            Some(Upper::Memory(ROOMY)),
            "box",
            RO,
        );
        in_planned_box(
            &spec.prepare().unwrap(),
            Trees::FromInit,
            Ids::Mapped,
            || {
                fs::write("/box/new", "new").unwrap();
                assert_eq!(fs::read("/box/below").unwrap(), b"below");
            },
        );
    });
}

#[test]
fn what_does_not_fit_on_each_other_is_refused_before_anything_is_mounted() {
    let dir = open_dir(0o755);
    fs::create_dir(dir.path().join("dir")).unwrap();
    std::os::unix::fs::symlink("dir", dir.path().join("link")).unwrap();
    let spec = || RootSpec::new(ROOMY).bind(dir.path(), "box", RO);
    let handle = OwnedFd::from(fs::File::open(dir.path()).unwrap());
    for (spec, expected) in [
        (
            spec().tmpfs("box/link", ROOMY, W),
            Conflict::TargetIsSymlink,
        ),
        (spec().mask("box/link"), Conflict::TargetIsSymlink),
        (spec().proc("box/link/x"), Conflict::TargetIsSymlink),
        (spec().proc("box/absent"), Conflict::TargetIsMissing),
        (spec().mask("box/absent"), Conflict::TargetIsMissing),
        (spec().proc("box/file"), Conflict::FileOverDirectory),
        (
            spec().bind("/dev/null", "box/dir", RO),
            Conflict::FileOverDirectory,
        ),
        (
            spec().bind("/usr", "box/file", RO),
            Conflict::FileOverDirectory,
        ),
        (spec().bind("/usr", "box/file/x", RO), Conflict::BeneathFile),
        (
            RootSpec::new(ROOMY)
                .bind_open(handle, "box", RO)
                .proc("box/link"),
            Conflict::TargetIsSymlink,
        ),
        (
            spec().mask("box/dir").proc("box/dir/x"),
            Conflict::BeneathMask,
        ),
        (
            RootSpec::new(ROOMY).sysfs("sys").dir("sys/x"),
            Conflict::BeneathProc,
        ),
    ] {
        match spec.prepare() {
            Err(Error::Conflict { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
    spec().bind("/dev/null", "box/file", RO).prepare().unwrap();
    spec().tmpfs("box/dir", ROOMY, W).prepare().unwrap();
    for spec in [
        RootSpec::new(ROOMY).mask("x"),
        RootSpec::new(ROOMY).devpts("pts", 0),
        RootSpec::new(ROOMY).overlay(["/usr"], None, "x", RO),
        RootSpec::new(ROOMY).overlay([""; 0], Some(Upper::Memory(ROOMY)), "x", RO),
    ] {
        let error = spec.prepare().unwrap_err();
        assert!(matches!(error, Error::Meaningless { .. }), "{error}");
    }
    let writable = RootSpec::new(ROOMY).overlay(["/usr", "/lib"], None, "x", W);
    assert!(matches!(writable.prepare(), Err(Error::Flags { .. })));
    let file =
        RootSpec::new(ROOMY).overlay([dir.path().join("file"), "/usr".into()], None, "x", RO);
    assert!(
        matches!(file.prepare(), Err(Error::Source { source, .. }) if source.raw() == libc::ENOTDIR)
    );
}

#[test]
fn a_rule_is_replaced_in_its_place_and_taken_out_by_its_target() {
    let spec = RootSpec::new(ROOMY)
        .dir("/a/")
        .dir("b")
        .replace(Rule::File {
            target: "a".into(),
            contents: Vec::new(),
            mode: FileMode::Plain,
        })
        .without("/b")
        .replace(Rule::Dir { target: "c".into() });
    let shown: Vec<_> = spec.rules().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["file a (0 bytes)", "directory c"]);
}
