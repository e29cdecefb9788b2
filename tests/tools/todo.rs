//! `todo`: the last call is the plan.

use super::Desk;
use serde_json::{Value, json};

fn plan(steps: &[(&str, &str)]) -> Value {
    let steps: Vec<Value> = steps.iter().map(|(text, status)| json!({"text": text, "status": status})).collect();
    json!({"steps": steps})
}

#[tokio::test]
async fn a_plan_is_summed_up_for_people_and_for_the_model() {
    let desk = Desk::new();
    let cases = [
        (plan(&[]), "no steps", "There is no plan any more."),
        (plan(&[("read", "pending"), ("write", "pending")]), "1/2: read", "0 of 2 steps done. Next: read"),
        (
            plan(&[("read", "done"), ("write\nit", "pending"), ("run", "in_progress")]),
            "2/3: run",
            "1 of 3 steps done. Next: run",
        ),
        (plan(&[("read", "done")]), "1/1: done", "All steps are done."),
    ];
    for (arguments, summary, answer) in cases {
        assert_eq!(desk.tools.get("todo").unwrap().summary(&arguments), summary, "{arguments}");
        assert_eq!(desk.ok("todo", arguments).await, answer);
    }
    assert_eq!(desk.tools.get("todo").unwrap().summary(&json!({"steps": "none"})), "");
    let long = desk.told("todo", plan(&[("x", "pending"); 51])).await;
    assert_eq!(long, "A plan of 51 steps is none: state at most 50.");
    let told = desk.told("todo", plan(&[("x", "completed")])).await;
    assert!(told.contains("pending") && told.contains("in_progress") && told.contains("done"), "{told}");
}
