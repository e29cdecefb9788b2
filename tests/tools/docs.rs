//! What `docs/tools.md` says of each tool is what the tools say of themselves.

use crate::{delegating, settings};
use nuncio::config::tools::Tools;
use nuncio::core::ports::tool::{Tool, Toolset};
use nuncio::sandbox::Supervisor;
use nuncio::store::memory::MemoryStore;
use nuncio::tools::memory::Memory;
use nuncio::tools::skills::Skills;
use nuncio::tools::{Means, NAMES, builtin, text};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

const BEGIN: &str = "<!-- generated from the tools; UPDATE_DOCS=1 cargo test --test tools docs -->\n";
const END: &str = "<!-- end of what is generated -->\n";

/// The table, and a chapter for each tool.
fn generated() -> String {
    // Everything that there is, with the limits that there are where none are configured.
    let notes = Memory::new(Arc::new(MemoryStore::new(NonZeroUsize::MIN)), Tools::default().memory.max_size);
    let means = Means { delegating: Some(delegating()), memory: Some(notes), skills: Some(Skills::new(Vec::new())) };
    let set = builtin(settings(), Supervisor::new("unused"), &means).unwrap();
    let tools: Vec<Arc<dyn Tool>> = NAMES.iter().map(|name| Toolset::get(&set, name).unwrap()).collect();
    let mut text = String::from(
        "| Tool | Effects | Beside others | Time of a call | Text it may hand over |\n|---|---|---|---|---|\n",
    );
    for tool in &tools {
        text += &row(&**tool);
    }
    for tool in &tools {
        let spec = tool.spec();
        write!(text, "\n### `{}`\n\n{}\n", spec.name, spec.description.as_deref().unwrap()).unwrap();
        let parameters = spec.parameters.as_ref().unwrap();
        if parameters["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
            text.push('\n');
        }
        text += &arguments(parameters, 0);
    }
    text
}

fn row(tool: &dyn Tool) -> String {
    let (name, annotations) = (&tool.spec().name, tool.annotations());
    let effects = if annotations.read_only { "none" } else { "yes" };
    let parallel = if annotations.parallel { "yes" } else { "no, alone" };
    let time =
        annotations.time_limit.map_or("`tool_time`".to_owned(), |limit| format!("{} s", text::number(limit.as_secs())));
    let output = text::count(annotations.output_limit.unwrap_or(settings().output_limit) as u64, "byte");
    format!("| [`{name}`](#{name}) | {effects} | {parallel} | {time} | {output} |\n")
}

/// The members of an object, those of objects in them further to the right.
fn arguments(schema: &Value, depth: usize) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = String::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
        let description = member["description"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
        writeln!(text, "{}- `{name}` ({}{optional}){description}", "  ".repeat(depth), kind(member)).unwrap();
        for inner in [member, &member["items"]] {
            text += &arguments(inner, depth + 1);
        }
    }
    text
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|word| word.as_str().map_or(word.to_string(), |word| format!("`{word}`"))).collect();
        return words.join(" or ");
    }
    let kind = schema["type"].as_str().unwrap_or("anything");
    let least = schema["minimum"].as_u64().map(|least| format!(", at least {least}")).unwrap_or_default();
    match kind {
        "array" => format!("list of {}", kind_of_items(&schema["items"])),
        kind => format!("{kind}{least}"),
    }
}

fn kind_of_items(items: &Value) -> String {
    format!("{}s", kind(items))
}

#[test]
fn the_documentation_of_the_tools_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tools.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("no beginning of what is generated in docs/tools.md");
    let (current, after) = rest.split_once(END).expect("no end of what is generated in docs/tools.md");
    let expected = format!("\n{}\n", generated());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(current == expected, "docs/tools.md is not current: UPDATE_DOCS=1 cargo test --test tools docs");
    }
}
