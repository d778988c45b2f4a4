//! Landlock: what the rules allow, said a second time to another part of the kernel.

mod apply;

use std::{ffi::CString, path::PathBuf};

use landlock::{ABI, Access as _, AccessFs, AccessNet, BitFlags, Scope};
use sandbox_core::{Explain, Landlocked};

use crate::{Error, RootPlan, reach::Reach, source::c_path, sys};

/// The newest version that this crate asks for; what later ones restrict has not been tried.
const NEWEST: ABI = ABI::V6;

/// The first version with which files can be moved between directories at all.
const OLDEST: u8 = 2;

/// A second layer over the mounts: the file tree as ruled, no TCP, no signal and no abstract socket out of the box.
///
/// The kernel checks these rules apart from mounts, namespaces and the filter, so a fault in one of them does not open
/// the other. TCP is closed on every interface, the box's own `lo` too.
///
/// Landlock knows inodes, not mounts: a directory that is bound twice gets, in this layer, the rights of both binds.
///
/// # Kernel
/// 5.19 for files, 6.2 for truncation, 6.7 for TCP, 6.10 for device ioctls, 6.12 for signals and abstract sockets; and
/// `landlock` among the security modules that are on (`lsm=`).
///
/// # References
/// <https://man7.org/linux/man-pages/man7/landlock.7.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Landlock {
    /// The version below which there is no box; `None`: whatever the kernel has, nothing included.
    at_least: Option<u8>,
}

impl Landlock {
    /// All of it, or no box: version 6.
    #[must_use]
    pub const fn required() -> Self {
        Self { at_least: Some(6) }
    }

    /// This version of Landlock or a later one, or no box; from 2 to 6.
    #[must_use]
    pub const fn at_least(version: u8) -> Self {
        Self {
            at_least: Some(version),
        }
    }

    /// As much as this kernel has, be it nothing; the evidence says how much.
    #[must_use]
    pub const fn optional() -> Self {
        Self { at_least: None }
    }

    /// Asks the kernel for its version and compiles the rules; `None` where there is nothing and nothing is required.
    ///
    /// # Errors
    /// [`Error::LandlockMissing`]: the kernel has less than is required.
    pub fn prepare(&self, root: &RootPlan) -> Result<Option<LandlockPlan>, Error> {
        // The `landlock` package knows what is in a version, but tells nobody which one the kernel has.
        let found =
            sys::landlock::version().map_or(0, |found| version(ABI::from(found).min(NEWEST)));
        // Version 1 would refuse every move between directories, whatever the rules say.
        let found = if found < OLDEST { 0 } else { found };
        match self.at_least {
            Some(asked) if !(OLDEST..=version(NEWEST)).contains(&asked) || found < asked => {
                Err(Error::LandlockMissing { asked, found })
            }
            None if found == 0 => Ok(None),
            _ => LandlockPlan::new(found, &root.reach).map(Some),
        }
    }
}

/// The number of a version that is at most [`NEWEST`].
fn version(abi: ABI) -> u8 {
    match abi {
        ABI::Unsupported => 0,
        ABI::V1 => 1,
        ABI::V2 => 2,
        ABI::V3 => 3,
        ABI::V4 => 4,
        ABI::V5 => 5,
        _ => 6,
    }
}

/// Compiled rules. The ruleset itself is made by the payload, in the root that its paths belong to.
#[derive(Debug)]
pub struct LandlockPlan {
    level: Landlocked,
    handled: Handled,
    rules: Box<[PathRule]>,
}

/// What a ruleset forbids unless a rule allows it.
#[derive(Debug, Clone, Copy)]
struct Handled {
    files: u64,
    tcp: u64,
    scopes: u64,
}

#[derive(Debug)]
struct PathRule {
    path: CString,
    allowed: u64,
}

impl LandlockPlan {
    fn new(version: u8, reach: &[Reach]) -> Result<Self, Error> {
        let abi = ABI::from(i32::from(version));
        let handled = Handled {
            files: AccessFs::from_all(abi).bits(),
            tcp: AccessNet::from_all(abi).bits(),
            scopes: Scope::from_all(abi).bits(),
        };
        let root = PathRule {
            path: c"/".to_owned(),
            allowed: BitFlags::from(AccessFs::ReadDir).bits(),
        };
        let mut rules = vec![root];
        for one in reach {
            rules.push(PathRule {
                path: c_path(&one.absolute())?,
                allowed: allowed(one, abi).bits(),
            });
        }
        let limit = usize::from(u16::MAX) / 2;
        if rules.len() > limit {
            return Err(Error::TooMany {
                what: "rules for Landlock",
                limit,
            });
        }
        Ok(Self {
            level: Landlocked::new(version),
            handled,
            rules: rules.into(),
        })
    }

    /// What is enforced once the stage is proved.
    #[must_use]
    pub fn level(&self) -> Landlocked {
        self.level
    }
}

fn allowed(reach: &Reach, abi: ABI) -> BitFlags<AccessFs> {
    let mut allowed = AccessFs::ReadFile | AccessFs::ReadDir;
    if reach.write {
        allowed |= AccessFs::from_write(abi);
    }
    if reach.execute {
        allowed |= AccessFs::Execute;
    }
    if reach.devices {
        allowed |= AccessFs::IoctlDev;
    } else {
        allowed.remove(AccessFs::IoctlDev | AccessFs::MakeChar | AccessFs::MakeBlock);
    }
    if !reach.is_dir {
        allowed &= AccessFs::from_file(abi);
    }
    allowed & AccessFs::from_all(abi)
}

impl Explain for LandlockPlan {
    fn explain(&self, index: u16) -> String {
        match index {
            apply::CREATE => "make the Landlock ruleset".to_owned(),
            apply::RESTRICT => "enter the Landlock domain".to_owned(),
            n => {
                let rule = self.rules.get(usize::from(n - apply::FIRST_RULE));
                let path: Option<PathBuf> = rule.map(|rule| crate::error::shown(&rule.path));
                format!("allow {:?} to Landlock", path.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use landlock::{ABI, AccessFs};

    use super::allowed;
    use crate::reach::Reach;

    fn reach() -> Reach {
        Reach {
            path: "x".into(),
            is_dir: true,
            write: false,
            execute: false,
            devices: false,
        }
    }

    #[test]
    fn nothing_is_allowed_that_the_rule_does_not_say() {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        assert_eq!(allowed(&reach(), ABI::V6), read);
        let mut one = reach();
        one.execute = true;
        assert_eq!(allowed(&one, ABI::V6), read | AccessFs::Execute);
        one.write = true;
        let all = allowed(&one, ABI::V6);
        assert!(all.contains(AccessFs::MakeReg | AccessFs::Refer | AccessFs::Truncate));
        assert!(!all.intersects(AccessFs::IoctlDev | AccessFs::MakeChar | AccessFs::MakeBlock));
        one.is_dir = false;
        let file = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Execute;
        assert_eq!(allowed(&one, ABI::V6), file | AccessFs::Truncate);
        assert_eq!(allowed(&one, ABI::V2), file, "an older kernel knows less");
        one.devices = true;
        assert!(allowed(&one, ABI::V6).contains(AccessFs::IoctlDev));
    }
}
