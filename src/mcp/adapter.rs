//! A tool of a server as a tool of a run.

use super::connection::CallFault;
use super::content;
use super::listing::RemoteTool;
use super::pipe::one_line;
use super::server::Server;
use crate::core::item::{Part, ToolHome};
use crate::core::ports::tool::{Activity, Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::core::text::ellipsis;
use crate::schema::Schema;
use futures_util::future::BoxFuture;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ServerResult};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::time::timeout;

/// Characters of a summary.
const MAX_SUMMARY: usize = 80;

pub struct Adapter {
    server: Arc<Server>,
    spec: ToolSpec,
    home: Arc<ToolHome>,
    schema: Arc<Schema>,
    annotations: Annotations,
}

impl Adapter {
    /// `name` is what the tool is called here.
    pub fn new(server: &Arc<Server>, tool: &RemoteTool, name: String) -> Self {
        let settings = server.settings();
        let home = Arc::new(ToolHome { server: settings.name.clone(), tool: tool.name.clone() });
        let spec = ToolSpec {
            name,
            description: tool.description.clone(),
            parameters: Some(tool.parameters.clone()),
            home: Some(Arc::clone(&home)),
            ..ToolSpec::default()
        };
        // What a server says of itself is a hint: believed by mistake, it would have effects made twice.
        let read_only = settings.trust_annotations && tool.says_read_only;
        let (time_limit, output_limit) = (settings.call_timeout, Some(settings.max_output));
        let annotations = Annotations { read_only, parallel: true, time_limit, output_limit };
        Self { server: Arc::clone(server), spec, home, schema: Arc::clone(&tool.schema), annotations }
    }

    /// Models write `null` for what they leave out, which many servers do not take for that.
    fn arguments(&self, arguments: Value) -> Map<String, Value> {
        let fits = self.schema.accepts(&arguments);
        let Value::Object(mut arguments) = arguments else { return Map::new() };
        if !fits {
            arguments.retain(|_, value| !value.is_null());
        }
        arguments
    }
}

impl Tool for Adapter {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        self.annotations
    }

    fn summary(&self, arguments: &Value) -> String {
        let shown = match arguments.as_object().map(|members| members.values().collect::<Vec<_>>()).as_deref() {
            Some([Value::String(only)]) => one_line(only),
            Some([]) | None => String::new(),
            Some(_) => one_line(&arguments.to_string()),
        };
        ellipsis(&shown, MAX_SUMMARY)
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let (server, home, arguments) = (Arc::clone(&self.server), Arc::clone(&self.home), self.arguments(arguments));
        Box::pin(async move {
            let max_output = server.settings().max_output;
            let params = CallToolRequestParams::new(home.tool.clone()).with_arguments(arguments);
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
            match ask(&server, request, &context, Some(context.activity.clone())).await? {
                ServerResult::CallToolResult(result) => content::of_call(result, max_output),
                ServerResult::EmptyResult(_) => Ok(content::Answer::new(max_output).parts()),
                ServerResult::InputRequiredResult(_) | ServerResult::CreateTaskResult(_) => {
                    let text = "The tool asks for something that only a person in front of it could give: it cannot be \
                                used here.";
                    Err(ToolError::TellModel(text.to_owned()))
                }
                _ => Err(told(&server, &CallFault::Nonsense)),
            }
        })
    }
}

/// Asks a server for something within a call's time. What went wrong is told in words that the model can act on.
pub async fn ask(
    server: &Server,
    request: ClientRequest,
    context: &ToolContext,
    activity: Option<Activity>,
) -> Result<ServerResult, ToolError> {
    let asking = async {
        let connection = server.connection().await.map_err(ToolError::TellModel)?;
        connection.request_telling(request, activity).await.map_err(|fault| {
            if let CallFault::Gone(_) = fault {
                server.doubt();
            }
            told(server, &fault)
        })
    };
    match timeout(context.time_limit, asking).await {
        Ok(answer) => answer,
        Err(_) => {
            server.doubt();
            let limit = context.time_limit.as_secs_f64();
            Err(ToolError::TellModel(format!(
                "The MCP server {} gave no answer within {limit} s, and the call was cancelled. It may have had effects.",
                server.settings().name
            )))
        }
    }
}

fn told(server: &Server, fault: &CallFault) -> ToolError {
    let name = &server.settings().name;
    ToolError::TellModel(match fault {
        CallFault::Refused(words) => format!("The MCP server {name} refused the call: {words}"),
        CallFault::Gone(_) => format!(
            "The MCP server {name} went away during the call ({fault}), so what became of it is unknown. It is started \
             again by itself."
        ),
        CallFault::Nonsense => {
            format!("The MCP server {name} answered the call with something that is no answer to it.")
        }
    })
}
