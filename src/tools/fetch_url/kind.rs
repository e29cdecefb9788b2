//! What a server says it sends, and how that is read.

use super::charset;
use super::html::{self, Page};
use crate::web::fetch::Fetched;
use std::fmt;
use url::Url;

/// How far in a NUL byte makes a text binary, and how far a page is looked for its first tag.
const PROBE: usize = 8000;

/// How something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Html,
    Text,
    Binary,
}

/// A content type: its name in lower case, empty if there is none, and its charset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaType {
    name: String,
    charset: Option<String>,
}

impl MediaType {
    pub fn of(fetched: &Fetched) -> Self {
        Self::parse(fetched.header("content-type").unwrap_or_default())
    }

    fn parse(header: &str) -> Self {
        let mut parts = header.split(';');
        let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        let is_name = name.contains('/') && name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_graphic());
        Self { name: if is_name { name } else { String::new() }, charset }
    }

    /// How it is read, or `None` if its bytes have to say it.
    pub fn kind(&self) -> Option<Kind> {
        let (main, sub) = self.name.split_once('/')?;
        Some(match (main, sub) {
            ("text", "html") | ("application", "xhtml+xml") => Kind::Html,
            ("text", _) | ("message", _) => Kind::Text,
            (_, sub) if sub.ends_with("+json") || sub.ends_with("+xml") || sub.ends_with("+yaml") => Kind::Text,
            ("application", sub) if is_text(sub) => Kind::Text,
            _ => Kind::Binary,
        })
    }

    /// Reads a body, or gives its size in bytes if it is no text.
    pub fn read(&self, bytes: &[u8], url: &Url, go_on: impl Fn() -> bool) -> Result<Page, u64> {
        let start = bytes.get(..PROBE).unwrap_or(bytes);
        let is_wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        let kind = self.kind().unwrap_or_else(|| if is_page(start) { Kind::Html } else { Kind::Text });
        let is_wide = is_wide
            || self.charset.as_deref().is_some_and(|charset| charset.to_ascii_lowercase().starts_with("utf-16"));
        if kind == Kind::Binary || (start.contains(&0) && !is_wide) {
            return Err(bytes.len() as u64);
        }
        let text = charset::decode(bytes, self.charset.as_deref());
        match kind {
            // Nobody waits for what an abandoned page says.
            Kind::Html => Ok(html::to_markdown(&text, url, go_on).unwrap_or_default()),
            Kind::Text | Kind::Binary => Ok(Page { title: None, text }),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.name.is_empty() { "no content type" } else { &self.name })
    }
}

/// Text that is called an application.
fn is_text(sub: &str) -> bool {
    let sub = sub.trim_start_matches("x-");
    const NAMES: &[&str] = &[
        "csv",
        "ecmascript",
        "graphql",
        "javascript",
        "json",
        "json-seq",
        "jsonl",
        "ld+json",
        "ndjson",
        "sh",
        "sql",
        "tex",
        "toml",
        "typescript",
        "xml",
        "xml-dtd",
        "yaml",
    ];
    NAMES.contains(&sub)
}

fn is_page(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}
