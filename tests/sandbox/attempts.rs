//! The first attempts: each fails, and what it is not about works.

use crate::{House, LIMITS, LONG, supervisor};
use nuncio::sandbox::{Command, Ended, Layer, Level, Limits, Network, Policy, Streams};

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
    for (script, expected) in cases {
        assert_eq!(house.run(&policy, script).await, (expected.to_owned(), Ended::Exit(0)), "{script}");
    }
}

fn uid(policy: &Policy) -> u32 {
    policy.user.map_or_else(|| rustix::process::getuid().as_raw(), |user| user.uid)
}

#[tokio::test]
async fn what_is_outside_is_out_of_reach() {
    let house = House::new();
    let policy = house.policy();
    let other = house.other.join("notes");
    let scripts = [
        "cat /etc/shadow".to_owned(),
        format!("cat {}", other.display()),
        format!("ls {}", house.other.display()),
        format!("cat {}", house.data.join("nuncio.db").display()),
        "echo x > /usr/new".to_owned(),
        "echo x > /etc/new".to_owned(),
        "echo x > /new".to_owned(),
        "ls /home /root".to_owned(),
        format!("kill -0 {}", std::process::id()),
        format!("cat /proc/{}/environ", std::process::id()),
        "mkdir m && mount -t tmpfs none m".to_owned(),
        "unshare -U true".to_owned(),
        "chroot . /bin/true".to_owned(),
    ];
    for script in scripts {
        for level in [Level::Workspace, Level::Strict] {
            let policy = Policy { level, ..policy.clone() };
            let (output, ended) = house.run(&policy, &script).await;
            assert!(matches!(ended, Ended::Exit(1..)), "{script}: {ended:?} {output}");
        }
    }
    assert_eq!(std::fs::read_to_string(other).unwrap(), "other's");
    // Where the data folder is below /tmp, what is made in its place is made in the private one.
    let new = house.data.join("new");
    house.run(&policy, &format!("echo x > {}", new.display())).await;
    assert!(!new.exists());
}

/// Says which of the calls it makes were let through.
const PYTHON: &str = r#"python3 -c '
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, call):
    try: result = call()
    except OSError as error: result = os.strerror(error.errno)
    print(name, result)
def raw(*args):
    if libc.syscall(*args) == -1: raise OSError(ctypes.get_errno(), "")
    return "done"
tried("ptrace", lambda: raw(101, 0, 0, 0, 0))
tried("keyctl", lambda: raw(250, 0, -3, 1))
tried("io_uring", lambda: raw(425, 0, 0))
tried("x32", lambda: raw(0x40000000 + 39))
tried("userns", lambda: raw(272, 0x10000000))
try: os.setuid(0)
except OSError: print("setuid refused")
tried("unix", lambda: socket.socket(socket.AF_UNIX).close())
tried("inet", lambda: socket.socket(socket.AF_INET).close())
tried("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).close())
tried("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close())
tried("pair", lambda: [s.close() for s in socket.socketpair()])
'"#;

#[tokio::test]
async fn calls_that_lead_out_are_refused() {
    let house = House::new();
    let always = "ptrace Operation not permitted\nkeyctl Operation not permitted\nio_uring Operation not permitted\n\
                  x32 Function not implemented\nuserns Operation not permitted\nsetuid refused\n";
    let open = format!(
        "{always}unix None\ninet None\nvsock Address family not supported by protocol\n\
         mptcp Address family not supported by protocol\npair [None, None]"
    );
    let no = "Operation not permitted";
    let closed = format!("{always}unix {no}\ninet {no}\nvsock {no}\nmptcp {no}\npair [None, None]");
    for (network, expected) in [(Network::All, &open), (Network::Loopback, &open), (Network::None, &closed)] {
        let policy = Policy { network, ..house.policy() };
        assert_eq!(house.run(&policy, PYTHON).await, (expected.clone(), Ended::Exit(0)), "{network:?}");
    }
}

/// With the layers off that guard it, the same is let through: the tests above can fail.
#[tokio::test]
async fn without_its_layers_an_attempt_succeeds() {
    let house = House::new();
    let files = house.policy().without(Layer::Files).without(Layer::View).without(Layer::User);
    let other = format!("cat {}", house.other.join("notes").display());
    assert_eq!(house.run(&files, &other).await, ("other's".to_owned(), Ended::Exit(0)));
    let syscalls = Policy { network: Network::None, ..house.policy() }.without(Layer::Syscalls);
    let (output, _) = house.run(&syscalls, PYTHON).await;
    assert!(output.contains("inet None"), "{output}");
}

/// What one command leaves is there for the next: but for its processes.
#[tokio::test]
async fn commands_of_a_session_share_a_network_of_their_own() {
    let house = House::new();
    let policy = Policy { network: Network::Loopback, ..house.policy() };
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
    let (output, _) = house.run(&policy, &fill.replace("> f", "> /tmp/f")).await;
    assert!(output.starts_with("[ended: "), "{output}");
}

#[tokio::test]
async fn what_a_command_may_use_up_is_limited() {
    let house = House::new();
    let limits = Limits { memory: 64 << 20, cpu_time: 1, file_size: 1 << 20, open_files: 32, processes: 16 };
    let policy = Policy { limits, ..house.policy() };
    let cases = [
        ("python3 -c 'bytearray(100 << 20)' 2>&1 | tail -1", "MemoryError"),
        ("while :; do :; done", ""),
        ("head -c 2000000 /dev/zero > f; stat -c %s f", "File size limit exceeded\n1048576"),
        (
            "python3 -c '[open(\"/dev/null\") for _ in range(40)]' 2>&1 | tail -1 | cut -d: -f2",
            " [Errno 24] Too many open files",
        ),
        ("for i in $(seq 30); do sleep 5 & done 2>&1 | grep -c 'annot fork'", "1"),
    ];
    for (script, expected) in cases {
        let (output, ended) = house.run(&policy, script).await;
        assert_eq!(output.trim_end(), expected, "{script}: {ended:?}");
    }
}
