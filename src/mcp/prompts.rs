//! `get_prompt`: texts that servers have ready for certain tasks.

use super::adapter::ask;
use super::content;
use super::pipe::one_line;
use super::server::Server;
use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use futures_util::future::BoxFuture;
use rmcp::model::{ClientRequest, GetPromptRequest, GetPromptRequestParams, ServerResult};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const NAME: &str = "get_prompt";

/// Prompts that are told of in the description.
const MAX_PROMPTS: usize = 32;

pub struct GetPrompt {
    spec: ToolSpec,
    servers: BTreeMap<String, Arc<Server>>,
}

impl GetPrompt {
    /// Of those servers that have any.
    pub fn of(servers: &[Arc<Server>]) -> Option<Self> {
        let mut with = BTreeMap::new();
        let mut lines = Vec::new();
        for server in servers {
            let (name, listing) = (&server.settings().name, server.state().listing);
            for prompt in &listing.prompts {
                with.insert(name.clone(), Arc::clone(server));
                lines.push(format!("\n- {name}: {} {}", one_line(&prompt.name), prompt.description));
            }
        }
        let names: Vec<&String> = with.keys().collect();
        lines.truncate(MAX_PROMPTS);
        let description = "Gets a text that an MCP server has ready for a task, filled in with arguments. Follow it if \
                           the user asks for that task. There are, as server: prompt (arguments):";
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description: Some(format!("{description}{}", lines.concat())),
            parameters: Some(json!({
                "type": "object",
                "properties": {
                    "server": {"type": "string", "enum": names, "description": "The server."},
                    "prompt": {"type": "string", "description": "The name of the prompt."},
                    "arguments": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "description": "What it is filled in with.",
                    },
                },
                "required": ["server", "prompt"],
                "additionalProperties": false,
            })),
            ..ToolSpec::default()
        };
        (!with.is_empty()).then_some(Self { spec, servers: with })
    }
}

impl Tool for GetPrompt {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::READ_ONLY
    }

    fn summary(&self, arguments: &Value) -> String {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
        one_line(&format!("{} {}", text("server"), text("prompt")))
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let server = self.servers.get(&text("server")).cloned();
        let mut params = GetPromptRequestParams::new(text("prompt"));
        params.arguments = arguments.get("arguments").and_then(Value::as_object).cloned();
        Box::pin(async move {
            let Some(server) = server else {
                return Err(ToolError::TellModel("There is no such server.".to_owned()));
            };
            let request = ClientRequest::GetPromptRequest(GetPromptRequest::new(params));
            match ask(&server, request, &context, None).await? {
                ServerResult::GetPromptResult(result) => Ok(content::of_prompt(result, server.settings().max_output)),
                _ => Err(ToolError::TellModel("The server answered with something that is no prompt.".to_owned())),
            }
        })
    }
}
