//! Who is asked, and how.

use super::answer::Answer;
use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub struct Ask {
    pub path: String,
    /// Empty for what is only fetched.
    pub body: Bytes,
    pub key: Option<String>,
}

/// A server that is measured.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    pub address: SocketAddr,
    /// What comes before the routes.
    pub root: String,
    pub model: String,
    pub key: Option<String>,
    /// It has responses too. The upstream and the proxy have not: they are asked for the same answer as a chat.
    pub responses: bool,
}

/// What is asked for, whoever is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Chat { stream: bool },
    Responses { store: bool },
}

impl Target {
    pub fn new(name: &str, address: SocketAddr, model: &str, responses: bool) -> Self {
        Self { name: name.into(), address, root: "/v1".into(), model: model.into(), key: None, responses }
    }

    /// From `NAME=BASE_URL,MODEL[,KEY]`.
    pub fn peer(text: &str) -> Result<Self> {
        let wrong = || format!("--peer wants NAME=BASE_URL,MODEL[,KEY]; found {text}");
        let (name, rest) = text.split_once('=').with_context(wrong)?;
        let mut parts = rest.splitn(3, ',');
        let url = url::Url::parse(parts.next().unwrap_or_default()).with_context(wrong)?;
        let model = parts.next().with_context(wrong)?;
        let address = url.socket_addrs(|| None)?.into_iter().next().with_context(wrong)?;
        let root = url.path().trim_end_matches('/').to_owned();
        let key = parts.next().map(str::to_owned);
        Ok(Self { root, key, ..Self::new(name, address, model, true) })
    }

    pub fn ask(&self, api: Api, answer: &Answer) -> Ask {
        let message = answer.message();
        match api {
            Api::Responses { store } if self.responses => {
                self.post("responses", &json!({"model": self.model, "input": message, "stream": true, "store": store}))
            }
            Api::Responses { .. } => self.chat(true, json!([{"role": "user", "content": message}])),
            Api::Chat { stream } => self.chat(stream, json!([{"role": "user", "content": message}])),
        }
    }

    pub fn chat(&self, stream: bool, messages: Value) -> Ask {
        self.post("chat/completions", &json!({"model": self.model, "messages": messages, "stream": stream}))
    }

    pub fn post(&self, route: &str, body: &Value) -> Ask {
        Ask { path: format!("{}/{route}", self.root), body: body.to_string().into(), key: self.key.clone() }
    }

    pub fn get(&self, route: &str) -> Ask {
        Ask { path: format!("{}/{route}", self.root), body: Bytes::new(), key: self.key.clone() }
    }
}
