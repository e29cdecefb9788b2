//! seccomp: calls that a command has no need of, and that ways out have gone through.

use std::collections::BTreeMap;

use libc::{SYS_clone, SYS_clone3, SYS_ioctl, SYS_socket, SYS_socketpair, SYS_unshare, c_int, c_long};
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::sandbox::policy::Network;

/// Refused whatever their arguments.
const REFUSED: &[c_long] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    // Large parts of the kernel that are new or were often at fault.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    // Keys that belong to the user, not to the process.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Since Linux 6.15, under this number everywhere; libc has no name for it yet.
const OPEN_TREE_ATTR: c_long = 467;

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS_kexec_file_load];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// A namespace of its own would give a command rights that it does not have here.
const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | NEWTIME;
/// libc has no name for it.
const NEWTIME: c_int = 0x80;

/// The kinds of sockets that are used on the net and between programs. Others lead to the hypervisor, to devices, or to
/// parts of the kernel that nobody needs here.
const FAMILIES: [c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Protocols from here on are TCP by another name (MPTCP, SMC), which Landlock does not know.
const UNUSUAL_PROTOCOLS: u64 = 256;

/// A bit that the kinds of sockets without a connection share, and streams and their like do not have.
const DATAGRAMS: u64 = 2;

/// On x86-64 the same calls are there once more for 32-bit pointers, under numbers with this bit.
const X32: u32 = 0x4000_0000;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// The programs that are to be loaded, in this order. What each refuses it refuses with an error of its own.
pub fn programs(network: Network) -> Result<Vec<BpfProgram>, Error> {
    let mut refused: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    refused.insert(SYS_clone, some_flag_of(NAMESPACES)?);
    refused.insert(SYS_unshare, some_flag_of(NAMESPACES)?);
    let injects = [libc::TIOCSTI, libc::TIOCLINUX];
    refused.insert(
        SYS_ioctl,
        injects.iter().map(|request| rule([eq(1, u64::from(*request as u32))?])).collect::<Result<_, _>>()?,
    );
    let mut strange = Rules::new();
    let no_pair = rule([cond(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?])?;
    match network {
        Network::None => {
            refused.insert(SYS_socket, Vec::new());
            // One end of a pair for datagrams can be told to send to any other socket.
            let datagrams = rule([cond(1, SeccompCmpOp::MaskedEq(DATAGRAMS), DATAGRAMS)?])?;
            refused.insert(SYS_socketpair, vec![no_pair, datagrams]);
        }
        Network::Loopback | Network::All => {
            let others = FAMILIES.map(|family| cond(0, SeccompCmpOp::Ne, family as u64));
            let others = SeccompRule::new(others.into_iter().collect::<Result<_, _>>()?)?;
            let unusual = rule([cond(2, SeccompCmpOp::Ge, UNUSUAL_PROTOCOLS)?])?;
            strange.insert(SYS_socket, vec![others, unusual]);
            strange.insert(SYS_socketpair, vec![no_pair]);
        }
    }
    // Its flags are in memory, where a filter cannot look: as if there was none, and libc takes `clone` instead.
    let absent = Rules::from([(SYS_clone3, Vec::new())]);
    let mut programs = vec![other_tables(), compile(absent, libc::ENOSYS)?];
    if !strange.is_empty() {
        programs.push(compile(strange, libc::EAFNOSUPPORT)?);
    }
    programs.push(compile(refused, libc::EPERM)?);
    Ok(programs)
}

/// Loads them. Nothing takes them off again.
pub fn apply(network: Network) -> Result<(), Error> {
    programs(network)?.iter().try_for_each(|program| seccompiler::apply_filter(program))
}

/// A process of another architecture, such as a 32-bit program, is killed: its calls have other numbers.
fn compile(rules: Rules, error: c_int) -> Result<BpfProgram, Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?)
}

/// Refuses calls of the x32 table, which a filter by numbers alone lets through.
fn other_tables() -> BpfProgram {
    let number = 0; // where the call's number is in what a filter looks at
    let statement = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, number),
        statement((libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, 0, 1, X32),
        statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
        statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// One rule for each flag, as a rule is a list of conditions that must all hold.
fn some_flag_of(flags: c_int) -> Result<Vec<SeccompRule>, Error> {
    let bits = (0..c_int::BITS).map(|bit| 1u64 << bit).filter(|bit| u64::from(flags.cast_unsigned()) & bit != 0);
    bits.map(|bit| rule([cond(0, SeccompCmpOp::MaskedEq(bit), bit)?])).collect()
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, Error> {
    Ok(SeccompRule::new(conditions.into())?)
}

fn eq(argument: u8, value: u64) -> Result<SeccompCondition, Error> {
    cond(argument, SeccompCmpOp::Eq, value)
}

fn cond(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?)
}
