use super::*;
use crate::core::id::RunId;
use crate::core::ports::tool::{Activity, Who};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(20);

/// Works until nobody waits, and leaves a file then.
struct Endless;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl FileTool for Endless {
    const NAME: &'static str = "endless";
    const DESCRIPTION: &'static str = "";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Nothing;

    fn summary(_: &Value) -> String {
        String::new()
    }

    fn run(_: Nothing, scope: &Scope) -> Result<String, ToolError> {
        for _ in 0..2 * LONG.as_millis() {
            if let Err(end) = scope.check() {
                scope.workspace.replace(&scope.workspace.locate("ended")?, b"")?;
                return Err(end);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nobody said that nobody waits")
    }
}

/// Panics.
struct Faulty;

impl FileTool for Faulty {
    const NAME: &'static str = "faulty";
    const DESCRIPTION: &'static str = "";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Nothing;

    fn summary(_: &Value) -> String {
        String::new()
    }

    fn run(_: Nothing, _: &Scope) -> Result<String, ToolError> {
        panic!("as it does")
    }
}

fn context(workspace: &std::path::Path) -> ToolContext {
    let workspace = workspace.canonicalize().unwrap().into();
    ToolContext {
        run: RunId::new(Uuid::nil()),
        call_id: "c1".into(),
        who: Arc::new(Who { principal: "ann".into(), user: None, profile: "nuncio".into() }),
        session: "s1".into(),
        workspace,
        time_limit: LONG,
        activity: Activity::silent(),
    }
}

/// None of them matters here.
fn settings() -> Arc<ToolSettings> {
    Arc::new(ToolSettings {
        output_limit: 1,
        read_limit: 1,
        max_matches: 1,
        terminal_max_time: Duration::from_secs(1),
        shell: String::new(),
        fetch_url: crate::tools::fetch_url::FetchSettings::default(),
        web_search: None,
    })
}

#[tokio::test]
async fn work_that_nobody_waits_for_ends() {
    let workspace = tempfile::tempdir().unwrap();
    let call = Confined::<Endless>::new(&settings()).call(json!({}), context(workspace.path()));
    timeout(Duration::from_millis(100), call).await.expect_err("it works on while it is waited for");
    let ended = async {
        while !workspace.path().join("ended").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, ended).await.unwrap();
}

#[tokio::test]
async fn a_panic_is_our_fault() {
    let workspace = tempfile::tempdir().unwrap();
    let result = Confined::<Faulty>::new(&settings()).call(json!({}), context(workspace.path())).await;
    assert!(
        matches!(&result, Err(ToolError::Fatal(text)) if text.starts_with("faulty ended by itself: ")),
        "{result:?}"
    );
}

#[tokio::test]
async fn arguments_that_slipped_through_are_told() {
    let workspace = tempfile::tempdir().unwrap();
    let result = Confined::<Endless>::new(&settings()).call(json!(3), context(workspace.path())).await;
    let text = "Unusable arguments: invalid type: integer `3`, expected struct Nothing";
    assert_eq!(result, Err(ToolError::TellModel(text.to_owned())));
}
