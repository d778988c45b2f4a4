//! The doctor on a machine that is the test's own, where each thing is broken and mended again.
//!
//! It changes sysctls, mounts and swap, and so runs in a throw-away machine only.

#[path = "../doctor/said.rs"]
mod said;

use std::process::Command;

use sandbox_test_support::host;

use said::{Doctor, NEEDS, Said};

const ORDINARY: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];

/// A script of sh that must succeed.
#[track_caller]
fn sh(script: &str) {
    let output = Command::new("sh")
        .args(["-ec", script])
        .output()
        .expect("sh starts");
    assert!(output.status.success(), "{script}: {output:?}");
}

impl Doctor {
    #[track_caller]
    fn for_root(&self, need: &str, state: &str) -> Said {
        let said = self.says(&[], &["--json", "--work-dir", "/run/tmp/disk"]);
        assert_eq!(said.state(need), state, "{}", said.found(need));
        said
    }

    #[track_caller]
    fn for_a_user(&self, need: &str, state: &str) -> Said {
        let said = self.says(ORDINARY, &["--json"]);
        assert_eq!(said.state(need), state, "{}", said.found(need));
        said
    }
}

#[test]
fn what_is_broken_is_found_and_what_its_mend_restores_is_ok() {
    if !host::has(&["root", "own_kernel", "v2:memory"]) {
        return;
    }
    let doctor = Doctor::new();
    sh("modprobe brd rd_nr=1 rd_size=393216; mkdir -p /run/tmp/disk");
    assert_eq!(doctor.says(&[], &["--json"]).findings().len(), NEEDS.len());

    sh("mkswap /dev/ram0; swapon /dev/ram0");
    doctor.for_root("swap", "degraded");
    sh("swapoff -a");
    doctor.for_root("swap", "ok");

    quotas(&doctor);
    texts(&doctor);
    rights(&doctor);
    groups(&doctor);
}

fn quotas(doctor: &Doctor) {
    sh("mkfs.ext4 -qF -O quota,project -E quotatype=usrquota:prjquota /dev/ram0");
    sh("mount -o usrquota,prjquota /dev/ram0 /run/tmp/disk");
    let both = doctor.for_root("quota", "ok");
    assert!(
        both.found("quota").contains("user and project"),
        "{}",
        both.found("quota")
    );
    sh("umount /run/tmp/disk; mount -o noquota /dev/ram0 /run/tmp/disk");
    doctor.for_root("quota", "missing");
    sh("umount /run/tmp/disk; mkfs.xfs -qf /dev/ram0; mount /dev/ram0 /run/tmp/disk");
    doctor.for_root("quota", "missing");
    sh("umount /run/tmp/disk; mount -o uquota,pquota /dev/ram0 /run/tmp/disk");
    doctor.for_root("quota", "ok");
    sh("umount /run/tmp/disk");
}

fn texts(doctor: &Doctor) {
    sh("sysctl -w kernel.core_pattern='|/bin/false %p'");
    let piped = doctor.for_root("core_pattern", "degraded");
    assert!(piped.found("core_pattern").contains("/bin/false"));
    sh("sysctl -w kernel.core_pattern=core");
    doctor.for_root("core_pattern", "ok");
    sh("sysctl -w kernel.randomize_va_space=2");
    doctor.for_root("aslr", "degraded");
    sh("sysctl -w kernel.randomize_va_space=0");
    doctor.for_root("aslr", "ok");
    sh("echo always > /sys/kernel/mm/transparent_hugepage/enabled");
    doctor.for_root("huge_pages", "degraded");
    sh("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    doctor.for_root("huge_pages", "ok");
}

fn rights(doctor: &Doctor) {
    // Debian's kernels have it.
    sh("sysctl -w kernel.unprivileged_userns_clone=0");
    doctor.for_a_user("namespace_sysctl", "missing");
    let blocked = doctor.for_a_user("user_namespaces", "missing");
    assert_eq!(
        blocked.finding("user_namespaces")["mend"],
        "see the line namespace_sysctl"
    );
    doctor.for_root("user_namespaces", "ok");
    sh("sysctl -w kernel.unprivileged_userns_clone=1");
    doctor.for_a_user("user_namespaces", "ok");

    sh("sysctl -w user.max_net_namespaces=0");
    let said = doctor.for_root("namespaces", "missing");
    assert_eq!(
        said.finding("namespaces")["mend"],
        "see the line namespace_limits"
    );
    assert_eq!((said.state("box"), said.status), ("unknown", 1));
    sh("sysctl -w user.max_net_namespaces=10000");
    doctor.for_root("box", "ok");

    sh(
        "touch /usr/bin/newuidmap /usr/bin/newgidmap; chmod 4755 /usr/bin/newuidmap /usr/bin/newgidmap",
    );
    sh("echo 1000:100000:65536 | tee /etc/subuid > /etc/subgid");
    doctor.for_a_user("id_helpers", "ok");
    sh("mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin");
    let nosuid = doctor.for_a_user("id_helpers", "missing");
    assert!(
        nosuid.found("id_helpers").contains("nosuid"),
        "{}",
        nosuid.found("id_helpers")
    );
    // Lazily: the shell itself came from it.
    sh("umount -l /usr/bin; chmod 755 /usr/bin/newuidmap");
    let powerless = doctor.for_a_user("id_helpers", "missing");
    assert!(powerless.found("id_helpers").contains("neither"));
    sh("chmod 4755 /usr/bin/newuidmap; : > /etc/subgid");
    let ranges = doctor.for_a_user("id_helpers", "missing");
    assert!(ranges.found("id_helpers").ends_with("in /etc/subgid"));
}

fn groups(doctor: &Doctor) {
    sh("mount -o remount,ro /sys/fs/cgroup");
    let read_only = doctor.for_root("delegation", "missing");
    assert!(read_only.found("delegation").contains("EROFS"));
    assert_eq!(
        (read_only.state("memory"), read_only.status),
        ("missing", 1)
    );
    sh("mount -o remount,rw /sys/fs/cgroup");

    sh("mkdir /sys/fs/cgroup/full");
    let inside = [
        "sh",
        "-c",
        "echo $$ > /sys/fs/cgroup/full/cgroup.procs; exec \"$0\" \"$@\"",
    ];
    let said = doctor.says(&inside, &["--json", "--cgroup-parent", "own"]);
    assert_eq!(said.state("delegation"), "missing");
    assert!(
        said.found("delegation").contains("EBUSY"),
        "{}",
        said.found("delegation")
    );
    let leaf = "mkdir -p /sys/fs/cgroup/full/leaf; echo $$ > /sys/fs/cgroup/full/leaf/cgroup.procs; exec \"$0\" \"$@\"";
    let said = doctor.says(&["sh", "-c", leaf], &["--json", "--cgroup-parent", "full"]);
    assert_eq!(
        said.state("delegation"),
        "ok",
        "{}",
        said.found("delegation")
    );
    assert_eq!((said.state("memory"), said.status), ("ok", 0));

    // A user may move processes within what is delegated, not into it.
    sh("mkdir -p /sys/fs/cgroup/full/leaf; chown -R 1000 /sys/fs/cgroup/full");
    let outside = doctor.says(ORDINARY, &["--json", "--cgroup-parent", "full"]);
    let found = outside.found("delegation");
    assert!(
        found.contains("not entered") && found.contains("EACCES"),
        "{found}"
    );
    assert_eq!(outside.state("memory"), "missing");
    assert_eq!(outside.status, 1);
    let mut words = vec!["sh", "-c", leaf];
    words.extend(ORDINARY);
    let inside = doctor.says(&words, &["--json", "--cgroup-parent", "full"]);
    assert_eq!(
        inside.state("delegation"),
        "ok",
        "{}",
        inside.found("delegation")
    );
    assert_eq!(
        (inside.state("box"), inside.status),
        ("ok", 0),
        "{}",
        inside.found("box")
    );
    assert!(
        inside.found("box").contains("memory"),
        "{}",
        inside.found("box")
    );

    sh("echo -memory > /sys/fs/cgroup/full/cgroup.subtree_control");
    sh("echo -memory > /sys/fs/cgroup/cgroup.subtree_control");
    let said = doctor.says(&[], &["--json", "--cgroup-parent", "full"]);
    assert_eq!(
        (said.state("memory"), said.state("processes")),
        ("missing", "ok")
    );
    let mend = said.finding("memory")["mend"].as_str().expect("a text");
    assert!(mend.starts_with("echo +memory"), "{mend}");
}
