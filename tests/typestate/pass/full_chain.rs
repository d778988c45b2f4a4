//! The whole chain of the child, with and without a filter: what the files in fail/ do wrong is spelled right here.
use std::convert::Infallible;

use sandbox_exec::{
    Plan,
    child::{
        Attached, Chain, Child, Cloned, Confined, Frame, Framed, Isolated, Joined, Limited, Released, Sealed,
        Unprivileged,
    },
    core::StepFailure,
};

fn chain(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    let released: Child<Released> = child.await_release(plan.init)?;
    let isolated: Child<Isolated> = released.isolate(plan.namespaces)?;
    let (framed, frame): (Child<Framed>, Frame<'_>) = isolated.frame_root(plan.root)?;
    let joined: Child<Joined> = framed.fork_payload(plan.init, frame, plan.namespaces)?;
    let limited: Child<Limited> = joined.limit(plan.rlimits)?;
    let unprivileged: Child<Unprivileged> = limited.drop_privileges(plan.identity)?;
    let attached: Child<Attached> = unprivileged.attach_stdio()?;
    let confined: Child<Confined> = attached.confine(plan.landlock)?;
    let sealed: Child<Sealed> = match plan.filter {
        Some(filter) => confined.seal(filter, plan.image)?,
        None => confined.dangerous().seal_unfiltered(plan.image)?,
    };
    sealed.execve(plan.image)
}

fn main() {
    let _: Chain = chain;
}
