//! The one constructor gives the first state.
use sandbox_exec::child::{Child, ChildChannel, Sealed};

pub fn wrong(channel: ChildChannel) -> Child<Sealed> {
    unsafe { Child::adopt(channel) }
}

fn main() {}
