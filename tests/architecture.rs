//! Holds the borders of the house: which module may know which, and which crate may be named where. Paths are read
//! with syn and not by text: a full path in an expression is an import too, and a word in a comment is none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// Each room and the rooms it may name. What is not listed may be named by nobody but `app` and `main`.
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("dialect", &["core"]),
    ("runs", &["core", "dialect", "schema"]),
    ("http", &["core", "dialect", "runs"]),
    ("upstream", &["core"]),
    ("schema", &["core"]),
    ("web", &[]),
    ("tools", &["core", "sandbox", "schema", "web"]),
    ("store", &["core"]),
    ("sandbox", &[]),
    ("config", &["cli", "core", "web"]),
    ("cli", &["config"]),
    ("telemetry", &["config"]),
    ("shutdown", &[]),
    ("system", &[]),
];

/// Crates that belong to some rooms, or modules in them, alone.
const CRATES: &[(&str, &[&str])] = &[
    ("base64", &["dialect"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("tower_http", &["http"]),
    ("tokio_tungstenite", &["http"]),
    ("reqwest", &["upstream", "web"]),
    ("async_openai", &["upstream"]),
    ("rustls", &["upstream", "web"]),
    ("rusqlite", &["store::sqlite"]),
    ("clap", &["cli", "config", "main"]),
    ("sd_notify", &["shutdown"]),
    ("serde_saphyr", &["config", "tools::skills::front_matter"]),
    ("schemars", &["tools"]),
    ("jsonschema", &["schema"]),
    ("html5ever", &["tools::fetch_url"]),
    ("encoding_rs", &["tools::fetch_url"]),
];

/// What would make the pure rooms impure.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "tracing",
    "rusqlite",
    "rustix",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
];
const PURE: &[&str] = &["core", "dialect"];

/// How often a name may stand for a name.
const MAX_RENAMES: usize = 4;

/// Lines of a file of `src`, its tests in files of their own left out.
const MAX_LINES: usize = 400;

struct Source {
    file: PathBuf,
    /// Path of the module, such as `["core", "run", "machine"]`.
    module: Vec<String>,
    paths: BTreeSet<String>,
}

impl Source {
    fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "only {} files found", files.len());
    files.into_iter().map(|file| source(&root, file)).collect()
}

fn source(root: &Path, file: PathBuf) -> Source {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module == ["lib"] {
        module.clear();
    }
    let text = fs::read_to_string(&file).unwrap();
    let mut paths = Paths::of(&module);
    paths.read(&syn::parse_file(&text).unwrap());
    Source { file, module, paths: paths.found }
}

/// Collects every path of a file as `crate::a::b` or `extern::a::b`: `self` and `super` resolved, and names that a `use`
/// brought in put back to what they stand for.
struct Paths {
    module: Vec<String>,
    found: BTreeSet<String>,
    /// What the file calls a path by, such as `time` for `std::time`.
    names: BTreeMap<String, Vec<String>>,
}

impl Paths {
    fn of(module: &[String]) -> Self {
        Self { module: module.to_vec(), found: BTreeSet::new(), names: BTreeMap::new() }
    }

    fn add(&mut self, mut segments: Vec<String>) {
        let mut base = self.module.clone();
        let mut relative = false;
        while let Some(first) = segments.first() {
            match first.as_str() {
                "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            relative = true;
            segments.remove(0);
        }
        if relative {
            segments = ["crate".to_owned()].into_iter().chain(base).chain(segments).collect();
        }
        for _ in 0..MAX_RENAMES {
            let Some(meant) = segments.first().and_then(|first| self.names.get(first)) else { break };
            if meant.first() == segments.first() {
                break;
            }
            segments = meant.iter().chain(segments.iter().skip(1)).cloned().collect();
        }
        self.found.insert(segments.join("::"));
    }

    /// First the names, then the paths, as a name may be used above its `use`.
    fn read(&mut self, file: &syn::File) {
        struct Names<'a>(&'a mut BTreeMap<String, Vec<String>>);
        impl Names<'_> {
            fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
                let with = |ident: &syn::Ident| before.iter().cloned().chain([ident.to_string()]).collect::<Vec<_>>();
                match tree {
                    syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
                    syn::UseTree::Name(name) => drop(self.0.insert(name.ident.to_string(), with(&name.ident))),
                    syn::UseTree::Rename(alias) => drop(self.0.insert(alias.rename.to_string(), with(&alias.ident))),
                    syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
                    syn::UseTree::Glob(_) => {}
                }
            }
        }
        impl<'ast> Visit<'ast> for Names<'_> {
            fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
                self.tree(&[], &item.tree);
            }
            fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
                self.0.insert(name.to_string(), vec![item.ident.to_string()]);
            }
        }
        Names(&mut self.names).visit_file(file);
        self.visit_file(file);
    }

    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| before.iter().cloned().chain([ident.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(before.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// The arguments of a macro are no syntax tree, so the paths in them are put together from their tokens.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let text = mac.tokens.to_string().replace(' ', "");
        let is_path = |char: char| char.is_alphanumeric() || "_:".contains(char);
        let words = text.split(|char| !is_path(char)).map(|word| word.trim_matches(':'));
        for path in words.filter(|word| word.contains("::")) {
            self.add(path.split("::").map(str::to_owned).collect());
        }
        visit::visit_macro(self, mac);
    }
}

#[test]
fn every_room_names_only_the_rooms_it_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        if ["lib", "app", "main"].contains(&room) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: `{room}` is not in the list of rooms", source.file.display()));
            continue;
        };
        for path in &source.paths {
            let Some(other) = path.strip_prefix("crate::").and_then(|path| path.split("::").next()) else { continue };
            if other != room && !allowed.contains(&other) {
                wrong.push(format!("{}: names {path}", source.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        let under = |path: &str, name: &str| path == name || path.starts_with(&format!("{name}::"));
        for path in &source.paths {
            let owner = CRATES.iter().find(|(name, _)| under(path, name));
            let module = source.module.join("::");
            if owner.is_some_and(|(_, modules)| !modules.iter().any(|name| under(&module, name))) {
                wrong.push(format!("{}: names {path}", source.file.display()));
            }
            if PURE.contains(&source.room()) && IMPURE.iter().any(|name| under(path, name)) {
                wrong.push(format!("{}: is pure and names {path}", source.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The two tests above can fail: the reader finds what it must find.
#[test]
fn paths_are_found_wherever_they_stand() {
    let text = "
        use super::item::{Item, Role as R};
        use std::time;
        use crate as house;
        extern crate hyper as h;
        fn f() { crate::http::x(); json!({\"a\": axum::Json(1)}); time::Instant::now(); house::runs::y(); h::z(); }";
    let mut paths = Paths::of(&["core".into(), "event".into()]);
    paths.read(&syn::parse_file(text).unwrap());
    let expected = [
        "crate::core::item::Item",
        "crate::core::item::Role",
        "crate::http::x",
        "axum::Json",
        "std::time::Instant::now",
        "crate::runs::y",
        "hyper::z",
    ];
    for expected in expected {
        assert!(paths.found.contains(expected), "{expected} not in {:?}", paths.found);
    }
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    let mut wrong = Vec::new();
    for source in sources() {
        let text = fs::read_to_string(&source.file).unwrap();
        let is_test = source.module.last().is_some_and(|name| name == "tests" || name == "properties");
        if !is_test && !text.starts_with("//! ") {
            wrong.push(format!("{}: the first line does not say what it is for", source.file.display()));
        }
        let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        if lines > MAX_LINES && !is_test {
            wrong.push(format!("{}: {lines} lines", source.file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
