//! Runs one program in a sandbox.
