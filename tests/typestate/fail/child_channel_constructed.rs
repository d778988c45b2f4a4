//! The ends of the channels come from the library.
use sandbox_exec::child::ChildChannel;

pub fn wrong() -> ChildChannel {
    ChildChannel { handshake: 3, status: 4, gate: 5, supervisor: 6 }
}

fn main() {}
