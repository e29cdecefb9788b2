//! All of it once more as a user without rights.

use crate::house::is_root;
use crate::kit::{Kit, NUNCIO};
use crate::support::temp;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Nobody, and not the nobody that commands of root run as.
const ORDINARY: u32 = 65533;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test itself, as somebody else")]
fn the_same_as_an_ordinary_user() {
    if !is_root() {
        let _ = writeln!(std::io::stderr(), "skipped: the attempts as root, as this is none");
        return;
    }
    let (kit, temp) = (Kit::get(), temp());
    chown(temp.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
    let mut tests = Command::new(&kit.attacker);
    tests.args(["--skip", "ordinary", "--color", "never"]);
    tests.env(NUNCIO, &kit.nuncio).env("TMPDIR", temp.path()).env("HOME", temp.path()).current_dir(temp.path());
    let done = tests.uid(ORDINARY).gid(ORDINARY).output().unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let _ = std::io::stderr().write_all(&done.stderr);
    assert!(done.status.success(), "as an ordinary user:\n{}{}", told(&done.stdout), told(&done.stderr));
}
