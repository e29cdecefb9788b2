//! `fetch_url` and `web_search`, against real servers on loopback.

mod addresses;
mod daemon;
mod pages;
mod search;
mod site;
#[path = "../support/mod.rs"]
mod support;

use crate::Desk;
use futures_util::future::BoxFuture;
use nuncio::core::item::text_of;
use nuncio::core::ports::tool::{Tool, ToolError};
use nuncio::tools::fetch_url::{FetchSettings, FetchUrl};
use nuncio::web::address::AddressRules;
use nuncio::web::guard::Guard;
use nuncio::web::lookup::Lookup;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The addresses that count as public here, as no packet may leave the machine. All others of 127.0.0.0/8 are what they
/// are: loopback.
const PUBLIC: &str = "127.0.0.2";

fn settings(allow: &[&str]) -> FetchSettings {
    let rules = AddressRules::new(allow.iter().map(|text| text.parse().unwrap()));
    FetchSettings { max_size: 64 << 10, max_time: Duration::from_secs(20), rules }
}

/// Names of a test. One with several answers gives them one after the other, and the last one from then on.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>, Arc<Mutex<Vec<String>>>);

impl Names {
    fn new(names: &[(&str, &[&[&str]])]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let known = names.iter().map(|(name, answers)| ((*name).to_owned(), answers.iter().map(parse).collect()));
        Self(Arc::new(Mutex::new(known.collect())), Arc::default())
    }

    /// The names that were looked up so far.
    fn asked(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }
}

impl Lookup for Names {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.1.lock().unwrap().push(name.to_owned());
        let mut names = self.0.lock().unwrap();
        let answer = match names.get_mut(name.trim_end_matches('.')) {
            Some(answers) if answers.len() > 1 => Ok(answers.remove(0)),
            Some(answers) => Ok(answers[0].clone()),
            None => Err(io::Error::other(format!("no test knows {name}"))),
        };
        let answer = answer.map(|found| found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect());
        Box::pin(std::future::ready(answer))
    }
}

fn tool(settings: &FetchSettings, names: &Names, output_limit: usize) -> FetchUrl {
    FetchUrl::new(Guard::with_lookup(settings.rules.clone(), Arc::new(names.clone())), settings, output_limit)
}

async fn call(tool: &dyn Tool, arguments: Value) -> Result<String, ToolError> {
    let parts = tool.call(arguments, Desk::new().context()).await?;
    Ok(text_of(&parts).into_owned())
}

async fn fetch(settings: &FetchSettings, names: &Names, url: &str) -> Result<String, ToolError> {
    call(&tool(settings, names, 32 << 10), json!({"url": url})).await
}

/// What the model is told of a call that came to nothing.
fn told(result: Result<String, ToolError>) -> String {
    match result {
        Err(ToolError::TellModel(text)) => text,
        other => panic!("not told: {other:?}"),
    }
}
