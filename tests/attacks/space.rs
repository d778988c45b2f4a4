//! Memory, disk, inodes, descriptors.

use sandbox_exec::{
    Basis, Bytes, Command, DiskUse, Exit, Finished, MountFlags, Quota, RootSpec, Verdict,
};
use sandbox_test_support::{Setup, assert_judged, boxes, in_child, outside, scene};

use crate::can_run;

const LIMIT: Bytes = Bytes::mib(32);

fn small() -> Setup {
    Setup::new().limits(|limits| limits.memory = Some(LIMIT))
}

fn unlimited() -> Setup {
    Setup::new().limits(|limits| limits.memory = None)
}

/// Ended for its memory, and not a page above the limit; the twin got all that it wanted.
fn assert_held(finished: &Finished, twin: &Finished, success: &str) {
    assert_judged(finished, Verdict::MemoryLimit, Basis::OomKill);
    let evidence = &finished.outcome.evidence;
    assert!(!boxes::said(finished).contains(success));
    assert!(
        evidence.memory_peak.value() <= Some(LIMIT),
        "{:?}",
        evidence.memory_peak
    );
    assert!(evidence.oom_kills.value() > Some(0));
    assert!(evidence.memory_limit_hits.value() > Some(0));

    assert_judged(twin, Verdict::Ok, Basis::ExitStatus);
    assert!(boxes::said(twin).contains(success));
}

#[test]
fn a_memory_bomb_is_ended() {
    if !can_run() {
        return;
    }
    let args = ["memory", "128"];
    assert_held(&small().run(&args), &unlimited().run(&args), "touched 128");
}

#[test]
fn children_share_one_limit() {
    if !can_run() {
        return;
    }
    // Each of them is well below the limit.
    let args = ["memory-of-children", "8", "10"];
    assert_held(&small().run(&args), &unlimited().run(&args), "touched 80");
}

#[test]
fn a_childs_end_for_memory_is_the_runs_end() {
    if !can_run() {
        return;
    }
    // The parent would see its child's death and exit with 0.
    let args = ["memory-of-child", "128"];
    assert_held(&small().run(&args), &unlimited().run(&args), "touched 128");
}

fn with_disk(setup: Setup) -> Setup {
    let quota = Quota {
        bytes: Bytes::mib(256),
        inodes: 100,
    };
    setup.root(|root| root.tmpfs("disk", quota, MountFlags::WRITABLE))
}

#[test]
fn files_in_memory_count_as_memory() {
    if !can_run() {
        return;
    }
    let args = ["fill", "/disk/bomb", "100"];
    let success = format!("wrote {}", 100 << 20);
    assert_held(
        &with_disk(small()).run(&args),
        &with_disk(unlimited()).run(&args),
        &success,
    );
}

#[test]
fn files_without_a_name_count_as_memory() {
    if !can_run() {
        return;
    }
    let args = ["memfd", "100"];
    let success = format!("wrote {}", 100 << 20);
    assert_held(&small().run(&args), &unlimited().run(&args), &success);
}

fn disk(quota: Quota) -> Setup {
    let root = |root: RootSpec| root.tmpfs("disk", quota, MountFlags::WRITABLE).keep("disk");
    Setup::new().root(root)
}

#[test]
fn a_full_disk_is_told_from_a_failure_of_the_program() {
    if !can_run() {
        return;
    }
    let quota = Quota {
        bytes: Bytes::mib(4),
        inodes: 10,
    };
    let run = |script: &str| {
        let command = Command::new("/bin/sh").args(["-c", script]);
        boxes::finish(&disk(quota).sandbox_of(&command))
    };
    let full = run("head -c 32M /dev/zero >/disk/bomb");
    assert_judged(&full, Verdict::DiskLimit, Basis::DiskFull);
    let seen = full.outcome.evidence.disks[0];
    assert_eq!((seen.bytes, seen.full), (Bytes::mib(4), true));

    let spray = run("for n in 1 2 3 4 5 6 7 8 9 10; do : >/disk/$n || exit 1; done");
    assert_judged(&spray, Verdict::DiskLimit, Basis::DiskFull);
    assert_eq!(spray.outcome.evidence.disks[0].inodes, 10);

    let room = run("head -c 1M /dev/zero >/disk/some; exit 3");
    let verdict = Verdict::RuntimeError(Exit::Code(3));
    assert_judged(&room, verdict, Basis::ExitStatus);
    assert!(!room.outcome.evidence.disks[0].full, "the twin");
    // A quota of the embedder's own joins in afterwards.
    let judged = room.outcome.with_disk(DiskUse { full: true, ..seen });
    assert_eq!(judged.judgement.verdict, Verdict::DiskLimit);
}

#[test]
fn a_disk_fills_to_its_quota() {
    if !can_run() {
        return;
    }
    // The size of the file as the host sees it after the run.
    let fill = |quota| {
        let finished = disk(quota).run(&["fill", "/disk/bomb", "32"]);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        let file = finished.kept[0].open("bomb").expect("it is there");
        (
            file.metadata().expect("readable").len(),
            boxes::said(&finished),
        )
    };
    let quota = Quota {
        bytes: Bytes::mib(8),
        inodes: 100,
    };
    let (size, said) = fill(quota);
    assert!(
        said.ends_with(&format!("errno {}\n", libc::ENOSPC)),
        "{said}"
    );
    assert_eq!(size, 8 << 20);

    let (size, _) = fill(Quota {
        bytes: Bytes::mib(64),
        ..quota
    });
    assert_eq!(size, 32 << 20, "the twin gets all that it wants");
}

/// Holes cost nothing until something is written into them, a byte takes a page, and what is deleted counts while it is open.
#[test]
fn no_other_way_fills_a_tmpfs_beyond_its_quota() {
    if !can_run() {
        return;
    }
    let sparse = "truncate -s 1G /disk/x; for n in $(seq 32); do \
        head -c 512K /dev/zero | dd of=/disk/x bs=512K seek=$((n * 8)) conv=notrunc status=none || exit 1; done";
    let small = "for n in $(seq 3000); do printf x >/disk/$n || exit 1; done";
    let held = "exec 3>/disk/x; rm /disk/x; head -c 6M /dev/zero >&3 || exit 9; head -c 4M /dev/zero >/disk/y";
    for script in [sparse, small, held] {
        let run = |mib| {
            let quota = Quota {
                bytes: Bytes::mib(mib),
                inodes: 4_000,
            };
            let command = Command::new("/bin/sh").args(["-c", script]);
            boxes::finish(&disk(quota).sandbox_of(&command))
        };
        let full = run(8);
        let seen = full.outcome.evidence.disks[0];
        assert!(seen.bytes <= Bytes::mib(8), "{script}: {seen:?}");
        let ended = full.outcome.evidence.exit;
        assert!(
            !matches!(ended, Some(Exit::Code(0 | 9))),
            "{script}: {ended:?}"
        );
        let twin = run(64);
        assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    }
}

#[test]
fn inodes_run_out_at_their_quota() {
    if !can_run() {
        return;
    }
    let spray = |inodes| {
        let quota = Quota {
            bytes: Bytes::mib(8),
            inodes,
        };
        let finished = disk(quota).run(&["inodes", "/disk", "500"]);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        let entries = finished.kept[0].entries(1000).expect("readable");
        (entries.len(), boxes::said(&finished))
    };
    // One is the directory itself.
    let full = format!("made 99 errno {}\n", libc::ENOSPC);
    assert_eq!(spray(100), (99, full));
    assert_eq!(spray(1000), (500, "made 500\n".to_owned()), "the twin");
}

#[test]
fn descriptors_run_out_at_the_limit() {
    if !can_run() {
        return;
    }
    let finished = Setup::new()
        .limits(|limits| limits.open_files = Some(64))
        .run(&["descriptors", "500"]);
    assert_eq!(
        boxes::said(&finished),
        format!("dup 61 errno {}\n", libc::EMFILE)
    );
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);

    let twin = Setup::new().run(&["descriptors", "500"]);
    assert_eq!(boxes::said(&twin), "dup 500\n");
}

#[test]
fn no_descriptor_of_the_embedder_leaks() {
    if !can_run() {
        return;
    }
    in_child(|| {
        scene::leak(b"the answers", 77);
        let finished = boxes::run(&["inherited"]);
        assert_eq!(boxes::said(&finished), "no more\n");
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);

        let twin = outside::run(0, &["inherited"]);
        assert!(twin.contains("open 77 the answers\n"), "{twin}");
    });
}
