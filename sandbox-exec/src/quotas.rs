//! Quotas of a disk for as long as a run lasts.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use sandbox_core::{DiskUse, Errno, Reading, Unavailable};
use sandbox_fs::{Bounds, DiskLimit, DiskQuota, Holder};

use crate::{Error, Identity};

/// Who has a quota of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    /// The uid of the run.
    Payload,
    /// The directory, as this project.
    Project(u32),
}

/// A quota as the embedder wants it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) directory: PathBuf,
    pub(crate) who: Who,
    pub(crate) limit: DiskLimit,
}

/// [`Wanted`], with the directory open.
#[derive(Debug)]
pub(crate) struct QuotaPlan {
    directory: OwnedFd,
    wanted: Wanted,
}

impl QuotaPlan {
    /// `own_uid`: whether a run has its uid to itself.
    pub(crate) fn compile(wanted: Wanted, own_uid: bool) -> Result<Self, Error> {
        if matches!(wanted.who, Who::Payload) && !own_uid {
            return Err(Error::QuotaOfSharedUid);
        }
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(&wanted.directory);
        let directory = opened.map_err(|error| Error::QuotaDirectory {
            path: wanted.directory.clone(),
            source: Errno::from_io(&error),
        })?;
        Ok(Self {
            directory: directory.into(),
            wanted,
        })
    }
}

/// The quotas of one run. Dropped, they are gone; do so when no process of the run is left.
#[derive(Debug)]
pub(crate) struct RunQuotas(Vec<DiskQuota>);

impl RunQuotas {
    pub(crate) fn set(plans: &[QuotaPlan], payload: Identity) -> Result<Self, Error> {
        let set = plans.iter().map(|plan| {
            let holder = match plan.wanted.who {
                Who::Payload => Holder::User(payload.uid),
                Who::Project(id) => Holder::Project(id),
            };
            let limit = plan.wanted.limit;
            DiskQuota::set(plan.directory.as_fd(), holder, limit, Bounds::default())
        });
        Ok(Self(set.collect::<Result<_, _>>()?))
    }

    /// What each holds.
    pub(crate) fn usage(&self) -> Vec<Reading<DiskUse>> {
        let read = |quota: &DiskQuota| match quota.usage() {
            Ok(found) => Reading::Value(found),
            Err(sandbox_fs::Error::Quota { source, .. }) => {
                Reading::Unavailable(Unavailable::Failed(source))
            }
            Err(_) => Reading::Unavailable(Unavailable::Malformed),
        };
        self.0.iter().map(read).collect()
    }

    /// Takes all of them away, and says which could not be.
    pub(crate) fn clear(self) -> Result<(), sandbox_fs::Error> {
        self.0
            .into_iter()
            .map(DiskQuota::clear)
            .fold(Ok(()), Result::and)
    }
}
