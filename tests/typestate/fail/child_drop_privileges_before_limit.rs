//! Limits cannot be raised any more after the drop.
use sandbox_exec::{
    Plan,
    child::{Child, Attached},
};

pub fn wrong(child: Child<Attached>, plan: &Plan<'_>) {
    let _ = child.drop_privileges(plan.identity);
}

fn main() {}
