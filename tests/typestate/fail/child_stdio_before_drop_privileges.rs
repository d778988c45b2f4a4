//! The run comes to a process that has nothing to lose any more.
use sandbox_exec::child::{Child, Limited};

pub fn wrong(child: Child<Limited>) {
    let _ = child.attach_stdio();
}

fn main() {}
