//! The suites of mounts once more, as on a kernel before 5.12.
//!
//! A process probes its kernel once and any test may be the first to ask, so the feature is taken away before `main`.

#![expect(
    clippy::duplicate_mod,
    reason = "each suite brings its own copy of what they share"
)]

#[path = "escapes.rs"]
mod escapes;
#[path = "host.rs"]
mod host;
#[path = "kept.rs"]
mod kept;
#[path = "model.rs"]
mod model;
#[path = "mounts.rs"]
mod mounts;
#[path = "rules.rs"]
mod rules;
#[path = "sources.rs"]
mod sources;
mod support;

use std::{fs, path::Path};

use sandbox_core::Host;
use sandbox_fs::{Error, IdMapping, MountFlags, RootSpec, Rule, Trees};
use support::{
    Ids, ROOMY, USER, attempt, attempt_with, become_user, errno, in_box, in_child, mount,
    mount_tmpfs, own_mounts, private_room, shared_mounts,
};

const RO: MountFlags = MountFlags::empty();
const W: MountFlags = MountFlags::WRITABLE;

extern "C" fn take_away() {
    let found = Host::probe_without(|host| host.mount_setattr = false);
    assert!(found.is_ok_and(|host| !host.mount_setattr));
}

#[expect(unsafe_code, reason = "runs before any test")]
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = take_away;

/// A name that proc(5) has to escape.
const AWKWARD: &str = "a b\\c\td\u{e4}";

/// Mounts on and in mounts: a tmpfs with an awkward name, one in that, and a single file on another.
fn nested() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join(AWKWARD);
    fs::create_dir(&below).unwrap();
    mount(
        Path::new("x"),
        &below,
        Some(c"tmpfs"),
        libc::MS_NOEXEC | libc::MS_NOATIME,
    );
    let deep = below.join("deep/er");
    fs::create_dir_all(&deep).unwrap();
    mount_tmpfs(&deep);
    fs::write(deep.join("file"), "x").unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "covered").unwrap();
    mount(&deep.join("file"), &file, None, libc::MS_BIND);
    dir
}

/// What a write to each mount of [`nested`] gives, below `root`.
fn writes(root: &str) -> [Option<i32>; 4] {
    let below = Path::new(root).join(AWKWARD);
    [
        errno(fs::write(Path::new(root).join("new"), "x")),
        errno(fs::write(below.join("new"), "x")),
        errno(fs::write(below.join("deep/er/new"), "x")),
        errno(fs::write(Path::new(root).join("file"), "x")),
    ]
}

#[test]
fn no_mount_below_a_read_only_bind_can_be_written() {
    in_child(|| {
        private_room();
        let dir = nested();
        let read_only = [Some(libc::EROFS); 4];
        for (flags, expected) in [(RO, read_only), (W, [None; 4])] {
            in_box(&RootSpec::new(ROOMY).bind(dir.path(), "box", flags), || {
                assert_eq!(writes("/box"), expected);
            });
        }
        // What a remount of the bind alone leaves open.
        let classic = tempfile::tempdir().unwrap();
        mount(
            dir.path(),
            classic.path(),
            None,
            libc::MS_BIND | libc::MS_REC,
        );
        let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        mount(dir.path(), classic.path(), None, flags);
        let [first, others @ ..] = writes(classic.path().to_str().unwrap());
        assert_eq!((first, others), (Some(libc::EROFS), [None; 3]), "the twin");
    });
}

#[test]
fn a_mount_keeps_the_flags_that_it_had() {
    in_child(|| {
        private_room();
        let dir = nested();
        let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", W).proc("proc");
        in_box(&spec, || {
            let mounts = own_mounts();
            let below = mounts.iter().find(|(point, _)| point.ends_with("d\u{e4}"));
            let (_, options) = below.expect("it came along");
            for word in [",rw,", ",nosuid,", ",nodev,", ",noexec,", ",noatime,"] {
                assert!(options.contains(word), "{options} {word}");
            }
            assert!(!mounts["/box/file"].contains(",noexec,"));
        });
    });
}

#[test]
fn an_ordinary_users_bind_is_read_only_at_every_level() {
    in_child(|| {
        private_room();
        let dir = nested();
        for path in ["", AWKWARD, &format!("{AWKWARD}/deep/er")] {
            use std::os::unix::fs::PermissionsExt as _;
            let all = fs::Permissions::from_mode(0o777);
            fs::set_permissions(dir.path().join(path), all).unwrap();
        }
        become_user(USER);
        for (flags, expected) in [(RO, Some(libc::EROFS)), (W, None)] {
            let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", flags);
            let plan = spec.prepare().unwrap();
            let outcome = attempt(&plan, Trees::FromInit, Ids::Mapped, || {
                let [directories @ .., _] = writes("/box");
                assert_eq!(directories, [expected; 3]);
            });
            assert_eq!(outcome, Ok(()));
        }
    });
}

#[test]
fn a_mount_that_appears_after_the_trees_were_made_is_restricted_or_stays_outside() {
    in_child(|| {
        // The copies are peers of what they were made from, so that a mount below the source is one below the copy.
        shared_mounts();
        let dir = tempfile::tempdir().unwrap();
        let late = dir.path().join("late");
        fs::create_dir(&late).unwrap();
        let spec = RootSpec::new(ROOMY)
            .bind(dir.path(), "box", RO)
            .proc("proc");
        let plan = spec.prepare().unwrap();
        let instance = plan.instantiate(Trees::FromParent).unwrap();
        mount_tmpfs(&late);
        let outcome = attempt_with(instance, Ids::Host, || {
            assert_eq!(errno(fs::write("/box/late/new", "x")), Some(libc::EROFS));
            for (point, options) in own_mounts() {
                let inside = point.starts_with("/box");
                assert!(!inside || options.contains(",ro,"), "{point} {options}");
            }
        });
        assert_eq!(outcome, Ok(()));
    });
}

#[test]
fn a_mount_that_nothing_leads_to_is_refused() {
    in_child(|| {
        private_room();
        let dir = nested();
        mount_tmpfs(&dir.path().join(AWKWARD));
        let started = |flags| {
            let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", flags);
            attempt(
                &spec.prepare().unwrap(),
                Trees::FromParent,
                Ids::Host,
                || {},
            )
        };
        let refused = started(RO).unwrap_err();
        assert!(
            refused.starts_with("bind ") && refused.contains(": EBUSY"),
            "{refused}"
        );
        assert_eq!(started(MountFlags::NON_RECURSIVE), Ok(()), "the twin");
    });
}

#[test]
fn more_mounts_than_can_be_followed_are_refused() {
    in_child(|| {
        private_room();
        let dir = tempfile::tempdir().unwrap();
        // With the bind itself one more than there is room for.
        for number in 0..512 {
            let below = dir.path().join(number.to_string());
            fs::create_dir(&below).unwrap();
            mount_tmpfs(&below);
        }
        let spec = RootSpec::new(ROOMY).bind(dir.path(), "box", RO);
        let plan = spec.prepare().unwrap();
        let started = || attempt(&plan, Trees::FromParent, Ids::Host, || {});
        let refused = started().unwrap_err();
        assert!(refused.contains(": ENOSPC"), "{refused}");
        support::umount(&dir.path().join("0"));
        assert_eq!(started(), Ok(()), "the twin");
    });
}

#[test]
fn a_kernel_that_cannot_show_other_ids_is_named() {
    in_child(|| {
        let spec = RootSpec::new(ROOMY).rule(Rule::IdmappedBind {
            source: "/usr".into(),
            target: "box".into(),
            flags: MountFlags::empty(),
            ids: IdMapping {
                stored: 0,
                shown: USER,
                count: 1,
            },
        });
        let Err(Error::Host(error)) = spec.prepare() else {
            panic!("it cannot be done");
        };
        let text = error.to_string();
        assert!(
            text.contains("mount_setattr(2)") && text.contains("5.12"),
            "{text}"
        );
    });
}
