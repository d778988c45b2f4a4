//! The second policy would silently replace the first.
use sandbox_exec::{Policy, SandboxBuilder, WantsCommand};

pub fn wrong(builder: SandboxBuilder<WantsCommand>) {
    let _ = builder.policy(Policy::judge());
}

fn main() {}
