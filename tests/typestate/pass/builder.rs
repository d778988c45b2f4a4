//! The whole builder, each door once: what the files in fail/ leave out or turn round is spelled right here.
use sandbox_exec::{
    Bytes, CgroupParent, Command, Error, Identity, Limits, Policy, Quota, RootSpec, Sandbox, UserMap,
};

fn root() -> RootSpec {
    RootSpec::new(Quota { bytes: Bytes::mib(1), inodes: 10 })
}

fn ordinary() -> Result<Sandbox, Error> {
    Sandbox::builder()
        .host_name("box")
        .root(root())
        .identity(Identity::new(60_042, 60_042))
        .cgroup_parent(CgroupParent::Root)
        .limits(Limits::default())
        .policy(Policy::judge())
        .command(&Command::new("/a.out"))
}

fn weaker() -> Result<Sandbox, Error> {
    Sandbox::builder()
        .root(root())
        .identity(Identity::new(60_042, 60_042))
        .user_map(UserMap::own())
        .limits(Limits::default())
        .dangerous()
        .without_seccomp()
        .dangerous()
        .share_network()
        .dangerous()
        .keep_groups()
        .command(&Command::new("/a.out"))
}

fn main() {
    fn is_shared<T: Send + Sync + Clone>(_: fn() -> Result<T, Error>) {}
    is_shared(ordinary);
    is_shared(weaker);
}
