//! `skill`: opens a skill, or a file of one.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::tools::skills::{SkillFolder, Skills};
use crate::tools::{ToolSettings, file_tool, schema, text};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

pub const NAME: &str = "skill";

const DESCRIPTION: &str = "Opens one of the skills that you were told of: shows its instructions and the names of its files. \
    Give file to read one of those.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The skill's name.
    name: String,
    /// A file of the skill, relative to its folder. Default: its instructions.
    file: Option<String>,
    /// The first line to show, counted from 1, of a text that was cut.
    #[schemars(range(min = 1))]
    offset: Option<usize>,
}

/// The tool over the [`Skills`] of a profile.
pub struct SkillTool {
    spec: ToolSpec,
    skills: Skills,
    output_limit: usize,
}

impl SkillTool {
    pub fn new(skills: Skills, settings: &ToolSettings) -> Self {
        let spec = schema::spec::<Arguments>(NAME, DESCRIPTION);
        Self { spec, skills, output_limit: settings.output_limit }
    }
}

impl Tool for SkillTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::READ_ONLY
    }

    fn summary(&self, arguments: &Value) -> String {
        let [name, file] = ["name", "file"].map(|key| schema::text_at(arguments, key));
        text::summary(&format!("{name} {file}"))
    }

    fn call(&self, arguments: Value, _: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let (skills, limit) = (self.skills.clone(), self.output_limit);
        Box::pin(async move {
            let work = move || show(&skills, schema::parse(arguments)?, limit);
            match tokio::task::spawn_blocking(work).await {
                Ok(shown) => shown.map(file_tool::answer),
                Err(error) => Err(ToolError::Fatal(format!("{NAME} ended by itself: {error}"))),
            }
        })
    }
}

fn show(skills: &Skills, Arguments { name, file, offset }: Arguments, limit: usize) -> Result<String, ToolError> {
    let catalogue = skills.known();
    let Some(skill) = catalogue.skills.get(&name) else {
        let known: Vec<&str> = catalogue.skills.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "There are none at present".to_owned()
        } else {
            format!("There are: {}", known.join(", "))
        };
        return Err(ToolError::TellModel(format!("There is no skill {}. {known}.", text::quoted(&name))));
    };
    let folder = SkillFolder::open(skill)?;
    let offset = offset.unwrap_or(1);
    if let Some(file) = file {
        return page(&folder.text(&file)?, offset, limit);
    }
    let mut after = String::new();
    let (files, is_whole) = folder.files();
    if !files.is_empty() {
        let _ = write!(after, "\n\nFiles of this skill: {}{}.", files.join(", "), if is_whole { "" } else { ", …" });
    }
    let _ =
        write!(after, "\n[skill {name}, in the folder {}, to which its paths are relative]", text::path(&skill.folder));
    let shown = page(&folder.instructions()?, offset, limit.saturating_sub(after.len()))?;
    Ok(shown + &after)
}

/// The lines from `first` on that fit, and how to get at the others.
fn page(text: &str, first: usize, limit: usize) -> Result<String, ToolError> {
    let mut shown = String::new();
    let mut number = first.saturating_sub(1);
    let all = text.lines().count();
    if number >= all.max(1) {
        return Err(ToolError::TellModel(format!(
            "offset {first} is past the end: there are {}.",
            text::count(all as u64, "line")
        )));
    }
    for line in text.lines().skip(number) {
        if shown.len().saturating_add(line.len()).saturating_add(1) > limit {
            break;
        }
        shown.push_str(line);
        shown.push('\n');
        number += 1;
    }
    if number + 1 == first {
        // One line is too long for any page.
        let head = text::head(text.lines().nth(number).unwrap_or_default().as_bytes(), limit);
        shown = format!("{} [… cut]\n", String::from_utf8_lossy(head));
        number += 1;
    }
    match number >= all {
        true => Ok(shown.trim_end().to_owned()),
        false => Ok(format!("{shown}[lines {first}-{number} of {all}; offset={} goes on]", number + 1)),
    }
}
