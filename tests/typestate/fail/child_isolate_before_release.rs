//! Namespaces are set up with ids that are not mapped yet.
use sandbox_exec::{
    Plan,
    child::{Child, Cloned},
};

pub fn wrong(child: Child<Cloned>, plan: &Plan<'_>) {
    let _ = child.isolate(plan.namespaces);
}

fn main() {}
