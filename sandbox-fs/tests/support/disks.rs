//! Fresh filesystems with quotas, on loop devices. Their mounts are for a mount namespace of the test's own.

use std::{
    fs::{self, File},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text}");
}

pub(crate) struct Disk {
    pub(crate) name: &'static str,
    make: &'static [&'static str],
    options: &'static str,
}

pub(crate) const DISKS: [Disk; 2] = [
    Disk {
        name: "ext4",
        make: &[
            "-q",
            "-b",
            "4096",
            "-O",
            "quota,project",
            "-E",
            "quotatype=usrquota:prjquota",
        ],
        options: "loop,usrquota,prjquota",
    },
    Disk {
        name: "xfs",
        make: &["-q"],
        options: "loop,uquota,pquota",
    },
];

impl Disk {
    /// Mounts a fresh image and returns a directory of `owner` on it.
    pub(crate) fn mount(&self, at: &Path, owner: u32) -> PathBuf {
        let image = at.join(format!("{}.image", self.name));
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        let image = image.to_str().unwrap();
        let mut args = self.make.to_vec();
        args.push(image);
        run(&format!("mkfs.{}", self.name), &args);
        let dir = at.join(self.name);
        fs::create_dir(&dir).unwrap();
        run("mount", &["-o", self.options, image, dir.to_str().unwrap()]);
        let work = dir.join("work");
        fs::create_dir(&work).unwrap();
        chown(&work, Some(owner), Some(owner)).unwrap();
        work
    }
}

/// Waits until what was removed is off the account, which XFS puts off.
pub(crate) fn settle(work: &Path) {
    let root = work.parent().unwrap().to_str().unwrap();
    for way in ["--freeze", "--unfreeze"] {
        run("fsfreeze", &[way, root]);
    }
}
