//! A run has one end.
use sandbox_exec::{Running};

pub fn wrong(running: Running) {
    drop(running.wait());
    drop(running.wait());
}

fn main() {}
