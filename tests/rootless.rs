//! Boxes in a user namespace: an ordinary user's, and root's with ranges of ids.

use core::time::Duration;
use std::path::Path;

use sandbox_exec::{
    Bytes, CgroupParent, Controller, ControllerUse, Error, Finished, Identity, Limits, Policy,
    Sandbox, Stdin, UserMap, Verdict,
};
use sandbox_test_support::{
    Setup, boxes, host, in_child,
    mapped::{Open, mapped, ranges, root},
    outside, scene, sys,
};

const WALL: Duration = Duration::from_secs(10);

/// Runs the payload as uid 0 of a box of the calling user.
#[track_caller]
fn run(payload: &Path, limits: Limits, args: &[&str]) -> Finished {
    let sandbox = mapped(payload, UserMap::own(), Identity::new(0, 0), limits, args);
    let finished = sandbox.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP));
    boxes::ok(finished)
}

#[test]
fn an_ordinary_user_has_a_box() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let run = |args: &[&str]| {
            let finished = run(&open.payload(), Limits::default().wall_time(WALL), args);
            assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
            boxes::said(&finished)
        };
        let session = run(&["session"]);
        boxes::assert_lines(
            &session,
            &[
                "pid: ok 2",
                "uids: [0, 0, 0]",
                "gids: [0, 0, 0]",
                "groups: ok 0",
            ],
        );
        let map = run(&["read", "/proc/self/uid_map"]);
        let map: Vec<_> = map.split_whitespace().collect();
        assert_eq!(map, ["0", &uid.to_string(), "1"]);
        let status = run(&["status"]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(
                status.contains(&format!("{set}:\t0000000000000000\n")),
                "{status}"
            );
        }
        assert!(
            status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"),
            "{status}"
        );
        assert_eq!(run(&["loopback", "127.0.0.1"]), "127.0.0.1: ok 4\n");
        assert_eq!(run(&["loopback", "::1"]), "::1: ok 4\n");
        assert_eq!(run(&["host-name"]), "box\n");
        assert_eq!(
            run(&["stat", "/etc/passwd"]),
            format!("stat: errno {}\n", libc::ENOENT)
        );
        // init has the same uid, for there is no other. Whether the filter refuses the signal or the kernel drops it, the run
        // goes on to its end; and the filter keeps init's limits out of reach.
        assert!(run(&["kill", "1"]).starts_with("kill: "));
        assert_eq!(
            run(&["limit", "1"]),
            format!("prlimit: errno {}\n", libc::EPERM)
        );
        let refused = format!("/usr: errno {0}\n/: errno {0}\n/tmp: ok 0\n", libc::EROFS);
        assert_eq!(run(&["try-writes", "/usr", "/", "/tmp"]), refused);

        assert!(
            outside::run(0, &["stat", "/etc/passwd"]).contains("ok 0"),
            "the host has it"
        );
    });
}

#[test]
fn a_rootless_box_keeps_its_wall_limit() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let limits = Limits::default().wall_time(Duration::from_millis(300));
        let finished = run(&open.payload(), limits, &["sleep", "20000"]);
        assert_eq!(finished.outcome.judgement.verdict, Verdict::WallTimeLimit);
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(
            outside::processes_of(uid),
            [own],
            "nothing but the embedder is left"
        );

        let twin = run(
            &open.payload(),
            Limits::default().wall_time(WALL),
            &["sleep", "500"],
        );
        assert_eq!(twin.outcome.judgement.verdict, Verdict::Ok);
    });
}

#[test]
fn a_limit_without_a_delegated_group_is_refused() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let all = [
            ("memory", Limits::default().memory(Bytes::mib(64))),
            ("processes", Limits::default().processes(10)),
            ("cpu_time", Limits::default().cpu_time(WALL)),
        ];
        for (name, limits) in all {
            for parent in [CgroupParent::Root, CgroupParent::Own] {
                let sandbox = Sandbox::builder()
                    .user_map(UserMap::own())
                    .cgroup_parent(parent)
                    .root(root(&open.payload()))
                    .identity(Identity::new(0, 0))
                    .limits(limits.clone())
                    .policy(Policy::judge())
                    .command(&boxes::command(&["marker", "/tmp/ran"]));
                let refused = sandbox.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP));
                let Err(error @ Error::Cgroup(_)) = &refused else {
                    panic!("{name}: {refused:?}");
                };
                let text = boxes::full(error);
                let reason = text.contains("EACCES")
                    || text.contains("EROFS")
                    || text.contains("not delegated");
                assert!(text.contains("cgroup") && reason, "{name}: {text}");
            }
        }
    });
}

#[test]
fn memory_by_rlimit_needs_the_word_and_shows_in_the_evidence() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        sys::become_user(uid);
        let builder = || {
            let limits = Limits::default()
                .wall_time(host::patience(10_000))
                .memory(Bytes::mib(256));
            Sandbox::builder()
                .user_map(UserMap::own())
                .root(root(&open.payload()))
                .identity(Identity::new(0, 0))
                .limits(limits)
                .policy(Policy::judge())
        };
        let command = |args: &[&str]| boxes::command(args);
        // Refused where nobody has asked for the weaker limit.
        let plain = builder().command(&command(&["marker", "/tmp/ran"]));
        let refused = plain.and_then(|sandbox| sandbox.run(Stdin::Null, boxes::KEEP));
        assert!(matches!(refused, Err(Error::Cgroup(_))), "{refused:?}");

        let weaker = |args: &[&str]| {
            let built = builder()
                .dangerous()
                .memory_by_rlimit()
                .command(&command(args));
            boxes::finish(&boxes::ok(built))
        };
        let kept = weaker(&["map", "512"]);
        assert_eq!(
            boxes::said(&kept),
            format!("mmap: errno {}\n", libc::ENOMEM)
        );
        assert_eq!(boxes::said(&weaker(&["map", "64"])), "mmap: ok 64\n");
        let evidence = kept.outcome.evidence;
        assert!(evidence.memory_by_rlimit);
        assert!(evidence.memory_peak.value().is_none(), "nobody measured it");
        let memory = |used: &ControllerUse| used.controller == Controller::Memory;
        assert!(!evidence.controllers.iter().any(memory));

        let unlimited = Limits::default().wall_time(host::patience(10_000));
        let twin = run(&open.payload(), unlimited, &["map", "512"]);
        assert_eq!(boxes::said(&twin), "mmap: ok 512\n");
        assert!(!twin.outcome.evidence.memory_by_rlimit);
    });
}

#[test]
fn groups_that_cannot_be_dropped_are_refused() {
    if !host::has(&["root"]) {
        return;
    }
    let open = Open::make();
    let uid = Setup::new().identity.uid;
    in_child(|| {
        scene::become_user_with_group(uid, 4);
        let limits = Limits::default().wall_time(WALL);
        let (map, root_inside) = (UserMap::own(), Identity::new(0, 0));
        let refused = mapped(
            &open.payload(),
            map,
            root_inside,
            limits.clone(),
            &["session"],
        );
        assert!(
            matches!(refused, Err(Error::KeepsGroups { count: 1 })),
            "{refused:?}"
        );

        let kept = Sandbox::builder()
            .user_map(UserMap::own())
            .dangerous()
            .keep_groups()
            .root(root(&open.payload()))
            .identity(root_inside)
            .limits(limits)
            .policy(Policy::judge())
            .command(&boxes::command(&["session"]))
            .expect("asked for");
        let said = boxes::said(&boxes::finish(&kept));
        assert!(said.contains("groups: ok 1\n"), "{said}");
    });
}

#[test]
fn root_maps_ranges() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let open = Open::make();
    let first = 3_000_000 + std::process::id() % 10_000 * 2000;
    let small = Setup::new().limits(|limits| limits.memory = Some(Bytes::mib(64)));
    let run = |args: &[&str]| {
        let sandbox = mapped(
            &open.payload(),
            ranges(first),
            Identity::new(1000, 1000),
            small.limits.clone(),
            args,
        );
        let sandbox = boxes::ok(sandbox);
        boxes::finish(&sandbox)
    };
    let session = boxes::said(&run(&["session"]));
    boxes::assert_lines(
        &session,
        &[
            "uids: [1000, 1000, 1000]",
            "gids: [1000, 1000, 1000]",
            "groups: ok 0",
        ],
    );
    // The limits of cgroups hold as without a user namespace.
    let bomb = run(&["memory", "128"]);
    assert_eq!(bomb.outcome.judgement.verdict, Verdict::MemoryLimit);
    // init is another user: neither its end nor its limits are in reach.
    assert_eq!(
        boxes::said(&run(&["kill", "1"])),
        format!("kill: errno {}\n", libc::EPERM)
    );
    assert_eq!(
        boxes::said(&run(&["stat", "/proc/1"])),
        format!("stat: errno {}\n", libc::ENOENT)
    );

    let mut limits = boxes::limits();
    limits.output = None;
    let sandbox = mapped(
        &open.payload(),
        ranges(first),
        Identity::new(1000, 1000),
        limits,
        &["sleep", "20000"],
    );
    let null = || sandbox_exec::Output::Null;
    let running = sandbox.and_then(|sandbox| sandbox.spawn(Stdin::Null, null(), null()));
    let running = boxes::ok(running);
    assert_eq!(
        outside::processes_of(first + 1000).len(),
        1,
        "on the host it is nobody's uid"
    );
    running.canceller().cancel();
    assert_eq!(
        running.wait().expect("watched").outcome.judgement.verdict,
        Verdict::Cancelled
    );
}

#[test]
fn ids_without_a_meaning_are_refused() {
    if !host::has(&["root"]) {
        return;
    }
    let payload = boxes::payload_on_host();
    let limits = || Limits::default().wall_time(WALL);
    let unmapped = mapped(
        &payload,
        ranges(3_000_000),
        Identity::new(2000, 0),
        limits(),
        &["exit"],
    );
    assert!(
        matches!(
            unmapped,
            Err(Error::UnmappedId {
                kind: "uid",
                id: 2000
            })
        ),
        "{unmapped:?}"
    );

    let root = Sandbox::builder()
        .root(root(&payload))
        .identity(Identity::new(0, 1000))
        .limits(limits())
        .policy(Policy::judge())
        .command(&boxes::command(&["exit"]));
    assert!(matches!(root, Err(Error::RootIdentity)), "{root:?}");
}
