//! For which process on which machine a profile is read.

use std::{collections::BTreeSet, io};

use sandbox_core::Errno;

use super::{Entry, Error, Selector};
use crate::table::Architecture;

/// What `includes` and `excludes` of a profile ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    arch: &'static str,
    kernel: (u32, u32),
    capabilities: BTreeSet<String>,
}

impl Target {
    /// This program's architecture, a kernel version, and no capability, which is what a program in a box has.
    ///
    /// # Errors
    /// [`crate::Error::Architecture`] where this crate has no table.
    pub fn native(kernel: (u32, u32)) -> Result<Self, Error> {
        Ok(Self {
            arch: Architecture::native()?.go,
            kernel,
            capabilities: BTreeSet::new(),
        })
    }

    /// [`Target::native`] with the running kernel's version.
    ///
    /// # Errors
    /// [`Error::KernelRelease`] where it cannot be read, [`Error::KernelVersion`] where no version is in it, and those of
    /// [`Target::native`].
    pub fn here() -> Result<Self, Error> {
        Self::of(std::fs::read_to_string("/proc/sys/kernel/osrelease"))
    }

    fn of(release: io::Result<String>) -> Result<Self, Error> {
        let release = release.map_err(|error| Error::KernelRelease {
            source: Errno::from_io(&error),
        })?;
        let kernel = version(&release).ok_or(Error::KernelVersion { release })?;
        Self::native(kernel)
    }

    /// Adds a capability that the process is to have, as `CAP_SYS_ADMIN`.
    #[must_use]
    pub fn capability(mut self, name: &str) -> Self {
        self.capabilities.insert(name.to_owned());
        self
    }

    /// Whether the entry counts here.
    pub(super) fn selects(&self, place: usize, entry: &Entry) -> Result<bool, Error> {
        let Entry {
            includes, excludes, ..
        } = entry;
        let included = (includes.arches.is_empty() || includes.arches.contains(self.arch))
            && includes.caps.is_subset(&self.capabilities)
            && self.reaches(place, includes)?.unwrap_or(true);
        let excluded = excludes.arches.contains(self.arch)
            || !excludes.caps.is_disjoint(&self.capabilities)
            || self.reaches(place, excludes)?.unwrap_or(false);
        Ok(included && !excluded)
    }

    /// Whether the kernel is at least the one that the selector names; `None` where it names none.
    fn reaches(&self, place: usize, selector: &Selector) -> Result<Option<bool>, Error> {
        let Some(text) = &selector.min_kernel else {
            return Ok(None);
        };
        let oldest = version(text).ok_or_else(|| Error::MinKernel {
            entry: place,
            version: text.clone(),
        })?;
        Ok(Some(self.kernel >= oldest))
    }
}

/// The first two numbers of `6.1.0-13-amd64`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.trim().split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let minor = rest.get(..end.unwrap_or(rest.len()))?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Error, Target, version};
    use sandbox_core::Errno;
    use std::io;

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(version("4.8"), Some((4, 8)));
        assert_eq!(version("6.18.5-kvm+\n"), Some((6, 18)));
        for text in ["", "5", "5.", "x.1", "5.x", "99999999999.1"] {
            assert_eq!(version(text), None, "{text}");
        }
    }

    #[test]
    fn a_kernel_without_a_version_is_an_error_that_says_why() {
        let source = Errno::from_raw(libc::EACCES);
        let unread = Target::of(Err(io::Error::from_raw_os_error(libc::EACCES)));
        assert_eq!(unread, Err(Error::KernelRelease { source }));
        let release = "plan9\n".to_owned();
        let odd = Target::of(Ok(release.clone()));
        assert_eq!(odd, Err(Error::KernelVersion { release }));
        let native = Target::native((6, 18)).unwrap();
        assert_eq!(Target::of(Ok("6.18.5-kvm+\n".to_owned())), Ok(native));
        assert!(Target::here().is_ok());
    }
}
