//! Each running box has a uid of its own, whoever started it; a uid comes back when nothing of it lives.

use std::{
    collections::BTreeSet, fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path,
    time::Instant,
};

use sandbox_exec::{
    Command, Error, IdRange, Limits, Output, RootSpec, Running, Sandbox, Stdin, UidPool, UserMap,
};
use sandbox_test_support::{Fork, Setup, boxes, host, in_child, outside, setup::Live, sys};
use tempfile::TempDir;

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

/// Outside of what a machine gives to people, services or containers. Tests run at once: each has a hundred of its own.
const FIRST: u32 = 1_900_000_000;

fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    directory
}

fn pool(directory: &Path, first: u32, count: u32) -> UidPool {
    let pool = UidPool::open(directory, first..=first + count - 1);
    pool.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

fn sleeper(pool: &UidPool) -> Live {
    Setup::new().in_pool(pool).live(&["sleep", "60000"])
}

fn spawn(sandbox: &Sandbox) -> Result<Running, Error> {
    sandbox.spawn(Stdin::Null, Output::Null, Output::Null)
}

/// Starts one more box as soon as what held its uid is dead.
#[track_caller]
fn spawn_soon(sandbox: &Sandbox) -> Running {
    let started = Instant::now();
    loop {
        match spawn(sandbox) {
            Ok(running) => return running,
            Err(Error::UidsInUse { .. }) if started.elapsed() < host::patience(1_000) => {}
            Err(error) => panic!("{}", boxes::full(&error)),
        }
    }
}

#[track_caller]
fn assert_none_free(sandbox: &Sandbox, expected: (usize, usize)) {
    match spawn(sandbox) {
        Err(Error::UidsInUse { leased, alive }) => assert_eq!((leased, alive), expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_running_box_has_a_uid_that_no_other_has() {
    if !host::has(&NEEDS) {
        return;
    }
    let directory = directory();
    // Another embedder, that has nothing of this one but the name of the directory.
    let mut other = Fork::start(|pipe| {
        let pool = pool(directory.path(), FIRST, 4);
        let boxes = [sleeper(&pool), sleeper(&pool)];
        for live in &boxes {
            let uid = live.identity.uid.to_ne_bytes();
            pipe.write_all(&uid).expect("the test listens");
        }
        sys::pause();
    });
    let mut uid = || u32::from_ne_bytes(other.read(4).try_into().expect("four"));
    let theirs = [uid(), uid()];
    let pool = pool(directory.path(), FIRST, 4);
    let ours = [sleeper(&pool), sleeper(&pool)];
    let all: BTreeSet<u32> = ours
        .iter()
        .map(|live| live.identity.uid)
        .chain(theirs)
        .collect();
    assert_eq!(all, (FIRST..FIRST + 4).collect());
    for uid in all {
        assert_eq!(outside::processes_of(uid).len(), 1, "{uid}");
    }
    assert!(
        ours.iter()
            .all(|live| live.identity.gid == live.identity.uid)
    );
    let fifth = Setup::new().in_pool(&pool).sandbox(&["exit"]);
    assert_none_free(&fifth, (4, 0));

    // A box that ends gives its uid back, and so does an embedder that is killed.
    let [first, _second] = ours;
    let free = first.identity;
    drop(first.cancel());
    let one = spawn(&fifth).expect("one is free");
    assert_eq!(one.identity(), free);
    other.kill_by(libc::SIGKILL);
    let two = [spawn_soon(&fifth), spawn_soon(&fifth)];
    assert!(two.iter().all(|one| theirs.contains(&one.identity().uid)));
}

/// A box that is dropped, one that fails to start, one that is waited for.
#[test]
fn every_way_out_gives_the_uid_back() {
    if !host::has(&NEEDS) {
        return;
    }
    let directory = directory();
    let pool = pool(directory.path(), FIRST + 100, 1);
    let good = Setup::new().in_pool(&pool).sandbox(&["exit"]);
    let bad = Setup::new()
        .in_pool(&pool)
        .sandbox_of(&Command::new("/nowhere"));
    for _ in 0..20 {
        drop(spawn(&good).expect("the uid is free"));
        assert!(matches!(spawn(&bad), Err(Error::Setup(_))));
        boxes::finish(&good);
    }
}

#[test]
fn a_uid_with_processes_is_passed_over() {
    if !host::has(&NEEDS) {
        return;
    }
    let directory = directory();
    let first = FIRST + 200;
    let mut stranger = outside::start(first, &["sleep", "60000"]);
    let two = pool(directory.path(), first, 2);
    let sandbox = Setup::new().in_pool(&two).sandbox(&["exit"]);
    let running = spawn(&sandbox).expect("the other uid is free");
    assert_eq!(running.identity().uid, first + 1);
    assert_none_free(&sandbox, (1, 1));
    stranger.kill().expect("our child");
    assert_none_free(&sandbox, (1, 1));
    // Only now it is no process any more.
    stranger.wait().expect("our child");
    assert_eq!(spawn(&sandbox).expect("free").identity().uid, first);
}

/// What a dead embedder left alive: here a process that has left its box's namespaces, as after an escape.
#[test]
fn an_embedders_death_frees_no_uid_that_still_lives() {
    if !host::has(&NEEDS) {
        return;
    }
    let directory = directory();
    let first = FIRST + 300;
    let pool = pool(directory.path(), first, 1);
    let sandbox = Setup::new().in_pool(&pool).sandbox(&["exit"]);
    // It has been there and was clean.
    boxes::finish(&sandbox);
    let mut embedder = Fork::start(|pipe| {
        let pool = self::pool(directory.path(), first, 1);
        let _live = sleeper(&pool);
        pipe.write_all(b"x").expect("the test listens");
        sys::pause();
    });
    assert_eq!(embedder.read(1), b"x");
    let mut escaped = outside::start(first, &["sleep", "60000"]);
    embedder.kill_by(libc::SIGKILL);
    let started = Instant::now();
    while outside::processes_of(first).len() > 1 {
        assert!(
            started.elapsed() < host::patience(1_000),
            "the box lives on"
        );
    }
    assert_none_free(&sandbox, (0, 1));
    escaped.kill().expect("our child");
    escaped.wait().expect("our child");
    drop(spawn(&sandbox).expect("free"));
}

/// What keeps two boxes apart even if every namespace failed: here the signal comes from outside of all boxes.
#[test]
fn no_box_has_the_right_to_signal_another() {
    if !host::has(&NEEDS) {
        return;
    }
    let kill = |a: &Live, b: &Live| {
        let victims = outside::processes_of(b.identity.uid);
        let victim = victims.last().expect("it is at work");
        outside::run(a.identity.uid, &["kill", &victim.to_string()])
    };
    let directory = directory();
    let pool = pool(directory.path(), FIRST + 400, 2);
    let [a, b] = [sleeper(&pool), sleeper(&pool)];
    assert_eq!(kill(&a, &b), format!("kill: errno {}\n", libc::EPERM));

    let setup = Setup::new();
    let [a, b] = [(); 2].map(|()| setup.clone().live(&["sleep", "60000"]));
    assert_eq!(kill(&a, &b), "kill: ok 0\n", "the twins share a uid");
}

#[test]
fn no_box_uses_up_the_processes_of_another() {
    if !host::has(&NEEDS) {
        return;
    }
    let directory = directory();
    let pool = pool(directory.path(), FIRST + 500, 2);
    // How many processes the host sees of the two, each of which forks until it is refused.
    let standing = |setup: Setup| {
        let mut bombs = [(); 2].map(|()| setup.clone().live(&["fork-bomb", "300"]));
        for bomb in &mut bombs {
            assert_eq!(bomb.line(), format!("refused {}", libc::EAGAIN));
        }
        let uids: BTreeSet<u32> = bombs.iter().map(|bomb| bomb.identity.uid).collect();
        let standing = uids.into_iter().map(|uid| outside::processes_of(uid).len());
        standing.sum::<usize>()
    };
    in_child(|| {
        // Boxes inherit it. Their cgroups would allow 64 processes each.
        sys::limit_processes(20);
        assert_eq!(standing(Setup::new().in_pool(&pool)), 2 * 20);
        // The limit stops forks. A program that became one of this user after that is one more.
        let twins = standing(Setup::new());
        assert!(twins <= 21, "the twins are one user and have {twins}");
    });
}

#[test]
fn what_no_pool_can_serve_is_refused() {
    let directory = directory();
    let built = |pool: &UidPool, map: Option<UserMap>| {
        let mut builder = Sandbox::builder();
        if let Some(map) = map {
            builder = builder.user_map(map);
        }
        builder
            .root(RootSpec::new(boxes::QUOTA))
            .uid_pool(pool)
            .limits(Limits::default())
            .policy(sandbox_exec::Policy::judge())
            .command(&Command::new("/x"))
    };
    let map = UserMap {
        uids: vec![IdRange::single(1, 2)],
        gids: vec![IdRange::single(1, 2)],
    };
    let ordinary = pool(directory.path(), FIRST + 600, 1);
    let error = built(&ordinary, Some(map)).expect_err("one map, many uids");
    assert!(matches!(error, Error::UidPoolMapped), "{error}");
    let of_init = pool(directory.path(), 0x7fff_fff0, 100);
    let error = built(&of_init, None).expect_err("a payload that could signal init");
    assert!(matches!(error, Error::UidRange { .. }), "{error}");
    built(&ordinary, None).expect("the twin");
}
