//! The second limits would silently replace the first.
use sandbox_exec::{Limits, SandboxBuilder, WantsPolicy};

pub fn wrong(builder: SandboxBuilder<WantsPolicy>) {
    let _ = builder.limits(Limits::default());
}

fn main() {}
