//! Machines on which some of it cannot be had, played by layers that are known not to work.

use crate::House;
use crate::attempt::{broken, skipped};
use nuncio::sandbox::{Broken, Ended, Layer, Level, Network, Policy, SpawnError};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const REASON: &str = "it is not built in";

fn without(policy: Policy, layers: &[Layer]) -> Policy {
    let broken: Broken = layers.iter().map(|layer| (*layer, REASON.to_owned())).collect();
    policy.knowing(&broken)
}

/// What a command is refused for, or `None` if it runs.
async fn refused(house: &House, policy: &Policy) -> Option<String> {
    match house.try_run(policy, "echo it runs").await {
        Ok(finished) => {
            assert_eq!((finished.output.head.as_str(), finished.ended), ("it runs\n", Ended::Exit(0)));
            None
        }
        Err(SpawnError::Command(reason)) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_a_level_promises_is_kept_or_the_command_refused_by_the_layers_name() {
    if let Some((layer, reason)) = broken().await.iter().find(|(layer, _)| **layer != Layer::Group) {
        return skipped("each layer missing alone", &format!("layer {layer} is not here: {reason}"));
    }
    let house = House::new();
    open_to_others(&house);
    let names = |layer: Layer| {
        Some(format!("the sandbox's layer `{layer}` cannot be put on here, so nothing was run: {REASON}"))
    };
    let lone = [Layer::View, Layer::Processes, Layer::Files, Layer::Scopes, Layer::Ports];
    for layer in lone {
        let policy = without(house.policy(), &[layer]);
        assert_eq!(refused(&house, &policy).await, None, "another one guards the same as {layer}");
        let strict = Policy { level: Level::Strict, ..policy };
        assert_eq!(refused(&house, &strict).await, names(layer), "strict, without {layer}");
    }
    let needed = [
        (&[Layer::Syscalls][..], Layer::Syscalls),
        (&[Layer::Privileges], Layer::Privileges),
        (&[Layer::Limits], Layer::Limits),
        (&[Layer::Files, Layer::View], Layer::Files),
        (&[Layer::Scopes, Layer::Processes], Layer::Scopes),
    ];
    for (layers, named) in needed {
        let policy = without(house.policy(), layers);
        assert_eq!(refused(&house, &policy).await, names(named), "without {layers:?}");
        let lenient = Policy { require: false, ..policy };
        assert_eq!(refused(&house, &lenient).await, None, "not required, without {layers:?}");
    }
    let loopback = without(Policy { network: Network::Loopback, ..house.policy() }, &[Layer::Network]);
    assert_eq!(refused(&house, &loopback).await, names(Layer::Network));
}

/// Where no view can be made, another user has to be let through the folders above.
fn open_to_others(house: &House) {
    let top = house.data.parent().unwrap();
    for folder in [top, &house.data, &house.data.join("tmp"), &house.data.join("workspaces")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    }
}

/// As in a container without rights: no namespaces at all.
#[tokio::test]
async fn without_namespaces_landlock_and_seccomp_hold() {
    let house = House::new();
    open_to_others(&house);
    let policy = without(house.policy(), &[Layer::View, Layer::Processes, Layer::Network]);
    let other = house.other.join("notes");
    fs::set_permissions(&house.other, fs::Permissions::from_mode(0o777)).unwrap();
    let works = "echo x > note && cat note && echo y > $TMPDIR/z && cat $TMPDIR/z";
    assert_eq!(house.run(&policy, works).await, ("x\ny".to_owned(), Ended::Exit(0)));
    for script in [
        format!("cat {}", other.display()),
        format!("ls {}", house.data.join("workspaces").display()),
        format!("rm {}", other.display()),
        format!("echo x > {}/new", house.other.display()),
        "echo x > /tmp/new-file-of-a-test".to_owned(),
        "cat /etc/shadow".to_owned(),
        format!("kill -0 {}", std::process::id()),
        format!("cat /proc/{}/environ", std::process::id()),
        "kill -STOP $PPID".to_owned(),
    ] {
        let (output, ended) = house.run(&policy, &script).await;
        assert!(matches!(ended, Ended::Exit(1..)), "{script}: {ended:?} {output}");
    }
    assert_eq!(fs::read_to_string(other).unwrap(), "other's");
}

#[tokio::test]
async fn a_daemon_that_is_root_runs_nothing_as_root() {
    if !geteuid().is_root() {
        return; // there is nobody to change to
    }
    let house = House::new();
    open_to_others(&house);
    let off = Policy { level: Level::Off, tmp: None, ..house.policy() };
    let no_change = without(Policy { require: false, ..off.clone() }, &[Layer::User]);
    let told = refused(&house, &no_change).await.unwrap();
    assert!(told.starts_with("the sandbox's layer `user` cannot be put on here"), "{told}");
    for policy in [off, house.policy(), Policy { level: Level::Strict, ..house.policy() }] {
        let script = "id -u; id -g; id -G; grep Cap /proc/self/status | tr -d '\\t'; umask 022; echo x > mine";
        let none: String = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|set| format!("\nCap{set}:{:016x}", 0)).concat();
        let expected = format!("65534\n65534\n65534{none}");
        assert_eq!(house.run(&policy, script).await, (expected, Ended::Exit(0)), "{:?}", policy.level);
    }
}
