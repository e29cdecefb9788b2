//! How a client is shown the tools that run on the server.

use serde::{Deserialize, Serialize};

/// A profile's choice; see `docs/streaming.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolActivity {
    /// The form that every measured client takes: extra keys on empty chunks (chat), `mcp_call` items (Responses).
    #[default]
    Standard,
    /// Not at all.
    Hidden,
    /// As the function calls they are to the model, for frontends made for Hermes. On chat the same as `Standard`,
    /// because a call in `delta.tool_calls` would be run again by the client.
    FunctionCall,
}
