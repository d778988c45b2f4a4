//! A policy before the limits are chosen.
use sandbox_exec::{Policy, SandboxBuilder, WantsLimits};

pub fn wrong(builder: SandboxBuilder<WantsLimits>) {
    let _ = builder.policy(Policy::judge());
}

fn main() {}
