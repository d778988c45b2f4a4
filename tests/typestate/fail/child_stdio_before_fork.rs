//! PID 1 would get the program's streams.
use sandbox_exec::child::{Child, Framed};

pub fn wrong(child: Child<Framed>) {
    let _ = child.attach_stdio();
}

fn main() {}
