//! The states are those of the library.
use sandbox_exec::child::{Child, State};

pub enum Mine {}

impl State for Mine {}

pub type Wrong = Child<Mine>;

fn main() {}
