//! Processes of others, and what they share.

use crate::attempt::{Attempt, all_fail};
use nuncio::sandbox::Layer::{Files, Processes, Scopes, User, View};

const NO: &str = "not permitted";
const INVALID: &str = "Invalid argument";
const NOBODY: &str = "No such process";

pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("ending the daemon", "kill {daemon}", &[(Processes, NOBODY), (Scopes, NO), (User, NO)]),
    Attempt::new("stopping the daemon", "kill -STOP {daemon}", &[(Processes, NOBODY), (Scopes, NO), (User, NO)]),
    Attempt::new("ending another session's command", "kill {sibling}", &[(Processes, NOBODY), (Scopes, NO)]),
    Attempt::new("taking its open files from another session", "@limit {sibling}", &[(Processes, NOBODY)]),
    // Each namespace comes with one of these, which is no layer.
    Attempt::new("shared memory by its number", "@segment {segment}", &[(Processes, INVALID), (View, INVALID)]),
    Attempt::new("shared memory by its name", "cat {memory}", &[(View, "No such file"), (Files, "Permission denied")]),
];

#[tokio::test]
async fn others_are_left_alone() {
    all_fail(ATTEMPTS).await;
}
