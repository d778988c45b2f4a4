//! What cannot be removed is said, to the one who can do something about it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandbox_exec::{
    CgroupParent, Error, Hierarchies, Limits, Sandbox, Verdict,
    cgroup::{Cgroup, Error as CgroupError},
};
use sandbox_test_support::{Fork, boxes, host, in_fresh_child, leaks, scene, sys};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

/// A group inside of another one's group that cannot be removed as long as this lives, as another program's would be: something
/// is mounted on it. Only in a mount namespace of one's own.
struct Obstacle(PathBuf);

impl Obstacle {
    fn in_group(group: &Path) -> Self {
        let path = group.join("obstacle");
        fs::create_dir(&path).expect("root makes groups");
        scene::mount_tmpfs_on(&path);
        Self(path)
    }
}

impl Drop for Obstacle {
    fn drop(&mut self) {
        scene::unmount(&self.0);
        // Of a failing test too: what is left of the group is then the next collector's.
        fs::remove_dir(&self.0).ok();
    }
}

/// What is seen is only this test's: a group of its own in every hierarchy, and in it the runs.
fn parent() -> (Cgroup, CgroupParent) {
    let hierarchies = Hierarchies::host().expect("/proc is mounted");
    let limits = boxes::limits();
    let group = Cgroup::create(hierarchies, &CgroupParent::Root, &limits).expect("root can");
    let name = group.paths().next().and_then(Path::file_name);
    let parent = CgroupParent::Path(name.expect("one at least").into());
    (group, parent)
}

fn sandbox(parent: &CgroupParent, args: &[&str]) -> Sandbox {
    let limits: Limits = boxes::limits();
    let builder = boxes::builder(limits).cgroup_parent(parent.clone());
    builder
        .command(&boxes::command(args))
        .unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

/// The groups of runs in the parent's.
fn runs(parent: &Cgroup) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in parent.paths() {
        let entries = fs::read_dir(path).expect("it is there");
        let paths = entries.map(|entry| entry.expect("listable").path());
        found.extend(paths.filter(|path| path.is_dir()));
    }
    found
}

#[test]
fn a_run_whose_cgroup_is_left_says_so_and_has_its_outcome() {
    if !host::has(&NEEDS) {
        return;
    }
    in_fresh_child(|| {
        scene::unshare_mounts();
        let (group, parent) = parent();
        let sandbox = sandbox(&parent, &["cat"]);
        let (stdin, ours) = sys::pipe();
        let null = || sandbox_exec::Output::Null;
        let running = sandbox
            .spawn(sandbox_exec::Stdin::Fd(stdin), null(), null())
            .expect("it starts");
        let left = runs(&group).pop().expect("it has groups");
        let obstacle = Obstacle::in_group(&left);
        drop(ours);
        let (outcome, source) = match running.wait() {
            Err(Error::NotRemoved { outcome, source }) => (outcome, source),
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome.judgement.verdict, Verdict::Ok);
        assert!(
            matches!(&source, CgroupError::Remove { path, source } if *path == left && source.raw() == libc::EBUSY),
            "{source:?}"
        );
        assert_eq!(
            runs(&group),
            std::slice::from_ref(&left),
            "the others are gone"
        );

        // The twin: when it can be removed, the next sandbox does it.
        drop(obstacle);
        let next = self::sandbox(&parent, &["exit"]);
        assert!(next.leftovers().is_none(), "{:?}", next.leftovers());
        assert_eq!(runs(&group), [] as [PathBuf; 0]);
        drop(boxes::finish(&next));
        group.destroy().expect("it is empty");
    });
}

#[test]
fn what_a_dead_owner_left_and_cannot_be_removed_is_named() {
    if !host::has(&NEEDS) {
        return;
    }
    in_fresh_child(|| {
        scene::unshare_mounts();
        let (group, parent) = parent();
        let mut owner = Fork::start(|pipe| {
            use std::io::Write as _;
            let sandbox = sandbox(&parent, &["sleep", "60000"]);
            let null = || sandbox_exec::Output::Null;
            let running = sandbox.spawn(sandbox_exec::Stdin::Null, null(), null());
            let _running = running.expect("it starts");
            pipe.write_all(b"x").expect("the test listens");
            sys::pause();
        });
        assert_eq!(owner.read(1), b"x");
        // A living owner's group is nobody's leftover, whatever is in it.
        let left = runs(&group).pop().expect("it has groups");
        let obstacle = Obstacle::in_group(&left);
        assert!(sandbox(&parent, &["exit"]).leftovers().is_none());

        owner.kill_by(libc::SIGKILL);
        let next = sandbox(&parent, &["exit"]);
        let error = next.leftovers().expect("something is left");
        assert!(
            error.to_string().contains(&*left.to_string_lossy()),
            "{error}"
        );
        assert_eq!(error.errno().map(|errno| errno.raw()), Some(libc::EBUSY));
        assert_eq!(runs(&group), [left], "the others are gone");
        // It is no reason to refuse a box.
        assert_eq!(boxes::finish(&next).outcome.judgement.verdict, Verdict::Ok);

        drop(obstacle);
        assert!(sandbox(&parent, &["exit"]).leftovers().is_none());
        assert_eq!(runs(&group), [] as [PathBuf; 0]);
        group.destroy().expect("it is empty");
        assert_eq!(leaks::own_cgroups(), [] as [PathBuf; 0]);
    });
}
