//! Mount engine of a box: rules, tmpfs root, pivot_root.
