//! What a server may ask and tell us on its own.

use super::pipe::one_line;
use crate::core::ports::tool::Activity;
use rmcp::ClientHandler;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken};
use rmcp::service::{NotificationContext, RoleClient};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Where the progress of calls goes, by the token that each call was sent with.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<HashMap<ProgressToken, Activity>>>);

impl Progress {
    pub fn follow(&self, token: ProgressToken, activity: Activity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, activity);
    }

    pub fn forget(&self, token: &ProgressToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    fn of(&self, token: &ProgressToken) -> Option<Activity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Our side of a connection. It has nothing to offer: no folders, no model and nobody to ask.
pub struct Client {
    pub server: Arc<str>,
    pub progress: Progress,
    /// Told when what the server offers has changed. Many times are one.
    pub changed: Arc<Notify>,
}

#[expect(deprecated, reason = "what servers log goes to our log for as long as they send it")]
impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("nuncio", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(activity) = self.progress.of(&progress.progress_token) {
            activity.tell(words(&progress));
        }
    }

    async fn on_logging_message(
        &self,
        log: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let line = one_line(&log.data.to_string());
        tracing::debug!(server = &*self.server, level = ?log.level, line, "an MCP server logs");
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// `3 of 10: reading`, as far as the server says it.
fn words(progress: &ProgressNotificationParam) -> String {
    let count = match progress.total {
        Some(total) => format!("{} of {total}", progress.progress),
        None => progress.progress.to_string(),
    };
    match progress.message.as_deref().map(one_line).filter(|message| !message.is_empty()) {
        Some(message) => format!("{count}: {message}"),
        None => count,
    }
}
