//! Everything that a program can reach: a walk through the whole box, as the kernel shows it.

#![expect(unsafe_code, reason = "access(2) and statvfs(3) of a path")]

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{Subcommand, raw::say};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[("survey", survey)];

/// `survey DIR…`: every mount with its flags, every place where the flags of a mount change, every device, pipe and socket,
/// every place that can be written, the names of `/proc` that are no process, what the descriptors are. Not what is below
/// these directories.
fn survey(skip: &[String]) {
    let mut found = BTreeSet::new();
    mounts(&mut found);
    names_of_proc(&mut found);
    descriptors(&mut found);
    let root = PathBuf::from("/");
    let flags = flags_of(&root);
    found.insert(format!("level / {flags}"));
    let mut ahead = vec![(root, flags)];
    while let Some((dir, above)) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // Processes end meanwhile.
            let Ok(status) = fs::symlink_metadata(&path) else {
                continue;
            };
            if status.is_symlink() {
                continue;
            }
            let flags = flags_of(&path);
            if flags != above {
                found.insert(format!("level {} {flags}", path.display()));
            }
            let kind = status.file_type();
            if !kind.is_dir() && !kind.is_file() {
                let (device, mode) = (status.rdev(), status.mode() & 0o7777);
                let (major, minor) = (libc::major(device), libc::minor(device));
                let is_device = kind.is_char_device() || kind.is_block_device();
                let what = if is_device { "device" } else { "special" };
                found.insert(format!(
                    "{what} {} {major}:{minor} {mode:o}",
                    path.display()
                ));
            }
            if (kind.is_dir() || kind.is_file()) && is_writable(&path) {
                found.insert(format!("writable {}", path.display()));
            }
            if kind.is_dir() && !skip.iter().any(|dir| Path::new(dir) == path) {
                ahead.push((path, flags));
            }
        }
    }
    for line in found {
        say(line);
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no name has a NUL")
}

/// The flags of the mount that this lies on, by statvfs and not by the list of mounts.
fn flags_of(path: &Path) -> String {
    let path = c_path(path);
    // SAFETY: an all-zero `statvfs` is valid.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a live C string, the structure live.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
        return "unknown".to_owned();
    }
    let has = |flag| found.f_flag & flag != 0;
    let names = [
        (has(libc::ST_NOSUID), ",nosuid"),
        (has(libc::ST_NODEV), ",nodev"),
        (has(libc::ST_NOEXEC), ",noexec"),
    ];
    let first = if has(libc::ST_RDONLY) { "ro" } else { "rw" };
    let rest = names.iter().filter(|(has, _)| *has).map(|(_, name)| *name);
    std::iter::once(first).chain(rest).collect()
}

fn is_writable(path: &Path) -> bool {
    let path = c_path(path);
    // SAFETY: the path is a live C string.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

fn mounts(found: &mut BTreeSet<String>) {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("the box has a proc");
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let wanted = ["ro", "rw", "nosuid", "nodev", "noexec"];
        let flags = fields[5].split(',').filter(|flag| wanted.contains(flag));
        let flags: Vec<&str> = flags.collect();
        // Optional fields tell of propagation; a private mount has none.
        let private = if fields[6] == "-" {
            "private"
        } else {
            "shared"
        };
        found.insert(format!("mount {} {} {private}", fields[4], flags.join(",")));
    }
}

fn names_of_proc(found: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/proc").expect("the box has a proc").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        found.insert(format!("proc {name}"));
    }
}

fn descriptors(found: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/proc/self/fd")
        .expect("the box has a proc")
        .flatten()
    {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        // That of the list itself.
        if target.ends_with("fd") && target.starts_with("/proc") {
            continue;
        }
        let is_dir = fs::metadata(entry.path()).is_ok_and(|status| status.is_dir());
        let kind = if is_dir { "directory" } else { "no directory" };
        found.insert(format!("descriptor {} {kind}", entry.file_name().display()));
    }
}
