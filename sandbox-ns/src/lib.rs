//! Namespaces of a box: which ones, the id maps of a user namespace, loopback and host name.
//!
//! [`NamespaceSpec`] says what is wanted, [`NamespaceSpec::prepare`] checks it and compiles a [`NamespacePlan`]. The
//! supervisor takes the flags for `clone3(2)` from the plan and writes the id maps while init waits; init applies the plan
//! (its ids, the host name, `lo`), and the payload takes its cgroup namespace after it has joined its cgroup: taken
//! earlier, the namespace would have the supervisor's cgroup as its root.
//!
//! Usable alone by anyone who writes their own `clone3(2)`; `sandbox-exec` owns the order.

mod apply;
mod error;
mod id_map;

mod namespaces;
mod plan;
mod sys;

pub use error::Error;
pub use id_map::{IdRange, UserMap};
pub use namespaces::{NamespaceSpec, Namespaces};
pub use plan::NamespacePlan;
