//! Reads patches between `*** Begin Patch` and `*** End Patch`, as some models were trained to write them.

use super::{FilePatch, Hunk, Side};
use crate::tools::text;

pub(super) fn is_one(patch: &str) -> bool {
    patch.trim_start().starts_with("*** Begin Patch")
}

pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let mut files: Vec<FilePatch> = Vec::new();
    for line in patch.trim().lines().skip(1) {
        if let Some(order) = line.strip_prefix("*** ") {
            match order.split_once(": ") {
                Some(("Add File", name)) => files.push(FilePatch { to: name_of(name), ..FilePatch::default() }),
                Some(("Delete File", name)) => files.push(FilePatch { from: name_of(name), ..FilePatch::default() }),
                Some(("Update File", name)) => {
                    files.push(FilePatch { from: name_of(name), to: name_of(name), ..FilePatch::default() });
                }
                Some(("Move to", name)) => {
                    let Some(file) = files.last_mut() else { return Err(unexpected(line)) };
                    file.to = name_of(name);
                    file.renames = true;
                }
                None if order == "End Patch" => break,
                None if order == "End of File" => {}
                _ => return Err(unexpected(line)),
            }
            continue;
        }
        let Some(file) = files.last_mut() else { return Err(unexpected(line)) };
        if let Some(anchor) = line.strip_prefix("@@") {
            anchored(file, anchor.trim());
            continue;
        }
        let (side, rest) = match line.chars().next() {
            Some(' ') => (Side::Both, line.get(1..)),
            Some('-') => (Side::Old, line.get(1..)),
            Some('+') => (Side::New, line.get(1..)),
            None => (Side::Both, Some("")),
            Some(_) => return Err(unexpected(line)),
        };
        if file.hunks.is_empty() {
            file.hunks.push(Hunk { header: "@@".to_owned(), ..Hunk::default() });
        }
        let hunk = file.hunks.last_mut();
        hunk.into_iter().for_each(|hunk| hunk.lines.push((side, rest.unwrap_or_default().to_owned())));
    }
    Ok(files)
}

/// A line of `@@` begins a hunk, or narrows down where the one that is still empty is.
fn anchored(file: &mut FilePatch, anchor: &str) {
    let anchor = Some(anchor.to_owned()).filter(|anchor| !anchor.is_empty());
    match file.hunks.last_mut().filter(|hunk| hunk.lines.is_empty()) {
        Some(hunk) => hunk.anchors.extend(anchor),
        None => {
            let header = format!("@@ {}", anchor.as_deref().unwrap_or_default()).trim_end().to_owned();
            let anchors = anchor.into_iter().collect();
            file.hunks.push(Hunk { header, anchors, ..Hunk::default() });
        }
    }
}

fn name_of(name: &str) -> Option<String> {
    Some(name.trim().to_owned())
}

fn unexpected(line: &str) -> String {
    format!("{} is out of place between `*** Begin Patch` and `*** End Patch`.", text::quoted(line))
}
