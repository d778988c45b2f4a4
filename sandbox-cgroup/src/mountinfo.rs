//! The texts of `/proc/self/mountinfo` and `/proc/self/cgroup`; pure.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use sandbox_core::{Controller, HierarchyVersion};

use crate::Error;

/// One mount of a cgroup file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) version: HierarchyVersion,
    /// Which directory of the hierarchy is mounted: not `/` where a container bind-mounts its own group.
    pub(crate) root: PathBuf,
    pub(crate) point: PathBuf,
    /// Major and minor number of the file system: the same for every mount of one hierarchy.
    pub(crate) device: (u32, u32),
    pub(crate) read_only: bool,
    /// v1 only: the controllers of this crate that the hierarchy serves.
    pub(crate) controllers: Vec<Controller>,
}

/// The process's own group in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnGroup {
    pub(crate) version: HierarchyVersion,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) path: PathBuf,
}

/// The controller that the kernel calls so.
pub(crate) fn controller(name: &str) -> Option<Controller> {
    Some(match name {
        "cpu" => Controller::Cpu,
        "cpuacct" => Controller::Cpuacct,
        "cpuset" => Controller::Cpuset,
        "memory" => Controller::Memory,
        "pids" => Controller::Pids,
        _ => return None,
    })
}

/// The controllers in a list of names; names that this crate does not use are left out.
pub(crate) fn controllers(list: &str, separator: char) -> Vec<Controller> {
    list.trim()
        .split(separator)
        .filter_map(controller)
        .collect()
}

/// The cgroup mounts of `/proc/self/mountinfo`.
pub(crate) fn mounts(text: &str) -> Result<Vec<Mount>, Error> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bad = Error::Parse {
            file: "/proc/self/mountinfo",
            line: number + 1,
        };
        found.extend(mount(line).ok_or(bad)?);
    }
    Ok(found)
}

/// Outer `None`: malformed. Inner `None`: no cgroup mount.
fn mount(line: &str) -> Option<Option<Mount>> {
    // The optional fields before the dash vary in number; a dash inside a path is never a field of its own, because
    // spaces in paths are escaped.
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup" => HierarchyVersion::V1,
        "cgroup2" => HierarchyVersion::V2,
        _ => return Some(None),
    };
    let super_options = right.nth(1)?;
    let mut left = left.split(' ').skip(2);
    let (major, minor) = left.next()?.split_once(':')?;
    Some(Some(Mount {
        version,
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescape(left.next()?),
        point: unescape(left.next()?),
        read_only: left.next()?.split(',').any(|option| option == "ro")
            || super_options.split(',').any(|option| option == "ro"),
        controllers: match version {
            HierarchyVersion::V1 => controllers(super_options, ','),
            HierarchyVersion::V2 => Vec::new(),
        },
    }))
}

/// The lines of `/proc/self/cgroup`.
pub(crate) fn own_groups(text: &str) -> Result<Vec<OwnGroup>, Error> {
    let parse = |(number, line): (usize, &str)| {
        let bad = Error::Parse {
            file: "/proc/self/cgroup",
            line: number + 1,
        };
        // A group's name may contain a colon.
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(list), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(bad);
        };
        let version = match (id, list) {
            ("0", "") => HierarchyVersion::V2,
            _ => HierarchyVersion::V1,
        };
        if id.parse::<u32>().is_err() || !path.starts_with('/') {
            return Err(bad);
        }
        Ok(OwnGroup {
            version,
            controllers: controllers(list, ','),
            path: path.into(),
        })
    };
    text.lines().enumerate().map(parse).collect()
}

/// Undoes the octal escapes (`\040`) of mountinfo.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::{Mount, mounts, own_groups, unescape};
    use crate::Error;
    use sandbox_core::{Controller, HierarchyVersion};
    use std::path::PathBuf;

    #[test]
    fn a_joined_v1_mount_with_optional_fields_parses() {
        let text = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n\
                    22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let expected = Mount {
            version: HierarchyVersion::V1,
            root: "/".into(),
            point: "/sys/fs/cgroup/cpu,cpuacct".into(),
            device: (0, 26),
            read_only: false,
            controllers: vec![Controller::Cpu, Controller::Cpuacct],
        };
        assert_eq!(mounts(text).unwrap(), [expected]);
    }

    #[test]
    fn escapes_in_mount_points_are_undone() {
        assert_eq!(unescape("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescape("/a\\9\\04"), PathBuf::from("/a\\9\\04"));
    }

    #[test]
    fn a_read_only_mount_is_seen_in_either_option_field() {
        let line = |a, b| format!("1 2 0:3 / /c {a} - cgroup2 cgroup2 {b}");
        for (a, b, expected) in [
            ("rw", "rw", false),
            ("ro,nosuid", "rw", true),
            ("rw", "ro", true),
        ] {
            assert_eq!(mounts(&line(a, b)).unwrap()[0].read_only, expected);
        }
    }

    #[test]
    fn own_groups_keep_colons_in_names() {
        let groups = own_groups("4:cpuacct,cpu:/a:b\n1:name=systemd:/x\n0::/user.slice\n").unwrap();
        assert_eq!(groups[0].path, PathBuf::from("/a:b"));
        assert_eq!(
            groups[0].controllers,
            [Controller::Cpuacct, Controller::Cpu]
        );
        assert_eq!(groups[1].version, HierarchyVersion::V1);
        assert_eq!(groups[2].version, HierarchyVersion::V2);
    }

    #[test]
    fn malformed_texts_are_refused_by_line() {
        let mountinfo = |line| {
            Err(Error::Parse {
                file: "/proc/self/mountinfo",
                line,
            })
        };
        assert_eq!(mounts("nonsense"), mountinfo(1));
        assert_eq!(
            mounts("1 2 8:1 / / rw - ext4 d rw\n1 2 x / /c rw - cgroup c rw"),
            mountinfo(2)
        );
        for text in ["0:", "x::/", "0::relative"] {
            assert!(own_groups(text).is_err(), "{text}");
        }
    }
}
