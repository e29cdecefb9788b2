//! What file tools have in common: blocking work in the workspace, on a thread that may block, that ends when nobody waits.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::tools::ToolSettings;
use crate::tools::workspace::{Place, Workspace};
use crate::tools::{schema, text};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::marker::PhantomData;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How far in a NUL byte makes a file binary; git looks as far.
const PROBE: usize = 8000;

/// A tool whose calls are a blocking function over the workspace and cannot reach anything else.
pub trait FileTool: 'static {
    const NAME: &'static str;
    /// Written for a model.
    const DESCRIPTION: &'static str;
    const ANNOTATIONS: Annotations;
    type Arguments: DeserializeOwned + JsonSchema;

    /// What a person sees of a call whose arguments may still be wrong.
    fn summary(arguments: &Value) -> String;

    /// Does the work and words the [`answer`]. What takes long asks [`Scope::check`] now and then.
    fn run(arguments: Self::Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError>;
}

/// What a call works with.
pub struct Scope {
    pub workspace: Workspace,
    pub settings: Arc<ToolSettings>,
    abandoned: CancellationToken,
}

impl Scope {
    /// Fails when nobody waits for the result any more.
    pub fn check(&self) -> Result<(), ToolError> {
        match self.abandoned.is_cancelled() {
            true => Err(ToolError::TellModel("The call was cancelled.".to_owned())),
            false => Ok(()),
        }
    }

    /// Opens a file that is text as far as its start tells.
    pub fn open_text(&self, place: &Place) -> Result<Text, ToolError> {
        let file = self.workspace.open_file(place)?;
        let size = file.metadata().map_err(|error| self.unreadable(place, &error))?.len();
        // A file that grows while it is read must have an end, too.
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(size));
        let start = reader.fill_buf().map_err(|error| self.unreadable(place, &error))?;
        if start.iter().take(PROBE).any(|byte| *byte == 0) {
            let size = text::count(size, "byte");
            let name = text::quoted(&place.to_string());
            return Err(ToolError::TellModel(format!(
                "{name} is binary ({size}), and only text can be shown or edited."
            )));
        }
        Ok(Text { reader, size })
    }

    pub fn unreadable(&self, place: &Place, error: &io::Error) -> ToolError {
        ToolError::TellModel(format!("{} cannot be read: {error}.", text::quoted(&place.to_string())))
    }
}

/// A text file while it is read.
pub struct Text {
    pub reader: BufReader<Take<File>>,
    /// In bytes, as it was when it was opened; no more is read.
    pub size: u64,
}

/// A [`FileTool`] behind the port.
pub struct Confined<T> {
    spec: ToolSpec,
    settings: Arc<ToolSettings>,
    tool: PhantomData<fn() -> T>,
}

impl<T: FileTool> Confined<T> {
    pub fn new(settings: &Arc<ToolSettings>) -> Self {
        Self {
            spec: schema::spec::<T::Arguments>(T::NAME, T::DESCRIPTION),
            settings: Arc::clone(settings),
            tool: PhantomData,
        }
    }
}

impl<T: FileTool> Tool for Confined<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        T::ANNOTATIONS
    }

    fn summary(&self, arguments: &Value) -> String {
        T::summary(arguments)
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let abandoned = CancellationToken::new();
            let _guard = abandoned.clone().drop_guard();
            let work = move || {
                let arguments = schema::parse(arguments)?;
                let scope = Scope { workspace: Workspace::open(context.workspace)?, settings, abandoned };
                T::run(arguments, &scope)
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => Err(ToolError::Fatal(format!("{} ended by itself: {error}", T::NAME))),
            }
        })
    }
}

/// NUL is replaced because some upstreams turn down a whole request for it.
pub fn answer(text: String) -> Vec<Part> {
    vec![Part::text(if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text })]
}

#[cfg(test)]
mod tests;
