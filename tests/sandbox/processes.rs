//! Processes of others.

use crate::attempt::{Attempt, all_fail};
use nuncio::sandbox::Layer::{Processes, Scopes, User};

const NO: &str = "not permitted";
const NOBODY: &str = "No such process";

const ATTEMPTS: &[Attempt] = &[
    Attempt::new("ending the daemon", "kill {daemon}", &[(Processes, NOBODY), (Scopes, NO), (User, NO)]),
    Attempt::new("stopping the daemon", "kill -STOP {daemon}", &[(Processes, NOBODY), (Scopes, NO), (User, NO)]),
    Attempt::new("ending another session's command", "kill {sibling}", &[(Processes, NOBODY), (Scopes, NO)]),
    Attempt::new("taking its open files from another session", "@limit {sibling}", &[(Processes, NOBODY)]),
];

#[tokio::test]
async fn others_are_left_alone() {
    all_fail(ATTEMPTS).await;
}
