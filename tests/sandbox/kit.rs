//! What attempts are made with: the daemon's binary, and this test itself as a program that makes system calls.
//!
//! Both lie where every user of the machine can run them, which is not so for what cargo builds in a home folder.

use crate::support::temp;
use rustix::fs::XattrFlags;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;

/// Where a test that was started by another one finds the daemon's binary.
pub const NUNCIO: &str = "NUNCIO_UNDER_TEST";

/// `cap_net_raw=ep`, as it is kept with a file.
const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The tests share one, which is gone with the last of them.
static SHARED: Mutex<Weak<Kit>> = Mutex::new(Weak::new());

pub struct Kit {
    _temp: Option<TempDir>,
    pub folder: PathBuf,
    pub nuncio: PathBuf,
    pub attacker: PathBuf,
    /// The attacker as root's, setuid, and with a capability. Only root can make them.
    pub setuid: PathBuf,
    pub capable: PathBuf,
}

impl Kit {
    pub fn get() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let kit = Arc::new(Self::make());
            *shared = Arc::downgrade(&kit);
            kit
        })
    }

    fn make() -> Self {
        let this = std::env::current_exe().unwrap();
        let (temp, folder) = match std::env::var_os(NUNCIO) {
            Some(nuncio) => (None, Path::new(&nuncio).parent().unwrap().to_owned()),
            None => {
                let temp = temp();
                let folder = temp.path().canonicalize().unwrap();
                fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
                put(Path::new(env!("CARGO_BIN_EXE_nuncio")), &folder.join("nuncio"));
                put(&this, &folder.join("attacker"));
                (Some(temp), folder)
            }
        };
        let [nuncio, attacker, setuid, capable] =
            ["nuncio", "attacker", "setuid", "capable"].map(|name| folder.join(name));
        if temp.is_some() && crate::house::is_root() {
            for copy in [&setuid, &capable] {
                fs::copy(&this, copy).unwrap();
            }
            fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).unwrap();
            rustix::fs::setxattr(&capable, "security.capability", &NET_RAW, XattrFlags::empty()).unwrap();
        }
        Self { _temp: temp, folder, nuncio, attacker, setuid, capable }
    }
}

fn put(file: &Path, place: &Path) {
    if fs::hard_link(file, place).is_err() {
        fs::copy(file, place).unwrap();
    }
}
