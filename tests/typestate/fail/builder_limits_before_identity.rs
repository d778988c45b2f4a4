//! A limit before anybody is there to be limited.
use sandbox_exec::{Limits, SandboxBuilder, WantsIdentity};

pub fn wrong(builder: SandboxBuilder<WantsIdentity>) {
    let _ = builder.limits(Limits::default());
}

fn main() {}
