//! From the clone to the program.
use sandbox_exec::{
    Plan,
    child::{Child, Cloned},
};

pub fn wrong(child: Child<Cloned>, plan: &Plan<'_>) {
    let _ = child.execve(plan.image);
}

fn main() {}
