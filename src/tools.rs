//! The tools that the daemon runs for a model. To add one: a file here that implements [`FileTool`](file_tool::FileTool)
//! or the port itself, a line in [`builtin`], and its name in [`NAMES`].

pub mod apply_patch;
pub mod edit_file;
pub mod file_tool;
pub mod list_files;
pub mod process;
pub mod read_file;
pub mod registry;
pub mod schema;
pub mod search_files;
pub mod terminal;
pub mod text;
pub mod view_image;
pub mod walk;
pub mod workspace;
pub mod write_file;

use crate::core::ports::tool::Tool;
use crate::sandbox::Supervisor;
use apply_patch::ApplyPatch;
use edit_file::EditFile;
use file_tool::Confined;
use list_files::ListFiles;
use process::ProcessTool;
use read_file::ReadFile;
use registry::{RegistryError, ToolSet};
use search_files::SearchFiles;
use std::sync::Arc;
use std::time::Duration;
use terminal::Terminal;
use terminal::processes::Processes;
use view_image::ViewImage;
use write_file::WriteFile;

/// The names of all built-in tools, in the order of the alphabet.
pub const NAMES: &[&str] = &[
    "apply_patch",
    "edit_file",
    "list_files",
    "process",
    "read_file",
    "search_files",
    "terminal",
    "view_image",
    "write_file",
];

/// What the tools may use up. The same for all profiles; what one call has left of its time is in its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSettings {
    /// Bytes of text one call hands to the model; what is cut beyond that is said. It is paid for in tokens.
    pub output_limit: usize,
    /// Bytes of the largest image that is shown. Models take no larger ones, and it stays in the conversation.
    pub max_image: u64,
    /// Bytes of the largest file that is edited, before and after, as an edit holds all of it in memory.
    pub read_limit: u64,
    /// Matches one search reports.
    pub max_matches: u64,
    /// The longest time a command may ask for.
    pub terminal_max_time: Duration,
    /// Bytes of a command's output that are kept in a file, where there is more than is shown.
    pub terminal_max_output: u64,
    /// The program that runs commands, as `shell -c COMMAND`.
    pub shell: String,
}

/// Every built-in tool. It fails only if a tool is at fault, and then always.
pub fn builtin(settings: ToolSettings, supervisor: Supervisor, processes: Processes) -> Result<ToolSet, RegistryError> {
    let settings = Arc::new(settings);
    let tools: [Arc<dyn Tool>; _] = [
        Arc::new(Confined::<ApplyPatch>::new(&settings)),
        Arc::new(Confined::<EditFile>::new(&settings)),
        Arc::new(Confined::<ListFiles>::new(&settings)),
        Arc::new(ProcessTool::new(&settings, processes.clone())),
        Arc::new(Confined::<ReadFile>::new(&settings)),
        Arc::new(Confined::<SearchFiles>::new(&settings)),
        Arc::new(Terminal::new(&settings, supervisor, processes)),
        Arc::new(Confined::<ViewImage>::new(&settings)),
        Arc::new(Confined::<WriteFile>::new(&settings)),
    ];
    ToolSet::new(tools)
}
