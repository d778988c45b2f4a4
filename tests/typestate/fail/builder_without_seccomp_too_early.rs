//! A filter is left out where it would be chosen, not before.
use sandbox_exec::{SandboxBuilder, WantsLimits};

pub fn wrong(builder: SandboxBuilder<WantsLimits>) {
    let _ = builder.dangerous().without_seccomp();
}

fn main() {}
