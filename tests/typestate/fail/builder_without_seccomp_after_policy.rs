//! A chosen filter cannot be taken back.
use sandbox_exec::{SandboxBuilder, WantsCommand};

pub fn wrong(builder: SandboxBuilder<WantsCommand>) {
    let _ = builder.dangerous().without_seccomp();
}

fn main() {}
