//! Quotas of the filesystem: how much a user id, or a directory, may take of a disk.

use core::time::Duration;
use std::{
    ffi::{CStr, CString},
    fs,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    thread,
};

use sandbox_core::{Bytes, DiskUse, Errno};

use crate::{
    Error,
    bounds::{Bounds, Budget},
    quota_news::QuotaNews,
    sys::{
        file,
        quota::{self, On},
        quota_news::Subject,
    },
    walk,
};

/// Whose use is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Holder {
    /// Every file on the filesystem that belongs to this user id, as that of a box.
    User(u32),
    /// Every file of this project: the directory that the quota was set on, and all in it. A project has one directory.
    ///
    /// The kernel lets a file's owner change its project by ioctl(2), but not from within a user namespace; `Policy::judge()`
    /// refuses the calls. Under another policy, use a user quota or a user namespace.
    Project(u32),
}

/// How much of a disk; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DiskLimit {
    /// Space, holes not counted; the filesystem rounds to its blocks. At least 1 KiB.
    pub bytes: Option<Bytes>,
    /// Files, directories and links. At least one.
    pub inodes: Option<u64>,
}

/// A quota in force; dropping it takes the limits away.
///
/// # Errors
/// Whatever the filesystem lacks is an error that says how to enable it: [`Error::Quota`].
///
/// # Kernel
/// 5.14 for `quotactl_fd(2)`; before, the block device is found in `/proc/self/mountinfo`.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/quotactl.2.html>
#[derive(Debug)]
#[must_use = "the quota ends when this is dropped"]
pub struct DiskQuota {
    dir: OwnedFd,
    device: Option<CString>,
    news: QuotaNews,
    holder: Holder,
    limit: DiskLimit,
    in_force: bool,
}

impl DiskQuota {
    /// Sets the limits, in place of any that the holder had on this filesystem, and reads them back. For a project, `dir`
    /// and everything in it becomes the project's.
    ///
    /// What is used already counts: whoever is above the limit may write no more.
    ///
    /// # Errors
    /// [`Error::QuotaZero`]: a limit is zero, which to the kernel means none. [`Error::Quota`] with `ESRCH`, `ENOSYS`,
    /// `ENOTSUP`, `ENOTTY`: the filesystem has no quotas of this kind, or does not enforce them. `EPERM`: no
    /// `CAP_SYS_ADMIN`. Of a project, `EWOULDBLOCK`: the directory has a quota of somebody who lives, or is locked by flock(2);
    /// `EBUSY`: the project has files elsewhere. [`Error::TooLarge`]: `dir` has more in it than the bounds allow.
    pub fn set(
        dir: impl AsFd,
        holder: Holder,
        limit: DiskLimit,
        bounds: Bounds,
    ) -> Result<Self, Error> {
        let zero = limit.bytes.is_some_and(|bytes| bytes.get() < KIB) || limit.inodes == Some(0);
        if zero || limit == DiskLimit::default() {
            return Err(Error::QuotaZero {
                target: "the disk".into(),
            });
        }
        let failed = |call| move |source| quota_error(holder, call, source);
        let dir = file::openat2(dir.as_fd().as_raw_fd(), c".", READ_DIR, 0)
            .map(crate::source::own)
            .map_err(failed("openat2"))?;
        let device = file::identity(dir.as_raw_fd())
            .map_err(failed("fstat"))?
            .device;
        let (kind, id) = key(holder);
        let news = QuotaNews::new(Subject {
            kind: kind.unsigned_abs(),
            id,
            major: libc::major(device),
            minor: libc::minor(device),
        });
        let mut this = Self {
            dir,
            device: None,
            news,
            holder,
            limit,
            in_force: false,
        };
        let mut enforced = quota::is_enforced(this.on(), kind);
        if enforced == Err(Errno::from_raw(libc::ENOSYS)) {
            // The kernel does not know the call, or the filesystem no quotas: the older call tells.
            this.device = device_of(&this.dir);
            enforced = quota::is_enforced(this.on(), kind).or(enforced);
        }
        match enforced {
            Ok(true) => {}
            Ok(false) => return Err(failed("quotactl Q_XGETQSTAT")(NO_QUOTA)),
            Err(errno) => return Err(failed("quotactl Q_XGETQSTAT")(errno)),
        }
        if let Holder::Project(id) = holder {
            this.claim(id)?;
            this.adopt(id, bounds)?;
        }
        // Whoever stands before a limit is told once; setting it starts that anew.
        let kib = limit.bytes.map_or(0, |bytes| bytes.get() / KIB);
        let inodes = limit.inodes.unwrap_or(0);
        quota::set(this.on(), kind, id, kib, inodes).map_err(failed("quotactl Q_SETQUOTA"))?;
        this.in_force = true;
        let found = quota::get(this.on(), kind, id).map_err(failed("quotactl Q_GETQUOTA"))?;
        let block = quota::block_bytes(this.dir.as_raw_fd()).map_err(failed("fstatfs"))?;
        // XFS rounds up to its blocks.
        let rounded = (kib * KIB).next_multiple_of(block) / KIB;
        let held = [kib, rounded].contains(&found.dqb_bhardlimit) && found.dqb_ihardlimit == inodes;
        if held {
            Ok(this)
        } else {
            Err(failed("quotactl Q_GETQUOTA")(NO_QUOTA))
        }
    }

    /// What the holder uses now, files that were deleted and are still open included, and whether there is room for more.
    ///
    /// # Errors
    /// [`Error::Quota`].
    pub fn usage(&self) -> Result<DiskUse, Error> {
        let failed = |call| move |source| quota_error(self.holder, call, source);
        let (kind, id) = key(self.holder);
        // XFS keeps blocks ahead of a growing file, and gives them back when it is synced or closed. What nobody has open any
        // more it takes from the account a moment later, and sooner after fstatfs(2).
        let block = quota::block_bytes(self.dir.as_raw_fd()).map_err(failed("fstatfs"))?;
        let found = quota::get(self.on(), kind, id).map_err(failed("quotactl Q_GETQUOTA"))?;
        let room =
            |used: u64, limit: u64, step: u64| limit == 0 || used.saturating_add(step) <= limit;
        let bytes_left = room(
            found.dqb_curspace,
            found.dqb_bhardlimit.saturating_mul(KIB),
            block,
        );
        let inodes_left = room(found.dqb_curinodes, found.dqb_ihardlimit, 1);
        Ok(DiskUse {
            bytes: Bytes::new(found.dqb_curspace),
            inodes: found.dqb_curinodes,
            full: !(bytes_left && inodes_left),
            hit: self.news.hit(),
        })
    }

    /// The limits asked for.
    #[must_use]
    pub fn limit(&self) -> DiskLimit {
        self.limit
    }

    /// Takes the limits away. A directory stays its project's.
    ///
    /// # Errors
    /// [`Error::Quota`].
    pub fn clear(mut self) -> Result<(), Error> {
        self.take_away()
            .map_err(|source| quota_error(self.holder, "quotactl Q_SETQUOTA", source))
    }

    fn take_away(&mut self) -> Result<(), Errno> {
        let (kind, id) = key(self.holder);
        self.in_force = false;
        quota::set(self.on(), kind, id, 0, 0)
    }

    fn on(&self) -> On<'_> {
        match &self.device {
            Some(device) => On::Device(device),
            None => On::Descriptor(self.dir.as_raw_fd()),
        }
    }

    /// Keeps the directory for one quota at a time, and a project for one directory: the end of another quota would take this
    /// one's limits away. The kernel gives the lock back however its owner ends.
    fn claim(&self, id: u32) -> Result<(), Error> {
        let failed = |call| move |source| quota_error(self.holder, call, source);
        let dir = self.dir.as_raw_fd();
        quota::lock(dir).map_err(failed("flock"))?;
        if quota::project(dir).map_err(failed("ioctl FS_IOC_FSGETXATTR"))? == id {
            return Ok(());
        }
        // XFS takes what was removed from the account a moment later, and sooner where it is asked what is free.
        for pause in [0, 1, 9, 90, 900] {
            thread::sleep(Duration::from_millis(pause));
            quota::statfs(dir).map_err(failed("fstatfs"))?;
            match quota::get(self.on(), quota::PROJECT, id) {
                // XFS: nobody has ever been in it.
                Err(errno) if errno.raw() == libc::ENOENT => return Ok(()),
                Ok(found) if found.dqb_curinodes == 0 => return Ok(()),
                other => other.map_err(failed("quotactl Q_GETQUOTA"))?,
            };
        }
        Err(failed("quotactl Q_GETQUOTA")(TAKEN))
    }

    /// Makes the directory and everything in it the project's.
    fn adopt(&self, id: u32, bounds: Bounds) -> Result<(), Error> {
        let top = file::openat2(self.dir.as_raw_fd(), c".", READ_DIR, 0)
            .map(crate::source::own)
            .map_err(|source| quota_error(self.holder, "openat2", source))?;
        walk::tree(
            top,
            &mut Budget::new(bounds),
            project_error,
            |place, name| {
                let fail = |call| move |source| project_error(name, call, source);
                let stat = file::fstat(place).map_err(fail("fstat"))?;
                let kind = stat.st_mode & libc::S_IFMT;
                let is_dir = kind == libc::S_IFDIR;
                // Links and the like take no room but an inode, and cannot be opened to be asked.
                if is_dir || kind == libc::S_IFREG {
                    let file = walk::reopen(place).map_err(fail("open"))?;
                    quota::set_project(file.as_raw_fd(), id, is_dir)
                        .map_err(fail("ioctl FS_IOC_FSSETXATTR"))?;
                }
                Ok(is_dir)
            },
        )
    }
}

impl Drop for DiskQuota {
    fn drop(&mut self) {
        if self.in_force {
            // Nobody is left to tell; `clear` tells.
            _ = self.take_away();
        }
        // Not only closed: a process that was just cloned may have a copy of the descriptor.
        quota::unlock(self.dir.as_raw_fd());
    }
}

fn key(holder: Holder) -> (i32, u32) {
    match holder {
        Holder::User(id) => (quota::USER, id),
        Holder::Project(id) => (quota::PROJECT, id),
    }
}

const TAKEN: Errno = Errno::from_raw(libc::EBUSY);
const KIB: u64 = 1024;
const READ_DIR: i32 = libc::O_RDONLY | libc::O_DIRECTORY;
const NO_QUOTA: Errno = Errno::from_raw(libc::ESRCH);

fn project_error(_: &CStr, call: &'static str, source: Errno) -> Error {
    Error::Quota {
        kind: "project",
        call,
        source,
    }
}

fn quota_error(holder: Holder, call: &'static str, source: Errno) -> Error {
    let kind = match holder {
        Holder::User(_) => "user",
        Holder::Project(_) => "project",
    };
    Error::Quota { kind, call, source }
}

/// The block device of a mount, for kernels that cannot be asked by descriptor.
fn device_of(dir: &OwnedFd) -> Option<CString> {
    let device = file::identity(dir.as_raw_fd()).ok()?.device;
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    source_of(&fs::read("/proc/self/mountinfo").ok()?, &number)
}

/// What a list of mounts says is mounted from the device with this number.
pub(crate) fn source_of(mounts: &[u8], number: &str) -> Option<CString> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let is_it = fields.nth(2)? == number.as_bytes();
        let source = fields.skip_while(|field| *field != b"-").nth(2)?;
        let path = std::ffi::OsStr::from_bytes(source);
        is_it.then(|| CString::new(path.as_bytes()).ok())?
    })
}
