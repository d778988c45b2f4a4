//! A command of nobody.
use sandbox_exec::{Command, SandboxBuilder, WantsIdentity};

pub fn wrong(builder: SandboxBuilder<WantsIdentity>) {
    let _ = builder.command(&Command::new("/a.out"));
}

fn main() {}
