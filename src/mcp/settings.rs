//! What a server is reached by, and what it may use up.

use crate::sandbox::{Command, Supervisor};
use crate::web::guard::Guard;
use secrecy::SecretString;
use std::time::Duration;

#[derive(Clone)]
pub struct ServerSettings {
    pub name: String,
    pub transport: Transport,
    /// The only tools that are taken; `None` takes all.
    pub allow: Option<Vec<String>>,
    pub deny: Vec<String>,
    /// Whether a tool that says that it only reads is believed. It is then run again after a crash.
    pub trust_annotations: bool,
    /// For the first answer and the list of tools.
    pub start_timeout: Duration,
    /// For one call; `None` leaves it to the profile.
    pub call_timeout: Option<Duration>,
    /// Bytes of text that one call hands to the model.
    pub max_output: usize,
}

#[derive(Clone)]
pub enum Transport {
    /// A process under the supervisor, with its messages on stdin and stdout. Its folder is made if it is not there.
    Stdio { command: Command, supervisor: Supervisor },
    Http {
        url: String,
        bearer: Option<SecretString>,
        headers: Vec<(String, SecretString)>,
        /// Where the address is not the operator's: it must not lead to what only this machine can reach.
        guard: Option<Guard>,
    },
}

impl Transport {
    /// A request has named it, not the operator.
    pub fn is_of_a_request(&self) -> bool {
        matches!(self, Self::Http { guard: Some(_), .. })
    }
}

impl ServerSettings {
    pub fn takes(&self, tool: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|name| name == tool);
        self.allow.as_deref().is_none_or(is_in) && !is_in(&self.deny)
    }
}
