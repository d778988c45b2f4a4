//! What a program finds out about itself: the sandbox's claims as the kernel shows them from inside.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    Subcommand,
    raw::{call, number, report, say, text},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("status", |_| {
        say(fs::read_to_string("/proc/self/status").unwrap_or_default());
    }),
    ("read", |args| read(text(args, 0))),
    ("prctl", |args| {
        report(
            "prctl",
            call(
                libc::SYS_prctl,
                [number(args, 0), number(args, 1), 0, 0, 0, 0],
            ),
        );
    }),
    ("session", |_| session()),
    ("limits", |_| limits()),
    ("umask", |_| report("umask", call(libc::SYS_umask, [0; 6]))),
    ("arguments", |_| {
        say(format!("{:?}", std::env::args_os().collect::<Vec<_>>()));
    }),
    ("environment", |_| {
        say(format!("{:?}", std::env::vars_os().collect::<Vec<_>>()));
    }),
    ("host-name", |_| host_name()),
    ("cpus", |_| cpus()),
    ("open-descriptors", |_| open_descriptors()),
    ("walk", walk),
    ("try-writes", |args| try_writes(args)),
];

fn read(path: &str) {
    match fs::read_to_string(path) {
        Ok(text) => say(text.trim_end()),
        Err(error) => say(format!("errno {}", error.raw_os_error().unwrap_or(0))),
    }
}

fn session() {
    report("pid", call(libc::SYS_getpid, [0; 6]));
    report("ppid", call(libc::SYS_getppid, [0; 6]));
    report("sid", call(libc::SYS_getsid, [0; 6]));
    report("pgid", call(libc::SYS_getpgid, [0; 6]));
    // The raw call gives 20 minus the nice value.
    report("priority", call(libc::SYS_getpriority, [0; 6]));
    report("policy", call(libc::SYS_sched_getscheduler, [0; 6]));
    report(
        "personality",
        call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]),
    );
    for (name, number) in [("uids", libc::SYS_getresuid), ("gids", libc::SYS_getresgid)] {
        let mut ids = [0_u32; 3];
        let [a, b, c] = ids.each_mut().map(|id| core::ptr::from_mut(id).addr());
        call(number, [a, b, c, 0, 0, 0]).ok();
        say(format!("{name}: {ids:?}"));
    }
    report("groups", call(libc::SYS_getgroups, [0; 6]));
}

fn limits() {
    for resource in 0..16_usize {
        let mut pair = [0_u64; 2];
        call(
            libc::SYS_prlimit64,
            [0, resource, 0, pair.as_mut_ptr().addr(), 0, 0],
        )
        .ok();
        say(format!("limit {resource}: {} {}", pair[0], pair[1]));
    }
}

fn host_name() {
    let mut names = [0_u8; 390];
    call(libc::SYS_uname, [names.as_mut_ptr().addr(), 0, 0, 0, 0, 0]).ok();
    let node = names[65..130]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    say(String::from_utf8_lossy(node));
}

/// The CPUs that the scheduler may use for it, as a sorted list.
fn cpus() {
    let mut mask = [0_u64; 16];
    let size = size_of_val(&mask);
    call(
        libc::SYS_sched_getaffinity,
        [0, size, mask.as_mut_ptr().addr(), 0, 0, 0],
    )
    .ok();
    let set = (0..1024).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1);
    say(format!("{:?}", set.collect::<Vec<_>>()));
}

fn open_descriptors() {
    let open = (0..65_536_usize).filter(|fd| {
        call(
            libc::SYS_fcntl,
            [*fd, libc::F_GETFD.unsigned_abs() as usize, 0, 0, 0, 0],
        )
        .is_ok()
    });
    say(format!("{:?}", open.collect::<Vec<_>>()));
}

/// `walk DIR…`: every path of the box, type and name, but not what is below these directories.
fn walk(skip: &[String]) {
    let mut found = BTreeSet::new();
    let mut ahead = vec![std::path::PathBuf::from("/")];
    while let Some(dir) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            found.insert(format!("closed {}", dir.display()));
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // Not the type in the directory, which is that of what a mount covers.
            let Ok(kind) = fs::symlink_metadata(&path).map(|found| found.file_type()) else {
                continue;
            };
            let letter = if kind.is_dir() {
                "d"
            } else if kind.is_symlink() {
                "l"
            } else if kind.is_file() {
                "f"
            } else {
                "s"
            };
            found.insert(format!("{letter} {}", path.display()));
            if kind.is_dir() && !skip.iter().any(|dir| Path::new(dir) == path) {
                ahead.push(path);
            }
        }
    }
    for line in found {
        say(line);
    }
}

/// Tries to make a file in each directory.
fn try_writes(dirs: &[String]) {
    for dir in dirs {
        let made = fs::write(Path::new(dir).join("written"), "x");
        report(
            dir,
            made.map(|()| 0).map_err(|e| e.raw_os_error().unwrap_or(0)),
        );
    }
}
