//! Landlock over a process that is still root.
use sandbox_exec::{
    Plan,
    child::{Child, Limited},
};

pub fn wrong(child: Child<Limited>, plan: &Plan<'_>) {
    let _ = child.confine(plan.landlock);
}

fn main() {}
