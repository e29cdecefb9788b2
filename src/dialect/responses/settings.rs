//! What a response repeats of its request. Every field is there, and null only where the specification allows it.

use crate::core::run::RunSpec;
use crate::dialect::fields::Fields;
use crate::dialect::format;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub previous_response_id: Option<String>,
    /// Beyond the specification, so it is there only where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<InConversation>,
    pub instructions: Option<String>,
    pub tools: Vec<Value>,
    pub tool_choice: Value,
    pub truncation: String,
    pub parallel_tool_calls: bool,
    pub text: Value,
    pub top_p: f64,
    pub presence_penalty: f64,
    pub frequency_penalty: f64,
    pub top_logprobs: u8,
    pub temperature: f64,
    pub reasoning: Option<Value>,
    pub max_output_tokens: Option<u64>,
    pub max_tool_calls: Option<u64>,
    pub store: bool,
    pub background: bool,
    pub service_tier: String,
    pub metadata: Map<String, Value>,
    pub safety_identifier: Option<String>,
    pub prompt_cache_key: Option<String>,
}

/// What holds where a request says nothing.
impl Default for Settings {
    fn default() -> Self {
        let (previous_response_id, instructions, reasoning, safety_identifier, prompt_cache_key) = Default::default();
        Self {
            previous_response_id,
            conversation: None,
            instructions,
            tools: Vec::new(),
            tool_choice: "auto".into(),
            truncation: "disabled".to_owned(),
            parallel_tool_calls: true,
            text: json!({"format": {"type": "text"}}),
            top_p: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            top_logprobs: 0,
            temperature: 1.0,
            reasoning,
            max_output_tokens: None,
            max_tool_calls: None,
            store: true,
            background: false,
            service_tier: "default".to_owned(),
            metadata: Map::new(),
            safety_identifier,
            prompt_cache_key,
        }
    }
}

/// The conversation that a response is made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InConversation {
    pub id: String,
}

impl Settings {
    /// Fills in the profile's values for what the request left out: `sampling` has them under their chat names.
    pub(super) fn adopt(&mut self, sent: &RunSpec, sampling: &Map<String, Value>) {
        let numbers = [
            ("temperature", &mut self.temperature),
            ("top_p", &mut self.top_p),
            ("presence_penalty", &mut self.presence_penalty),
            ("frequency_penalty", &mut self.frequency_penalty),
        ];
        for (key, number) in numbers {
            if let Some(value) = sent.params.get(key).or_else(|| sampling.get(key)).and_then(Value::as_f64) {
                *number = value;
            }
        }
        let held = sent.params.get("parallel_tool_calls").or_else(|| sampling.get("parallel_tool_calls"));
        if let Some(held) = held.and_then(Value::as_bool) {
            self.parallel_tool_calls = held;
        }
        let adopted = sampling.get("response_format").filter(|_| sent.format.is_none()).cloned();
        // It was read once before, when the profile was made.
        let format = adopted.and_then(|value| format::of_chat(Fields::of(value, "response_format").ok()?).ok());
        if let (Some(format), Some(text)) = (format, self.text.as_object_mut()) {
            text.insert("format".to_owned(), format::echo(&format));
        }
    }
}
