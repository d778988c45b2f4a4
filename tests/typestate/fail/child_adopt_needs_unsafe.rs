//! Only the child of a clone may take the role.
use sandbox_exec::child::{Child, ChildChannel, Cloned};

pub fn wrong(channel: ChildChannel) -> Child<Cloned> {
    Child::adopt(channel)
}

fn main() {}
