//! A requester who swaps what his path leads to while it is resolved and mounted. As root, on the real kernel.

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use sandbox_fs::{Error, MountFlags, Requester, RootSpec, Trees};
use support::{Ids, ROOMY, USER, in_child, in_planned_box};

const ROUNDS: usize = 150;

/// What the box was shown, in how many rounds.
#[derive(Debug, Default)]
struct Seen {
    public: usize,
    secret: usize,
    refused: usize,
}

/// `public/file` may be read by anybody; `private` (0700, root's) hides a `file` that could be.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, mode) in [("public", 0o755), ("private", 0o700)] {
        let below = dir.path().join(name);
        fs::create_dir(&below).unwrap();
        fs::write(below.join("file"), name).unwrap();
        fs::set_permissions(below.join("file"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&below, fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
}

/// Points `link` at one and the other in turn, as fast as it goes, while `work` runs.
fn while_swapping<T>(dir: &Path, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for target in ["private", "public"].into_iter().cycle() {
                let next = dir.join("next");
                symlink(target, &next).unwrap();
                fs::rename(&next, dir.join("link")).unwrap();
                if target == "public" && stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

fn attack(dir: &Path, requester: Option<&Requester>) -> Seen {
    symlink("public", dir.join("link")).unwrap();
    let mut seen = Seen::default();
    while_swapping(dir, || {
        for _ in 0..ROUNDS {
            let mut spec =
                RootSpec::new(ROOMY).bind(dir.join("link/file"), "box", MountFlags::empty());
            if let Some(requester) = requester {
                spec = spec.requester(requester.clone());
            }
            match spec.prepare() {
                Ok(plan) => {
                    // The link goes on moving between the check and the mount.
                    let shown = dir.join("shown");
                    fs::write(&shown, "").unwrap();
                    let report = fs::File::options().write(true).open(&shown).unwrap();
                    in_planned_box(&plan, Trees::FromParent, Ids::Host, || {
                        use std::io::Write as _;
                        (&report).write_all(&fs::read("/box").unwrap()).unwrap();
                    });
                    match fs::read_to_string(&shown).unwrap().as_str() {
                        "public" => seen.public += 1,
                        "private" => seen.secret += 1,
                        other => panic!("{other:?}"),
                    }
                }
                Err(Error::Source { source, .. }) => {
                    assert_eq!(source.raw(), libc::EACCES);
                    seen.refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    seen
}

#[test]
fn a_link_swapped_in_a_loop_never_shows_what_its_owner_may_not_read() {
    let user = Requester {
        uid: USER,
        gid: USER,
        groups: Vec::new(),
    };
    in_child(|| {
        let dir = scene();
        let seen = attack(dir.path(), Some(&user));
        assert_eq!(seen.secret, 0, "{seen:?}");
        assert!(
            seen.public > 0 && seen.refused > 0,
            "both came up: {seen:?}"
        );
    });
    in_child(|| {
        let dir = scene();
        let twin = attack(dir.path(), None);
        assert!(twin.secret > 0 && twin.public > 0, "the twin: {twin:?}");
    });
}
