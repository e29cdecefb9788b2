//! What a command is to be able to do, and what is watched while it does.

use crate::attempt::{broken, is_refused_whole};
use crate::{House, LIMITS, LONG, supervisor};
use nuncio::sandbox::{Command, Ended, Layer, Network, Policy, Streams};

#[tokio::test]
async fn a_command_can_work() {
    let house = House::new();
    let policy = house.policy();
    let cases = [
        ("echo hello > note; cat note", "hello"),
        ("id -u; id -G; pwd", &format!("{0}\n{0}\n{1}", uid(&policy), house.workspace.display())),
        ("umask 022; mkdir -p a/b; echo x > a/b/c; mv a d; cat d/b/c; ln -s d l; ls l", "x\nb"),
        ("echo $TMPDIR; echo x > /tmp/a; mktemp -d > /dev/null; ls /tmp/a /var/tmp/a", "/tmp\n/tmp/a\n/var/tmp/a"),
        ("cat /tmp/a", "x"),
        ("echo out > /dev/stdout; echo err > /dev/stderr; echo null > /dev/null", "out\nerr"),
        ("test -r /etc/passwd && test -r /etc/ssl/certs/ca-certificates.crt && head -c 3 /dev/urandom | wc -c", "3"),
        ("python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1, 2]))'", "[1, 2]"),
        ("python3 -c 'import pty; pty.spawn([\"tty\"])'", "/dev/pts/0"),
        ("ls -d /bin /etc/resolv.conf /dev/stdin /proc/1 | wc -l", "4"),
        ("ls /proc/self/fd | wc -l; sleep 0.01 & wait; echo $?", "4\n0"),
    ];
    let has_view = !broken().await.contains_key(&Layer::View);
    // Where there is no view, `/tmp` and shared memory are everybody's, and only TMPDIR leads to the private one.
    let needs_view = |script: &str| ["/tmp", "multiprocessing", "pty"].iter().any(|word| script.contains(word));
    for (script, expected) in cases.into_iter().filter(|(script, _)| has_view || !needs_view(script)) {
        assert_eq!(house.run(&policy, script).await, (expected.to_owned(), Ended::Exit(0)), "{script}");
    }
}

fn uid(policy: &Policy) -> u32 {
    policy.user.map_or_else(|| rustix::process::getuid().as_raw(), |user| user.uid)
}

/// What one command leaves is there for the next: but for its processes.
#[tokio::test]
async fn commands_of_a_session_share_a_network_of_their_own() {
    let house = House::new();
    let policy = Policy { network: Network::Loopback, ..house.policy() }.knowing(broken().await);
    if is_refused_whole("a network of the session's own", &policy) {
        return;
    }
    let supervisor = supervisor(&policy);
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    let serve = format!(
        "python3 -c 'import socket, time
s = socket.create_server((\"127.0.0.1\", {port})); open(\"up\", \"w\").close(); time.sleep(60)'"
    );
    let connect = format!(
        "while [ ! -e up ]; do sleep 0.01; done
         python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port})); print(\"connected\")' 2>&1 | tail -1"
    );
    let (streams, _output) = Streams::combined().unwrap();
    let server = supervisor.spawn(&house.command(&serve), streams).await.unwrap();
    let client = supervisor.run(&house.command(&connect), LIMITS, LONG).await.unwrap();
    assert_eq!(client.output.head, "connected\n");
    drop(server);
    // The same port outside is another one, and another session is in another network.
    std::fs::write(house.other.join("up"), "").unwrap();
    let other = Command { cwd: house.other.clone(), ..house.command(&connect) };
    let refused = supervisor.run(&other, LIMITS, LONG).await.unwrap();
    assert_eq!(refused.output.head, "ConnectionRefusedError: [Errno 111] Connection refused\n");
    outside.set_nonblocking(true).unwrap();
    assert!(outside.accept().is_err());
}

#[tokio::test]
async fn a_workspace_holds_no_more_than_its_budget() {
    let house = House::new();
    let policy = Policy { disk: Some(8 << 20), ..house.policy() };
    let fill = "for i in $(seq 100); do head -c 1000000 /dev/zero > f$i; sleep 0.02; done; echo all of it";
    let (output, ended) = house.run(&policy, fill).await;
    assert!(
        output.starts_with("[ended: the workspace holds ") && output.ends_with("of the 8.0 MiB it may]"),
        "{output}"
    );
    assert_eq!(ended, Ended::Signal(9));
    let (output, ended) = house.run(&policy, "sleep 1; rm f*; echo $?").await;
    assert!(output.contains("of the 8.0 MiB it may: delete some of it") && output.ends_with("\n0"), "{output}");
    assert_eq!(ended, Ended::Exit(0));
    assert_eq!(house.run(&policy, "sleep 1; echo $?").await, ("0".to_owned(), Ended::Exit(0)));
    // The private folder for temporary files counts as well.
    let (output, _) = house.run(&policy, &fill.replace("> f", "> $TMPDIR/f")).await;
    assert!(output.starts_with("[ended: "), "{output}");
}
