//! The way out by sockets.

use std::{
    net::TcpListener,
    os::{linux::net::SocketAddrExt as _, unix::net},
};

use sandbox_exec::{Basis, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes};

use crate::can_run;

const REFUSED: i32 = libc::ECONNREFUSED;

#[test]
fn no_service_of_the_host_can_be_reached() {
    if !can_run() {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("bound").port().to_string();

    let finished = Setup::new().run(&["connect", &port]);
    assert_eq!(
        boxes::said(&finished),
        format!("connect: errno {REFUSED}\n")
    );
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let nobody = listener.accept().map_err(|error| error.kind());
    assert_eq!(
        nobody.err(),
        Some(std::io::ErrorKind::WouldBlock),
        "nobody knocked"
    );

    let twin = Setup::new().in_host_network().run(&["connect", &port]);
    assert_eq!(boxes::said(&twin), "connect: ok 0\n");
    listener.accept().expect("the twin knocked");
}

#[test]
fn no_abstract_socket_of_the_host_can_be_reached() {
    if !can_run() {
        return;
    }
    let name = format!("sandbox-tests-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).expect("a short name");
    let listener = net::UnixListener::bind_addr(&address).expect("a name of our own");
    listener.set_nonblocking(true).expect("a socket");

    let finished = Setup::new().run(&["connect-abstract", &name]);
    assert_eq!(
        boxes::said(&finished),
        format!("connect: errno {REFUSED}\n")
    );
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert!(listener.accept().is_err(), "nobody knocked");

    let twin = Setup::new()
        .in_host_network()
        .run(&["connect-abstract", &name]);
    assert_eq!(boxes::said(&twin), "connect: ok 0\n");
    listener.accept().expect("the twin knocked");
}
