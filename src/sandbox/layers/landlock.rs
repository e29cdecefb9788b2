//! Landlock: which files, which TCP ports, and that signals and abstract sockets stay inside.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Refusal, at, system};
use crate::sandbox::policy::{Layer, Policy};

/// The newest rights that this was written for. What the kernel does not have of them is left out.
const NEWEST: ABI = ABI::V10;

/// The kernel's flag for asking which version it has.
const VERSION: libc::c_ulong = 1;

/// What the layers need: before version 3 files outside could be emptied, before 4 there were no ports, before 6 no
/// scopes.
const NEEDED: [(Layer, i64, &str); 3] =
    [(Layer::Files, 3, "6.2"), (Layer::Ports, 4, "6.7"), (Layer::Scopes, 6, "6.12")];

/// The version the kernel has.
fn version() -> io::Result<i64> {
    // SAFETY: with this flag the call takes nothing and makes nothing.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0, VERSION) };
    if version < 0 { Err(io::Error::last_os_error()) } else { Ok(version) }
}

/// Restricts this process to what the policy allows, in the layers it is given. `tmp` is the private one.
pub fn apply(layers: &[Layer], policy: &Policy, workspace: &Path, tmp: &Path) -> Result<(), Refusal> {
    let Some(first) = layers.first().copied() else { return Ok(()) };
    let version = version().map_err(|error| at(first, format!("Landlock is not there: {error}")))?;
    for (layer, needed, kernel) in NEEDED {
        if layers.contains(&layer) && version < needed {
            return Err(at(
                layer,
                format!("Landlock has version {version} of {needed}, which came with Linux {kernel}"),
            ));
        }
    }
    restrict(layers, policy, workspace, tmp).map_err(|error| at(first, error))
}

fn restrict(layers: &[Layer], policy: &Policy, workspace: &Path, tmp: &Path) -> Result<(), RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    if layers.contains(&Layer::Files) {
        ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST))?;
    }
    if layers.contains(&Layer::Ports) {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    if layers.contains(&Layer::Scopes) {
        ruleset = ruleset.scope(Scope::from_all(NEWEST))?;
    }
    let mut ruleset = ruleset.create()?;
    if layers.contains(&Layer::Files) {
        ruleset = allow_files(ruleset, policy, workspace, tmp)?;
    }
    ruleset.restrict_self()?;
    Ok(())
}

fn allow_files(
    mut ruleset: RulesetCreated,
    policy: &Policy,
    workspace: &Path,
    tmp: &Path,
) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    for path in system::readable().iter().chain(&policy.read) {
        ruleset = allow(ruleset, path, read)?;
    }
    for path in ["/proc", "/dev/fd"] {
        ruleset = allow(ruleset, Path::new(path), read)?;
    }
    for path in system::DEVICES {
        ruleset = allow(ruleset, Path::new(path), device)?;
    }
    for path in policy.write.iter().map(AsRef::as_ref).chain([workspace, tmp]) {
        ruleset = allow(ruleset, path, write)?;
    }
    if policy.wants(Layer::View) && !policy.broken.contains_key(&Layer::View) {
        for path in super::mounts::OWN_FOLDERS {
            ruleset = allow(ruleset, Path::new(path), write)?;
        }
        for path in super::mounts::OWN_DEVICES {
            ruleset = allow(ruleset, Path::new(path), read | device)?;
        }
    }
    Ok(ruleset)
}

/// What is not there needs no rule.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(ruleset) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    ruleset.add_rule(PathBeneath::new(opened, access))
}
