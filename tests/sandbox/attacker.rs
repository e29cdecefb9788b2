//! This test as a program inside the sandbox: it makes the system calls that a shell has no words for.

use libc::{c_int, c_long};
use std::io::{self, Write};
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

/// Does in a process of its own what `ATTACK` says, and ends with 0 if that has led anywhere.
#[test]
#[ignore = "a role in other tests"]
fn role() {
    let Ok(attack) = std::env::var("ATTACK") else { return };
    let words: Vec<&str> = attack.split(' ').collect();
    let told = match in_child(|| attempt(&words)) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stdout(), "{error}");
            1
        }
    };
    std::process::exit(told);
}

/// Some calls want a process with one thread, and some end the process.
fn in_child(attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: the child of this process with a main thread that waits uses its memory as it is.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = attempt().map_or_else(|error| error.raw_os_error().unwrap_or(255), |()| 0);
            // SAFETY: nothing of the test's may run here.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the place for the status is there.
            checked(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
            match (libc::WIFSIGNALED(status), libc::WEXITSTATUS(status)) {
                (true, _) => Err(io::Error::other(format!("killed by signal {}", libc::WTERMSIG(status)))),
                (false, 0) => Ok(()),
                (false, error) => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

fn attempt(words: &[&str]) -> io::Result<()> {
    let number = |at: usize| words[at].parse::<c_long>().unwrap();
    match words {
        ["call", name] => looked_at(crate::calls::make(name)),
        ["root"] => is(rustix::process::geteuid().is_root()),
        ["capability"] => is(!rustix::thread::capabilities(None).map(|sets| sets.effective.is_empty())?),
        ["become", "root"] => call(libc::SYS_setresuid, [0, 0, 0, 0]),
        ["ptrace", _] => call(libc::SYS_ptrace, [i64::from(libc::PTRACE_SEIZE), number(1), 0, 0]),
        ["memory", _] => read_memory(number(1)),
        ["limit", _] => set_limit(number(1)),
        ["int80"] => int80(),
        ["socket", _, _, _] => socket(number(1), number(2), number(3)).map(drop),
        ["tcp", _] => TcpStream::connect(local(number(1))).map(drop),
        ["listen"] => TcpListener::bind(local(0)).map(drop),
        ["udp", _] => UdpSocket::bind(local(0))?.send_to(b"x", local(number(1))).map(drop),
        ["unix", path] => UnixStream::connect(path).map(drop),
        ["abstract", name] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop),
        // A pair is made without `socket`, and one end of it can be told to send somewhere else.
        ["pair", path] => UnixDatagram::pair()?.0.send_to(b"x", path).map(drop),
        ["streams"] => UnixStream::pair().map(drop),
        ["segment", _] => attach(number(1)),
        ["fork", _] => fork_many(number(1)),
        ["map", _, shared] => map(number(1), shared == &"shared"),
        ["open", _] => open_many(number(1)),
        ["spin", _] => spin(Duration::from_millis(number(1).unsigned_abs())),
        ["swap", first, second, _] => swap(first, second, number(3)),
        other => panic!("no attack: {other:?}"),
    }
}

fn is(reached: bool) -> io::Result<()> {
    if reached { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}

/// Whether the kernel has looked at what was asked: it says something else than that it may not be.
fn looked_at(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if ![libc::EPERM, libc::EACCES, libc::ENOSYS, libc::ESRCH, libc::EAFNOSUPPORT]
                .map(Some)
                .contains(&error.raw_os_error()) =>
        {
            Ok(())
        }
        result => result,
    }
}

pub fn call(number: c_long, arguments: [c_long; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: whoever asks gives pointers that are null or outlive the call.
    checked(unsafe { libc::syscall(number, a, b, c, d, NULL, NULL) }).map(drop)
}

pub fn checked<T: Default + PartialOrd>(result: T) -> io::Result<T> {
    if result < T::default() { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn local(port: c_long) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap())
}

fn socket(family: c_long, kind: c_long, protocol: c_long) -> io::Result<OwnedFd> {
    let [family, kind, protocol] = [family, kind, protocol].map(|word| c_int::try_from(word).unwrap());
    // SAFETY: the descriptor is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(checked(libc::socket(family, kind, protocol))?) })
}

/// A byte of what the process is made of.
fn read_memory(pid: c_long) -> io::Result<()> {
    let mut byte = 0u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // A wrong address is found out only after the right to look.
    let remote = libc::iovec { iov_base: 8 as *mut _, iov_len: 1 };
    let words = [pid, (&raw const local) as c_long, 1, (&raw const remote) as c_long];
    // SAFETY: both descriptions outlive the call.
    let read =
        unsafe { libc::syscall(libc::SYS_process_vm_readv, words[0], words[1], words[2], words[3], 1 as c_long, NULL) };
    looked_at(checked(read).map(drop))
}

/// Takes its open files away from another process.
fn set_limit(pid: c_long) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    call(libc::SYS_prlimit64, [pid, libc::RLIMIT_NOFILE.into(), (&raw const limit) as c_long, 0])
}

/// `getpid` through the door for 32-bit programs, which has numbers of its own.
#[cfg(target_arch = "x86_64")]
fn int80() -> io::Result<()> {
    let mut result: i32 = 20;
    // SAFETY: the call takes nothing and changes nothing but the register of its result.
    unsafe { std::arch::asm!("int 0x80", inout("eax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _) }
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn int80() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// They all end when this one does.
fn fork_many(count: c_long) -> io::Result<()> {
    let mut children = Vec::new();
    let mut result = Ok(());
    for _ in 0..count {
        // SAFETY: the child does nothing but wait for a signal.
        match unsafe { libc::fork() } {
            -1 => {
                result = Err(io::Error::last_os_error());
                break;
            }
            0 => loop {
                // SAFETY: plain system calls.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                std::thread::sleep(Duration::from_secs(10));
            },
            child => children.push(child),
        }
    }
    for child in children {
        // SAFETY: it is this process's own and was not collected yet.
        unsafe { libc::kill(child, libc::SIGKILL) };
        // SAFETY: as before; how it ended does not matter.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    result
}

/// Memory that is really used.
fn map(mebibytes: c_long, is_shared: bool) -> io::Result<()> {
    let length = usize::try_from(mebibytes).unwrap() << 20;
    let kind = if is_shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, kind | libc::MAP_ANONYMOUS | libc::MAP_POPULATE);
    // SAFETY: the kernel chooses the place, and nothing else is there.
    match unsafe { libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Memory that somebody else has made.
fn attach(segment: c_long) -> io::Result<()> {
    // SAFETY: the kernel chooses the place, and nothing else is there.
    match unsafe { libc::shmat(c_int::try_from(segment).unwrap(), std::ptr::null(), 0) } as isize {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn open_many(count: c_long) -> io::Result<()> {
    (0..count).map(|_| std::fs::File::open("/dev/null")).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Uses so much processor time.
fn spin(time: Duration) -> io::Result<()> {
    let used = || {
        let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the place for the time is there.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut used) };
        Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
    };
    while used() < time {}
    Ok(())
}

/// Exchanges two names again and again, in one step each time.
fn swap(first: &str, second: &str, milliseconds: c_long) -> io::Result<()> {
    let end = Instant::now() + Duration::from_millis(milliseconds.unsigned_abs());
    while Instant::now() < end {
        let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
        rustix::fs::renameat_with(here, first, here, second, flags)?;
    }
    Ok(())
}

/// A child to do something to, and what was done to it.
pub fn with_child(attack: impl FnOnce(c_long) -> io::Result<()>) -> io::Result<()> {
    // SAFETY: the child does nothing but wait.
    match checked(unsafe { libc::fork() })? {
        0 => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        child => {
            let result = attack(child.into());
            // SAFETY: it is this process's own and was not collected yet.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: as before.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            result
        }
    }
}

/// A descriptor that stands for a process.
pub fn pidfd(pid: c_long) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(checked(libc::syscall(libc::SYS_pidfd_open, pid, 0))? as c_int) })
}

/// A handle to the working folder, and what opens it again without looking at the folders above.
pub fn open_by_handle() -> io::Result<()> {
    let mut handle = [0u32; 2 + 32];
    handle[0] = u32::try_from(size_of::<[u32; 32]>()).unwrap();
    let mut mount: c_int = 0;
    let here = std::fs::File::open(".")?;
    // SAFETY: all of these outlive the calls, and the handle says its length.
    unsafe {
        let (name, handle) = (c".".as_ptr(), handle.as_mut_ptr());
        checked(libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, name, handle, &raw mut mount, 0))?;
        checked(libc::syscall(libc::SYS_open_by_handle_at, here.as_raw_fd(), handle, libc::O_RDONLY)).map(drop)
    }
}

/// A pointer to nothing.
pub const NULL: c_long = 0;
