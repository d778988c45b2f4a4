//! The root that was made is thrown away: init would have nothing to finish.
use sandbox_exec::{
    Plan,
    child::{Child, Framed},
};

pub fn wrong(child: Child<Framed>, plan: &Plan<'_>) {
    let _ = child.fork_payload(plan.init, plan.namespaces);
}

fn main() {}
