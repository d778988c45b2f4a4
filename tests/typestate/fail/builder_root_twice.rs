//! The second tree would silently replace the first.
use sandbox_exec::{Bytes, Quota, RootSpec, SandboxBuilder, WantsIdentity};

pub fn wrong(builder: SandboxBuilder<WantsIdentity>) {
    let _ = builder.root(RootSpec::new(Quota { bytes: Bytes::mib(1), inodes: 10 }));
}

fn main() {}
