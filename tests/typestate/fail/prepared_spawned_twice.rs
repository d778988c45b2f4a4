//! A prepared box is good for one run.
use sandbox_exec::{Output, Prepared, Stdin};

pub fn wrong(prepared: Prepared) {
    let _ = prepared.spawn(Stdin::Null, Output::Null, Output::Null);
    let _ = prepared.spawn(Stdin::Null, Output::Null, Output::Null);
}

fn main() {}
