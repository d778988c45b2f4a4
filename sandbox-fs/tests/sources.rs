//! Whose rights open a source, and what refuses one. As root, on the real kernel.

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use sandbox_core::{Errno, Explain as _, Fault};
use sandbox_fs::{Conflict, Error, FileMode, MountFlags, Quota, Requester, RootSpec, Trees};
use support::{Ids, ROOMY, USER, attempt, become_user, in_box, in_child, in_planned_box};

const RO: MountFlags = MountFlags::empty();

fn user() -> Requester {
    Requester {
        uid: USER,
        gid: USER,
        groups: Vec::new(),
    }
}

fn source_errno(spec: &RootSpec) -> Option<i32> {
    match spec.prepare() {
        Ok(_) => None,
        Err(Error::Source { source, .. }) => Some(source.raw()),
        Err(other) => panic!("{other}"),
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// A directory everybody may search, with a file and a directory of root in it.
fn shared_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    mode(dir.path(), 0o755);
    fs::write(dir.path().join("file"), "x").unwrap();
    fs::create_dir(dir.path().join("private")).unwrap();
    fs::write(dir.path().join("private/open"), "x").unwrap();
    mode(&dir.path().join("private/open"), 0o644);
    mode(&dir.path().join("private"), 0o700);
    dir
}

#[test]
fn a_source_opens_with_the_requesters_rights_and_no_others() {
    let dir = shared_dir();
    let at = |name: &str| dir.path().join(name);
    let bind = |name: &str, flags| RootSpec::new(ROOMY).bind(at(name), "box", flags);
    let file = at("file");
    for (bits, group, flags, expected) in [
        (0o644, 0, RO, None),
        (0o600, 0, RO, Some(libc::EACCES)),
        // Root's own group must not open it for the requester.
        (0o640, 0, RO, Some(libc::EACCES)),
        (0o640, USER, RO, None),
        (0o644, 0, MountFlags::WRITABLE, Some(libc::EACCES)),
        (0o666, 0, MountFlags::WRITABLE, None),
    ] {
        mode(&file, bits);
        chown(&file, Some(0), Some(group)).unwrap();
        let spec = bind("file", flags);
        assert_eq!(source_errno(&spec), None, "root, {bits:o}");
        let asked = source_errno(&spec.requester(user()));
        assert_eq!(asked, expected, "{bits:o} group {group} {flags}");
    }
    for name in ["private", "private/open"] {
        assert_eq!(source_errno(&bind(name, RO)), None);
        let asked = source_errno(&bind(name, RO).requester(user()));
        assert_eq!(asked, Some(libc::EACCES), "{name}");
    }
    let mut member = user();
    member.groups = vec![4242];
    mode(&file, 0o640);
    chown(&file, Some(0), Some(4242)).unwrap();
    assert_eq!(source_errno(&bind("file", RO).requester(member)), None);
}

#[test]
fn capabilities_of_the_embedder_open_no_way_through_proc() {
    // A root's file of another process, which CAP_DAC_READ_SEARCH would give.
    let path = format!("/proc/{}/environ", std::process::id());
    let spec = RootSpec::new(ROOMY).bind(path, "box", RO);
    assert_eq!(source_errno(&spec), None);
    assert_eq!(source_errno(&spec.requester(user())), Some(libc::EACCES));
}

#[test]
fn the_embedder_stays_what_it_was() {
    in_child(|| {
        let state = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let kept = ["Uid:", "Gid:", "Groups:", "SigBlk:", "CapEff:", "CapPrm:"];
            let mut lines: Vec<_> = status
                .lines()
                .filter(|line| kept.iter().any(|name| line.starts_with(name)))
                .map(str::to_owned)
                .collect();
            let mut signal = 0;
            #[expect(unsafe_code, reason = "prctl")]
            // SAFETY: `signal` is a live int.
            unsafe {
                libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal)
            };
            #[expect(unsafe_code, reason = "prctl")]
            // SAFETY: takes a number.
            let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
            lines.push(format!("{signal} {dumpable}"));
            lines.push(fs::read_dir("/proc/self/fd").unwrap().count().to_string());
            lines
        };
        #[expect(unsafe_code, reason = "prctl")]
        // SAFETY: takes numbers.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1)
        };
        let dir = shared_dir();
        let before = state();
        for name in ["file", "private/open", "absent"] {
            let spec = RootSpec::new(ROOMY).bind(dir.path().join(name), "box", RO);
            drop(spec.requester(user()).prepare());
        }
        assert_eq!(state(), before);
        #[expect(unsafe_code, reason = "waitpid")]
        // SAFETY: a null status is allowed.
        let child = unsafe { libc::waitpid(-1, core::ptr::null_mut(), libc::__WALL) };
        assert_eq!(child, -1, "a child was left");
    });
}

#[test]
fn without_the_right_to_become_the_requester_nothing_is_opened() {
    in_child(|| {
        become_user(USER);
        let mut other = user();
        other.uid = USER + 1;
        let spec = RootSpec::new(ROOMY)
            .bind("/usr", "usr", RO)
            .requester(other);
        match spec.prepare() {
            Err(Error::Requester { call, source, .. }) => {
                assert_eq!((call, source.raw()), ("setgroups", libc::EPERM));
            }
            other => panic!("{other:?}"),
        }
        // With its own ids an unprivileged embedder needs no such right.
        let own = RootSpec::new(ROOMY)
            .bind("/usr", "usr", RO)
            .requester(user());
        own.prepare().unwrap();
    });
}

#[test]
fn only_an_absent_source_is_optional() {
    let dir = shared_dir();
    let bind = |name: &str, flags| RootSpec::new(ROOMY).bind(dir.path().join(name), "box", flags);
    assert_eq!(source_errno(&bind("absent", RO)), Some(libc::ENOENT));
    assert_eq!(source_errno(&bind("absent", MountFlags::OPTIONAL)), None);
    let hidden = bind("private/open", MountFlags::OPTIONAL).requester(user());
    assert_eq!(source_errno(&hidden), Some(libc::EACCES));
    in_child(|| {
        let spec = bind("absent", MountFlags::OPTIONAL);
        in_box(&spec, || assert!(!Path::new("/box").exists()));
        let spec = bind("file", MountFlags::OPTIONAL);
        in_box(&spec, || assert!(Path::new("/box").exists()));
    });
}

#[test]
fn errors_name_the_source_the_target_and_what_to_do() {
    let error = RootSpec::new(ROOMY)
        .bind("/srv/absent", "box", RO)
        .prepare()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open \"/srv/absent\", to be bound on \"box\": create it, correct the path, or make the bind OPTIONAL"
    );
    let error = RootSpec::new(ROOMY)
        .bind("/a", "/box", RO)
        .dir("box")
        .prepare()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`bind /a on /box (ro,nodev,nosuid)` and `directory box`: both want the same target"
    );
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let spec = || RootSpec::new(ROOMY);
    let w = MountFlags::WRITABLE;
    for (spec, expected) in [
        (spec().dir("a").tmpfs("/a/", ROOMY, w), Conflict::SameTarget),
        (
            spec().dev("dev").bind("/dev/null", "dev/null", RO),
            Conflict::SameTarget,
        ),
        (
            spec().dir("a/b").file("a", "", FileMode::Plain),
            Conflict::BeneathFile,
        ),
        (
            spec().bind("/dev/null", "a", RO).dir("a/b"),
            Conflict::BeneathFile,
        ),
        (
            spec().symlink("bin", "usr/bin").dir("bin/x"),
            Conflict::BeneathSymlink,
        ),
        (spec().proc("proc").dir("proc/x"), Conflict::BeneathProc),
        (
            spec().bind("/usr", "usr", RO).dir("usr/x"),
            Conflict::CreatedOnHost,
        ),
        (
            spec().bind("/usr", "usr", RO).symlink("usr/x/y", "z"),
            Conflict::CreatedOnHost,
        ),
    ] {
        match spec.prepare() {
            Err(Error::Conflict { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{other:?}"),
        }
    }
    let nothing = Quota {
        bytes: ROOMY.bytes,
        inodes: 0,
    };
    assert!(matches!(
        RootSpec::new(nothing).prepare(),
        Err(Error::QuotaZero { .. })
    ));
    let few = Quota {
        bytes: ROOMY.bytes,
        inodes: 3,
    };
    assert!(RootSpec::new(few).dir("a/b").prepare().is_ok());
    let too_many = RootSpec::new(few).dir("a/b").dir("a/c").prepare();
    assert!(matches!(too_many, Err(Error::QuotaTooSmall { .. })));
    let idle = spec().tmpfs("tmp", ROOMY, MountFlags::DEVICES).prepare();
    assert!(matches!(idle, Err(Error::Flags { .. })));
    assert!(matches!(
        spec().bind("/us\0r", "usr", RO).prepare(),
        Err(Error::Nul { .. })
    ));
}

#[test]
fn a_quota_that_holds_the_rules_exactly_holds_them_in_the_kernel_too() {
    in_child(|| {
        let spec = |inodes, bytes| {
            let bytes = sandbox_core::Bytes::new(bytes);
            RootSpec::new(Quota { bytes, inodes })
                .dir("a/b")
                .file("f", [1; 5000], FileMode::Plain)
                .symlink("l", "f")
        };
        in_box(&spec(5, 8192), || {
            assert_eq!(fs::metadata("/f").unwrap().len(), 5000);
        });
        assert!(spec(4, 8192).prepare().is_err());
        assert!(spec(5, 8191).prepare().is_err());
    });
}

#[test]
fn a_rootless_embedder_builds_the_same_tree_in_a_user_namespace() {
    let dir = shared_dir();
    mode(&dir.path().join("file"), 0o644);
    in_child(|| {
        become_user(USER);
        let plan = RootSpec::minimal(ROOMY)
            .bind(dir.path(), "box", RO)
            .tmpfs("tmp", ROOMY, MountFlags::WRITABLE)
            .file("etc/x", "x", FileMode::Plain)
            .prepare()
            .unwrap();
        let error = plan.instantiate(Trees::FromParent).unwrap_err();
        assert!(matches!(error, Error::Tree { source, .. } if source.raw() == libc::EPERM));
        in_planned_box(&plan, Trees::FromInit, Ids::Mapped, || {
            assert_eq!(fs::read_to_string("/box/file").unwrap(), "x");
            assert_eq!(fs::read_to_string("/etc/x").unwrap(), "x");
            fs::write("/tmp/x", "x").unwrap();
            fs::write("/dev/null", "x").unwrap();
            let write = fs::write("/box/new", "x").unwrap_err();
            assert_eq!(write.raw_os_error(), Some(libc::EROFS));
            let status = std::process::Command::new("/bin/true").status().unwrap();
            assert!(status.success());
            assert!(!Path::new("/home").exists());
        });
    });
}

#[test]
fn a_root_embedder_gives_its_trees_to_a_user_namespace() {
    in_child(|| {
        let plan = RootSpec::minimal(ROOMY).prepare().unwrap();
        in_planned_box(&plan, Trees::FromParent, Ids::Mapped, || {
            fs::write("/dev/null", "x").unwrap();
            let status = std::process::Command::new("/bin/true").status().unwrap();
            assert!(status.success());
        });
    });
}

#[test]
fn a_source_that_was_replaced_since_is_not_bound_by_its_path() {
    let dir = shared_dir();
    let (old, path) = (dir.path().join("old"), dir.path().join("file"));
    let plan = RootSpec::new(ROOMY)
        .bind(&path, "box", RO)
        .prepare()
        .unwrap();
    fs::rename(&path, &old).unwrap();
    fs::write(&path, "other").unwrap();
    in_child(|| {
        let fault = attempt(&plan, Trees::FromInit, Ids::Host, || {}).unwrap_err();
        let bind = format!("bind {} on box (ro,nodev,nosuid)", path.display());
        assert_eq!(fault, format!("{bind}: ESTALE (Stale file handle)"));
        // By descriptor it is still the file that was opened.
        in_planned_box(&plan, Trees::FromParent, Ids::Host, || {
            assert_eq!(fs::read_to_string("/box").unwrap(), "x");
        });
    });
}

#[test]
fn one_plan_serves_many_boxes_and_closes_what_it_opened() {
    in_child(|| {
        let plan = RootSpec::minimal(ROOMY).prepare().unwrap();
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        let first = plan.instantiate(Trees::FromParent).unwrap();
        let second = plan.instantiate(Trees::FromParent).unwrap();
        assert_eq!(
            open(),
            before + first.descriptors().len() + second.descriptors().len()
        );
        drop((first, second));
        assert_eq!(open(), before);
        for _ in 0..2 {
            in_planned_box(&plan, Trees::FromParent, Ids::Host, || {});
        }
    });
}

#[test]
fn advice_comes_where_the_errno_alone_says_too_little() {
    let plan = RootSpec::minimal(ROOMY).prepare().unwrap();
    let advice = |operation: &str, errno| {
        let index = (0..100)
            .find(|index| plan.explain(*index).starts_with(operation))
            .unwrap();
        let errno = Errno::from_raw(errno);
        plan.advice(Fault { index, errno }).unwrap_or_default()
    };
    assert!(advice("bind /usr on usr", libc::EINVAL).contains("NON_RECURSIVE"));
    assert!(advice("bind /usr on usr", libc::ESTALE).contains("prepare again"));
    assert!(advice("proc on proc", libc::EPERM).contains("container"));
    for cause in ["ramfs", "chroot"] {
        assert!(advice("pivot_root", libc::EINVAL).contains(cause));
    }
    assert_eq!(advice("pivot_root", libc::ENOMEM), "");
}
