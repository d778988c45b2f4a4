//! Boxes in a user namespace.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sandbox_exec::{
    Error, IdRange, Identity, Limits, MountFlags, Policy, RootSpec, Sandbox, UserMap,
};

use crate::{boxes, scene};

/// The payload where every user may read it: the directories of a build may be closed.
#[derive(Debug)]
pub struct Open(tempfile::TempDir);

impl Open {
    /// Copies it.
    ///
    /// # Panics
    /// Where there is no room for it.
    #[must_use]
    pub fn make() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        fs::copy(boxes::payload_on_host(), dir.path().join("payload")).expect("ours");
        Self(dir)
    }

    /// Where it is.
    #[must_use]
    pub fn payload(&self) -> PathBuf {
        self.0.path().join("payload")
    }
}

/// The ordinary root with that payload.
pub fn root(payload: &Path) -> RootSpec {
    RootSpec::minimal(boxes::QUOTA)
        .tmpfs("tmp", boxes::QUOTA, MountFlags::WRITABLE)
        .bind(payload, boxes::PAYLOAD, MountFlags::empty())
}

/// The box of a user namespace.
///
/// # Errors
/// What the builder says.
pub fn mapped(
    payload: &Path,
    map: UserMap,
    identity: Identity,
    limits: Limits,
    args: &[&str],
) -> Result<Sandbox, Error> {
    Sandbox::builder()
        .user_map(map)
        .root(root(payload))
        .identity(identity)
        .limits(limits)
        .policy(Policy::judge())
        .command(&boxes::command(args))
}

/// 2000 ids from 0 on, which on the host are those of nobody.
#[must_use]
pub fn ranges(outside: u32) -> UserMap {
    let range = IdRange {
        inside: 0,
        outside,
        count: 2000,
    };
    UserMap {
        uids: vec![range],
        gids: vec![range],
    }
}

/// Supplementary group of the user: `adm`, which on a Debian host reads logs.
const GROUP: u32 = 4;

/// Becomes a user with a name, a group, and 2000 ids in `/etc/subuid` and `/etc/subgid`, of which the first is returned.
///
/// The files are those in `files`, shown in a mount namespace of its own: the host's stay as they are.
///
/// # Panics
/// Where the caller is not root.
#[must_use]
pub fn become_user_with_ranges(uid: u32, files: &Path) -> u32 {
    let first = 4_000_000 + std::process::id() % 10_000 * 2000;
    scene::unshare_mounts();
    let line = format!("ranged:{first}:2000\n");
    let name = format!("ranged:x:{uid}:{uid}::/:/bin/sh\n");
    let passwd = fs::read_to_string("/etc/passwd").expect("readable") + &name;
    for (file, text) in [("subuid", &line), ("subgid", &line), ("passwd", &passwd)] {
        fs::write(files.join(file), text).expect("ours");
        scene::mount_file(&files.join(file), &Path::new("/etc").join(file));
    }
    scene::become_user_with_group(uid, GROUP);
    first
}
