//! The tools that the daemon runs for a model. To add one: a file here that implements [`FileTool`](file_tool::FileTool)
//! or the port itself, a line in [`builtin`], and its name in [`NAMES`].

pub mod delegate;
pub mod edit_file;
pub mod fetch_url;
pub mod file_tool;
pub mod list_files;
pub mod memory;
pub mod read_file;
pub mod registry;
pub mod schema;
pub mod search_files;
pub mod skill;
pub mod skills;
pub mod terminal;
pub mod text;
pub mod todo;
pub mod walk;
pub mod web_search;
pub mod workspace;
pub mod write_file;

use crate::core::ports::tool::Tool;
use crate::sandbox::Supervisor;
use crate::web::guard::Guard;
use delegate::{DelegateTool, Delegating};
use edit_file::EditFile;
use fetch_url::{FetchSettings, FetchUrl};
use file_tool::Confined;
use list_files::ListFiles;
use memory::{Memory, MemoryTool};
use read_file::ReadFile;
use registry::{RegistryError, ToolSet};
use search_files::SearchFiles;
use skill::SkillTool;
use skills::Skills;
use std::sync::Arc;
use std::time::Duration;
use terminal::Terminal;
use todo::Todo;
use web_search::{SearchSettings, WebSearch};
use write_file::WriteFile;

/// The names of all built-in tools, in the order of the alphabet. Some are there only where [`Means`] or settings make
/// them of use: `delegate`, `memory`, `skill`, `web_search`.
pub const NAMES: &[&str] = &[
    "delegate",
    "edit_file",
    "fetch_url",
    "list_files",
    "memory",
    "read_file",
    "search_files",
    "skill",
    "terminal",
    "todo",
    "web_search",
    "write_file",
];

/// What the tools may use up. The same for all profiles; what one call has left of its time is in its context.
#[derive(Clone, Debug)]
pub struct ToolSettings {
    /// Bytes of text one call hands to the model; what is cut beyond that is said. It is paid for in tokens.
    pub output_limit: usize,
    /// Bytes of the largest file that is edited, before and after, as an edit holds all of it in memory.
    pub read_limit: u64,
    /// Matches one search reports.
    pub max_matches: u64,
    /// The longest time a command may ask for.
    pub terminal_max_time: Duration,
    /// The program that runs commands, as `shell -c COMMAND`.
    pub shell: String,
    pub fetch_url: FetchSettings,
    /// Without a provider there is no search.
    pub web_search: Option<SearchSettings>,
}

/// What some tools stand on, of which there may be none: then they are not there either.
#[derive(Clone, Default)]
pub struct Means {
    pub delegating: Option<Delegating>,
    pub memory: Option<Memory>,
    pub skills: Option<Skills>,
}

/// Every built-in tool. It fails only if a tool is at fault, and then always.
pub fn builtin(settings: ToolSettings, supervisor: Supervisor, means: &Means) -> Result<ToolSet, RegistryError> {
    let settings = Arc::new(settings);
    let guard = Guard::new(settings.fetch_url.rules.clone());
    let memory = means.memory.clone().map(|memory| Arc::new(MemoryTool::new(memory)) as Arc<dyn Tool>);
    let skill = means.skills.clone().map(|skills| Arc::new(SkillTool::new(skills, &settings)) as Arc<dyn Tool>);
    let tools: [Arc<dyn Tool>; _] = [
        Arc::new(Confined::<EditFile>::new(&settings)),
        Arc::new(Confined::<ListFiles>::new(&settings)),
        Arc::new(Confined::<ReadFile>::new(&settings)),
        Arc::new(Confined::<SearchFiles>::new(&settings)),
        Arc::new(Confined::<WriteFile>::new(&settings)),
        Arc::new(Terminal::new(&settings, supervisor)),
        Arc::new(Todo::default()),
        Arc::new(FetchUrl::new(guard, &settings.fetch_url, settings.output_limit)),
    ];
    let delegate = means.delegating.clone().map(|delegating| Arc::new(DelegateTool::new(delegating)) as Arc<dyn Tool>);
    let search = settings.web_search.as_ref().map(|search| Arc::new(WebSearch::new(search)) as Arc<dyn Tool>);
    ToolSet::new(tools.into_iter().chain(delegate).chain(memory).chain(skill).chain(search))
}
