//! The tree is entered before the namespaces are set up.
use sandbox_exec::{
    Plan,
    child::{Child, Released},
};

pub fn wrong(child: Child<Released>, plan: &Plan<'_>) {
    let _ = child.enter_root(plan.root);
}

fn main() {}
