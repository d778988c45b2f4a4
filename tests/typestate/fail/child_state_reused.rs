//! A state is used up by its step: a stage cannot be carried out twice.
use sandbox_exec::{
    Plan,
    child::{Child, Limited},
};

pub fn wrong(child: Child<Limited>, plan: &Plan<'_>) {
    drop(child.drop_privileges(plan.identity));
    drop(child.drop_privileges(plan.identity));
}

fn main() {}
