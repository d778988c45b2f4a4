//! User ids for boxes that run at the same time, handed out across threads and embedders.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, Write as _},
    ops::RangeInclusive,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::{
    errno::Errno as NixErrno,
    fcntl::{Flock, FlockArg},
};
use sandbox_core::Errno;

use crate::{Error, Identity};

/// What the lock file says when the box of its uid was seen to be dead. A crash leaves the file empty.
const REAPED: &[u8] = b"reaped\n";

/// A range of user ids of which each running box gets one to itself, with the group id of the same number.
///
/// Boxes of one uid count together against `RLIMIT_NPROC` and quotas, and where a namespace failed they could signal each
/// other. A pool keeps them apart, also from boxes of other embedders that open the same directory. Cheap to clone; clones
/// share the pool.
///
/// A uid is locked by flock(2) on a file of its own in the directory: the kernel gives the lock back however the embedder
/// ends. A uid is taken only when no process has it: at the first time in each pool, and after an embedder that died, every
/// process in `/proc` is looked at, which takes some milliseconds; a uid whose box was seen to be dead is given out again as
/// it is.
///
/// # Kernel
/// Processes of other pid namespaces than the embedder's and its boxes' are not seen: hand no range to two containers.
#[derive(Debug, Clone)]
pub struct UidPool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    directory: PathBuf,
    uids: RangeInclusive<u32>,
    /// Uids of which `/proc` was once seen to be free.
    seen_free: Mutex<BTreeSet<u32>>,
}

/// A uid that nobody else has until this is dropped.
#[derive(Debug)]
pub(crate) struct UidLease {
    uid: u32,
    /// Unlocks by itself when dropped: a copy of the descriptor in a process that was just cloned must not hold the lock on.
    file: Flock<File>,
}

impl UidPool {
    /// Opens the pool of these uids, and makes the directory of its locks (0700) where it is missing; its parent must exist.
    ///
    /// The directory should be on a file system that is empty after a start of the machine, like `/run/judge-uids`. All
    /// embedders that use these uids must name the same.
    ///
    /// # Errors
    /// [`Error::UidRange`] for an empty range, or one with uid 0 or 4294967295; [`Error::UidPoolDirectory`];
    /// [`Error::UidPoolNotOurs`] where others could take or keep locks.
    pub fn open(directory: impl Into<PathBuf>, uids: RangeInclusive<u32>) -> Result<Self, Error> {
        let directory = directory.into();
        if uids.is_empty() || *uids.start() == 0 || *uids.end() == u32::MAX {
            return Err(range(&uids));
        }
        let failed = |error: &io::Error| Error::UidPoolDirectory {
            path: directory.clone(),
            source: Errno::from_io(error),
        };
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&error)),
            _ => {}
        }
        let found = fs::symlink_metadata(&directory).map_err(|error| failed(&error))?;
        let is_ours = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw();
        if !is_ours || found.mode() & 0o022 != 0 {
            return Err(Error::UidPoolNotOurs { path: directory });
        }
        Ok(Self(Arc::new(Pool {
            directory,
            uids,
            seen_free: Mutex::default(),
        })))
    }

    /// The uids of the pool.
    #[must_use]
    pub fn uids(&self) -> RangeInclusive<u32> {
        self.0.uids.clone()
    }

    /// The lowest uid that nobody has.
    pub(crate) fn lease(&self) -> Result<UidLease, Error> {
        let (mut leased, mut alive) = (0, 0);
        for uid in self.uids() {
            let Some(lease) = self.0.lock(uid)? else {
                leased += 1;
                continue;
            };
            if self.0.begin(&lease)? {
                return Ok(lease);
            }
            alive += 1;
        }
        Err(Error::UidsInUse { leased, alive })
    }
}

impl Pool {
    /// `None`: somebody has it.
    fn lock(&self, uid: u32) -> Result<Option<UidLease>, Error> {
        let path = self.directory.join(uid.to_string());
        let failed = |source| Error::UidPoolLock {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path);
        let file = file.map_err(|error| failed(Errno::from_io(&error)))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, NixErrno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(failed(Errno::from_raw(errno as i32))),
        };
        // Whoever removed the file lets the next one make, and lock, another.
        let locked = file
            .metadata()
            .map_err(|error| failed(Errno::from_io(&error)))?;
        let same = fs::symlink_metadata(&path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (locked.dev(), locked.ino()));
        Ok(same.then_some(UidLease { uid, file }))
    }

    /// Whether the locked uid has no process, so that the lease may begin.
    fn begin(&self, lease: &UidLease) -> Result<bool, Error> {
        let lost = |source| Error::UidPoolLock {
            path: self.directory.join(lease.uid.to_string()),
            source,
        };
        let was_reaped = lease.take_note().map_err(lost)?;
        let seen_free = || {
            self.seen_free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if was_reaped && seen_free().contains(&lease.uid) {
            return Ok(true);
        }
        let is_free = !has_processes(Path::new("/proc"), lease.uid)?;
        if is_free {
            seen_free().insert(lease.uid);
        }
        Ok(is_free)
    }
}

impl UidLease {
    /// The ids of the payload.
    pub(crate) fn identity(&self) -> Identity {
        Identity::new(self.uid, self.uid)
    }

    /// Reads and removes the note of the one before.
    fn take_note(&self) -> Result<bool, Errno> {
        let mut note = Vec::new();
        let mut file: &File = &self.file;
        file.read_to_end(&mut note)
            .and_then(|_| file.set_len(0))
            .map_err(|error| Errno::from_io(&error))?;
        Ok(note == REAPED)
    }

    /// Notes that no process of the box is left: its init was reaped, and with it everything in its pid namespace.
    pub(crate) fn box_is_dead(&self) {
        let mut file: &File = &self.file;
        // Without the note the next one looks for itself, no more.
        file.rewind().and_then(|()| file.write_all(REAPED)).ok();
    }
}

/// That no pool can have these uids.
pub(crate) fn range(uids: &RangeInclusive<u32>) -> Error {
    Error::UidRange {
        first: *uids.start(),
        last: *uids.end(),
    }
}

/// Whether a process has this uid as its real, effective, saved or file system uid. Zombies count: the kernel counts them.
fn has_processes(proc: &Path, uid: u32) -> Result<bool, Error> {
    let failed = |path: &Path, error: &io::Error| Error::UidPoolScan {
        path: path.to_owned(),
        source: Errno::from_io(error),
    };
    // Where the processes of others are hidden, so is this one, and nothing would be known.
    let first = proc.join("1/status");
    fs::metadata(&first).map_err(|error| failed(&first, &error))?;
    let entries = fs::read_dir(proc).map_err(|error| failed(proc, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed(proc, &error))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = entry.path().join("status");
        match fs::read_to_string(&path) {
            Ok(status) if has_uid(&status, uid) => return Ok(true),
            Ok(_) => {}
            // It has just ended.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Ok(false)
}

fn has_uid(status: &str, uid: u32) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // A text without the line says nothing, and counts as one that has it.
    ids.is_none_or(|ids| ids.split_whitespace().any(|id| id.parse() == Ok(uid)))
}

#[cfg(test)]
mod tests {
    use super::{UidPool, has_processes, has_uid};
    use crate::Error;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        path::PathBuf,
    };

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("sandbox-uid-pool-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    // Uids that no machine gives to anyone.
    const FIRST: u32 = 3_000_000_000;

    #[test]
    fn no_uid_is_given_out_twice_until_it_is_given_back() {
        let directory = Directory::new("twice");
        let pool = UidPool::open(&directory.0, FIRST..=FIRST + 1).unwrap();
        let other = UidPool::open(&directory.0, FIRST + 1..=FIRST + 2).unwrap();
        let a = pool.lease().unwrap();
        let b = pool.lease().unwrap();
        let c = other.lease().unwrap();
        let uids = [&a, &b, &c].map(|lease| lease.identity().uid);
        assert_eq!(uids, [FIRST, FIRST + 1, FIRST + 2]);
        assert!(matches!(
            pool.lease(),
            Err(Error::UidsInUse {
                leased: 2,
                alive: 0
            })
        ));
        drop(b);
        assert_eq!(other.lease().unwrap().identity().gid, FIRST + 1);
    }

    #[test]
    fn the_note_of_a_dead_box_serves_one_lease() {
        let directory = Directory::new("alive");
        let pool = UidPool::open(&directory.0, FIRST..=FIRST).unwrap();
        let lease = pool.0.lock(FIRST).unwrap().unwrap();
        assert!(pool.0.begin(&lease).unwrap());
        lease.box_is_dead();
        drop(lease);
        let lease = pool.0.lock(FIRST).unwrap().unwrap();
        assert!(lease.take_note().unwrap(), "its box was seen to be dead");
        assert!(!lease.take_note().unwrap(), "the note is of one lease");
    }

    #[test]
    fn any_of_the_four_uids_counts() {
        let status = |ids: &str| format!("Name:\tx\nUid:\t{ids}\nGid:\t9\t9\t9\t9\n");
        for at in 0..4 {
            let mut ids = ["1"; 4];
            ids[at] = "77";
            assert!(has_uid(&status(&ids.join("\t")), 77));
        }
        assert!(!has_uid(&status("1\t1\t1\t1"), 77));
        assert!(!has_uid(&status("1\t1\t1\t1"), 9), "that is its gid");
        assert!(has_uid("Name:\tx\n", 77));
    }

    #[test]
    fn a_proc_that_shows_nothing_is_an_error() {
        let directory = Directory::new("proc");
        fs::create_dir(&directory.0).unwrap();
        let error = has_processes(&directory.0, 77).unwrap_err();
        assert!(matches!(error, Error::UidPoolScan { .. }), "{error}");
    }

    #[test]
    fn ranges_and_directories_that_cannot_be_are_refused() {
        let directory = Directory::new("refused");
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
        let bad = [0..=5, 7..=u32::MAX, 6..=5];
        for uids in bad {
            let error = UidPool::open(&directory.0, uids).unwrap_err();
            assert!(matches!(error, Error::UidRange { .. }), "{error}");
        }
        assert!(!directory.0.exists());
        UidPool::open(&directory.0, 1..=1).unwrap();
        let mode = |mode| fs::set_permissions(&directory.0, fs::Permissions::from_mode(mode));
        mode(0o770).unwrap();
        let error = UidPool::open(&directory.0, 1..=1).unwrap_err();
        assert!(matches!(error, Error::UidPoolNotOurs { .. }), "{error}");
        mode(0o700).unwrap();
        let link = directory.0.join("link");
        symlink(&directory.0, &link).unwrap();
        let error = UidPool::open(&link, 1..=1).unwrap_err();
        assert!(matches!(error, Error::UidPoolNotOurs { .. }), "{error}");
        let error = UidPool::open(directory.0.join("a/b"), 1..=1).unwrap_err();
        assert!(matches!(error, Error::UidPoolDirectory { .. }), "{error}");
    }
}
