//! Checks whether answers have the form that was asked for.

use crate::core::failure::{Failure, FailureKind};
use crate::core::format::{OutputFormat, Shape};
use crate::schema::Schema;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The form of one run's answer, made ready.
#[derive(Clone, Debug)]
pub enum AnswerCheck {
    Any,
    Object,
    Schema(Arc<Schema>),
}

/// How long one piece of work on a client's schema may take. It cannot be ended from outside, but nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pieces of such work that may be under way: what never ends takes a thread of these few and no other.
static PLACES: Semaphore = Semaphore::const_new(4);

impl AnswerCheck {
    /// Fails for a schema that is none, or is too much of one.
    pub fn of(format: Option<&OutputFormat>) -> Result<Self, Failure> {
        let schema = match format.map(|format| &format.shape) {
            None | Some(Shape::Text) => return Ok(Self::Any),
            Some(Shape::Object) => return Ok(Self::Object),
            Some(Shape::Schema(schema)) => schema,
        };
        match Schema::of_stranger(&schema.schema) {
            Ok(compiled) => Ok(Self::Schema(Arc::new(compiled))),
            Err(problem) => Err(refused(schema.path, &problem)),
        }
    }

    /// The same for a format that came with a request, however long its schema takes.
    pub async fn of_request(format: Option<&Arc<OutputFormat>>) -> Result<Self, Failure> {
        let Some(Shape::Schema(schema)) = format.map(|format| &format.shape) else {
            return Self::of(format.map(Arc::as_ref));
        };
        let shared = format.cloned();
        let made = aside(move || Self::of(shared.as_deref())).await;
        made.unwrap_or_else(|| Err(refused(schema.path, "it could not be read in time")))
    }

    /// Whether an answer has the form; if not, what is wrong with it, in words for the model.
    pub async fn check(&self, answer: String) -> Result<(), String> {
        let Self::Schema(_) = self else { return self.verdict(&answer) };
        let check = self.clone();
        let verdict = aside(move || check.verdict(&answer)).await;
        verdict.unwrap_or_else(|| Err("it could not be checked.".to_owned()))
    }

    fn verdict(&self, answer: &str) -> Result<(), String> {
        if matches!(self, Self::Any) {
            return Ok(());
        }
        let value: Value = serde_json::from_str(answer).map_err(|error| format!("it is not JSON: {error}."))?;
        match self {
            Self::Object if !value.is_object() => Err("it is JSON, but not an object.".to_owned()),
            Self::Schema(schema) if !schema.accepts(&value) => match schema.faults(&value) {
                faults if faults.is_empty() => Err("it does not fit the schema.".to_owned()),
                faults => Err(format!("it does not fit the schema:{faults}")),
            },
            _ => Ok(()),
        }
    }
}

fn refused(path: &str, problem: &str) -> Failure {
    Failure::new(FailureKind::InvalidRequest, format!("`{path}` cannot be used: {problem}.")).with_param(path)
}

/// Does something that may take long where it holds up nothing else; `None` if it takes too long or breaks down.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = async {
        let place = PLACES.acquire().await.ok()?;
        let work = move || {
            let done = work();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(work).await.ok()
    };
    timeout(PATIENCE, done).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::format::JsonSchema;
    use rstest::rstest;
    use serde_json::{Map, json};

    fn format(schema: Option<Value>) -> Arc<OutputFormat> {
        let (name, description, strict) = ("n".to_owned(), None, None);
        let (extra, path) = (Map::new(), "text.format.schema");
        let of = |schema| Shape::Schema(Box::new(JsonSchema { name, description, schema, strict, extra, path }));
        Arc::new(OutputFormat::new(schema.map_or(Shape::Object, of)))
    }

    #[rstest]
    #[case::object("{\"a\": 1}", Ok(()))]
    #[case::array("[{}]", Err("it is JSON, but not an object."))]
    #[case::words("Here: {}", Err("it is not JSON: expected value at line 1 column 1."))]
    #[case::more("{} Done.", Err("it is not JSON: trailing characters at line 1 column 4."))]
    #[case::nothing("", Err("it is not JSON: EOF while parsing a value at line 1 column 0."))]
    #[tokio::test]
    async fn an_object_is_told_from_what_is_none(#[case] answer: &str, #[case] verdict: Result<(), &str>) {
        let check = AnswerCheck::of_request(Some(&format(None))).await.unwrap();
        assert_eq!(check.check(answer.to_owned()).await, verdict.map_err(str::to_owned));
    }

    #[tokio::test]
    async fn what_does_not_fit_the_schema_is_told() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a", "b"]});
        let check = AnswerCheck::of_request(Some(&format(Some(schema)))).await.unwrap();
        assert_eq!(check.check("{\"a\": 1, \"b\": []}".to_owned()).await, Ok(()));
        let faults =
            "it does not fit the schema:\n- \"b\" is a required property\n- at /a: \"x\" is not of type \"integer\"";
        assert_eq!(check.check("{\"a\": \"x\"}".to_owned()).await, Err(faults.to_owned()));
    }

    #[tokio::test]
    async fn a_schema_that_is_none_is_the_clients_fault() {
        let failure = AnswerCheck::of_request(Some(&format(Some(json!({"type": 7}))))).await.unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (FailureKind::InvalidRequest, Some("text.format.schema")));
    }
}
