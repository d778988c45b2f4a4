//! `dangerous` opens one door, not all: the privileges still go first.
use sandbox_exec::child::{Child, Limited};

pub fn wrong(child: Child<Limited>) {
    let _ = child.dangerous();
}

fn main() {}
