//! A state is a type and nothing else.
use sandbox_exec::child::Sealed;

pub fn wrong() -> Sealed {
    Sealed
}

fn main() {}
