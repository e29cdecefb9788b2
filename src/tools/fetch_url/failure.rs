//! What a model is told when there is no page to show, and what it can do about it.

use super::kind::MediaType;
use crate::core::ports::tool::ToolError;
use crate::tools::text;
use crate::web::fetch::{FetchError, StatusCode};
use crate::web::guard::Refusal;
use url::Url;

/// Characters of the reason that a server gives.
const MAX_REASON: usize = 500;

pub fn told(error: &FetchError) -> ToolError {
    let advice = match error {
        FetchError::Refused(refusal) | FetchError::RedirectRefused { refusal, .. } => rule(refusal),
        FetchError::Downgrade { .. } => "Fetch that address itself, if it may be trusted.",
        FetchError::BadRedirect { .. } | FetchError::TooManyRedirects(_) => "Try another source.",
        FetchError::Unreachable { .. } | FetchError::ConnectTimeout { .. } => {
            "Check the host name, or try another source."
        }
        FetchError::NoAnswer { .. } | FetchError::Broken { .. } => "Try again later, or another source.",
        FetchError::Encoded { .. } => "Try another source.",
        FetchError::Client(_) => "Only http addresses can be fetched on this machine.",
    };
    ToolError::TellModel(format!("Cannot fetch: {error}. {advice}"))
}

fn rule(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Address { .. } | Refusal::Name { .. } => {
            "Only public addresses can be fetched, and those that the operator allows."
        }
        Refusal::Scheme(_) => "Only http and https addresses can be fetched.",
        Refusal::Credentials => "Give the address without them; pages that need a login cannot be fetched.",
        Refusal::TooLong | Refusal::NoHost | Refusal::Unknown { .. } => "Check the address.",
    }
}

/// What cannot be shown as text.
pub fn binary(url: &Url, media: &MediaType, size: Option<u64>) -> ToolError {
    let size = size.map_or("of unknown size".to_owned(), |size| text::count(size, "byte"));
    let advice = match media.to_string().starts_with("image/") {
        true => "Images can be viewed where they are files of the workspace.",
        false => "Look for the same as a web page or a text.",
    };
    ToolError::TellModel(format!("{url} is no text ({media}, {size}), and only text can be shown. {advice}"))
}

/// An answer other than success.
pub fn status(url: &Url, status: StatusCode, retry_after: Option<&str>, reason: &str) -> ToolError {
    let advice = match status.as_u16() {
        401 | 402 | 403 | 407 | 451 => "It needs a login, or is not given to programs. Try another source.",
        404 | 410 => "Check the address, or start from a page that links to it.",
        429 => "It was asked too often. Use another source, or ask much later.",
        300..=399 => "It redirects without saying where. Try another source.",
        500..=599 => "The server has a problem. Try again later, or another source.",
        _ => "Try another source.",
    };
    let seconds = retry_after.and_then(|seconds| seconds.trim().parse::<u32>().ok());
    let wait = seconds.map_or(String::new(), |seconds| format!(" The server asks to wait {seconds} s."));
    let words: Vec<&str> = reason.split_whitespace().collect();
    let reason = match words.is_empty() {
        true => String::new(),
        false => format!("\nThe page says, as data: {}", text::ellipsis(&words.join(" "), MAX_REASON)),
    };
    ToolError::TellModel(format!("{url} answered {status}. {advice}{wait}{reason}"))
}
