//! The built-in tools as a run calls them: arguments checked against the schema, then the call, and all of its answer.

mod confinement;
mod docs;
mod edit;
mod list;
mod memory;
mod read;
mod search;
mod skill;
mod terminal;
mod todo;
mod web;
mod write;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nuncio::core::id::RunId;
use nuncio::core::item::text_of;
use nuncio::core::ports::delegate::{Delegation, Task};
use nuncio::core::ports::tool::{Activity, ToolContext, ToolError, Toolset, Who};
use nuncio::sandbox::Supervisor;
use nuncio::store::memory::MemoryStore;
use nuncio::tools::delegate::{Delegate, Delegating};
use nuncio::tools::fetch_url::FetchSettings;
use nuncio::tools::memory::Memory;
use nuncio::tools::registry::ToolSet;
use nuncio::tools::skills::Skills;
use nuncio::tools::web_search::{Provider, SearchSettings};
use nuncio::tools::{Means, NAMES, ToolSettings, builtin};
use serde_json::{Value, json};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// Limits that the tests do not meet unless they set them lower.
fn settings() -> ToolSettings {
    ToolSettings {
        output_limit: 32 << 10,
        read_limit: 16 << 20,
        max_matches: 200,
        terminal_max_time: Duration::from_secs(600),
        shell: "/bin/sh".to_owned(),
        fetch_url: FetchSettings { max_size: 64 << 10, max_time: Duration::from_secs(20), ..FetchSettings::default() },
        web_search: Some(SearchSettings {
            provider: Provider::Searxng,
            // Nobody listens there.
            base_url: Some("http://127.0.0.1:9".parse().unwrap()),
            api_key: None,
            max_results: 8,
        }),
    }
}

/// Hands tasks to nobody, and says what it was told.
struct Nobody;

impl Delegation for Nobody {
    fn delegate(&self, task: Task, _: ToolContext) -> BoxFuture<'static, Result<String, ToolError>> {
        std::future::ready(Ok(format!("{}: {}", task.profile, task.text))).boxed()
    }
}

fn delegating() -> Delegating {
    let delegate = |profile: &str, description: Option<&str>| Delegate {
        profile: profile.to_owned(),
        description: description.map(str::to_owned),
    };
    let to = vec![delegate("writer", None), delegate("reviewer", Some("reads what others write"))];
    Delegating { to, time_limit: Duration::from_secs(1800), port: Arc::new(Nobody) }
}

/// A workspace in a folder of its own, so that there is an outside that may be touched.
struct Desk {
    _folder: TempDir,
    outside: PathBuf,
    workspace: PathBuf,
    /// Where its skills are.
    shelf: PathBuf,
    memory: Memory,
    skills: Skills,
    tools: ToolSet,
}

/// Bytes of its notes.
const MAX_NOTES: usize = 400;

impl Desk {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: ToolSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [outside, workspace, shelf] = ["outside", "workspace", "shelf"].map(|name| {
            let path = folder.path().canonicalize().unwrap().join(name);
            fs::create_dir(&path).unwrap();
            path
        });
        let memory = Memory::new(Arc::new(MemoryStore::new(NonZeroUsize::MIN)), MAX_NOTES);
        let skills = Skills::new(vec![shelf.clone()]);
        let means =
            Means { delegating: Some(delegating()), memory: Some(memory.clone()), skills: Some(skills.clone()) };
        let tools = builtin(settings, Supervisor::new(env!("CARGO_BIN_EXE_nuncio")), &means).unwrap();
        Self { _folder: folder, outside, workspace, shelf, memory, skills, tools }
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.workspace.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn content(&self, path: &str) -> String {
        fs::read_to_string(self.workspace.join(path)).unwrap()
    }

    fn context(&self) -> ToolContext {
        ToolContext {
            run: RunId::new(Uuid::nil()),
            call_id: "c1".into(),
            who: Arc::new(Who { principal: "ann".into(), user: None, profile: "nuncio".into() }),
            session: "s1".into(),
            workspace: self.workspace.as_path().into(),
            time_limit: Duration::from_secs(60),
            activity: Activity::silent(),
        }
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<String, ToolError> {
        self.tools.validate(name, &arguments).map_err(ToolError::TellModel)?;
        let parts = self.tools.get(name).unwrap().call(arguments, self.context()).await?;
        assert_eq!(parts.len(), 1);
        Ok(text_of(&parts).into_owned())
    }

    async fn ok(&self, name: &str, arguments: Value) -> String {
        self.call(name, arguments).await.unwrap()
    }

    /// What the model is told of a call that did not work.
    async fn told(&self, name: &str, arguments: Value) -> String {
        match self.call(name, arguments).await {
            Err(ToolError::TellModel(text)) => text,
            other => panic!("not told: {other:?}"),
        }
    }
}

/// What is in a folder: names, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_tools_are_those_named() {
    let desk = Desk::new();
    assert_eq!(desk.tools.names().collect::<Vec<_>>(), NAMES);
    let effects = NAMES.iter().copied().filter(|name| !desk.tools.get(name).unwrap().annotations().read_only);
    assert_eq!(effects.collect::<Vec<_>>(), ["delegate", "edit_file", "memory", "terminal", "write_file"]);
}

#[test]
fn there_is_no_search_without_a_provider() {
    let desk = Desk::with(ToolSettings { web_search: None, ..settings() });
    let names: Vec<&str> = NAMES.iter().copied().filter(|name| *name != "web_search").collect();
    assert_eq!(desk.tools.names().collect::<Vec<_>>(), names);
}

#[test]
fn a_call_is_summed_up_in_a_line() {
    let desk = Desk::new();
    let cases = [
        ("terminal", json!({"command": "ls -la\nrm x"}), "ls -la rm x"),
        ("read_file", json!({"path": "notes.txt", "offset": 3}), "notes.txt"),
        ("write_file", json!({"path": "a\u{7}b", "content": ""}), "a b"),
        ("edit_file", json!({"path": "x".repeat(100)}), &format!("{}…", "x".repeat(79))),
        ("list_files", json!({}), "."),
        ("list_files", json!({"path": "src", "glob": "*.rs"}), "src *.rs"),
        ("search_files", json!({"pattern": "fn main"}), "fn main"),
        ("delegate", json!({"profile": "writer", "task": "Write\na poem"}), "writer: Write a poem"),
        ("fetch_url", json!({"url": "https://example.org/a", "offset": 3}), "https://example.org/a"),
        ("web_search", json!({"query": "rust 2024"}), "rust 2024"),
        ("search_files", json!(["not", "an", "object"]), ""),
        ("memory", json!({"action": "replace", "note": 3, "text": "Likes tea."}), "replace 3: Likes tea."),
        ("memory", json!({"action": "remove", "note": 3}), "remove 3"),
        ("skill", json!({"name": "pdf", "file": "forms.md"}), "pdf forms.md"),
    ];
    for (name, arguments, expected) in cases {
        assert_eq!(desk.tools.get(name).unwrap().summary(&arguments), expected, "{name} {arguments}");
    }
}

/// A call of each tool that finds nothing wrong with an empty workspace, or says what is missing in it.
fn harmless() -> [(&'static str, Value); 6] {
    [
        ("terminal", json!({"command": "true"})),
        ("search_files", json!({"pattern": "x"})),
        ("list_files", json!({})),
        ("edit_file", json!({"path": "a", "old_string": "x", "new_string": "y"})),
        ("write_file", json!({"path": "a", "content": "x"})),
        ("read_file", json!({"path": "a"})),
    ]
}

/// A command can remove it, and a model can go on from that.
#[tokio::test]
async fn a_workspace_that_is_gone_is_made_again() {
    for (name, arguments) in harmless() {
        let desk = Desk::new();
        let before = desk.call(name, arguments.clone()).await;
        fs::remove_dir_all(&desk.workspace).unwrap();
        let after = desk.call(name, arguments).await;
        assert!(desk.workspace.is_dir(), "{name}");
        if name != "write_file" {
            assert_eq!(after, before, "{name}");
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_place_of_the_workspace_is_told() {
    for (name, arguments) in harmless() {
        let desk = Desk::new();
        fs::remove_dir(&desk.workspace).unwrap();
        fs::write(&desk.workspace, "").unwrap();
        let told = desk.told(name, arguments.clone()).await;
        assert!(told.starts_with("The workspace cannot be used: "), "{name}: {told}");

        // Commands can go anywhere; the file tools must not follow.
        fs::remove_file(&desk.workspace).unwrap();
        std::os::unix::fs::symlink(&desk.outside, &desk.workspace).unwrap();
        match name {
            "terminal" => assert_eq!(desk.ok(name, arguments).await, "[no output]\n[exit code 0]"),
            _ => assert!(desk.told(name, arguments).await.starts_with("The workspace cannot be used: "), "{name}"),
        }
        assert_eq!(names(&desk.outside), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn a_task_goes_to_a_profile_that_is_offered() {
    let desk = Desk::new();
    let (task, blank) = (json!({"profile": "writer", "task": "Go"}), json!({"profile": "writer", "task": " "}));
    assert_eq!(desk.ok("delegate", task).await, "writer: Go");
    assert_eq!(desk.told("delegate", blank).await, "task is empty: say what is to be done.");
    let told = desk.told("delegate", json!({"profile": "stranger", "task": "Go"})).await;
    assert!(told.contains("profile") && told.contains("writer"), "{told}");
    let spec = desk.tools.get("delegate").unwrap().spec();
    let profile = &spec.parameters.as_ref().unwrap()["properties"]["profile"];
    let description = "Who does it. reviewer: reads what others write";
    assert_eq!(*profile, json!({"type": "string", "description": description, "enum": ["writer", "reviewer"]}));
}

/// What servers and the grammars they build understand everywhere: flat, described, closed.
#[test]
fn every_schema_is_plain() {
    for spec in Desk::new().tools.specs().iter() {
        let name = &spec.name;
        let parameters = spec.parameters.as_ref().unwrap().as_object().unwrap();
        assert_eq!(parameters["type"], "object", "{name}");
        assert_eq!(parameters["additionalProperties"], false, "{name}");
        assert_is_plain(name, parameters);
    }
}

/// An object; one in a list is described by that.
fn assert_is_plain(name: &str, object: &serde_json::Map<String, Value>) {
    let known = ["type", "properties", "required", "additionalProperties"];
    assert!(object.keys().all(|key| known.contains(&key.as_str())), "{name}: {object:?}");
    for (argument, schema) in object["properties"].as_object().unwrap() {
        let keys = schema.as_object().unwrap().keys().map(String::as_str);
        let known = ["type", "description", "minimum", "enum", "items"];
        assert!(keys.into_iter().all(|key| known.contains(&key)), "{name}.{argument}: {schema}");
        assert!(schema["type"].is_string() && schema["description"].is_string(), "{name}.{argument}");
        assert_eq!(schema.get("items").is_some(), schema["type"] == "array", "{name}.{argument}");
        schema.get("items").into_iter().for_each(|items| assert_is_plain(name, items.as_object().unwrap()));
    }
}
