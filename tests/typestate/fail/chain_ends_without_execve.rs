//! A chain ends in the program or in a failure.
use std::convert::Infallible;

use sandbox_exec::{
    Plan,
    child::{Child, Cloned},
    core::StepFailure,
};

pub fn wrong(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    Ok(child.await_release(plan.init)?)
}

fn main() {}
