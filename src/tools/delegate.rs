//! `delegate`: a task for another profile, which does it in a run of its own.

use crate::core::item::Part;
use crate::core::ports::delegate::{Delegation, TOOL, Task};
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::tools::{file_tool, schema, text};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What it takes to offer the tool.
#[derive(Clone)]
pub struct Delegating {
    pub to: Vec<Delegate>,
    /// How long a call may take: a task ends by the limits of its profile, and the call with the run at the latest.
    pub time_limit: Duration,
    pub port: Arc<dyn Delegation>,
}

/// A profile that tasks may be handed to.
#[derive(Clone, Debug)]
pub struct Delegate {
    pub profile: String,
    pub description: Option<String>,
}

pub struct DelegateTool {
    spec: ToolSpec,
    time_limit: Duration,
    port: Arc<dyn Delegation>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// Who does it.
    profile: String,
    /// What is to be done, and what to answer with. It is all that the other agent is told, so it must hold everything
    /// that is needed, file names included.
    task: String,
}

const DESCRIPTION: &str = "Hands a task to another agent, which works on it alone with tools and limits of its own, and returns its answer. It \
     knows nothing of this conversation and works in the same workspace, so longer results can be handed over in files. \
     Calls made at once are worked on at the same time.";

impl DelegateTool {
    pub fn new(delegating: Delegating) -> Self {
        let Delegating { to, time_limit, port } = delegating;
        let mut spec = schema::spec::<Arguments>(TOOL, DESCRIPTION);
        let schema = spec.parameters.as_mut();
        if let Some(Value::Object(profile)) = schema.and_then(|schema| schema.pointer_mut("/properties/profile")) {
            let ids: Vec<Value> = to.iter().map(|delegate| delegate.profile.as_str().into()).collect();
            profile.insert("description".to_owned(), who(&to).into());
            profile.insert("enum".to_owned(), ids.into());
        }
        Self { spec, time_limit, port }
    }
}

/// "Who does it", and of those that say it, what each is for.
fn who(to: &[Delegate]) -> String {
    let about = |delegate: &Delegate| {
        let description = text::summary(delegate.description.as_deref()?);
        Some(format!("{}: {description}", delegate.profile))
    };
    let about: Vec<String> = to.iter().filter_map(about).collect();
    match about.is_empty() {
        true => "Who does it.".to_owned(),
        false => format!("Who does it. {}", about.join("; ")),
    }
}

impl Tool for DelegateTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// Its child may do whatever its profile lets it.
    fn annotations(&self) -> Annotations {
        Annotations { time_limit: Some(self.time_limit), ..Annotations::WITH_EFFECTS }
    }

    fn summary(&self, arguments: &Value) -> String {
        let [profile, task] = ["profile", "task"].map(|key| schema::text_at(arguments, key));
        text::summary(&format!("{profile}: {task}"))
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let port = Arc::clone(&self.port);
        async move {
            let Arguments { profile, task } = schema::parse(arguments)?;
            if task.trim().is_empty() {
                return Err(ToolError::TellModel("task is empty: say what is to be done.".to_owned()));
            }
            port.delegate(Task { profile, text: task }, context).await.map(file_tool::answer)
        }
        .boxed()
    }
}
