//! The form that an answer must have, and how far the server of a model can be relied on for it.

use serde_json::{Map, Value};

/// What a client wants the final answer of a run to be.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputFormat {
    pub shape: Shape,
    /// Further keys of chat's `response_format`, passed on untouched: some servers take a schema beside `json_object`.
    pub beside: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Anything. Said by a request, it holds against the profile's format.
    Text,
    /// One JSON object.
    Object,
    Schema(Box<JsonSchema>),
}

/// JSON that fits a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonSchema {
    pub name: String,
    pub description: Option<String>,
    /// An object. One without keys fits any JSON.
    pub schema: Value,
    pub strict: Option<bool>,
    /// Further keys beside `schema`, passed on untouched.
    pub extra: Map<String, Value>,
    /// Where the schema stands in what the client sent, for errors about it.
    pub path: &'static str,
}

/// What an upstream does about a format; of several models the weakest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatSupport {
    /// It refuses or ignores the field, so the model is told in words.
    Prompted,
    /// It gets the field and may do as it likes.
    #[default]
    Passed,
    /// It enforces JSON objects, and schemas that are `strict`.
    Strict,
    /// It enforces every format.
    Enforced,
}

impl OutputFormat {
    pub fn new(shape: Shape) -> Self {
        Self { shape, beside: Map::new() }
    }

    pub fn is_text(&self) -> bool {
        self.shape == Shape::Text
    }

    /// For a model that is told in words alone, or told again.
    pub fn in_words(&self) -> String {
        const ALONE: &str = "and nothing else: no code fence, no words before or after it.";
        match &self.shape {
            Shape::Text => String::new(),
            Shape::Object => format!("Your final answer must be one JSON object {ALONE}"),
            Shape::Schema(schema) => {
                let JsonSchema { name, description, schema, .. } = schema.as_ref();
                let about = description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
                format!("Your final answer must be JSON that fits the schema `{name}`{about} {ALONE}\n\n{schema}")
            }
        }
    }
}

impl FormatSupport {
    /// Whether what the model writes can be shown before it is whole: nothing else could come of it.
    pub fn enforces(self, format: &OutputFormat) -> bool {
        match (self, &format.shape) {
            (_, Shape::Text) | (Self::Enforced, _) | (Self::Strict, Shape::Object) => true,
            (Self::Strict, Shape::Schema(schema)) => schema.strict == Some(true),
            (Self::Passed | Self::Prompted, _) => false,
        }
    }
}

/// A model's answer without the code fence and the white space that it may stand in.
pub fn unfenced(answer: &str) -> &str {
    let answer = answer.trim();
    let inner = answer.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let Some(inner) = inner else { return answer };
    // What follows the opening fence is the name of a language.
    inner.trim_start_matches(|char: char| char.is_ascii_alphanumeric()).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::bare("{}", "{}")]
    #[case::white_space(" \n{}\n", "{}")]
    #[case::fence("```\n{}\n```", "{}")]
    #[case::fence_with_a_language("\n```json\n{\"a\": \"```\"}\n```\n", "{\"a\": \"```\"}")]
    #[case::on_one_line("```json {}```", "{}")]
    #[case::words_before("Here: ```json\n{}\n```", "Here: ```json\n{}\n```")]
    #[case::never_closed("```json\n{}", "```json\n{}")]
    #[case::a_fence_alone("```", "```")]
    #[case::nothing("", "")]
    fn a_fence_is_taken_off(#[case] answer: &str, #[case] expected: &str) {
        assert_eq!(unfenced(answer), expected);
    }

    #[test]
    fn support_is_a_matter_of_the_format() {
        let schema = |strict| {
            let (name, schema) = ("n".to_owned(), Value::Object(Map::new()));
            let (extra, path) = (Map::new(), "schema");
            let schema = JsonSchema { name, description: None, schema, strict, extra, path };
            OutputFormat::new(Shape::Schema(Box::new(schema)))
        };
        let formats =
            [OutputFormat::new(Shape::Text), OutputFormat::new(Shape::Object), schema(Some(true)), schema(None)];
        let enforced = |support: FormatSupport| formats.each_ref().map(|format| support.enforces(format));
        assert_eq!(enforced(FormatSupport::Enforced), [true, true, true, true]);
        assert_eq!(enforced(FormatSupport::Strict), [true, true, true, false]);
        assert_eq!(enforced(FormatSupport::Passed), [true, false, false, false]);
        assert_eq!(enforced(FormatSupport::Prompted), [true, false, false, false]);
        assert_eq!(
            [FormatSupport::Enforced, FormatSupport::Prompted, FormatSupport::Strict].into_iter().min(),
            Some(FormatSupport::Prompted)
        );
    }
}
