//! The program as PID 1, with all privileges.
use sandbox_exec::{
    Plan,
    child::{Child, Framed},
};

pub fn wrong(child: Child<Framed>, plan: &Plan<'_>) {
    let _ = child.execve(plan.image);
}

fn main() {}
