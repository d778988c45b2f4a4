//! No filter only through `dangerous`.
use sandbox_exec::{
    Plan,
    child::{Child, Unprivileged},
};

pub fn wrong(child: Child<Unprivileged>, plan: &Plan<'_>) {
    let _ = child.seal_unfiltered(plan.image);
}

fn main() {}
