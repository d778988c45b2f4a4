//! The boxes that are measured.

use std::{
    env, fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbox_exec::{Bytes, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox};
use sandbox_test_support::boxes;

/// What lies at `/data` in the box.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Nothing,
    /// A tmpfs.
    Memory,
    /// A directory of a disk.
    Disk(PathBuf),
}

/// Beyond everything that is measured.
fn limits() -> Limits {
    Limits::default()
        .cpu_time(Duration::from_secs(120))
        .wall_time(Duration::from_secs(600))
        .memory(Bytes::mib(512))
        .processes(64)
        .stack(Bytes::mib(256))
}

/// The payload that was built beside this program.
fn payload() -> PathBuf {
    let measure = env::current_exe().expect("/proc is mounted");
    let payload = measure.with_file_name("payload");
    assert!(
        payload.exists(),
        "build it: cargo build -p sandbox-tests --bins"
    );
    payload
}

pub(crate) fn sandbox(args: &[&str], data: &Data) -> Sandbox {
    let quota = Quota {
        bytes: Bytes::mib(256),
        inodes: 100,
    };
    let root = RootSpec::minimal(boxes::QUOTA).bind(payload(), boxes::PAYLOAD, MountFlags::empty());
    let identity = boxes::identity();
    let root = match data {
        Data::Nothing => root,
        Data::Memory => root.tmpfs("data", quota, MountFlags::WRITABLE),
        Data::Disk(directory) => {
            chown(directory, Some(identity.uid), Some(identity.gid)).expect("root may chown");
            root.bind(directory, "data", MountFlags::WRITABLE)
        }
    };
    let command = sandbox_exec::Command::new(boxes::PAYLOAD).args(args);
    Sandbox::builder()
        .root(root)
        .identity(identity)
        .limits(limits())
        .policy(Policy::judge())
        .command(&command)
        .unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

/// A directory that is removed with everything in it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn on(disk: &Path, name: usize) -> Self {
        let path = disk.join(format!("measure-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("the disk can be written");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("ours to remove");
    }
}
