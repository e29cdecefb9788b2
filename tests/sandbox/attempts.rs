//! The first attempts: each fails, and what it is not about works.

use crate::House;
use nuncio::sandbox::{Ended, Layer, Level, Network, Policy};

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
        format!("echo x > {}", house.data.join("new").display()),
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
    assert!(!house.data.join("new").exists());
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
tried("setuid", lambda: os.setuid(0))
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
                  x32 Function not implemented\nuserns Operation not permitted\nsetuid Operation not permitted\n";
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
