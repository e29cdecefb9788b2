//! What a server says that it has, as far as we listen: lists can be endless, and what is in them large.

use super::connection::{CallFault, Connection};
use super::pipe::one_line;
use super::settings::ServerSettings;
use crate::core::text::ellipsis;
use crate::schema::Schema;
use rmcp::model::{
    ClientRequest, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest,
    PaginatedRequestParams, Prompt, Resource, ResourceTemplate, ServerResult, Tool,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pages that are asked for, and things that are taken of one kind.
const MAX_PAGES: usize = 64;
const MAX_LISTED: usize = 512;

/// Bytes of all that is taken of one kind, before it is looked at.
const MAX_BYTES: usize = 8 << 20;

/// Bytes of the schemas of all tools together: the model is told of them with every question.
const MAX_SCHEMAS: usize = 1 << 20;

/// Characters of what a server says of a tool.
const MAX_DESCRIPTION: usize = 8192;

/// Remarks that are kept.
const MAX_NOTES: usize = 16;

/// A tool as its server describes it.
#[derive(Clone, Debug)]
pub struct RemoteTool {
    pub name: String,
    pub description: Option<String>,
    pub parameters: Value,
    pub schema: Arc<Schema>,
    /// What the server says, which nobody has to believe.
    pub says_read_only: bool,
}

impl PartialEq for RemoteTool {
    /// The schema is made of the parameters.
    fn eq(&self, other: &Self) -> bool {
        let all = |tool: &Self| (tool.name.clone(), tool.description.clone(), tool.says_read_only);
        all(self) == all(other) && self.parameters == other.parameters
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPrompt {
    pub name: String,
    /// With its arguments, on one line.
    pub description: String,
}

/// What a server has to offer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// By name, so that a server that lists them in another order changes nothing.
    pub tools: BTreeMap<String, RemoteTool>,
    pub has_resources: bool,
    pub prompts: Vec<ListedPrompt>,
    /// What was left out and why, for people.
    pub notes: Vec<String>,
}

impl Listing {
    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    /// Asks for everything. Only tools that cannot be listed are a failure: a server without them is of no use.
    pub async fn of(connection: &Connection, settings: &ServerSettings) -> Result<Self, CallFault> {
        let mut listing = Self { has_resources: connection.capabilities.resources, ..Self::default() };
        if connection.capabilities.tools {
            let (tools, more) = pages(connection, list_tools).await?;
            if more {
                let bytes = MAX_BYTES >> 20;
                listing.note(format!(
                    "it lists more than {MAX_LISTED} tools or {bytes} MiB, or without end: the rest is left out"
                ));
            }
            listing.take_tools(tools, settings);
        }
        if connection.capabilities.prompts {
            match pages(connection, list_prompts).await {
                Ok((prompts, _)) => listing.prompts = prompts.into_iter().map(listed).collect(),
                Err(fault) => listing.note(format!("its prompts cannot be listed: {fault}")),
            }
        }
        Ok(listing)
    }

    fn take_tools(&mut self, tools: Vec<Tool>, settings: &ServerSettings) {
        let mut room = MAX_SCHEMAS;
        for tool in tools {
            let name = tool.name.to_string();
            if !settings.takes(&name) {
                continue;
            }
            let parameters = parameters(&tool);
            let shown = one_line(&name);
            let Some(left) = room.checked_sub(parameters.to_string().len()) else {
                self.note(format!("`{shown}` is left out: the schemas of all tools have more than 1 MiB"));
                continue;
            };
            match Schema::of_stranger(&parameters) {
                Ok(schema) => {
                    room = left;
                    let description = tool.description.or_else(|| tool.title.map(Into::into));
                    let tool = RemoteTool {
                        name: name.clone(),
                        description: description.map(|text| ellipsis(&text, MAX_DESCRIPTION)),
                        parameters,
                        schema: Arc::new(schema),
                        says_read_only: tool.annotations.and_then(|hints| hints.read_only_hint).unwrap_or(false),
                    };
                    self.tools.insert(name, tool);
                }
                Err(reason) => self.note(format!("`{shown}` is left out: its schema is none: {}", one_line(&reason))),
            }
        }
        let missing = settings.allow.iter().flatten().filter(|name| !self.tools.contains_key(*name));
        let missing: Vec<String> = missing.map(|name| format!("`{name}` is allowed and not there")).collect();
        missing.into_iter().for_each(|note| self.note(note));
    }
}

/// The schema as it came, with what some upstreams refuse to be without.
fn parameters(tool: &Tool) -> Value {
    let mut schema = (*tool.input_schema).clone();
    schema.entry("type").or_insert_with(|| "object".into());
    if schema.get("type").is_some_and(|kind| kind == "object") {
        schema.entry("properties").or_insert_with(|| Map::new().into());
    }
    Value::Object(schema)
}

fn listed(prompt: Prompt) -> ListedPrompt {
    let argument = |argument: rmcp::model::PromptArgument| match argument.required {
        Some(true) => argument.name,
        _ => format!("{}?", argument.name),
    };
    let arguments: Vec<String> = prompt.arguments.unwrap_or_default().into_iter().map(argument).collect();
    let description = prompt.description.or(prompt.title).unwrap_or_default();
    ListedPrompt { description: one_line(&format!("({}) {description}", arguments.join(", "))), name: prompt.name }
}

/// The resources that a server lists, and whether there are more.
pub async fn resources(connection: &Connection) -> Result<(Vec<Resource>, bool), CallFault> {
    pages(connection, list_resources).await
}

/// The same of families of resources, whose addresses have parts to be filled in.
pub async fn templates(connection: &Connection) -> Result<(Vec<ResourceTemplate>, bool), CallFault> {
    pages(connection, list_templates).await
}

/// A page of something, and where the next one begins.
type Page<T> = (Vec<T>, Option<String>);

struct Kind<T> {
    ask: fn(PaginatedRequestParams) -> ClientRequest,
    read: fn(ServerResult) -> Option<Page<T>>,
}

async fn pages<T: Serialize>(connection: &Connection, kind: fn() -> Kind<T>) -> Result<(Vec<T>, bool), CallFault> {
    let Kind { ask, read } = kind();
    let (mut all, mut cursor, mut room) = (Vec::new(), None::<String>, MAX_BYTES);
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let (page, next) = read(connection.request(ask(params)).await?).ok_or(CallFault::Nonsense)?;
        let Some(left) = room.checked_sub(size(&page)) else { return Ok((all, true)) };
        room = left;
        all.extend(page);
        if all.len() > MAX_LISTED {
            all.truncate(MAX_LISTED);
            return Ok((all, true));
        }
        if next.is_none() || next == cursor {
            return Ok((all, false));
        }
        cursor = next;
    }
    Ok((all, true))
}

/// About as many bytes as it has come in.
fn size<T: Serialize>(page: &[T]) -> usize {
    serde_json::to_vec(page).map_or(usize::MAX, |bytes| bytes.len())
}

fn list_tools() -> Kind<Tool> {
    Kind {
        ask: |params| {
            let (method, extensions) = Default::default();
            ClientRequest::ListToolsRequest(ListToolsRequest { method, params: Some(params), extensions })
        },
        read: |result| match result {
            ServerResult::ListToolsResult(page) => Some((page.tools, page.next_cursor)),
            _ => None,
        },
    }
}

fn list_prompts() -> Kind<Prompt> {
    Kind {
        ask: |params| {
            let (method, extensions) = Default::default();
            ClientRequest::ListPromptsRequest(ListPromptsRequest { method, params: Some(params), extensions })
        },
        read: |result| match result {
            ServerResult::ListPromptsResult(page) => Some((page.prompts, page.next_cursor)),
            _ => None,
        },
    }
}

fn list_resources() -> Kind<Resource> {
    Kind {
        ask: |params| {
            let (method, extensions) = Default::default();
            ClientRequest::ListResourcesRequest(ListResourcesRequest { method, params: Some(params), extensions })
        },
        read: |result| match result {
            ServerResult::ListResourcesResult(page) => Some((page.resources, page.next_cursor)),
            _ => None,
        },
    }
}

fn list_templates() -> Kind<ResourceTemplate> {
    Kind {
        ask: |params| {
            let (method, extensions) = Default::default();
            let request = ListResourceTemplatesRequest { method, params: Some(params), extensions };
            ClientRequest::ListResourceTemplatesRequest(request)
        },
        read: |result| match result {
            ServerResult::ListResourceTemplatesResult(page) => Some((page.resource_templates, page.next_cursor)),
            _ => None,
        },
    }
}
