//! The payload would live in the host's tree.
use sandbox_exec::{
    Plan,
    child::{Child, Frame, Isolated},
};

pub fn wrong(child: Child<Isolated>, frame: Frame<'_>, plan: &Plan<'_>) {
    let _ = child.fork_payload(plan.init, frame, plan.namespaces);
}

fn main() {}
