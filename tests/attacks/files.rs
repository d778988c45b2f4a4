//! The file tree: other people's files, mounts, roots, devices.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, chown},
};

use sandbox_exec::{Basis, MountFlags, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, in_child, outside, scene};

use crate::can_run;

/// The call ends the run as a violation and does nothing. Without the filter, the kernel's own check refuses it.
fn assert_refused_twice(args: &[&str], refusal: &str) {
    let finished = Setup::new().run(args);
    assert_eq!(boxes::said(&finished), "");
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );

    let finished = Setup::new().without_filter().run(args);
    let said = boxes::said(&finished);
    assert!(said.starts_with(refusal), "{said}");
}

/// Runs the payload on the host as root, in a mount namespace of its own, with `/mnt` a tmpfs that nobody else sees.
fn twin(args: &[&str], expected: &str) {
    in_child(|| {
        scene::unshare_mounts();
        scene::mount_tmpfs(c"/mnt");
        let said = outside::run(0, args);
        assert!(said.starts_with(expected), "{said}");
    });
}

#[test]
fn nothing_can_be_mounted() {
    if !can_run() {
        return;
    }
    assert_refused_twice(
        &["mount", "/tmp"],
        &format!("mount: errno {}\n", libc::EPERM),
    );
    twin(&["mount", "/mnt"], "mount: ok 0\n");
}

#[test]
fn nothing_can_be_made_writable() {
    if !can_run() {
        return;
    }
    let refused = format!(
        "remount: errno {}\nwrite: errno {}\n",
        libc::EPERM,
        libc::EROFS
    );
    assert_refused_twice(&["remount", "/usr"], &refused);
    in_child(|| {
        scene::unshare_mounts();
        scene::mount_tmpfs(c"/mnt");
        scene::remount_read_only(c"/mnt");
        assert!(fs::write("/mnt/x", "x").is_err());
        let said = outside::run(0, &["remount", "/mnt"]);
        assert_eq!(said, "remount: ok 0\nwrite: ok 0\n");
    });
}

#[test]
fn nothing_can_be_unmounted() {
    if !can_run() {
        return;
    }
    assert_refused_twice(
        &["umount", "/tmp"],
        &format!("umount: errno {}\n", libc::EPERM),
    );
    twin(&["umount", "/mnt"], "umount: ok 0\n");
}

#[test]
fn chroot_leads_nowhere() {
    if !can_run() {
        return;
    }
    let args = ["chroot-escape", "/tmp/jail"];
    let finished = Setup::new().run(&args);
    assert_eq!(boxes::said(&finished), "mkdir: ok 0\n");
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );

    let refused = Setup::new().without_filter().run(&args);
    let said = boxes::said(&refused);
    assert!(
        said.contains(&format!("chroot: errno {}\n", libc::EPERM)),
        "{said}"
    );
    assert!(said.ends_with("host file false\n"), "{said}");

    // A root that is nothing but a chroot is left by it: the payload is in one, and finds the file above.
    in_child(|| {
        scene::unshare_mounts();
        scene::chroot_without_etc();
        assert!(!fs::exists("/etc/passwd").expect("readable"));
        let said = outside::run(0, &["chroot-escape", "/etc/jail"]);
        assert!(said.contains("chroot: ok 0\n"), "{said}");
        assert!(said.ends_with("host file true\n"), "{said}");
    });
}

#[test]
fn no_device_can_be_made() {
    if !can_run() {
        return;
    }
    let args = ["mknod", "/tmp/mem"];
    for setup in [Setup::new(), Setup::new().without_filter()] {
        let finished = setup.run(&args);
        assert_eq!(
            boxes::said(&finished),
            format!("mknod: errno {}\n", libc::EPERM)
        );
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    }
    twin(&["mknod", "/mnt/mem"], "mknod: ok 0\n");
}

#[test]
fn processes_of_others_are_not_in_proc() {
    if !can_run() {
        return;
    }
    let missing = format!("stat: errno {}\n", libc::ENOENT);
    for path in ["/proc/1", "/proc/sys", "/proc/meminfo", "/proc/kallsyms"] {
        let finished = Setup::new().run(&["stat", path]);
        assert_eq!(boxes::said(&finished), missing, "{path}");
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        assert_eq!(
            outside::run(0, &["stat", path]),
            "stat: ok 0\n",
            "{path} of the host"
        );
    }
}

#[test]
fn a_link_in_what_is_kept_leads_nowhere() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    fs::write(&secret, "the answers").expect("our directory");
    let out = dir.path().join("out");
    fs::create_dir(&out).expect("our directory");
    let setup = Setup::new();
    chown(&out, Some(setup.identity.uid), None).expect("root");
    let target = secret.to_str().expect("plain");
    let setup = setup.root(|root| root.bind(&out, "out", MountFlags::WRITABLE).keep("out"));
    let finished = setup.run(&["symlink", target, "/out/result"]);
    assert_eq!(boxes::said(&finished), "symlink: ok 0\n");
    let refused = finished.kept[0].open("result").map(drop);
    assert!(
        matches!(&refused, Err(sandbox_exec::fs::Error::Kept { source, .. }) if source.raw() == libc::ELOOP),
        "{refused:?}"
    );

    let twin = fs::read_to_string(out.join("result"));
    assert_eq!(
        twin.expect("followed"),
        "the answers",
        "by its path, it is followed"
    );
}

#[test]
fn a_set_user_id_program_gives_nothing() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("our directory");
    let program = dir.path().join("set-user-id");
    fs::copy(boxes::payload_on_host(), &program).expect("our directory");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("our file");

    for setup in [Setup::new(), Setup::new().without_filter()] {
        let uid = setup.identity.uid;
        let setup = setup.root(|_| {
            let root = sandbox_exec::RootSpec::minimal(boxes::QUOTA).dir("tmp");
            root.bind(&program, boxes::PAYLOAD, MountFlags::empty())
        });
        let finished = setup.run(&["become-root"]);
        let said = boxes::said(&finished);
        assert!(said.ends_with(&format!("euid: ok {uid}\n")), "{said}");
        assert!(
            said.starts_with(&format!("setuid: errno {}\n", libc::EPERM)),
            "{said}"
        );
    }

    let uid = Setup::new().identity.uid;
    let said = outside::run_program(uid, &program, &["become-root"]);
    assert!(said.ends_with("euid: ok 0\n"), "outside it is root: {said}");
    fs::remove_file(&program)
        .map_err(|error| io::Error::other(error.to_string()))
        .expect("ours");
}
