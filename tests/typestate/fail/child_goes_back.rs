//! There is no way back: the tree cannot be made twice.
use sandbox_exec::{
    Plan,
    child::{Child, Framed},
};

pub fn wrong(child: Child<Framed>, plan: &Plan<'_>) {
    let _ = child.frame_root(plan.root);
}

fn main() {}
