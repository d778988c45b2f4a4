//! What this kernel offers.

use crate::Errno;

/// Kernel features that the family needs or prefers, probed once per process.
///
/// A probe asks the kernel itself by a call that cannot succeed, never the version number: distributions backport. Files of
/// cgroups cannot be asked for before there is a group; what is said of them here is whether they are used where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// `clone3(2)` with `CLONE_INTO_CGROUP` (Linux 5.7). Without it the payload joins its cgroup by a write to a file.
    pub clone_into_cgroup: bool,
    /// `close_range(2)` (Linux 5.9).
    pub close_range: bool,
    /// `openat2(2)` (Linux 5.6).
    pub openat2: bool,
    /// `mount_setattr(2)` (Linux 5.12). Without it the flags of a bind are set mount by mount, and a bind with other ids is an
    /// error.
    pub mount_setattr: bool,
    /// `cgroup.kill` is used where a group has it (Linux 5.14). Without it processes are killed one by one.
    pub cgroup_kill: bool,
    /// `memory.peak` is used where a group has it (Linux 5.19). Without it v2 has no peak of memory.
    pub memory_peak: bool,
    /// `pids.peak` is used where a group has it (Linux 6.6). Without it there is no peak of processes.
    pub pids_peak: bool,
}

/// A feature without which no box can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this kernel lacks {feature}, which came with Linux {since}")]
pub struct HostError {
    /// The system call or flag.
    pub feature: &'static str,
    /// The first kernel that has it.
    pub since: &'static str,
    /// What the probe got.
    #[source]
    pub errno: Errno,
}

static HOST: once_cell::sync::OnceCell<Result<Host, HostError>> = once_cell::sync::OnceCell::new();

impl Host {
    /// The features of the running kernel; probed at the first call.
    ///
    /// # Errors
    /// [`HostError`] names the first feature that every box needs and this kernel lacks: `openat2(2)` and `close_range(2)`
    /// are looked for, and what else is needed is older.
    pub fn probe() -> Result<&'static Self, HostError> {
        Self::probe_without(|_| {})
    }

    /// [`Host::probe`] on a kernel that lacks what `take_away` sets to `false`: the way of an older kernel, on a newer one.
    ///
    /// Only takes away; what this kernel lacks stays absent. The first probe of a process decides for all, so a later call
    /// changes nothing: the result says what is in force.
    ///
    /// # Errors
    /// As [`Host::probe`], also for what was taken away, with `ENOSYS`.
    pub fn probe_without(take_away: impl FnOnce(&mut Self)) -> Result<&'static Self, HostError> {
        let host = HOST.get_or_init(|| {
            let mut wanted = Self::EVERYTHING;
            take_away(&mut wanted);
            Self::look(wanted)
        });
        host.as_ref().map_err(|error| *error)
    }

    const EVERYTHING: Self = Self {
        clone_into_cgroup: true,
        close_range: true,
        openat2: true,
        mount_setattr: true,
        cgroup_kill: true,
        memory_peak: true,
        pids_peak: true,
    };

    fn look(wanted: Self) -> Result<Self, HostError> {
        let absent = Err(Errno::from_raw(libc::ENOSYS));
        let probed = |wanted: bool, probe: fn() -> Result<(), Errno>| {
            if wanted { probe() } else { absent }
        };
        let required = [
            ("openat2(2)", "5.6", probed(wanted.openat2, probe::openat2)),
            (
                "close_range(2)",
                "5.9",
                probed(wanted.close_range, probe::close_range),
            ),
        ];
        for (feature, since, found) in required {
            found.map_err(|errno| HostError {
                feature,
                since,
                errno,
            })?;
        }
        Ok(Self {
            clone_into_cgroup: wanted.clone_into_cgroup && probe::clone_into_cgroup().is_ok(),
            mount_setattr: wanted.mount_setattr && probe::mount_setattr().is_ok(),
            ..wanted
        })
    }
}

#[expect(
    unsafe_code,
    reason = "each probe is one raw system call that cannot succeed"
)]
mod probe {
    use crate::{Errno, sys::check};

    /// `Ok` where the kernel knows the call and refused only its arguments with `refusal`.
    fn known(result: Result<i64, Errno>, refusal: i32) -> Result<(), Errno> {
        match result {
            Err(errno) if errno.raw() != refusal => Err(errno),
            _ => Ok(()),
        }
    }

    pub(super) fn openat2() -> Result<(), Errno> {
        // SAFETY: an all-zero `open_how` is valid.
        let how: libc::open_how = unsafe { core::mem::zeroed() };
        // SAFETY: descriptor -1 with a relative path fails with EBADF before anything is opened.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                -1,
                c"x".as_ptr(),
                &raw const how,
                size_of_val(&how),
            )
        };
        known(check(ret), libc::EBADF)
    }

    pub(super) fn close_range() -> Result<(), Errno> {
        // SAFETY: no descriptor has the number u32::MAX, so nothing is closed.
        let ret = unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) };
        check(ret).map(drop)
    }

    pub(super) fn mount_setattr() -> Result<(), Errno> {
        // SAFETY: an all-zero `mount_attr` is valid.
        let attr: libc::mount_attr = unsafe { core::mem::zeroed() };
        // SAFETY: descriptor -1 with a relative path names no mount; an attribute of zeros changes nothing anyway.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                -1,
                c"x".as_ptr(),
                0,
                &raw const attr,
                size_of_val(&attr),
            )
        };
        match check(ret) {
            Err(errno) if errno.raw() == libc::ENOSYS => Err(errno),
            _ => Ok(()),
        }
    }

    pub(super) fn clone_into_cgroup() -> Result<(), Errno> {
        // SAFETY: an all-zero `clone_args` is valid.
        let mut args: libc::clone_args = unsafe { core::mem::zeroed() };
        args.flags = crate::sys::CLONE_INTO_CGROUP;
        args.cgroup = i32::MAX.unsigned_abs().into();
        // SAFETY: no descriptor has this number, so a kernel that knows the flag fails with EBADF, an older one with
        // EINVAL or E2BIG. No process is made.
        let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
        known(check(ret), libc::EBADF)
    }
}

#[cfg(test)]
mod tests {
    use super::Host;
    use crate::Errno;

    #[test]
    fn the_probe_is_made_once_and_says_what_this_kernel_has() {
        let first = Host::probe().expect("the kernels we test on have every required call");
        assert!(first.openat2 && first.close_range);
        assert!(core::ptr::eq(first, Host::probe().unwrap()));
        let later = Host::probe_without(|host| host.cgroup_kill = false);
        assert!(
            core::ptr::eq(first, later.unwrap()),
            "the first one decides"
        );
    }

    #[test]
    fn what_is_taken_away_is_absent_and_what_every_box_needs_is_named() {
        let without = |take_away: fn(&mut Host)| {
            let mut wanted = Host::EVERYTHING;
            take_away(&mut wanted);
            Host::look(wanted)
        };
        let errors = [
            ("openat2", "5.6", without(|host| host.openat2 = false)),
            (
                "close_range",
                "5.9",
                without(|host| host.close_range = false),
            ),
        ];
        for (name, since, result) in errors {
            let error = result.unwrap_err();
            assert!(error.feature.starts_with(name), "{error}");
            assert_eq!(error.since, since);
            assert_eq!(error.errno, Errno::from_raw(libc::ENOSYS));
        }
        let older = without(|host| {
            host.clone_into_cgroup = false;
            host.mount_setattr = false;
            host.pids_peak = false;
        });
        let older = older.expect("no box needs these");
        assert!(!older.clone_into_cgroup && !older.mount_setattr && !older.pids_peak);
        assert!(older.memory_peak);
    }
}
