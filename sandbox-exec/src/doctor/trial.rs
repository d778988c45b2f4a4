//! A whole box, as a run would have it.

use core::time::Duration;

use sandbox_core::{Bytes, Limits, Stage, Verdict};
use sandbox_fs::{Quota, RootSpec};
use sandbox_ns::UserMap;
use sandbox_seccomp::Policy;

use super::{
    attempt::Attempts,
    cgroups,
    report::{Finding, Need},
};
use crate::{Command, Error, Finished, Identity, Sandbox, Stdin, error::chain};

/// Ids that no distribution hands out.
const PAYLOAD: u32 = 60_000;

const PROGRAM: &str = "/usr/bin/true";

/// Only where every part was tried and works: a box that a filter kills for its first call could end the embedder.
pub(super) fn finding(attempts: &Attempts, groups: &cgroups::Tried, privileged: bool) -> Finding {
    let parts = [
        (Need::Kernel, &attempts.calls),
        (Need::Namespaces, &attempts.namespaces),
        (Need::Seccomp, &attempts.filter),
    ];
    let finding = match parts.iter().find(|(_, tried)| !tried.worked()) {
        Some((need, _)) => Finding::unknown(
            Need::Box,
            format!("not tried, for it cannot start: see the line {need}"),
        ),
        None => judged(&run(groups, privileged)),
    };
    finding.required(true)
}

fn run(groups: &cgroups::Tried, privileged: bool) -> Result<Finished, Error> {
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    let builder = Sandbox::builder()
        .cgroup_parent(groups.parent().clone())
        .root(RootSpec::minimal(quota));
    let builder = if privileged {
        builder.identity(Identity::new(PAYLOAD, PAYLOAD))
    } else {
        builder
            .user_map(UserMap::own())
            .identity(Identity::new(0, 0))
    };
    let limits: Limits = groups.limits().wall_time(Duration::from_secs(60));
    builder
        .limits(limits)
        .policy(Policy::judge())
        .command(&Command::new(PROGRAM))?
        .run(Stdin::Null, Bytes::kib(4))
}

fn judged(run: &Result<Finished, Error>) -> Finding {
    let need = Need::Box;
    let lost = "no box like this one can be had";
    match run {
        Ok(finished) => {
            let outcome = &finished.outcome;
            let stages = outcome.evidence.proved.len();
            match outcome.judgement.verdict {
                // All but Landlock, which this box does not ask for.
                Verdict::Ok if stages == Stage::ALL.len() - 1 => {
                    let limited = outcome.evidence.controllers.iter();
                    let limited: Vec<_> = limited
                        .map(|served| format!("{:?}", served.controller).to_lowercase())
                        .collect();
                    let limited = if limited.is_empty() {
                        "none".to_owned()
                    } else {
                        limited.join(", ")
                    };
                    Finding::ok(
                        need,
                        format!("{PROGRAM} ran in one, {stages} stages proved, controllers: {limited}"),
                    )
                }
                other => Finding::missing(
                    need,
                    format!("{PROGRAM} ended as {other:?} after {stages} stages"),
                    lost,
                ),
            }
        }
        Err(Error::Setup(failure)) if failure.is_the_programs_fault() => Finding::ok(
            need,
            format!("one was built; there is no {PROGRAM} here to run in it"),
        ),
        Err(error @ Error::KeepsGroups { .. }) => Finding::missing(need, chain(error), lost)
            .mend("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, and map these ranges"),
        Err(error) => Finding::missing(need, chain(error), lost),
    }
}
