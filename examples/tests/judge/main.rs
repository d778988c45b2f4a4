//! The judge as its users see it: exit statuses, lines, JSON, and what it leaves.

mod artefacts;
mod bad_input;
mod exit_status;
mod interrupted;
mod package;
mod precompiled;
mod samples;
mod validators;
