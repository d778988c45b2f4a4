//! A chain is a function: a closure could carry a lock or a heap value into the child.
use sandbox_exec::{
    Output, Sandbox, Stdin,
    child::standard_chain,
};

pub fn wrong(sandbox: &Sandbox, name: String) {
    let chain = |child, plan: &_| {
        drop(&name);
        standard_chain(child, plan)
    };
    drop(unsafe { sandbox.spawn_with(chain, Stdin::Null, Output::Null, Output::Null) });
}

fn main() {}
