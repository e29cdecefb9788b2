//! Finds out what can be called: an Ollama on this machine, and the models an upstream has.

use super::server::{Server, client, root_cause, under};
use crate::core::failure::{Failure, FailureKind};
use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::ReqwestService;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// Where Ollama listens unless told otherwise.
pub const OLLAMA: &str = "http://127.0.0.1:11434";

/// How long a start may be held up by the question whether Ollama is there.
const PROBE_TIME: Duration = Duration::from_millis(300);

/// How long it may take to find a model that calls tools, once Ollama is there.
const SEARCH_TIME: Duration = Duration::from_secs(3);

/// What a probe for Ollama found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ollama {
    Absent,
    /// It runs, but none of its models (so many there are) can call tools.
    WithoutTools {
        models: usize,
    },
    Found {
        base_url: String,
        /// The first of its list that can call tools.
        model: String,
    },
}

/// Looks for Ollama at `base`, e.g. [`OLLAMA`].
pub async fn ollama(base: &str) -> Ollama {
    let Ok(base) = Url::parse(base) else { return Ollama::Absent };
    let Ok(client) = client(PROBE_TIME, &base) else { return Ollama::Absent };
    let tags = async { client.get(under(&base, &["api", "tags"])).send().await?.error_for_status()?.json().await };
    let Ok(Ok(Tags { models })) = timeout(PROBE_TIME, tags).await else { return Ollama::Absent };
    let search = async {
        for tag in &models {
            if can_call_tools(&client, &base, &tag.name).await {
                return Some(tag.name.clone());
            }
        }
        None
    };
    match timeout(SEARCH_TIME, search).await {
        Ok(Some(model)) => Ollama::Found { base_url: under(&base, &["v1"]).into(), model },
        Ok(None) | Err(_) => Ollama::WithoutTools { models: models.len() },
    }
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    capabilities: Vec<String>,
}

async fn can_call_tools(client: &reqwest::Client, base: &Url, model: &str) -> bool {
    let request = client.post(under(base, &["api", "show"])).json(&json!({"model": model}));
    let details = async { request.send().await?.error_for_status()?.json::<Details>().await };
    details.await.is_ok_and(|details| details.capabilities.iter().any(|capability| capability == "tools"))
}

/// The ids of a server's models, in its order. The failure says what is wrong in words for the operator.
pub async fn models(server: &Server, time_limit: Duration) -> Result<Vec<String>, Failure> {
    let mut headers = server.headers().clone();
    headers.remove(CONTENT_TYPE);
    headers.remove(ACCEPT);
    let address = Address { base_url: server.base_url().clone(), headers, no_key: SecretString::default() };
    // As a plain service, because the client by itself repeats failed requests unseen.
    let client =
        Client::build(server.client().clone(), address).with_http_service(ReqwestService::new(server.client().clone()));
    match timeout(time_limit, client.models().list_byot::<ModelList>()).await {
        Ok(Ok(list)) => Ok(list.data.into_iter().map(|model| model.id).collect()),
        Ok(Err(error)) => Err(list_failure(server, error)),
        Err(_) => Err(server.silent(time_limit)),
    }
}

/// Leaner than async-openai's own type, which refuses the lists of servers that leave out `owned_by` (OpenRouter).
#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

fn list_failure(server: &Server, error: OpenAIError) -> Failure {
    match error {
        OpenAIError::ApiError(refused) => {
            let said = json!({"error": refused.api_error.message});
            server.refused(refused.status_code, &HeaderMap::new(), said.to_string().as_bytes())
        }
        OpenAIError::Reqwest(error) => {
            let what = format!("cannot be reached: {}", root_cause(&error));
            server.failure(FailureKind::UpstreamUnavailable, what)
        }
        _ => server.failure(FailureKind::UpstreamBroken, "did not answer with a list of models: is base_url right?"),
    }
}

/// A server as async-openai wants it. Its own configuration would send `OPENAI_API_KEY` to servers that have no key.
struct Address {
    base_url: Url,
    headers: HeaderMap,
    no_key: SecretString,
}

impl Config for Address {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        under(&self.base_url, &path.trim_start_matches('/').split('/').collect::<Vec<_>>()).into()
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        self.base_url.as_str()
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}
