//! A child is one process.
use sandbox_exec::child::{Child, Sealed};

pub fn wrong(child: &Child<Sealed>) -> Child<Sealed> {
    child.clone()
}

fn main() {}
