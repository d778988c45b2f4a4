//! A step of one's own is `unsafe impl`: the promise shows in review.
use sandbox_exec::core::{ChildStep, Fault, Stage};

pub struct Mine;

impl ChildStep for Mine {
    const STAGE: Stage = Stage::WorkDir;

    fn apply(&self) -> Result<(), Fault> {
        Ok(())
    }
}

fn main() {}
