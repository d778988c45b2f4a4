//! Limits cannot be raised any more after the drop.
use sandbox_exec::{
    Plan,
    child::{Child, Joined},
};

pub fn wrong(child: Child<Joined>, plan: &Plan<'_>) {
    let _ = child.drop_privileges(plan.identity);
}

fn main() {}
