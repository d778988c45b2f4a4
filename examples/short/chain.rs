//! The child chain by hand: the order of the stages is checked by the compiler, and only `Sealed` has `execve`.

#![expect(clippy::print_stdout, reason = "shows what the payload proved")]

use sandbox_exec::{
    Bytes, Command, Identity, Limits, Output, Policy, Quota, RootSpec, Sandbox, Stdin,
};

/// Runs between clone3 and execve, in a copy of this process: no allocation, no lock, no panic. The lints keep watch.
mod after_clone {
    #![deny(clippy::std_instead_of_core, clippy::std_instead_of_alloc)]
    #![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    #![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    #![deny(clippy::disallowed_macros, clippy::disallowed_types)]
    #![deny(clippy::disallowed_methods)]

    use core::convert::Infallible;
    use sandbox_exec::child::{Child, Cloned, Joined, Released, Unprivileged};
    use sandbox_exec::core::{Errno, Fault, Stage, StepFailure};

    pub(super) fn chain(
        init: Child<Cloned>,
        plan: &sandbox_exec::Plan<'_>,
    ) -> Result<Infallible, StepFailure> {
        let init: Child<Released> = init.await_release(plan.init)?;
        let (init, frame) = init.isolate(plan.namespaces)?.frame_root(plan.root)?;
        // init stays inside this call for good; what comes out is the payload.
        let payload: Child<Joined> = init.fork_payload(plan.init, frame, plan.namespaces)?;
        let payload = payload.limit(plan.rlimits)?;
        let payload: Child<Unprivileged> = payload.drop_privileges(plan.identity)?;
        let payload = payload.attach_stdio()?.confine(plan.landlock)?;
        // A rule of one's own: this chain starts nothing without a filter.
        let Some(filter) = plan.filter else {
            let (stage, fault) = (Stage::Seccomp, Fault::at(0)(Errno::from_raw(1)));
            return Err(StepFailure { stage, fault });
        };
        payload.seal(filter, plan.image)?.execve(plan.image)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let quota = Quota {
        bytes: Bytes::mib(1),
        inodes: 100,
    };
    let sandbox = Sandbox::builder()
        .root(RootSpec::minimal(quota))
        .identity(Identity::new(60_042, 60_042))
        .limits(Limits::default().processes(4))
        .policy(Policy::judge())
        .command(&Command::new("/bin/sh").args(["-c", "exit $$"]))?;
    // SAFETY: the chain only calls transitions, all of which are async-signal-safe, and ends in execve.
    #[expect(unsafe_code, reason = "what the example is about")]
    let running =
        unsafe { sandbox.spawn_with(after_clone::chain, Stdin::Null, Output::Null, Output::Null) }?;
    let run = running.wait()?;
    println!("{:?}", run.outcome.evidence.proved);
    println!("{:?}", run.outcome.judgement);
    Ok(())
}
