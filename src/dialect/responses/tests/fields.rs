//! The fields of a response.

use super::*;
use crate::core::event::Outcome;
use crate::core::failure::{Failure, FailureKind};
use crate::core::run::Cancel;

#[test]
fn every_field_of_a_response_is_there() {
    let parameters = json!({"type": "object"});
    let body = json!({
        "model": "m", "input": "go", "instructions": "be brief", "metadata": {"k": "v"}, "store": false,
        "tools": [{"type": "function", "name": "ask", "parameters": parameters}, {"type": "web_search"}],
        "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "ask"}]},
        "reasoning": {"effort": "low"}, "top_logprobs": 2, "max_tool_calls": 9, "text": {"verbosity": "low"}, "temperature": 0.5, "max_output_tokens": 64,
        "safety_identifier": "s", "prompt_cache_key": "p", "service_tier": "flex", "parallel_tool_calls": false,
    });
    let mut shown = Shown::new(body, ToolActivity::Standard);
    shown.feed([CLOSED]);
    let expected = json!({
        "id": "resp_1", "object": "response", "created_at": 7, "completed_at": 9, "status": "completed",
        "incomplete_details": null, "error": null, "model": "m", "output": [],
        "usage": {
            "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 0, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
        },
        "previous_response_id": null, "instructions": "be brief",
        "tools": [{"type": "function", "name": "ask", "description": null, "parameters": parameters, "strict": null}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "ask"}]},
        "truncation": "disabled", "parallel_tool_calls": false,
        "text": {"format": {"type": "text"}, "verbosity": "low"}, "top_p": 1.0, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "top_logprobs": 2, "temperature": 0.5,
        "reasoning": {"effort": "low", "summary": null}, "max_output_tokens": 64, "max_tool_calls": 9,
        "store": false, "background": false, "service_tier": "flex", "metadata": {"k": "v"},
        "safety_identifier": "s", "prompt_cache_key": "p",
    });
    assert_eq!(serde_json::to_value(shown.fold.resource()).unwrap(), expected);
    assert_eq!(expected.as_object().unwrap().len(), 31);
}

/// The fields that the specification asks for, with what they are where they may not be null.
const FIELDS: [(&str, Kind); 31] = {
    use Kind::*;
    [
        ("id", Text),
        ("object", Text),
        ("created_at", Number),
        ("completed_at", MayBeNull),
        ("status", Text),
        ("incomplete_details", MayBeNull),
        ("model", Text),
        ("previous_response_id", MayBeNull),
        ("instructions", MayBeNull),
        ("output", List),
        ("error", MayBeNull),
        ("tools", List),
        ("tool_choice", TextOrObject),
        ("truncation", Text),
        ("parallel_tool_calls", Flag),
        ("text", Object),
        ("top_p", Number),
        ("presence_penalty", Number),
        ("frequency_penalty", Number),
        ("top_logprobs", Number),
        ("temperature", Number),
        ("reasoning", MayBeNull),
        ("usage", MayBeNull),
        ("max_output_tokens", MayBeNull),
        ("max_tool_calls", MayBeNull),
        ("store", Flag),
        ("background", Flag),
        ("service_tier", Text),
        ("metadata", Object),
        ("safety_identifier", MayBeNull),
        ("prompt_cache_key", MayBeNull),
    ]
};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Number,
    Flag,
    List,
    Object,
    TextOrObject,
    MayBeNull,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Flag => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::TextOrObject => value.is_string() || value.is_object(),
            Self::MayBeNull => true,
        }
    }
}

#[test]
fn every_field_is_there_and_null_only_where_it_may_be() {
    let failure = Failure::new(FailureKind::UpstreamBroken, "cut");
    let ends: [(&str, Vec<Input>); 5] = [
        ("in_progress", vec![]),
        ("completed", vec![CLOSED]),
        ("incomplete", vec![Input::Cancelled(Cancel::Disconnected)]),
        ("failed", vec![Input::UpstreamClosed(Err(failure.clone()))]),
        ("failed", vec![text("so"), Input::UpstreamClosed(Err(failure))]),
    ];
    for (status, inputs) in ends {
        let mut shown = Shown::new(asked(), ToolActivity::Standard);
        shown.feed(inputs);
        let response = serde_json::to_value(shown.fold.resource()).unwrap();
        let response = response.as_object().unwrap();
        assert_eq!((&response["status"], response.len()), (&json!(status), FIELDS.len()), "{response:?}");
        for (field, kind) in FIELDS {
            let value = response.get(field).unwrap_or_else(|| panic!("no {field} in {response:?}"));
            assert!(kind.fits(value), "{field} is {value} in a response that is {status}");
        }
        // What tells how it ended is there exactly then.
        let there = |field: &str| !response[field].is_null();
        let ended = |field: &str| {
            matches!(
                (status, field),
                ("completed", "completed_at") | ("failed", "error") | ("incomplete", "incomplete_details")
            )
        };
        for field in ["completed_at", "error", "incomplete_details"] {
            assert_eq!(there(field), ended(field), "{field} in a response that is {status}");
        }
        assert_eq!(there("usage"), status != "in_progress");
    }
}

/// Agents repeat a request on every code but `invalid_prompt`.
#[test]
fn what_a_repeat_cannot_help_is_an_invalid_prompt() {
    use FailureKind::*;
    let kinds = [
        (InvalidRequest, "invalid_prompt"),
        (ContextLength, "invalid_prompt"),
        (UpstreamAuth, "invalid_prompt"),
        (UpstreamNotFound, "invalid_prompt"),
        (RateLimited, "rate_limit_exceeded"),
        (UpstreamUnavailable, "server_error"),
        (UpstreamTimeout, "server_error"),
        (UpstreamBroken, "server_error"),
        (ShuttingDown, "server_error"),
        (Internal, "server_error"),
    ];
    for (kind, expected) in kinds {
        for after_effects in [false, true] {
            let mut shown = Shown::new(asked(), ToolActivity::Standard);
            let failure = Failure { after_effects, ..Failure::new(kind, "no") };
            shown.see(&RunEvent::Finished { outcome: Outcome::Failed { failure } });
            let response = serde_json::to_value(shown.fold.resource()).unwrap();
            let expected = if after_effects { "invalid_prompt" } else { expected };
            assert_eq!(response["error"]["code"], expected, "{kind:?}");
        }
    }
}
