//! Nothing of the host is reachable from a box, and nothing of a box reaches the host. As root, on the real kernel.

mod support;

use std::{fs, path::Path};

use sandbox_fs::{Conflict, Error, MountFlags, RootSpec, Trees};
use support::{
    Ids, ROOMY, attempt, in_box, in_child, in_planned_box, mount_tmpfs, mounts, own_mounts,
    shared_mounts,
};

const W: MountFlags = MountFlags::WRITABLE;

#[test]
fn a_symbolic_link_in_a_bound_directory_redirects_no_target() {
    in_child(|| {
        let hostile = tempfile::tempdir().unwrap();
        let victim = tempfile::tempdir().unwrap();
        fs::create_dir(victim.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(victim.path(), hostile.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/usr", hostile.path().join("in")).unwrap();
        fs::create_dir(hostile.path().join("real")).unwrap();
        for (below, redirected) in [
            ("out", true),
            ("out/sub", true),
            ("in", true),
            ("in/lib", true),
            ("real", false),
        ] {
            let spec = RootSpec::minimal(ROOMY)
                .bind(hostile.path(), "box", MountFlags::empty())
                .tmpfs(Path::new("box").join(below), ROOMY, W);
            match spec.prepare() {
                Ok(_) => assert!(!redirected, "{below}"),
                Err(Error::Conflict { problem, .. }) => {
                    assert!(redirected);
                    assert_eq!(problem, Conflict::TargetIsSymlink, "{below}");
                }
                Err(other) => panic!("{below}: {other}"),
            }
        }
        // What was a directory when the plan was made is a link by now.
        for below in ["swapped", "swapped/sub"] {
            let swapped = hostile.path().join("swapped");
            fs::create_dir_all(swapped.join("sub")).unwrap();
            let plan = RootSpec::minimal(ROOMY)
                .bind(hostile.path(), "box", MountFlags::empty())
                .tmpfs(Path::new("box").join(below), ROOMY, W)
                .prepare()
                .unwrap();
            in_planned_box(&plan, Trees::FromParent, Ids::Host, || {});
            fs::remove_dir_all(&swapped).unwrap();
            std::os::unix::fs::symlink(victim.path(), &swapped).unwrap();
            let text = attempt(&plan, Trees::FromParent, Ids::Host, || {
                panic!("{below} was followed");
            });
            let text = text.unwrap_err();
            assert!(text.contains("ELOOP"), "{below}: {text}");
            assert!(text.contains(&format!("tmpfs on /box/{below}")), "{text}");
            fs::remove_file(&swapped).unwrap();
        }
        // A parent directory would be created through the link, too.
        let absent = RootSpec::new(ROOMY)
            .bind(hostile.path(), "box", MountFlags::empty())
            .tmpfs("box/absent", ROOMY, W)
            .prepare()
            .unwrap_err();
        assert_eq!(
            absent.to_string(),
            format!(
                "`bind {} on box (ro,nodev,nosuid)` and `tmpfs on box/absent (1 MiB, 200 inodes, rw,nodev,nosuid)`: \
                 the target of the second does not exist in what the first shows",
                hostile.path().display()
            )
        );
        assert!(!hostile.path().join("absent").exists());
    });
}

#[test]
fn no_path_of_the_host_is_reachable_that_no_rule_names() {
    in_child(|| {
        let marker = tempfile::NamedTempFile::new().unwrap();
        let path = marker.path().to_owned();
        in_box(&RootSpec::minimal(ROOMY), || {
            let up = "../".repeat(40);
            let relative = path.strip_prefix("/").unwrap();
            assert!(!path.exists());
            assert!(!Path::new(&up).join(relative).exists());
            assert!(!Path::new("/proc/1/root").join(relative).exists());
            assert!(!Path::new("/proc/self/cwd").join(relative).exists());
            let mut names: Vec<_> = fs::read_dir("/")
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !["bin", "sbin", "lib", "lib64", "lib32"].contains(&name.as_str()))
                .collect();
            names.sort();
            assert_eq!(names, ["dev", "proc", "usr"]);
        });
    });
}

#[test]
fn nothing_is_left_on_the_host() {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plan = RootSpec::minimal(ROOMY)
        .bind(dir.path(), "box", W)
        .tmpfs("tmp", ROOMY, W)
        .prepare()
        .unwrap();
    for _ in 0..3 {
        in_planned_box(&plan, Trees::FromParent, Ids::Host, || {
            fs::write("/tmp/x", "x").unwrap();
        });
    }
    assert_eq!(mounts(&before), own_mounts());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn nothing_reaches_the_host_where_every_mount_is_shared() {
    in_child(|| {
        shared_mounts();
        let info = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(info.lines().all(|line| line.contains(" shared:")), "{info}");
        let dir = tempfile::tempdir().unwrap();
        mount_tmpfs(dir.path());
        let before = own_mounts();
        let spec = RootSpec::minimal(ROOMY)
            .bind(dir.path(), "box", W)
            .tmpfs("tmp", ROOMY, W);
        in_box(&spec, || {
            let info = fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(
                !info.contains("shared:") && !info.contains("master:"),
                "{info}"
            );
        });
        assert_eq!(own_mounts(), before);
    });
}
