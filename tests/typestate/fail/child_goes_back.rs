//! There is no way back: the tree cannot be entered twice.
use sandbox_exec::{
    Plan,
    child::{Child, Rooted},
};

pub fn wrong(child: Child<Rooted>, plan: &Plan<'_>) {
    let _ = child.enter_root(plan.root);
}

fn main() {}
