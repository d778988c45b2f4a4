//! The tree is made before the namespaces are set up.
use sandbox_exec::{
    Plan,
    child::{Child, Released},
};

pub fn wrong(child: Child<Released>, plan: &Plan<'_>) {
    let _ = child.frame_root(plan.root);
}

fn main() {}
