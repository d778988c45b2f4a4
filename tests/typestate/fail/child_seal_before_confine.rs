//! The filter before no_new_privs and Landlock.
use sandbox_exec::{
    Plan,
    child::{Child, Unprivileged},
    seccomp::Filter,
};

pub fn wrong(child: Child<Unprivileged>, filter: &Filter, plan: &Plan<'_>) {
    let _ = child.seal(filter, plan.image);
}

fn main() {}
