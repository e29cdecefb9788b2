//! Connections that a policy forbids. Nothing here leaves the machine's loopback.

use crate::House;
use crate::attempt::{Attempt, all_fail, broken, is_refused_whole};
use nuncio::sandbox::Layer::{Network as Namespace, Ports, Scopes, Syscalls, View};
use nuncio::sandbox::Network::{All, Loopback, None};
use nuncio::sandbox::{Ended, Policy};

const NO: &str = "Operation not permitted";
const DENIED: &str = "Permission denied";
const REFUSED: &str = "Connection refused";
const NOWHERE: &str = "No such file";

pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("none: a TCP connection", "@tcp {tcp}", &[(Syscalls, NO), (Ports, DENIED)]).on(None),
    Attempt::new("none: listening", "@listen", &[(Syscalls, NO), (Ports, DENIED)]).on(None),
    Attempt::new("none: a datagram", "@udp {udp}", &[(Syscalls, NO)]).on(None),
    Attempt::new("none: IPv6", "@socket 10 1 0", &[(Syscalls, NO)]).on(None),
    Attempt::new("none: netlink", "@socket 16 3 0", &[(Syscalls, NO)]).on(None),
    Attempt::new("none: a socket with a path", "@unix {outside}/engine.sock", &[(Syscalls, NO), (View, NOWHERE)])
        .on(None),
    Attempt::new("none: an abstract socket", "@abstract {abstract}", &[(Syscalls, NO), (Scopes, NO)]).on(None),
    Attempt::new(
        "none: one end of a pair, sent astray",
        "@pair {outside}/log.sock",
        &[(Syscalls, NO), (View, NOWHERE)],
    )
    .on(None),
    Attempt::new("loopback: the machine's", "@tcp {tcp}", &[(Namespace, REFUSED)]).on(Loopback),
    Attempt::new("loopback: a socket with a path", "@unix {outside}/engine.sock", &[(View, NOWHERE)]).on(Loopback),
    Attempt::new("loopback: an abstract socket", "@abstract {abstract}", &[(Namespace, REFUSED), (Scopes, NO)])
        .on(Loopback),
    Attempt::new("all: a socket with a path", "@unix {outside}/engine.sock", &[(View, NOWHERE)]).on(All),
    Attempt::new("all: a datagram to a path", "@pair {outside}/log.sock", &[(View, NOWHERE)]).on(All),
    Attempt::new("all: an abstract socket", "@abstract {abstract}", &[(Scopes, NO)]).on(All),
];

/// What programs need is there: pairs for their own processes, and sockets where there is a network.
#[tokio::test]
async fn what_is_to_be_had_is() {
    let house = House::new();
    let sockets =
        ["streams", "socket 1 1 0", "socket 2 1 0", "socket 2 2 0", "socket 10 1 0", "socket 16 3 0", "listen"];
    for (network, attacks) in [(None, &sockets[..1]), (Loopback, &sockets), (All, &sockets)] {
        let policy = Policy { network, ..house.policy() }.knowing(broken().await);
        if is_refused_whole("sockets", &policy) {
            continue;
        }
        for attack in attacks {
            let attacker = house.kit.attacker.display();
            let script = format!("ATTACK='{attack}' {attacker} --ignored --exact attacker::role --test-threads=1");
            assert_eq!(house.run(&policy, &script).await.1, Ended::Exit(0), "{attack} with network {network:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_to_be_reached_is_not() {
    all_fail(ATTEMPTS).await;
}
