//! `uid_map`, `gid_map` and `setgroups`: written by the supervisor while init waits.

use std::{fs::OpenOptions, io::Write as _, process};

use caps::{CapSet, Capability};
use sandbox_core::Errno;

use crate::Error;

/// The kernel's limit for lines of a map (`UID_GID_MAP_MAX_EXTENTS`).
const MAX_RANGES: usize = 340;

/// A range of ids: `count` ids from `inside` on are `outside` and following in the parent namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IdRange {
    /// First id inside the box.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

impl IdRange {
    /// One id.
    #[must_use]
    pub const fn single(inside: u32, outside: u32) -> Self {
        Self {
            inside,
            outside,
            count: 1,
        }
    }
}

/// The id maps of a user namespace.
///
/// Who may write what, see `user_namespaces(7)`: a process with `CAP_SETUID` and `CAP_SETGID` any ranges; an ordinary user
/// its own single id, and then `setgroups(2)` is denied for good inside the box; ranges from `/etc/subuid` and `/etc/subgid`
/// through the setuid helpers newuidmap(1) and newgidmap(1), which are run when neither of the others applies.
///
/// # References
/// <https://man7.org/linux/man-pages/man7/user_namespaces.7.html>
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct UserMap {
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
}

impl UserMap {
    /// The caller's effective ids, as 0 inside: what every user may have.
    #[must_use]
    pub fn own() -> Self {
        Self {
            uids: vec![IdRange::single(0, nix::unistd::geteuid().as_raw())],
            gids: vec![IdRange::single(0, nix::unistd::getegid().as_raw())],
        }
    }

    /// Whether `setgroups(2)` is denied inside: an ordinary user who maps only the own gid must give it up first.
    #[must_use]
    pub fn denies_setgroups(&self) -> bool {
        !privileged(Capability::CAP_SETGID) && is_own(&self.gids, nix::unistd::getegid().as_raw())
    }

    /// Whether the map gives this uid a meaning.
    #[must_use]
    pub fn maps_uid(&self, uid: u32) -> bool {
        covers(&self.uids, uid)
    }

    /// Whether the map gives this gid a meaning.
    #[must_use]
    pub fn maps_gid(&self, gid: u32) -> bool {
        covers(&self.gids, gid)
    }

    /// The uid of the parent namespace behind a uid inside.
    #[must_use]
    pub fn outside_uid(&self, uid: u32) -> Option<u32> {
        outside(&self.uids, uid)
    }

    /// The gid of the parent namespace behind a gid inside.
    #[must_use]
    pub fn outside_gid(&self, gid: u32) -> Option<u32> {
        outside(&self.gids, gid)
    }

    /// The ids that init takes: 0 where it is mapped, else the first mapped id. An unmapped init could not even make a
    /// directory on its own tmpfs (`EOVERFLOW`).
    pub(crate) fn init_ids(&self) -> (u32, u32) {
        let pick = |ranges: &[IdRange]| match ranges.first() {
            Some(first) if !covers(ranges, 0) => first.inside,
            _ => 0,
        };
        (pick(&self.uids), pick(&self.gids))
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (map, ranges) in [("uid_map", &self.uids), ("gid_map", &self.gids)] {
            let bad = |reason| Err(Error::Map { map, reason });
            if ranges.is_empty() {
                return bad("it maps nothing");
            }
            if ranges.len() > MAX_RANGES {
                return bad("it has more than 340 ranges");
            }
            let ends = |start: u32, count: u32| start.checked_add(count.saturating_sub(1));
            if ranges.iter().any(|r| {
                r.count == 0
                    || ends(r.inside, r.count).is_none()
                    || ends(r.outside, r.count).is_none()
            }) {
                return bad("a range is empty or passes the largest id");
            }
            let overlap = |f: fn(&IdRange) -> u32| {
                let mut sorted: Vec<_> = ranges
                    .iter()
                    .map(|r| (u64::from(f(r)), u64::from(r.count)))
                    .collect();
                sorted.sort_unstable();
                sorted.windows(2).any(|w| w[0].0 + w[0].1 > w[1].0)
            };
            if overlap(|r| r.inside) || overlap(|r| r.outside) {
                return bad("two ranges overlap");
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, pid: u32) -> Result<(), Error> {
        if self.denies_setgroups() {
            write_file(pid, "setgroups", "deny")?;
        }
        let own = nix::unistd::getegid().as_raw();
        if privileged(Capability::CAP_SETGID) || is_own(&self.gids, own) {
            write_file(pid, "gid_map", &lines(&self.gids))?;
        } else {
            run_helper("newgidmap", pid, &self.gids)?;
        }
        let own = nix::unistd::geteuid().as_raw();
        if privileged(Capability::CAP_SETUID) || is_own(&self.uids, own) {
            write_file(pid, "uid_map", &lines(&self.uids))
        } else {
            run_helper("newuidmap", pid, &self.uids)
        }
    }
}

fn privileged(capability: Capability) -> bool {
    // A failed look at the own capabilities counts as none: the unprivileged path is refused by the kernel if it is wrong.
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

fn is_own(ranges: &[IdRange], id: u32) -> bool {
    matches!(ranges, [range] if range.count == 1 && range.outside == id)
}

fn covers(ranges: &[IdRange], id: u32) -> bool {
    outside(ranges, id).is_some()
}

fn outside(ranges: &[IdRange], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = id
            .checked_sub(range.inside)
            .filter(|offset| *offset < range.count)?;
        range.outside.checked_add(offset)
    })
}

fn lines(ranges: &[IdRange]) -> String {
    ranges
        .iter()
        .map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count))
        .collect()
}

/// One write: the kernel takes a map only whole.
fn write_file(pid: u32, name: &str, text: &str) -> Result<(), Error> {
    let path = std::path::PathBuf::from(format!("/proc/{pid}/{name}"));
    let written = OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|e| Error::WriteMap {
        path,
        source: Errno::from_io(&e),
    })
}

fn read_back(helper: &'static str, pid: u32, ranges: &[IdRange]) -> Result<(), Error> {
    let file = helper.trim_start_matches("new").replace("idmap", "id_map");
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    if text.split_whitespace().eq(lines(ranges).split_whitespace()) {
        return Ok(());
    }
    let message = format!(
        "{file} is not what was asked for; its exit status is unknown, since SIGCHLD is ignored"
    );
    Err(Error::HelperRefused { helper, message })
}

fn run_helper(helper: &'static str, pid: u32, ranges: &[IdRange]) -> Result<(), Error> {
    let numbers = ranges.iter().flat_map(|r| [r.inside, r.outside, r.count]);
    let output = process::Command::new(format!("/usr/bin/{helper}"))
        .arg(pid.to_string())
        .args(numbers.map(|n| n.to_string()))
        .stdin(process::Stdio::null())
        .output();
    let output = match output {
        // An embedder that ignores SIGCHLD learns no exit status of its children; the map itself says it.
        Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return read_back(helper, pid, ranges),
        other => other.map_err(|e| Error::HelperMissing {
            helper,
            source: Errno::from_io(&e),
        })?,
    };
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::HelperRefused { helper, message })
}

#[cfg(test)]
mod tests {
    use super::{IdRange, UserMap, lines};
    use crate::Error;

    fn map(uids: &[IdRange]) -> UserMap {
        UserMap {
            uids: uids.to_vec(),
            gids: vec![IdRange::single(0, 0)],
        }
    }

    #[test]
    fn lines_are_what_the_kernel_reads() {
        let range = IdRange {
            inside: 1,
            outside: 100_000,
            count: 65_535,
        };
        assert_eq!(
            lines(&[IdRange::single(0, 1000), range]),
            "0 1000 1\n1 100000 65535\n"
        );
    }

    #[test]
    fn bad_maps_are_refused() {
        let bad: [&[IdRange]; 5] = [
            &[],
            &[IdRange {
                inside: 0,
                outside: 0,
                count: 0,
            }],
            &[IdRange {
                inside: u32::MAX,
                outside: 0,
                count: 2,
            }],
            &[
                IdRange {
                    inside: 0,
                    outside: 100,
                    count: 10,
                },
                IdRange::single(9, 500),
            ],
            &[
                IdRange {
                    inside: 0,
                    outside: 100,
                    count: 10,
                },
                IdRange::single(50, 109),
            ],
        ];
        for ranges in bad {
            assert!(matches!(
                map(ranges).validate(),
                Err(Error::Map { map: "uid_map", .. })
            ));
        }
        let many: Vec<_> = (0..341).map(|i| IdRange::single(i, i)).collect();
        assert!(map(&many).validate().is_err());
        assert!(map(&many[..340]).validate().is_ok());
    }

    #[test]
    fn init_takes_a_mapped_id() {
        assert_eq!(map(&[IdRange::single(5, 1000)]).init_ids(), (5, 0));
        assert_eq!(
            map(&[IdRange::single(5, 1000), IdRange::single(0, 7)]).init_ids(),
            (0, 0)
        );
        assert!(map(&[IdRange::single(5, 1000)]).maps_uid(5));
        assert!(!map(&[IdRange::single(5, 1000)]).maps_uid(4));
    }
}
