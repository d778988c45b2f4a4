//! A state cannot be made from nothing.
use sandbox_exec::{WantsRoot};

pub fn wrong() -> WantsRoot {
    WantsRoot(())
}

fn main() {}
