//! Floods, each bounded to little more than what it is limited to.

use crate::attempt::{Attempt, all_fail};
use nuncio::sandbox::Layer::{Group, Limits};

pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new(
        "a flood of processes",
        "@fork 300",
        &[(Limits, "temporarily unavailable"), (Group, "temporarily unavailable")],
    )
    .under(|policy| policy.limits.processes = 50),
    Attempt::new("a flood of memory", "@map 200 private", &[(Limits, "Cannot allocate memory"), (Group, "")])
        .under(|policy| policy.limits.memory = 100 << 20),
    // The limit of a process is about its own memory.
    Attempt::new("a flood of shared memory", "@map 200 shared", &[(Group, "")])
        .under(|policy| policy.limits.memory = 100 << 20),
    Attempt::new("a flood of open files", "@open 200", &[(Limits, "Too many open files")])
        .under(|policy| policy.limits.open_files = 50),
    Attempt::new("a large file", "head -c 2000000 /dev/zero > large", &[(Limits, "File size limit")])
        .under(|policy| policy.limits.file_size = 1 << 20),
    Attempt::new("a loop without end", "@spin 2500", &[(Limits, "killed by signal")])
        .under(|policy| policy.limits.cpu_time = 1),
    Attempt::new("a core file", "ulimit -c 1", &[(Limits, "")]),
    Attempt::new("a higher limit", "ulimit -n 60", &[(Limits, "")]).under(|policy| policy.limits.open_files = 50),
];

#[tokio::test]
async fn what_a_command_uses_up_is_bounded() {
    all_fail(ATTEMPTS).await;
}
