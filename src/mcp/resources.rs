//! `read_resource`: what servers have to read, listed and read.

use super::adapter::ask;
use super::connection::CallFault;
use super::content::{self, Answer};
use super::listing;
use super::pipe::one_line;
use super::server::Server;
use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use futures_util::future::BoxFuture;
use rmcp::model::{ClientRequest, ReadResourceRequest, ReadResourceRequestParams, ServerResult};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub const NAME: &str = "read_resource";

/// For the templates, beside the resources themselves.
const TEMPLATES_WAIT: Duration = Duration::from_secs(3);

/// Reads the resources of some servers.
pub struct ReadResource {
    spec: ToolSpec,
    servers: BTreeMap<String, Arc<Server>>,
}

impl ReadResource {
    /// Of those servers that have any.
    pub fn of(servers: &[Arc<Server>]) -> Option<Self> {
        let has = |server: &&Arc<Server>| server.state().listing.has_resources;
        let servers: BTreeMap<String, Arc<Server>> =
            servers.iter().filter(has).map(|server| (server.settings().name.clone(), Arc::clone(server))).collect();
        let names: Vec<&String> = servers.keys().collect();
        let description = "Reads a resource of an MCP server by its URI. Without a URI it lists the resources that the \
                           server has, and the templates of URIs that it understands.";
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description: Some(description.to_owned()),
            parameters: Some(json!({
                "type": "object",
                "properties": {
                    "server": {"type": "string", "enum": names, "description": "The server."},
                    "uri": {"type": "string", "description": "The resource. Leave it out to see what there is."},
                },
                "required": ["server"],
                "additionalProperties": false,
            })),
            ..ToolSpec::default()
        };
        (!servers.is_empty()).then_some(Self { spec, servers })
    }
}

impl Tool for ReadResource {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::READ_ONLY
    }

    fn summary(&self, arguments: &Value) -> String {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
        one_line(&format!("{} {}", text("server"), text("uri"))).trim().to_owned()
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (server, uri) = (self.servers.get(&text("server")).cloned(), text("uri"));
        Box::pin(async move {
            let Some(server) = server else {
                return Err(ToolError::TellModel("There is no such server.".to_owned()));
            };
            if uri.is_empty() { list(&server, &context).await } else { read(&server, uri, &context).await }
        })
    }
}

async fn read(server: &Server, uri: String, context: &ToolContext) -> Result<Vec<Part>, ToolError> {
    let params = ReadResourceRequestParams::new(uri);
    let request = ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params));
    match ask(server, request, context, None).await? {
        ServerResult::ReadResourceResult(result) => Ok(content::of_resource(result, server.settings().max_output)),
        _ => Err(ToolError::TellModel("The server answered with something that is no resource.".to_owned())),
    }
}

async fn list(server: &Server, context: &ToolContext) -> Result<Vec<Part>, ToolError> {
    let connection = server.connection().await.map_err(ToolError::TellModel)?;
    let listing = async {
        let resources = listing::resources(&connection).await?;
        // Not every server that has resources knows of templates, and some then say nothing.
        let templates = timeout(TEMPLATES_WAIT, listing::templates(&connection)).await;
        Ok::<_, CallFault>((resources, templates.ok().and_then(Result::ok).unwrap_or_default()))
    };
    let name = &server.settings().name;
    let ((resources, more), templates) = match timeout(context.time_limit, listing).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(fault)) => {
            return Err(ToolError::TellModel(format!("The resources of {name} cannot be listed: {fault}")));
        }
        Err(_) => {
            server.doubt();
            return Err(ToolError::TellModel(format!("The resources of {name} were not listed in time.")));
        }
    };
    let mut answer = Answer::new(server.settings().max_output);
    for resource in resources {
        let words = one_line(&format!("{}: {}", resource.name, resource.description.unwrap_or_default()));
        answer.say(&format!("{} {}", one_line(&resource.uri), words.trim_end_matches([':', ' '])));
    }
    for template in templates.0 {
        let words = one_line(&format!("{}: {}", template.name, template.description.unwrap_or_default()));
        answer.say(&format!("{} (template) {}", one_line(&template.uri_template), words.trim_end_matches([':', ' '])));
    }
    if more {
        answer.say("[… there are more …]");
    }
    Ok(answer.parts())
}
