//! System call policy, compiled to a BPF filter.
