//! The program as PID 1, with all privileges.
use sandbox_exec::{
    Plan,
    child::{Child, Rooted},
};

pub fn wrong(child: Child<Rooted>, plan: &Plan<'_>) {
    let _ = child.execve(plan.image);
}

fn main() {}
