//! A command in no tree.
use sandbox_exec::{Command, SandboxBuilder, WantsRoot};

pub fn wrong(builder: SandboxBuilder<WantsRoot>) {
    let _ = builder.command(&Command::new("/a.out"));
}

fn main() {}
