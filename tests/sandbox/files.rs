//! Files outside of the workspace, by every way there is to a file.

use crate::attempt::{Attempt, all_fail};
use nuncio::sandbox::Layer;
use nuncio::sandbox::Layer::{Capabilities, Files, Processes, Scopes, User, View};

const NO: &str = "Permission denied";
const OPERATION: &str = "Operation not permitted";
const NOWHERE: &str = "No such file";

/// Of the daemon's user.
const THE_DAEMON_S: &[(Layer, &str)] = &[(View, NOWHERE), (Files, NO), (User, NO)];
/// Of the user that all commands run as.
const SHARED: &[(Layer, &str)] = &[(View, NOWHERE), (Files, NO)];
/// What can be asked of a process by whoever could trace it.
const OF_A_PROCESS: &[(Layer, &str)] =
    &[(Processes, NOWHERE), (View, NO), (Files, NO), (Scopes, NO), (User, NO), (Capabilities, NO)];
/// Who may watch the whole machine's performance may also read this much, whatever Landlock says.
const OF_A_PROCESS_FOR_ROOT: &[(Layer, &str)] = &[(Processes, NOWHERE), (View, NO), (User, NO), (Capabilities, NO)];
/// The parent is the supervisor, or with namespaces their first process.
const OF_ITS_PARENT: &[(Layer, &str)] =
    &[(Processes, NO), (View, NO), (Files, NO), (Scopes, NO), (User, NO), (Capabilities, NO)];
const OF_A_SIBLING: &[(Layer, &str)] = &[(Processes, NOWHERE), (View, NO), (Files, NO), (Scopes, NO)];

pub const READS: &[Attempt] = &[
    Attempt::new("passwords", "cat /etc/shadow", THE_DAEMON_S).for_root(),
    Attempt::new("the database", "cat {data}/nuncio.db", THE_DAEMON_S),
    Attempt::new("another session's notes", "cat {other}/notes", SHARED),
    Attempt::new("another session's folder", "ls {other}", SHARED),
    Attempt::new("whether a session exists", "stat {other}", &[(View, NOWHERE)]),
    Attempt::new("another session's /tmp", "cat {data}/tmp/other/draft", SHARED),
    Attempt::new("a symlink out", "ln -s {other}/notes link && cat link", SHARED),
    Attempt::new("a chain of links", "ln -s .. up; ln -s up/other next; cat next/notes", SHARED),
    Attempt::new("the folders above", "cat ../other/notes", SHARED),
    Attempt::new("its parent's memory", ": < /proc/$PPID/mem", OF_ITS_PARENT),
    Attempt::new("its parent's root", "cat /proc/$PPID/root{other}/notes", OF_ITS_PARENT),
    Attempt::new("the daemon's root", "cat /proc/{daemon}/root{other}/notes", OF_A_PROCESS),
    Attempt::new("the daemon's working folder", "ls /proc/{daemon}/cwd/etc", OF_A_PROCESS),
    Attempt::new("the daemon's environment", "grep -a secret /proc/{daemon}/environ", OF_A_PROCESS_FOR_ROOT).for_root(),
    Attempt::new("another session's environment", "grep -a secret /proc/{sibling}/environ", OF_A_SIBLING),
    Attempt::new("the daemon's open files", "readlink -v /proc/{daemon}/fd/0", OF_A_PROCESS),
    Attempt::new("the daemon's memory", ": < /proc/{daemon}/mem", OF_A_PROCESS),
    Attempt::new("the daemon's command line", "cat /proc/{daemon}/cmdline", &[(Processes, NOWHERE)]),
    Attempt::new(
        "the raw disk",
        "while read a b c name; do [ -b /dev/$name ] && disk=/dev/$name; done < /proc/partitions; \
         head -c 1 ${disk:-/dev/no-disk}",
        &[(View, NOWHERE), (Files, NO), (User, NO)],
    )
    .for_root()
    .needing(no_disk),
    Attempt::new(
        "a device of its own making",
        "mknod full c 1 7 && head -c 1 full",
        &[(Files, NO), (Capabilities, OPERATION), (User, OPERATION), (View, OPERATION), (Processes, OPERATION)],
    )
    .for_root(),
];

pub const WRITES: &[Attempt] = &[
    Attempt::new("a file of another session", "echo x >> {other}/notes", &[(View, "nonexistent"), (Files, NO)]),
    Attempt::new("a new file outside", "echo x > {outside}/new", &[(View, "nonexistent"), (Files, NO)]),
    Attempt::new("emptying a file outside", ": > {outside}/file", &[(View, "nonexistent"), (Files, NO)]),
    Attempt::new("what can only be read", "echo x >> {library}/lib", &[(User, NO), (View, "Read-only"), (Files, NO)]),
    Attempt::new(
        "deleting what can only be read",
        "rm -f {library}/lib",
        &[(View, "Read-only"), (Files, NO), (User, NO)],
    ),
    Attempt::new("a folder outside", "mkdir {outside}/folder", SHARED),
    Attempt::new("deleting a file outside", "rm {outside}/file", SHARED),
    Attempt::new("moving a file in", "mv {outside}/file mine", SHARED),
    Attempt::new("moving a file out", "touch mine && mv mine {outside}/mine", &[(View, ""), (Files, NO)]),
    Attempt::new(
        "another name for a file outside",
        "ln {outside}/file mine && echo x >> mine",
        &[(View, NOWHERE), (Files, "Invalid cross-device link")],
    ),
    Attempt::new(
        "a symlink in the way of a file",
        "ln -s {outside}/new mine && echo x > mine",
        &[(View, "nonexistent"), (Files, NO)],
    ),
    Attempt::new(
        "moving the workspace away",
        "mv {workspace} {workspace}-gone",
        &[(View, ""), (Files, NO), (User, NO)],
    ),
    Attempt::new(
        "a symlink in the place of the workspace",
        "cd / && rmdir {workspace} && ln -s / {workspace}",
        &[(View, ""), (Files, NO), (User, NO)],
    ),
    Attempt::new(
        "a setting of the kernel",
        "now=$(cat /proc/sys/kernel/printk_ratelimit) && echo $now > /proc/sys/kernel/printk_ratelimit",
        &[(Files, NO), (User, NO)],
    )
    .for_root(),
    Attempt::new(
        "a setting of the memory",
        "now=$(cat /sys/kernel/mm/ksm/run) && echo $now > /sys/kernel/mm/ksm/run",
        &[(View, "Read-only"), (Files, NO), (User, NO)],
    )
    .for_root()
    .needing(no_setting),
];

#[tokio::test]
async fn what_is_outside_is_not_read() {
    all_fail(READS).await;
}

#[tokio::test]
async fn nor_written() {
    all_fail(WRITES).await;
}

fn no_disk() -> Option<&'static str> {
    let partitions = std::fs::read_to_string("/proc/partitions").unwrap_or_default();
    let mut last =
        partitions.lines().filter_map(|line| line.split_whitespace().nth(3)).map(|name| format!("/dev/{name}"));
    let opened = last.next_back().and_then(|disk| std::fs::File::open(disk).ok());
    opened.is_none().then_some("a disk that root can read")
}

fn no_setting() -> Option<&'static str> {
    (!std::path::Path::new("/sys/kernel/mm/ksm/run").exists()).then_some("CONFIG_KSM")
}
