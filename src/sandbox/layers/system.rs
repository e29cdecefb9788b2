//! What of the machine a command can read: programs, libraries, certificates, and the settings that they look up.

use std::path::{Component, Path, PathBuf};

/// Programs and libraries, wherever distributions keep them.
const PROGRAMS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/var/cache/fontconfig",
];

/// Of `/etc` only what programs need to run. What is not named stays unread: keys, other services' passwords, and
/// files of this daemon.
const SETTINGS: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "bash_completion.d",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "default/locale",
    "fonts",
    "gai.conf",
    "gitconfig",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "ImageMagick-6",
    "ImageMagick-7",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "mailcap",
    "mime.types",
    "nanorc",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "redhat-release",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "static",
    "terminfo",
    "texmf",
    "timezone",
    "vim",
    "xdg",
];

/// There wherever there are programs.
pub const SHELL: &str = "/bin/sh";

/// What runtimes read to know how many processors and how much memory they have.
const MACHINE: &[&str] = &["/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"];

/// Devices that are no way to anything.
pub const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Everything that can be read, as far as it is there.
pub fn readable() -> Vec<PathBuf> {
    let programs = PROGRAMS.iter().chain(MACHINE).map(PathBuf::from);
    let settings = SETTINGS.iter().map(|name| Path::new("/etc").join(name));
    programs.chain(settings).filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// A symlink on the way to something, or where that is in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Link(PathBuf, PathBuf),
    End(PathBuf),
}

/// As the kernel: more links than that lead nowhere.
const MAX_LINKS: usize = 40;

/// The symlinks that are followed from `path`, which is absolute, and where they lead; nothing if that is not there.
pub fn way_to(path: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match first_link(&path) {
            Some((link, target, rest)) => {
                let folder = link.parent().unwrap_or(Path::new("/"));
                path = plain(&folder.join(&target).join(rest));
                steps.push(Step::Link(link, target));
            }
            None if path.symlink_metadata().is_ok() => {
                steps.push(Step::End(path));
                return steps;
            }
            None => return Vec::new(),
        }
    }
    Vec::new()
}

/// The first part of a path that is a symlink, where it leads, and what comes after it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf, PathBuf)> {
    let mut so_far = PathBuf::new();
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        so_far.push(part);
        if let Ok(target) = so_far.read_link() {
            return Some((so_far, target, parts.as_path().to_owned()));
        }
    }
    None
}

/// Without `.` and `..`. Everything before a `..` was found to be no symlink, or is looked at next.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_one_by_one() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("real/deep")).unwrap();
        std::fs::write(at("real/file"), "").unwrap();
        symlink("real", at("link")).unwrap();
        symlink("../file", at("real/deep/up")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let expected = vec![
            Step::Link(at("link"), "real".into()),
            Step::Link(at("real/deep/up"), "../file".into()),
            Step::End(at("real/file")),
        ];
        assert_eq!(way_to(&at("link/deep/up")), expected);
        assert_eq!(way_to(&at("loop")), []);
        assert_eq!(way_to(&at("link/missing")), []);
    }
}
