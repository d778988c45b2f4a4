//! A chain of one's own is a promise that only its author can give.
use sandbox_exec::{Output, Sandbox, Stdin, child::Chain};

pub fn wrong(sandbox: &Sandbox, chain: Chain) {
    drop(sandbox.spawn_with(chain, Stdin::Null, Output::Null, Output::Null));
}

fn main() {}
