//! A command without a policy: leaving it out is a decision, and is spelled `dangerous`.
use sandbox_exec::{Command, SandboxBuilder, WantsPolicy};

pub fn wrong(builder: SandboxBuilder<WantsPolicy>) {
    let _ = builder.command(&Command::new("/a.out"));
}

fn main() {}
