//! A filter over a process that is still root.
use sandbox_exec::{
    Plan,
    child::{Child, Limited},
    seccomp::Filter,
};

pub fn wrong(child: Child<Limited>, filter: &Filter, plan: &Plan<'_>) {
    let _ = child.seal(filter, plan.image);
}

fn main() {}
