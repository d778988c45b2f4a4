//! Which ids payload and init take.

use std::fs;

use sandbox_core::Errno;
use sandbox_ns::{IdRange, UserMap};

use crate::{
    Error, Identity, UidPool,
    process::identity::{Groups, IdentityPlan},
    uid_pool::{self, UidLease},
};

/// Where the payloads of a sandbox get their ids from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Every run has the same.
    Fixed(Identity),
    /// Each run has its own.
    Pool(UidPool),
}

/// [`Source`], checked and compiled.
#[derive(Debug)]
pub(crate) struct Payloads {
    /// The one for all; of a pool, one that stands for all.
    plan: IdentityPlan,
    pool: Option<UidPool>,
    owns_pipes: bool,
}

/// The ids of one run. Keep it until no process of the run is left.
#[derive(Debug)]
pub(crate) struct RunIdentity {
    pub(crate) payload: IdentityPlan,
    /// Whom the pipes of the run belong to.
    pub(crate) pipe_owner: Option<Identity>,
    lease: Option<UidLease>,
}

impl Payloads {
    /// Whether no two runs have the same ids at a time.
    pub(crate) fn are_exclusive(&self) -> bool {
        self.pool.is_some()
    }

    /// The ids for one run.
    pub(crate) fn take(&self) -> Result<RunIdentity, Error> {
        let lease = self.pool.as_ref().map(UidPool::lease).transpose()?;
        let mut payload = self.plan;
        if let Some(lease) = &lease {
            payload.identity = lease.identity();
        }
        Ok(RunIdentity {
            payload,
            pipe_owner: self.owns_pipes.then_some(payload.identity),
            lease,
        })
    }
}

impl RunIdentity {
    /// Says that init was reaped, and no process of the run is left.
    pub(crate) fn box_is_dead(&self) {
        if let Some(lease) = &self.lease {
            lease.box_is_dead();
        }
    }
}

/// The ids of payloads and of init. `privileged`: whether the embedder may give its pipes away.
pub(crate) fn compile(
    source: Source,
    map: Option<&UserMap>,
    keep_groups: bool,
    privileged: bool,
) -> Result<(Payloads, IdentityPlan), Error> {
    let (first, pool) = match source {
        Source::Fixed(identity) => (identity, None),
        Source::Pool(_) if map.is_some() => return Err(Error::UidPoolMapped),
        Source::Pool(pool) => {
            let first = *pool.uids().start();
            (Identity::new(first, first), Some(pool))
        }
    };
    let (plan, init) = identities(first, map, keep_groups)?;
    if let Some(pool) = &pool {
        let uids = pool.uids();
        if uids.contains(&init.identity.uid) || uids.contains(&init.identity.gid) {
            return Err(uid_pool::range(&uids));
        }
    }
    let payloads = Payloads {
        plan,
        pool,
        // Ids of a user namespace mean nothing to the pipes that the embedder makes.
        owns_pipes: map.is_none() && privileged,
    };
    Ok((payloads, init))
}

/// The uid and gid of init in a box without a user namespace, unless the payload has them: then the next lower. In the
/// range that no distribution hands out: a process of the same uid could kill it.
const INIT_ID: u32 = 0x7fff_fffe;

/// The same where the embedder's own user namespace does not map so high an id, as in a container: nobody.
const INIT_ID_IN_CONTAINER: u32 = 65_534;

/// The id of init, by the text of `/proc/self/uid_map` or `gid_map`.
fn init_id(map: &str) -> u32 {
    let covers = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) => INIT_ID
                .checked_sub(first)
                .is_some_and(|offset| offset < count),
            _ => false,
        }
    };
    if map.lines().any(covers) {
        INIT_ID
    } else {
        INIT_ID_IN_CONTAINER
    }
}

/// The ids of one payload and its init.
fn identities(
    payload: Identity,
    map: Option<&UserMap>,
    keep_groups: bool,
) -> Result<(IdentityPlan, IdentityPlan), Error> {
    let Some(map) = map else {
        if payload.uid == 0 || payload.gid == 0 {
            return Err(Error::RootIdentity);
        }
        let other = |map, id| {
            // Without /proc nothing is known of the map; the id that every map has is then the choice.
            let init = init_id(&fs::read_to_string(map).unwrap_or_default());
            if id == init { init - 1 } else { init }
        };
        let init = Identity::new(
            other("/proc/self/uid_map", payload.uid),
            other("/proc/self/gid_map", payload.gid),
        );
        let plan = |identity| IdentityPlan {
            identity,
            groups: Groups::Drop,
        };
        return Ok((plan(payload), plan(init)));
    };
    for (kind, id, mapped) in [
        ("uid", payload.uid, map.maps_uid(payload.uid)),
        ("gid", payload.gid, map.maps_gid(payload.gid)),
    ] {
        if !mapped {
            return Err(Error::UnmappedId { kind, id });
        }
    }
    if map.outside_uid(payload.uid) == Some(0) || map.outside_gid(payload.gid) == Some(0) {
        return Err(Error::RootIdentity);
    }
    let groups = if map.denies_setgroups() {
        let own = nix::unistd::getgroups()
            .map_err(|e| Error::call("getgroups")(Errno::from_raw(e as i32)))?;
        let count = own
            .iter()
            .filter(|gid| **gid != nix::unistd::getegid())
            .count();
        match count {
            0 => Groups::NoneToDrop,
            _ if keep_groups => Groups::Keep,
            _ => return Err(Error::KeepsGroups { count }),
        }
    } else {
        Groups::Drop
    };
    // Another id than the payload's and than the host's root, where the map has one. A single-id map leaves no choice, and
    // the policy then keeps the payload from prlimit(2) on init.
    let other = |ranges: &[IdRange], id: u32| {
        let ends = |range: &IdRange| {
            let last = range.count.saturating_sub(1);
            [last, 0].map(|n| {
                (
                    range.inside.saturating_add(n),
                    range.outside.saturating_add(n),
                )
            })
        };
        let all = || {
            ranges
                .iter()
                .rev()
                .flat_map(ends)
                .filter(|(inside, _)| *inside != id)
        };
        let best = all()
            .find(|(_, outside)| *outside != 0)
            .or_else(|| all().next());
        best.map_or(id, |(inside, _)| inside)
    };
    let init = Identity::new(other(&map.uids, payload.uid), other(&map.gids, payload.gid));
    let plan = |identity| IdentityPlan { identity, groups };
    Ok((plan(payload), plan(init)))
}

#[cfg(test)]
mod tests {
    use super::{INIT_ID, INIT_ID_IN_CONTAINER, identities, init_id};
    use crate::{Error, Identity};
    use sandbox_ns::{IdRange, UserMap};

    fn ids(payload: Identity, map: Option<&UserMap>) -> Result<Identity, Error> {
        identities(payload, map, true).map(|(_, init)| init.identity)
    }

    #[test]
    fn the_hosts_root_is_nobody_in_a_box() {
        for identity in [Identity::new(0, 1), Identity::new(1, 0)] {
            assert!(matches!(ids(identity, None), Err(Error::RootIdentity)));
        }
        let root = UserMap {
            uids: vec![IdRange::single(5, 0)],
            gids: vec![IdRange::single(5, 7)],
        };
        assert!(matches!(
            ids(Identity::new(5, 5), Some(&root)),
            Err(Error::RootIdentity)
        ));
    }

    #[test]
    fn init_has_other_ids_than_the_payload() {
        let init = ids(Identity::new(1000, 1000), None).unwrap();
        let same = ids(Identity::new(init.uid, init.gid), None).unwrap();
        assert_eq!((same.uid, same.gid), (init.uid - 1, init.gid - 1));
        let range = |outside| {
            vec![IdRange {
                inside: 0,
                outside,
                count: 10,
            }]
        };
        let map = UserMap {
            uids: range(100),
            gids: range(0),
        };
        let init = ids(Identity::new(9, 1), Some(&map)).unwrap();
        assert_eq!((init.uid, init.gid), (0, 9));
    }

    #[test]
    fn init_takes_an_id_that_its_namespace_has() {
        assert_eq!(init_id("         0          0 4294967295\n"), INIT_ID);
        assert_eq!(init_id("0 100000 65536\n"), INIT_ID_IN_CONTAINER);
        assert_eq!(init_id(""), INIT_ID_IN_CONTAINER);
    }

    #[test]
    fn an_unmapped_id_is_named() {
        let map = UserMap {
            uids: vec![IdRange::single(1, 2)],
            gids: vec![IdRange::single(1, 2)],
        };
        let error = ids(Identity::new(1, 3), Some(&map));
        assert!(matches!(
            error,
            Err(Error::UnmappedId { kind: "gid", id: 3 })
        ));
    }
}
