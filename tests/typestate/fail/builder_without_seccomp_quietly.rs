//! No filter only through `dangerous`.
use sandbox_exec::{SandboxBuilder, WantsPolicy};

pub fn wrong(builder: SandboxBuilder<WantsPolicy>) {
    let _ = builder.without_seccomp();
}

fn main() {}
