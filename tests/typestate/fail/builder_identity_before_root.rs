//! The ids belong to a tree that is not known yet.
use sandbox_exec::{Identity, SandboxBuilder, WantsRoot};

pub fn wrong(builder: SandboxBuilder<WantsRoot>) {
    let _ = builder.identity(Identity::new(1, 1));
}

fn main() {}
