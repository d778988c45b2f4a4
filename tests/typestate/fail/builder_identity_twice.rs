//! The second identity would silently replace the first.
use sandbox_exec::{Identity, SandboxBuilder, WantsLimits};

pub fn wrong(builder: SandboxBuilder<WantsLimits>) {
    let _ = builder.identity(Identity::new(1, 1));
}

fn main() {}
