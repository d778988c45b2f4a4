//! A limit of descriptors before the streams are attached.
use sandbox_exec::{
    Plan,
    child::{Child, Joined},
};

pub fn wrong(child: Child<Joined>, plan: &Plan<'_>) {
    let _ = child.limit(plan.rlimits);
}

fn main() {}
