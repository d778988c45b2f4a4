//! What a child has proved is nobody's to read or write: the fields are private.
use sandbox_exec::child::{Child, Sealed};

pub fn wrong(child: Child<Sealed>) {
    let Child { proved: _, .. } = child;
}

fn main() {}
