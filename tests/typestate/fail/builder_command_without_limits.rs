//! A command without limits.
use sandbox_exec::{Command, SandboxBuilder, WantsLimits};

pub fn wrong(builder: SandboxBuilder<WantsLimits>) {
    let _ = builder.command(&Command::new("/a.out"));
}

fn main() {}
