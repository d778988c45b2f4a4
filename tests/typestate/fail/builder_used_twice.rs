//! A builder is used up by each step: two boxes from one half-made builder are two builders.
use sandbox_exec::{Command, SandboxBuilder, WantsCommand};

pub fn wrong(builder: SandboxBuilder<WantsCommand>, command: &Command) {
    drop(builder.command(command));
    drop(builder.command(command));
}

fn main() {}
