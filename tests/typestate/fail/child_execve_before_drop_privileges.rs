//! The program with all privileges.
use sandbox_exec::{
    Plan,
    child::{Child, Limited},
};

pub fn wrong(child: Child<Limited>, plan: &Plan<'_>) {
    let _ = child.execve(plan.image);
}

fn main() {}
