//! Tools of the type `mcp`: servers that the request names for its own run.

use crate::core::asked::{AskedServer, Withheld};
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::Fields;
use serde_json::{Value, json};

type Parsed<T> = Result<T, ApiError>;

/// Servers of one request: each is connected to before the model is asked.
const MAX_SERVERS: usize = 8;

/// What a request may say of a server that must not be kept.
const SECRETS: [&str; 2] = ["authorization", "headers"];

/// Reads one, at `field`, such as `tools[0]`.
pub(super) fn server(mut fields: Fields, field: String, before: &[AskedServer]) -> Parsed<AskedServer> {
    let invalid = |path: String, message: String| Err(ApiError::invalid(path, message));
    if before.len() >= MAX_SERVERS {
        return invalid(field, format!("`tools` names more than {MAX_SERVERS} MCP servers. Send fewer."));
    }
    let (label_path, label) = (fields.path("server_label"), fields.need_string("server_label")?);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if label.is_empty() || label.len() > 64 || !label.chars().all(plain) {
        let message = format!("`{label_path}` must be 1 to 64 of A-Z a-z 0-9 _ -, not `{}`.", excerpt(&label));
        return invalid(label_path, message);
    }
    if before.iter().any(|server| server.label == label) {
        return invalid(label_path.clone(), format!("`{label_path}` repeats the label of another server: `{label}`."));
    }
    for other in ["connector_id", "tunnel_id"] {
        if fields.has(other) {
            let path = fields.path(other);
            let message = format!("`{path}` is not supported: this server has no connectors. Send `server_url`.");
            return invalid(path, message);
        }
    }
    let url = fields.need_string("server_url")?;
    let path = fields.path("require_approval");
    if fields.take("require_approval").is_none_or(|approval| approval != "never") {
        let message = format!(
            "`{path}` must be \"never\": this server asks nobody for approval, and the model calls the tools at once."
        );
        return invalid(path, message);
    }
    let authorization = fields.take_string("authorization")?.map(Withheld);
    let (headers, allowed) = (headers(&mut fields)?, allowed(&mut fields)?);
    Ok(AskedServer { label, url, authorization, headers, allowed, field })
}

fn headers(fields: &mut Fields) -> Parsed<Vec<(String, Withheld)>> {
    let Some(headers) = fields.take_object("headers")? else { return Ok(Vec::new()) };
    let header = |(name, value): (String, Value)| {
        let problem = match &value {
            _ if !is_token(&name) => "is no name of a header: it may have letters, digits and !#$%&'*+-.^_`|~ alone",
            Value::String(value) if value.chars().any(|c| c.is_control() && c != '\t') => "must be one line of text",
            Value::String(value) => return Ok((name, Withheld(value.clone()))),
            _ => "must be a string",
        };
        let path = format!("{}.{}", fields.path("headers"), excerpt(&name));
        Err(ApiError::invalid(path.clone(), format!("`{path}` {problem}.")))
    };
    headers.rest().into_iter().map(header).collect()
}

/// What RFC 9110, section 5.6.2, lets a name of a header be made of.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `allowed_tools`: a list of names, or a filter with such a list.
fn allowed(fields: &mut Fields) -> Parsed<Option<Vec<String>>> {
    let path = fields.path("allowed_tools");
    let wrong = || {
        let message = format!("`{path}` must be an array of names of tools, or an object with such a `tool_names`.");
        ApiError::invalid(path.clone(), message)
    };
    let names = match fields.take("allowed_tools") {
        None => return Ok(None),
        Some(Value::Object(mut filter)) => {
            if filter.get("read_only").is_some_and(|only| *only != Value::Null) {
                let message = format!("`{path}.read_only` is not supported: name the tools in `{path}.tool_names`.");
                return Err(ApiError::invalid(format!("{path}.read_only"), message));
            }
            filter.remove("tool_names").ok_or_else(wrong)?
        }
        Some(names) => names,
    };
    let Value::Array(names) = names else { return Err(wrong()) };
    let name = |name: Value| name.as_str().map(str::to_owned).ok_or_else(wrong);
    names.into_iter().map(name).collect::<Parsed<Vec<_>>>().map(Some)
}

/// As a response names it, without what only the server may know.
pub(super) fn echo(server: &AskedServer) -> Value {
    json!({
        "type": "mcp",
        "server_label": server.label,
        "server_url": shown(&server.url),
        "allowed_tools": server.allowed,
        "require_approval": "never",
    })
}

/// What stands in an address after the question mark may be a key.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Takes out of a body what must not be kept.
pub fn withhold(body: &mut Value) {
    let tools = body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
    let servers = tools.filter(|tool| tool.get("type").is_some_and(|kind| kind == "mcp"));
    for server in servers.filter_map(Value::as_object_mut) {
        SECRETS.iter().for_each(|key| drop(server.remove(*key)));
        if let Some(Value::String(url)) = server.get_mut("server_url") {
            *url = shown(url).to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_body_holds_no_secret() {
        let server = json!({"type": "mcp", "server_label": "x", "server_url": "https://h/mcp?key=k", "authorization": "a",
            "headers": {"x-key": "b"}, "require_approval": "never"});
        let function = json!({"type": "function", "name": "f", "headers": {}});
        let mut body = json!({"model": "m", "tools": [function, server]});
        withhold(&mut body);
        let kept =
            json!({"type": "mcp", "server_label": "x", "server_url": "https://h/mcp", "require_approval": "never"});
        assert_eq!(body, json!({"model": "m", "tools": [function, kept]}));
    }
}
