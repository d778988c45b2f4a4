//! The gate before the run has come.
use sandbox_exec::{
    Plan,
    child::{Child, Unprivileged},
};

pub fn wrong(child: Child<Unprivileged>, plan: &Plan<'_>) {
    let _ = child.confine(plan.landlock);
}

fn main() {}
