//! `profiles:` the agents behind the model ids: which model, with what instructions, tools and limits.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};
use serde_json::{Map, Value};

use crate::core::{ports::delegate, run::OnDisconnect};

use super::{
    error::Problems,
    limits::Limits,
    sandbox::{Level, Network, Reach},
    skills::Skills,
    upstreams::{self, REHEARSAL_MODEL, Upstream, UpstreamKind},
    value,
};

/// The profile there is when none is configured.
pub const NUNCIO: &str = "nuncio";

/// Chat parameters that the run itself sets, so that a default for them could not be honoured.
const OWN_PARAMETERS: [&str; 8] =
    ["model", "messages", "stream", "stream_options", "tools", "tool_choice", "n", "functions"];

/// One agent; its key in `profiles:` is the model id that clients ask for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// For `/v1/models` and people.
    pub description: Option<String>,
    /// Once loaded, true for exactly one profile: see [`super::Config::default_profile`].
    pub default: bool,
    /// Name of an upstream; `None` means `default`, or the only one.
    pub upstream: Option<String>,
    /// Model to ask there; `None` means the upstream's own.
    pub model: Option<String>,
    /// Tried in order when the one before fails for good.
    pub fallbacks: Vec<Fallback>,
    /// Core system text; what a client says as system is layered on top, never instead. Empty means none.
    pub instructions: String,
    pub tools: AllowedTools,
    /// Ids of the profiles that its runs may hand tasks to. With none there is no tool for it.
    pub delegates: Vec<String>,
    /// Folders of skill folders instead of those of `skills.paths`. Absolute once loaded.
    pub skills: Option<Vec<PathBuf>>,
    pub tool_activity: ToolActivity,
    /// What becomes of a run whose client has left, unless the request says it.
    #[serde(deserialize_with = "value::on_disconnect")]
    pub on_disconnect: OnDisconnect,
    /// Whether a response without instructions takes those of the one it goes on from (Hermes' rule; the standard's is no).
    pub inherit_instructions: bool,
    /// One folder for all sessions; `None` gives each session its own under the data folder. Absolute once loaded.
    pub workspace: Option<PathBuf>,
    /// What is kept from its commands.
    pub sandbox: Level,
    pub network: Option<Network>,
    /// What they can read besides the system and the workspace. Absolute once loaded.
    pub read: Vec<PathBuf>,
    /// What they can read and write besides the workspace. Absolute once loaded.
    pub write: Vec<PathBuf>,
    pub limits: Limits,
    /// Tokens the model takes, its answer included. `None` learns it from the upstream's refusals.
    pub context_window: Option<u32>,
    /// Chat parameters sent unless the client gives its own.
    pub sampling: Map<String, Value>,
}

/// What a fallback leaves out is as in the profile (`upstream`) or as the upstream says (`model`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fallback {
    pub upstream: Option<String>,
    pub model: Option<String>,
}

/// Which of the server's tools the model is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedTools {
    #[default]
    All,
    Only(Vec<String>),
}

/// How runs of the server's tools show on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolActivity {
    /// Extra keys that some clients show and all others ignore.
    #[default]
    Standard,
    Hidden,
    /// As calls of the client's tools, for frontends that want that form; other clients would run them.
    FunctionCall,
}

/// One place to ask: an upstream by name, and a model there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub upstream: String,
    pub model: String,
}

/// Why a profile has no place to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Unresolved {
    /// Path within the profile, such as `fallbacks[0].model`.
    pub field: String,
    pub message: String,
}

impl Profile {
    /// Where to ask, the first choice first. Fails only for upstreams that the profile was not checked against.
    pub fn targets(&self, upstreams: &BTreeMap<String, Upstream>) -> Result<Vec<Target>, Unresolved> {
        let mut targets = vec![target("", self.upstream.as_deref(), self.model.as_deref(), upstreams)?];
        for (index, fallback) in self.fallbacks.iter().enumerate() {
            let upstream = fallback.upstream.as_deref().or(self.upstream.as_deref());
            targets.push(target(&format!("fallbacks[{index}]."), upstream, fallback.model.as_deref(), upstreams)?);
        }
        Ok(targets)
    }

    /// What its commands may reach.
    pub fn reach(&self) -> Reach<'_> {
        Reach { sandbox: self.sandbox, network: self.network, read: &self.read, write: &self.write }
    }

    /// Where its skills are, `common` being those of all profiles.
    pub fn skills<'a>(&'a self, common: &'a Skills) -> &'a [PathBuf] {
        self.skills.as_ref().unwrap_or(&common.paths)
    }

    /// A tool that is named must be there.
    pub(super) fn check_skills(&self, at: &str, common: &Skills, problems: &mut Problems<'_>) {
        let AllowedTools::Only(names) = &self.tools else { return };
        if self.skills(common).is_empty()
            && let Some(index) = names.iter().position(|name| name == "skill")
        {
            let expected = format!(
                "expected a folder in `skills.paths` or {at}.skills as well: without one `skill` has nothing to open"
            );
            problems.add(format!("{at}.tools[{index}]"), expected);
        }
    }

    pub(super) fn check(
        &self,
        at: &str,
        upstreams: &BTreeMap<String, Upstream>,
        tools: &[&str],
        profiles: &[&str],
        problems: &mut Problems<'_>,
    ) {
        // With no upstream configured the daemon finds one when it starts, and any will do for who names none.
        let resolvable = !upstreams.is_empty() || self.names_upstream();
        if resolvable && let Err(error) = self.targets(upstreams) {
            problems.add(format!("{at}.{}", error.field), error.message);
        }
        for (index, fallback) in self.fallbacks.iter().enumerate() {
            let says = fallback.upstream.is_some() || fallback.model.is_some();
            problems.expect(says, format!("{at}.fallbacks[{index}]"), "expected `upstream`, `model` or both");
        }
        if let AllowedTools::Only(names) = &self.tools {
            for (index, name) in names.iter().enumerate() {
                let at = format!("{at}.tools[{index}]");
                let known = tools.contains(&name.as_str());
                if !known {
                    let expected = format!("expected one of {}; found `{}`", list(tools), name.escape_debug());
                    problems.add(at, expected);
                } else if names.iter().take(index).any(|earlier| earlier == name) {
                    problems.add(at, format!("expected each tool once; found `{name}` again"));
                }
            }
        }
        self.check_delegates(at, profiles, problems);
        for name in self.sampling.keys().filter(|name| OWN_PARAMETERS.contains(&name.as_str())) {
            let expected = "expected a parameter of the model, such as temperature; each run sets this one itself";
            problems.add(value::join(&format!("{at}.sampling"), name), expected);
        }
        self.reach().check(at, problems);
        let window = self.context_window != Some(0);
        problems.expect(window, format!("{at}.context_window"), "expected more than 0");
        self.limits.check(&format!("{at}.limits"), problems);
    }

    fn check_delegates(&self, at: &str, profiles: &[&str], problems: &mut Problems<'_>) {
        for (index, id) in self.delegates.iter().enumerate() {
            let at = format!("{at}.delegates[{index}]");
            if !profiles.contains(&id.as_str()) {
                problems.add(at, format!("expected one of {}; found `{}`", list(profiles), id.escape_debug()));
            } else if self.delegates.iter().take(index).any(|earlier| earlier == id) {
                problems.add(at, format!("expected each profile once; found `{id}` again"));
            }
        }
        let AllowedTools::Only(names) = &self.tools else { return };
        let listed = names.iter().any(|name| name == delegate::TOOL);
        let at_delegates = format!("{at}.delegates");
        if self.delegates.is_empty() {
            problems.expect(!listed, at_delegates, "expected a profile to delegate to, as `tools` lists `delegate`");
        } else {
            problems.expect(listed, format!("{at}.tools"), "expected `delegate` among them, as there are `delegates`");
        }
    }

    fn names_upstream(&self) -> bool {
        self.upstream.is_some() || self.fallbacks.iter().any(|fallback| fallback.upstream.is_some())
    }
}

fn target(
    at: &str,
    upstream: Option<&str>,
    model: Option<&str>,
    upstreams: &BTreeMap<String, Upstream>,
) -> Result<Target, Unresolved> {
    let unresolved = |field: &str, message: String| Unresolved { field: format!("{at}{field}"), message };
    let names: Vec<&str> = upstreams.keys().map(String::as_str).collect();
    let name = match (upstream, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, names) if names.contains(&upstreams::DEFAULT) => upstreams::DEFAULT,
        (None, names) => {
            return Err(unresolved("upstream", format!("expected one of {}; found none", list(names))));
        }
    };
    let Some(found) = upstreams.get(name) else {
        let message = format!("expected one of {}; found `{}`", list(&names), name.escape_debug());
        return Err(unresolved("upstream", message));
    };
    let own = match found.kind {
        UpstreamKind::OpenaiChat => None,
        UpstreamKind::Rehearsal => Some(REHEARSAL_MODEL),
    };
    match model.or(found.model.as_deref()).or(own) {
        Some("") => Err(unresolved("model", "expected a model name; found nothing".to_owned())),
        Some(model) => Ok(Target { upstream: name.to_owned(), model: model.to_owned() }),
        None => {
            let upstream = value::join("upstreams", name);
            let variable = if name == upstreams::DEFAULT { " or NUNCIO_UPSTREAM_MODEL" } else { "" };
            let message = format!("expected a model name, here or as {upstream}.model{variable}; found none");
            Err(unresolved("model", message))
        }
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "(there is none)".to_owned() } else { names.join(", ") }
}

/// A model id travels in URLs, JSON and logs, and people type it.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    let good = (1..=128).contains(&id.len()) && id.trim() == id && !id.chars().any(char::is_control);
    let expected = "expected a model id of 1 to 128 bytes, no control characters, no space at its ends";
    if good { Ok(()) } else { Err(format!("{expected}; found `{}`", id.escape_debug())) }
}

impl<'de> Deserialize<'de> for AllowedTools {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AllowedToolsVisitor)
    }
}

struct AllowedToolsVisitor;

impl<'de> Visitor<'de> for AllowedToolsVisitor {
    type Value = AllowedTools;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all` or a list of tool names")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<AllowedTools, E> {
        match word {
            "all" => Ok(AllowedTools::All),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AllowedTools, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(AllowedTools::Only(names))
    }
}
