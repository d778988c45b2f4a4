//! The payload would live in the host's tree.
use sandbox_exec::{
    Plan,
    child::{Child, Isolated},
};

pub fn wrong(child: Child<Isolated>, plan: &Plan<'_>) {
    let _ = child.fork_payload(plan.init, plan.cgroup, plan.namespaces);
}

fn main() {}
