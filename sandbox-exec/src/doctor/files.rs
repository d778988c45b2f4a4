//! The work directory's file system, and what a crash starts.

use std::{fs::File, os::fd::AsRawFd as _, path::Path};

use sandbox_core::Errno;

use super::{
    attempt::{Operation, Tried, apart},
    child::{self, Work},
    kernel::unread,
    report::{Finding, Need},
    tree::Text,
};
use crate::sys::probe;

/// What is known of a directory's file system.
#[derive(Debug)]
pub(super) struct Quotas {
    /// Its magic number, or why it is not known.
    kind: Result<i64, Errno>,
    /// Flags of `Q_XGETQSTAT`.
    flags: Tried,
}

pub(super) fn quotas(directory: &Path) -> Quotas {
    match File::open(directory) {
        Ok(open) => Quotas {
            kind: probe::file_system(open.as_raw_fd()),
            flags: apart(Work::Quota(open.as_raw_fd())),
        },
        Err(error) => Quotas {
            kind: Err(Errno::from_io(&error)),
            flags: Tried::Untried("the directory cannot be opened".to_owned()),
        },
    }
}

/// Names by `*_SUPER_MAGIC` of statfs(2).
fn name(kind: i64) -> String {
    match kind {
        0xef53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x794c_7630 => "overlay".to_owned(),
        0x0102_1997 => "9p".to_owned(),
        0xf2f5_2010 => "f2fs".to_owned(),
        0x6969 => "nfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        other => format!("file system {other:#x}"),
    }
}

/// `FS_QUOTA_UDQ_ENFD` and `FS_QUOTA_PDQ_ENFD`.
const USER: i32 = 1 << 1;
const PROJECT: i32 = 1 << 5;

pub(super) fn quota(found: &Quotas) -> Finding {
    let need = Need::Quota;
    let kind = match found.kind {
        Ok(kind) => name(kind),
        Err(errno) => return Finding::unknown(need, format!("the work directory: {errno}")),
    };
    let costs = "what programs leave in the work directory is limited by file (file_size), not together; a tmpfs of a box \
        is limited by its size";
    let missing = |found: String| Finding::missing(need, found, costs).mend(on(&kind));
    match &found.flags {
        Tried::Worked(flags) => match (flags & USER != 0, flags & PROJECT != 0) {
            (true, true) => Finding::ok(
                need,
                format!("{kind}: user and project quotas are enforced"),
            ),
            (true, false) => Finding::ok(need, format!("{kind}: user quotas are enforced")),
            (false, true) => Finding::ok(need, format!("{kind}: project quotas are enforced")),
            (false, false) => missing(format!("{kind}: counted, not enforced")),
        },
        Tried::Refused {
            operation: Operation::InCopy(child::QUOTA_STATE),
            errno,
        } if errno.raw() == libc::ENOSYS => missing(format!("{kind}: no quota is on")),
        tried if tried.errno() == Some(libc::ENOSYS) => Finding::unknown(
            need,
            format!("{kind}: this kernel has no quotactl_fd(2) (Linux 5.14)"),
        ),
        tried => Finding::unknown(need, format!("{kind}: {tried}")),
    }
}

/// How quotas are switched on.
fn on(kind: &str) -> &'static str {
    match kind {
        "ext4" => {
            "umount DEVICE, tune2fs -O quota,project -Q usrquota,prjquota DEVICE, mount -o usrquota,prjquota DEVICE \
             (needs a kernel with QFMT_V2)"
        }
        "xfs" => "umount DEVICE, mount -o uquota,pquota DEVICE (not by remount)",
        "tmpfs" => {
            "mount -t tmpfs -o usrquota tmpfs DIRECTORY (Linux 6.6 with CONFIG_TMPFS_QUOTA), or a size for each tmpfs"
        }
        _ => "take a work directory on ext4 or xfs with quotas",
    }
}

pub(super) fn core_pattern(text: &Text) -> Finding {
    let need = Need::CorePattern;
    match text {
        Text::Is(pattern) => match pattern.chars().next() {
            Some('|') => Finding::degraded(
                need,
                format!("crashes are piped to {}", pattern[1..].split(' ').next().unwrap_or_default()),
                "boxes are spared (RLIMIT_CORE is 1 in them), but whatever crashes outside of one starts a program as root \
                 that takes time from runs",
            )
            .mend("sysctl -w kernel.core_pattern=core"),
            Some('@') => Finding::degraded(
                need,
                format!("crashes go to the socket {}", &pattern[1..]),
                "boxes are spared (RLIMIT_CORE is 1 in them), but a crash outside of one is handled beside the runs",
            )
            .mend("sysctl -w kernel.core_pattern=core"),
            _ => Finding::ok(need, format!("a file: {pattern:?}")),
        },
        other => Finding::unknown(need, unread("/proc/sys/kernel/core_pattern", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Quotas, core_pattern, quota, quotas};
    use crate::doctor::{
        attempt::{Operation, Tried},
        child,
        report::State,
        tree::Text,
    };
    use std::path::Path;

    const EXT4: i64 = 0xef53;

    fn state(flags: Tried) -> State {
        quota(&Quotas {
            kind: Ok(EXT4),
            flags,
        })
        .state
    }

    #[test]
    fn counted_is_not_enforced_and_unasked_is_unknown() {
        let refused = |index, errno| Tried::refused(Operation::InCopy(index), errno);
        assert_eq!(state(Tried::Worked(0b11)), State::Ok);
        assert_eq!(state(Tried::Worked(0b11_0000)), State::Ok);
        assert_eq!(state(Tried::Worked(0b01_0001)), State::Missing);
        assert_eq!(
            state(refused(child::QUOTA_STATE, libc::ENOSYS)),
            State::Missing
        );
        assert_eq!(
            state(refused(child::QUOTACTL_FD, libc::ENOSYS)),
            State::Unknown
        );
        assert_eq!(
            state(refused(child::QUOTACTL_FD, libc::EPERM)),
            State::Unknown
        );
        assert_eq!(state(Tried::Killed(libc::SIGSYS)), State::Unknown);
    }

    #[test]
    fn a_directory_that_is_not_there_is_unknown() {
        let found = quota(&quotas(Path::new("/nonexistent")));
        assert_eq!(found.state, State::Unknown);
        assert!(found.found.contains("ENOENT"), "{}", found.found);
    }

    #[test]
    fn a_pipe_or_socket_for_crashes_is_no_file() {
        let state = |text: &str| core_pattern(&Text::Is(text.to_owned())).state;
        assert_eq!(state("core"), State::Ok);
        assert_eq!(state("/var/core/%e.%p"), State::Ok);
        assert_eq!(state(""), State::Ok);
        assert_eq!(
            state("|/usr/lib/systemd/systemd-coredump %P"),
            State::Degraded
        );
        assert_eq!(state("@/run/crash.socket"), State::Degraded);
        assert_eq!(core_pattern(&Text::Absent).state, State::Unknown);
    }
}
