//! The program without no_new_privs and filter.
use sandbox_exec::{
    Plan,
    child::{Child, Unprivileged},
};

pub fn wrong(child: Child<Unprivileged>, plan: &Plan<'_>) {
    let _ = child.execve(plan.image);
}

fn main() {}
