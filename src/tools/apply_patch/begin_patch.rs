//! Reads patches between `*** Begin Patch` and `*** End Patch`, as some models were trained to write them.

use super::{FilePatch, Hunk, Side};
use crate::tools::text;

pub(super) fn is_one(patch: &str) -> bool {
    patch.trim_start().starts_with("*** Begin Patch")
}

pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let mut files: Vec<FilePatch> = Vec::new();
    // Lines with nothing in them, not even a space, that the last hunk ends with so far.
    let mut bare = 0_usize;
    let mut is_whole = false;
    for line in patch.trim().lines().skip(1) {
        if line.starts_with("*** ") || line.starts_with("@@") {
            without(std::mem::take(&mut bare), &mut files);
        }
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
                None if order.trim_end() == "End Patch" => {
                    is_whole = true;
                    break;
                }
                None if order == "End of File" => {}
                _ => return Err(unexpected(line)),
            }
            continue;
        }
        let begins = files.last().is_none_or(|file| file.hunks.last().is_none_or(|hunk| hunk.lines.is_empty()));
        if line.is_empty() && begins {
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
            // Of a new file there is no line that could be context.
            None if file.from.is_none() => (Side::New, Some("")),
            None => (Side::Both, Some("")),
            Some(_) => return Err(unexpected(line)),
        };
        if file.hunks.is_empty() {
            file.hunks.push(Hunk { header: "@@".to_owned(), ..Hunk::default() });
        }
        bare = if line.is_empty() { bare.saturating_add(1) } else { 0 };
        let hunk = file.hunks.last_mut();
        hunk.into_iter().for_each(|hunk| hunk.lines.push((side, rest.unwrap_or_default().to_owned())));
    }
    match is_whole {
        true => Ok(files),
        // Of a patch that was cut off the rest is not known, and a part of it must not be done.
        false => Err("The patch has no `*** End Patch`: it may be cut off.".to_owned()),
    }
}

/// Takes back the empty lines at the end of the last hunk: they are there to be looked at, as context would have a space.
fn without(bare: usize, files: &mut [FilePatch]) {
    let hunk = files.last_mut().and_then(|file| file.hunks.last_mut());
    hunk.into_iter().for_each(|hunk| hunk.lines.truncate(hunk.lines.len().saturating_sub(bare)));
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
