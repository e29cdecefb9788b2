//! How a response began, as it is stored: what most of them have in common is left out, as it would take more room than
//! what was said.

use super::fold::Head;
use serde_json::{Map, Value};

/// What is left out. Never changed, as what was stored is read with it; a field that is not in here is stored unless it is
/// null.
const USUAL: &str = r#"{
    "activity": "standard",
    "view": {"summary": false, "sealed": false},
    "settings": {
        "previous_response_id": null,
        "instructions": null,
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": true,
        "text": {"format": {"type": "text"}},
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "temperature": 1.0,
        "reasoning": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "store": true,
        "background": false,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": null,
        "prompt_cache_key": null
    }
}"#;

/// The text that [`unpack`] reads.
pub fn pack(head: &Head) -> String {
    let mut value = serde_json::to_value(head).unwrap_or_default();
    if let (Some(head), Some(usual)) = (value.as_object_mut(), usual().as_object()) {
        if let (Some(Value::Object(settings)), Some(Value::Object(usual))) =
            (head.get_mut(SETTINGS), usual.get(SETTINGS))
        {
            leave_out(settings, usual);
        }
        leave_out(head, usual);
    }
    value.to_string()
}

/// `None` if it is not what [`pack`] has written.
pub fn unpack(text: &str) -> Option<Head> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let (head, usual) = (value.as_object_mut()?, usual());
    let usual = usual.as_object()?;
    fill_in(head.get_mut(SETTINGS)?.as_object_mut()?, usual.get(SETTINGS)?.as_object()?);
    fill_in(head, usual);
    serde_json::from_value(value).ok()
}

const SETTINGS: &str = "settings";

fn usual() -> Value {
    serde_json::from_str(USUAL).unwrap_or_default()
}

fn leave_out(object: &mut Map<String, Value>, usual: &Map<String, Value>) {
    object.retain(|key, value| !value.is_null() && usual.get(key) != Some(value));
}

fn fill_in(object: &mut Map<String, Value>, usual: &Map<String, Value>) {
    for (key, value) in usual.iter().filter(|(key, _)| *key != SETTINGS) {
        object.entry(key).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::EndTime;
    use super::super::record::Shown;
    use super::super::request;
    use super::super::settings::InConversation;
    use super::super::view::View;
    use super::*;
    use crate::dialect::activity::ToolActivity;
    use serde_json::json;
    use std::sync::Arc;

    fn head(body: Value, activity: ToolActivity, view: View) -> Head {
        let settings = Arc::new(request::parse(body).unwrap().settings);
        let ended = EndTime::default();
        Head { id: "resp_1".into(), created_at: 7, model: "m".into(), settings, activity, view, ended }
    }

    #[test]
    fn every_head_comes_back_and_most_are_short() {
        let usual = head(json!({"model": "m", "input": "hi"}), ToolActivity::Standard, View::default());
        assert_eq!(pack(&usual), r#"{"id":"resp_1","created_at":7,"model":"m","settings":{}}"#);
        let unusual = json!({
            "model": "m", "input": "hi", "instructions": "", "previous_response_id": "resp_0", "store": false,
            "tools": [{"type": "function", "name": "f"}], "tool_choice": "required", "parallel_tool_calls": false,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "reasoning": {"effort": null},
            "metadata": {"temperature": "1.0"}, "max_output_tokens": 16, "service_tier": "flex", "user": "u",
            "safety_identifier": "s", "prompt_cache_key": "k",
        });
        let mut unusual = head(unusual, ToolActivity::Hidden, View { summary: true, sealed: false });
        Arc::make_mut(&mut unusual.settings).conversation = Some(InConversation { id: "conv_1".into() });
        for (head, activity, summary) in [(usual, "standard", false), (unusual, "hidden", true)] {
            let whole = serde_json::to_value(&head).unwrap();
            assert_eq!((&whole["activity"], &whole["view"]["summary"]), (&json!(activity), &json!(summary)));
            assert_eq!(serde_json::to_value(unpack(&pack(&head)).unwrap()).unwrap(), whole);
            let shown = Shown::by(&pack(&head));
            assert_eq!((shown.activity, shown.view), (head.activity, head.view), "it is read without being unpacked");
        }
        assert!(unpack("{}").is_none() && unpack("").is_none());
    }
}
