//! The output of a command: head and tail for the model, and all of it in a file of the workspace if that is not all.
//! What goes on in the background has such a [file](Kept), too.

use crate::sandbox::{Capture, Captured, OutputLimits, Sink};
use crate::tools::read_file::LINE_LIMIT;
use crate::tools::text;
use crate::tools::workspace::{Place, Workspace};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

pub struct LongOutput {
    workspace: Arc<Path>,
    limits: OutputLimits,
    /// Bytes of the file; what comes after them is in the tail alone.
    max_file: u64,
    capture: Capture,
    total: u64,
    file: Option<Result<Kept, io::Error>>,
}

/// A file of the workspace that output goes to.
pub struct Kept {
    file: File,
    pub place: Place,
    pub written: u64,
}

impl LongOutput {
    pub fn new(workspace: Arc<Path>, limit: usize, max_file: u64) -> Self {
        let limits = OutputLimits { head: limit / 2, tail: limit / 2 };
        Self { workspace, limits, max_file, capture: Capture::new(limits), total: 0, file: None }
    }

    async fn begin(&self) -> io::Result<Kept> {
        let mut kept = Kept::begin(Arc::clone(&self.workspace)).await?;
        for bytes in self.capture.kept() {
            kept.write(bytes, self.max_file).await?;
        }
        Ok(kept)
    }

    /// How to read on after the head.
    fn way_on(limits: OutputLimits, head: &str, place: &Place) -> String {
        let line = head.matches('\n').count().saturating_add(1);
        match head.rsplit('\n').next().is_some_and(|last| last.len() > LINE_LIMIT) {
            // It is a line of which read_file shows less than was shown already.
            true => format!(
                "`tail -c +{} {place} | head -c {}` goes on",
                head.len().saturating_add(1),
                limits.head.saturating_add(limits.tail)
            ),
            false => format!("read_file with offset={line} goes on"),
        }
    }

    /// What was kept, and a line on where the rest is.
    pub async fn finish(mut self) -> (Captured, Option<String>) {
        if let Some(Ok(kept)) = &mut self.file
            && let Err(error) = kept.flush().await
        {
            self.file = Some(Err(error));
        }
        let captured = self.capture.finish();
        let line = self.file.map(|file| match file {
            Ok(kept) => {
                let whole = match self.total == kept.written {
                    true => "all of the output is".to_owned(),
                    false => format!("the first {} of the output are", text::count(kept.written, "byte")),
                };
                format!(
                    "[{whole} in `{}`; {} where it was cut]",
                    kept.place,
                    Self::way_on(self.limits, &captured.head, &kept.place)
                )
            }
            Err(error) => format!("[the whole output could not be kept in a file: {error}]"),
        });
        (captured, line)
    }
}

impl Sink for LongOutput {
    async fn take(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        if self.file.is_none() && self.total > self.limits.head.saturating_add(self.limits.tail) as u64 {
            self.file = Some(self.begin().await);
        }
        self.capture.push(bytes);
        if let Some(Ok(kept)) = &mut self.file
            && let Err(error) = kept.write(bytes, self.max_file).await
        {
            self.file = Some(Err(error));
        }
    }
}

impl Kept {
    pub async fn begin(workspace: Arc<Path>) -> io::Result<Self> {
        let open = move || {
            let workspace = Workspace::open(workspace).map_err(|error| io::Error::other(error.to_string()))?;
            Ok::<_, io::Error>(workspace.new_output()?)
        };
        let (file, place) = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
        Ok(Self { file: File::from_std(file), place, written: 0 })
    }

    /// Until then others may not see what was written.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    /// Writes as much as there is room for.
    pub async fn write(&mut self, bytes: &[u8], max: u64) -> io::Result<()> {
        let room = usize::try_from(max.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.file.write_all(bytes).await?;
        self.written = self.written.saturating_add(bytes.len() as u64);
        Ok(())
    }
}
