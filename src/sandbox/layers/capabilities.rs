//! No rights of root, and no way to have them again.

use std::io;

use rustix::io::Errno;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
    set_capabilities_secure_bits,
};

/// More than any kernel knows; it says itself where its own end.
const MAX_CAPABILITIES: libc::c_ulong = 64;

/// What a program could be given at exec. To be called while there is still the right to take it away; for who never
/// had it, the set is of no use and stays.
pub fn bound() -> io::Result<()> {
    for capability in 0..MAX_CAPABILITIES {
        // SAFETY: a plain system call that changes this thread alone.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            match Errno::from_io_error(&io::Error::last_os_error()) {
                Some(Errno::INVAL) => break,
                Some(Errno::PERM) => return Ok(()),
                _ => return Err(io::Error::last_os_error()),
            }
        }
    }
    let root_is_nobody = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    match set_capabilities_secure_bits(root_is_nobody) {
        // Where there was nothing to drop there is nothing to lock.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What this process has. To be called after the change of user, which needs it.
pub fn drop_all() -> io::Result<()> {
    match clear_ambient_capability_set() {
        // A kernel before 4.3 has no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}
