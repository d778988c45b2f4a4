//! The host's network only through `dangerous`.
use sandbox_exec::{SandboxBuilder, WantsCommand};

pub fn wrong(builder: SandboxBuilder<WantsCommand>) {
    let _ = builder.share_network();
}

fn main() {}
