//! System calls that ways out have gone through. Each is asked for with harmless arguments.

use crate::attacker::{NULL, call, open_by_handle, pidfd, with_child};
use crate::attempt::{Attempt, all_fail};
use libc::c_long;
use nuncio::sandbox::Layer;
use nuncio::sandbox::Layer::{Capabilities, Files, Privileges, Processes, Scopes, Syscalls, User, View};
use std::io;
use std::os::fd::AsRawFd;

const NO: &str = "Operation not permitted";
const ABSENT: &str = "Function not implemented";

/// What no layer but seccomp keeps from a command.
const ONLY_SECCOMP: &[(Layer, &str)] = &[(Syscalls, NO)];
const NOT_THERE: &[(Layer, &str)] = &[(Syscalls, ABSENT)];
const NO_FAMILY: &[(Layer, &str)] = &[(Syscalls, "Address family not supported")];
/// What root may do, and root in a user namespace not.
const RIGHTS: &[(Layer, &str)] = &[(Syscalls, NO), (Capabilities, NO), (User, NO), (Processes, NO), (View, NO)];
/// What root may do, also in its own user namespace.
const OWN_RIGHTS: &[(Layer, &str)] = &[(Syscalls, NO), (Capabilities, NO), (User, NO)];
/// The same, and Landlock refuses it to everybody.
const MOUNTS: &[(Layer, &str)] = &[(Syscalls, NO), (Capabilities, NO), (User, NO), (Files, NO)];

pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("ptrace of a child", "@call ptrace", ONLY_SECCOMP),
    Attempt::new("reading a child's memory", "@call process_vm_readv", ONLY_SECCOMP),
    Attempt::new("taking a child's descriptor", "@call pidfd_getfd", ONLY_SECCOMP),
    Attempt::new("comparing kernel addresses", "@call kcmp", ONLY_SECCOMP),
    Attempt::new("performance counters", "@call perf_event_open", ONLY_SECCOMP),
    Attempt::new("io_uring", "@call io_uring_setup", ONLY_SECCOMP),
    Attempt::new("userfaultfd", "@call userfaultfd", ONLY_SECCOMP)
        .needing(|| lacks("userfaultfd", "CONFIG_USERFAULTFD")),
    Attempt::new("keyrings", "@call keyctl", ONLY_SECCOMP).needing(|| lacks("keyctl", "CONFIG_KEYS")),
    Attempt::new("a key", "@call add_key", ONLY_SECCOMP).needing(|| lacks("keyctl", "CONFIG_KEYS")),
    Attempt::new("fanotify", "@call fanotify_init", ONLY_SECCOMP),
    Attempt::new("a tree of mounts", "@call open_tree", ONLY_SECCOMP),
    Attempt::new("a tree of mounts by its newer call", "@call open_tree_attr", ONLY_SECCOMP)
        .needing(|| lacks("open_tree_attr", "open_tree_attr of Linux 6.15")),
    Attempt::new("setns", "@call setns", ONLY_SECCOMP),
    Attempt::new("moving pages", "@call move_pages", ONLY_SECCOMP),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("segments", "@call modify_ldt", ONLY_SECCOMP),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("ports of devices", "@call iopl", ONLY_SECCOMP).needing(|| lacks("iopl", "CONFIG_X86_IOPL_IOPERM")),
    Attempt::new("typing into a terminal", "@call tiocsti", ONLY_SECCOMP),
    Attempt::new("typing into a terminal, with a bit that the kernel ignores", "@call tiocsti_high", ONLY_SECCOMP),
    Attempt::new("a user namespace", "@call unshare", ONLY_SECCOMP),
    Attempt::new("a child in a user namespace", "@call clone", ONLY_SECCOMP),
    Attempt::new("clone3, whose flags no filter sees", "@call clone3", NOT_THERE),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("calls by their 32-bit numbers", "@int80", &[(Syscalls, "killed by signal 31")])
        .needing(|| works("int80", "CONFIG_IA32_EMULATION")),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("calls by their x32 numbers", "@call x32", NOT_THERE).needing(|| lacks("x32", "CONFIG_X86_X32_ABI")),
    Attempt::new("a socket to the hypervisor", "@socket 40 1 0", NO_FAMILY)
        .needing(|| family(libc::AF_VSOCK, "CONFIG_VSOCKETS")),
    Attempt::new("a socket to the kernel's ciphers", "@socket 38 5 0", NO_FAMILY)
        .needing(|| family(libc::AF_ALG, "CONFIG_CRYPTO_USER_API")),
    Attempt::new("TCP by another name", "@socket 2 1 262", NO_FAMILY).needing(mptcp),
    Attempt::new(
        "raw packets",
        "@socket 17 3 0",
        &[(Syscalls, "Address family"), (Capabilities, NO), (User, NO), (Processes, NO), (View, NO)],
    )
    .for_root(),
    Attempt::new("open_by_handle_at", "@call open_by_handle_at", RIGHTS).for_root(),
    Attempt::new("a program in the kernel", "@call bpf", RIGHTS).for_root(),
    Attempt::new("another name for the machine", "@call sethostname", RIGHTS).for_root(),
    Attempt::new("a mount", "@call mount", MOUNTS).for_root(),
    Attempt::new("taking off a mount", "@call umount2", MOUNTS).for_root(),
    Attempt::new("a root of its own", "@call chroot", OWN_RIGHTS).for_root(),
    Attempt::new("root again", "@become root", &[(User, NO)]).for_root(),
    // A filter or a Landlock domain is not to be had without giving up such rights.
    Attempt::new(
        "a setuid program",
        "ATTACK=root {setuid}",
        &[(Privileges, NO), (View, NO), (Files, NO), (Scopes, NO), (Syscalls, NO)],
    )
    .for_root(),
    Attempt::new(
        "a program with capabilities",
        "ATTACK=capability {capable}",
        &[(Privileges, NO), (Capabilities, NO), (View, NO), (Files, NO), (Scopes, NO), (Syscalls, NO)],
    )
    .for_root(),
];

/// What is asked of another process.
pub const OTHERS: &[Attempt] = &[
    Attempt::new(
        "ptrace of the daemon",
        "@ptrace {daemon}",
        &[
            (Syscalls, NO),
            (Processes, "No such process"),
            (View, NO),
            (Files, NO),
            (Scopes, NO),
            (User, NO),
            (Capabilities, NO),
        ],
    ),
    Attempt::new(
        "ptrace of another session",
        "@ptrace {sibling}",
        &[(Syscalls, NO), (Processes, "No such process"), (View, NO), (Files, NO), (Scopes, NO)],
    ),
    Attempt::new(
        "reading another session's memory",
        "@memory {sibling}",
        &[(Syscalls, NO), (Processes, "No such process"), (View, NO), (Files, NO), (Scopes, NO)],
    ),
];

#[tokio::test]
async fn calls_that_lead_out_are_refused() {
    all_fail(ATTEMPTS).await;
}

#[tokio::test]
async fn so_are_calls_on_others() {
    all_fail(OTHERS).await;
}

/// Makes one, and says what came of it.
pub fn make(name: &str) -> io::Result<()> {
    let users = c_long::from(libc::CLONE_NEWUSER);
    match name {
        "ptrace" => with_child(|child| call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), child, 0, 0])),
        "process_vm_readv" => with_child(|child| call(libc::SYS_process_vm_readv, [child, NULL, 0, NULL])),
        "pidfd_getfd" => with_child(|child| call(libc::SYS_pidfd_getfd, [pidfd(child)?.as_raw_fd().into(), 0, 0, 0])),
        "kcmp" => with_child(|child| call(libc::SYS_kcmp, [std::process::id().into(), child, 1, 0])),
        "perf_event_open" => call(libc::SYS_perf_event_open, [NULL, 0, -1, -1]),
        "io_uring_setup" => call(libc::SYS_io_uring_setup, [1, NULL, 0, 0]),
        "userfaultfd" => call(libc::SYS_userfaultfd, [1, 0, 0, 0]),
        // The id of the session's keyring, which is made if there is none.
        "keyctl" => call(libc::SYS_keyctl, [0, -3, 1, 0]),
        "add_key" => call(libc::SYS_add_key, [c"user".as_ptr() as c_long, NULL, NULL, 0]),
        "fanotify_init" => call(libc::SYS_fanotify_init, [0x200, 0, 0, 0]),
        "open_tree" => call(libc::SYS_open_tree, [libc::AT_FDCWD.into(), c"/".as_ptr() as c_long, 0, 0]),
        "open_tree_attr" => call(467, [libc::AT_FDCWD.into(), c"/".as_ptr() as c_long, 0, NULL]),
        "setns" => call(libc::SYS_setns, [-1, 0, 0, 0]),
        "move_pages" => call(libc::SYS_move_pages, [0, 0, NULL, NULL]),
        #[cfg(target_arch = "x86_64")]
        "modify_ldt" => call(libc::SYS_modify_ldt, [0, NULL, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        "iopl" => call(libc::SYS_iopl, [0, 0, 0, 0]),
        "tiocsti" => call(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, c"x".as_ptr() as c_long, 0]),
        "tiocsti_high" => call(libc::SYS_ioctl, [0, 1 << 32 | libc::TIOCSTI as c_long, c"x".as_ptr() as c_long, 0]),
        "unshare" => call(libc::SYS_unshare, [users, 0, 0, 0]),
        "clone" => clone(users),
        "clone3" => call(libc::SYS_clone3, [NULL, 0, 0, 0]),
        "x32" => call(0x4000_0000 + libc::SYS_getpid, [0; 4]),
        "open_by_handle_at" => open_by_handle(),
        // A map of one number.
        "bpf" => call(libc::SYS_bpf, [0, [2u32, 4, 4, 1, 0, 0, 0, 0].as_ptr() as c_long, 32, 0]),
        // Too long a name is refused as such.
        "sethostname" => call(libc::SYS_sethostname, [c"x".as_ptr() as c_long, -1, 0, 0]),
        "mount" => {
            let [kind, place] = [c"tmpfs", c"."].map(|word| word.as_ptr() as c_long);
            call(libc::SYS_mount, [kind, place, kind, 0])
        }
        "umount2" => call(libc::SYS_umount2, [c".".as_ptr() as c_long, 0, 0, 0]),
        "chroot" => call(libc::SYS_chroot, [c".".as_ptr() as c_long, 0, 0, 0]),
        other => panic!("no call: {other}"),
    }
}

/// The child is gone at once.
fn clone(flags: c_long) -> io::Result<()> {
    // SAFETY: as `fork`; the child calls one function that returns to nobody.
    match crate::attacker::checked(unsafe {
        libc::syscall(libc::SYS_clone, flags | c_long::from(libc::SIGCHLD), NULL, NULL, NULL, NULL)
    })? {
        // SAFETY: it has nothing to clean up.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

/// What this kernel was built without, as a call finds out that is made out here.
fn lacks(name: &str, feature: &'static str) -> Option<&'static str> {
    make(name).is_err_and(|error| error.raw_os_error() == Some(libc::ENOSYS)).then_some(feature)
}

#[cfg(target_arch = "x86_64")]
fn works(attack: &str, feature: &'static str) -> Option<&'static str> {
    let kit = crate::kit::Kit::get();
    #[expect(clippy::disallowed_methods, reason = "the attacker outside of any sandbox")]
    let mut attacker = std::process::Command::new(&kit.attacker);
    attacker.args(["--ignored", "--exact", "attacker::role", "--nocapture", "--test-threads=1"]);
    (!attacker.env("ATTACK", attack).output().unwrap().status.success()).then_some(feature)
}

fn family(family: i32, feature: &'static str) -> Option<&'static str> {
    let found =
        rustix::net::socket(rustix::net::AddressFamily::from_raw(family as u16), rustix::net::SocketType::STREAM, None);
    (found.err() == Some(rustix::io::Errno::AFNOSUPPORT)).then_some(feature)
}

fn mptcp() -> Option<&'static str> {
    // SAFETY: the descriptor is closed again by nobody but this.
    match unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 262) } {
        -1 => Some("CONFIG_MPTCP"),
        socket => {
            // SAFETY: as before.
            unsafe { libc::close(socket) };
            None
        }
    }
}
