//! PID 1 would get the program's streams.
use sandbox_exec::{
    Plan,
    child::{Child, Rooted},
};

pub fn wrong(child: Child<Rooted>, plan: &Plan<'_>) {
    let _ = child.attach_stdio(plan.stdio);
}

fn main() {}
