//! `/v1/models`.

use crate::support::{Daemon, client};
use serde_json::{Value, json};

#[tokio::test]
async fn the_profiles_are_the_models() {
    let daemon =
        Daemon::with("upstreams: {default: {kind: rehearsal}}\nprofiles: {ann: {}, org/bob: {description: Builds}}\n");
    let get = async |path: &str| {
        let response = client().get(daemon.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, mut list) = get("/v1/models").await;
    let created = list["data"][0]["created"].clone();
    assert!(created.as_u64().is_some_and(|created| created > 1_700_000_000), "{created}");
    let ann = json!({"id": "ann", "object": "model", "created": created, "owned_by": "nuncio"});
    let mut bob = json!({"id": "org/bob", "description": "Builds"});
    for key in ["object", "created", "owned_by"] {
        bob[key] = ann[key].clone();
    }
    assert_eq!((status, list.take()), (200, json!({"object": "list", "data": [&ann, &bob]})));
    assert_eq!(get("/v1/models/org/bob").await, (200, bob));
    let error = json!({"error": {
        "message": "The model `eve` does not exist. There is: `ann`, `org/bob`.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }});
    assert_eq!(get("/v1/models/eve").await, (404, error));
}
