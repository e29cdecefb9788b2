//! Reads what a server says when it refuses, and tells whose fault it is.

mod overflow;

use super::secrets::Secrets;
use crate::core::failure::{Failure, FailureKind, Overflow};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::time::SystemTime;

/// Error texts are for people: more than this is a web page or a dump.
const MAX_TEXT: usize = 500;

/// The longest wait that is passed on, in seconds: clients sleep for as long as they are told.
const MAX_RETRY_AFTER: f64 = 24.0 * 60.0 * 60.0;

/// The failure that an answer other than 2xx stands for. `body` may be cut short.
pub fn of_status(upstream: &str, status: StatusCode, headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Failure {
    let failure = Said::read(body, secrets).failure(upstream, status);
    match (failure.kind, retry_after(headers)) {
        (FailureKind::InvalidRequest | FailureKind::ContextLength, _) | (_, None) => failure,
        (_, Some(seconds)) => failure.with_retry_after(seconds),
    }
}

/// The failure that an error object within a 2xx answer stands for.
pub fn of_object(upstream: &str, error: &Value, secrets: &Secrets) -> Failure {
    let said = Said::of(error, secrets);
    match said.status() {
        Some(status) => said.failure(upstream, status),
        None => {
            let failure = Failure::new(FailureKind::UpstreamBroken, format!("upstream `{upstream}` gave up"));
            failure.saying(said.text.as_deref().unwrap_or("no reason given"))
        }
    }
}

/// What an error body holds, in any of the shapes servers use.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: Option<String>,
    /// `code` and `type`, which servers mix up, in lower case.
    words: Vec<String>,
    /// A status given as `code`.
    code: Option<u16>,
    param: Option<String>,
    /// llama.cpp gives the numbers of an overflow in fields of their own.
    overflow: Overflow,
}

impl Said {
    fn read(body: &[u8], secrets: &Secrets) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(object)) => {
                // `{"error": …}` is OpenAI's shape, `detail` FastAPI's; the bare object is an old vLLM's.
                let error = object.get("error").or_else(|| object.get("detail")).filter(|error| !error.is_null());
                Self::of(&error.cloned().unwrap_or(Value::Object(object)), secrets)
            }
            Ok(other) => Self::of(&other, secrets),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let is_page = text.trim_start().starts_with('<');
                Self { text: if is_page { None } else { tidy(&text, secrets) }, ..Self::default() }
            }
        }
    }

    fn of(error: &Value, secrets: &Secrets) -> Self {
        let Value::Object(object) = error else {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Self { text: tidy(&text, secrets), ..Self::default() };
        };
        let string = |key: &str| object.get(key).and_then(Value::as_str);
        let code = object.get("code").or_else(|| object.get("status"));
        let code = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        // OpenRouter hides the words of the server behind it in `metadata.raw`.
        let raw = object.get("metadata").and_then(|metadata| metadata.get("raw")).and_then(Value::as_str);
        let text = string("message").map(|message| match raw {
            Some(raw) => format!("{message}: {raw}"),
            None => message.to_owned(),
        });
        Self {
            text: text.and_then(|text| tidy(&text, secrets)),
            words: ["code", "type"].iter().filter_map(|key| string(key)).map(str::to_lowercase).collect(),
            code: code.and_then(|code| u16::try_from(code).ok()),
            param: string("param").and_then(|param| tidy(param, secrets)),
            overflow: Overflow { window: number("n_ctx"), tokens: number("n_prompt_tokens") },
        }
    }

    fn failure(self, upstream: &str, status: StatusCode) -> Failure {
        let kind = self.kind(status);
        let mut failure = Failure::new(kind, message(upstream, kind, status));
        if kind == FailureKind::ContextLength {
            failure.overflow = overflow::read(self.overflow, self.text.as_deref().unwrap_or_default()).map(Box::new);
        }
        // A server that refuses its key quotes parts of it.
        failure.said = self.text.filter(|_| status != StatusCode::UNAUTHORIZED);
        match self.param {
            Some(param) if kind == FailureKind::InvalidRequest => failure.with_param(param),
            _ => failure,
        }
    }

    fn is(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// The status this error would have had as an answer of its own; `None` if it does not say.
    fn status(&self) -> Option<StatusCode> {
        let said = self.code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|status| status.as_u16() >= 400);
        said.or_else(|| {
            let known: [(&[&str], StatusCode); 7] = [
                (&["rate_limit_exceeded", "rate_limit_error", "too_many_requests"], StatusCode::TOO_MANY_REQUESTS),
                (&["insufficient_quota"], StatusCode::PAYMENT_REQUIRED),
                (&["authentication_error", "invalid_api_key"], StatusCode::UNAUTHORIZED),
                (&["permission_error"], StatusCode::FORBIDDEN),
                (&["model_not_found", "not_found_error"], StatusCode::NOT_FOUND),
                (&["server_error", "overloaded_error", "api_error"], StatusCode::SERVICE_UNAVAILABLE),
                (
                    &["invalid_request_error", "context_length_exceeded", "exceed_context_size_error"],
                    StatusCode::BAD_REQUEST,
                ),
            ];
            known.iter().find(|(words, _)| self.is(words)).map(|(_, status)| *status)
        })
    }

    fn kind(&self, status: StatusCode) -> FailureKind {
        use FailureKind::*;
        let refused = matches!(status.as_u16(), 400 | 413 | 422 | 500);
        if refused && self.is_context_length() {
            return ContextLength;
        }
        match status.as_u16() {
            // An empty account is no limit that waiting would lift: it is the operator's to fill.
            429 if self.is(&["insufficient_quota"]) => UpstreamAuth,
            429 => RateLimited,
            401..=403 => UpstreamAuth,
            408 | 504 | 524 => UpstreamTimeout,
            409 | 425 => UpstreamUnavailable,
            // Redirects are not followed, lest they carry the key elsewhere: the base URL is wrong.
            300..=399 | 404 | 405 | 410 => UpstreamNotFound,
            400..=499 => InvalidRequest,
            _ => UpstreamUnavailable,
        }
    }

    /// OpenAI has a code for it; the others say it in words.
    fn is_context_length(&self) -> bool {
        const WORDS: [&str; 17] = [
            "maximum context length",                 // OpenAI, vLLM, OpenRouter
            "maximum model length",                   // vLLM
            "exceeds the available context size",     // llama.cpp
            "exceeds the context length",             // Ollama
            "exceeded max context length",            // Ollama
            "greater than the context length",        // LM Studio
            "exceeds the context window",             // OpenAI's newer models
            "exceeds the maximum number of tokens",   // Gemini
            "prompt is too long",                     // Anthropic
            "exceed context limit",                   // Anthropic, where only the answer would not fit
            "input is too long for requested model",  // Bedrock
            "reduce the length of the messages",      // OpenAI, Groq
            "longer than the model's context length", // SGLang
            "maximum prompt length is",               // xAI
            "too large for model with",               // Mistral
            "exceeded model token limit",             // Moonshot
            "context window exceeds limit",           // MiniMax
        ];
        self.is(&["context_length_exceeded", "exceed_context_size_error"])
            || self.text.as_ref().is_some_and(|text| {
                let text = text.to_lowercase();
                WORDS.iter().any(|words| text.contains(words))
            })
    }
}

fn message(upstream: &str, kind: FailureKind, status: StatusCode) -> String {
    let code = status.as_u16();
    let what = match kind {
        FailureKind::UpstreamAuth if code == 401 => "refused its API key",
        FailureKind::UpstreamAuth if matches!(code, 402 | 429) => "has no credit left",
        FailureKind::UpstreamAuth => "forbids this",
        FailureKind::RateLimited => "is over its rate limit",
        FailureKind::UpstreamNotFound if status.is_redirection() => {
            "redirects elsewhere: set base_url to where it leads"
        }
        FailureKind::UpstreamNotFound => "does not know the model or the path",
        FailureKind::ContextLength => "has no room for so long a conversation",
        FailureKind::InvalidRequest => "refused the request",
        _ => "is unavailable",
    };
    format!("upstream `{upstream}` {what} ({code})")
}

/// One line of sane length without secrets, or nothing.
fn tidy(text: &str, secrets: &Secrets) -> Option<String> {
    // Before the cut, which would leave the half of a secret that nothing recognises.
    let text = secrets.redact(text);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(MAX_TEXT).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    Some(short).filter(|line| !line.is_empty())
}

/// Whole seconds, rounded up, from a count or an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64()
        }
    };
    (seconds.is_finite() && seconds >= 0.0).then(|| seconds.ceil().min(MAX_RETRY_AFTER) as u64)
}

#[cfg(test)]
mod tests;
