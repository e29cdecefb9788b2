//! Reads unified diffs, git's among them. Models count badly, so the counts of a hunk only help where its end is in
//! doubt.

use super::{FilePatch, Hunk, Side};
use crate::tools::text;
use std::iter::Peekable;
use std::str::Lines;

/// Of a file that is not there.
const NOTHING: &str = "/dev/null";

pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let mut reader = Reader { files: Vec::new(), git: false, lines: patch.lines().peekable() };
    while let Some(line) = reader.lines.next() {
        reader.header(line)?;
    }
    let changes = |file: &FilePatch| !file.hunks.is_empty() || file.renames || file.from.is_none() != file.to.is_none();
    reader.files.retain(changes);
    Ok(reader.files)
}

struct Reader<'p> {
    files: Vec<FilePatch>,
    /// The last file began with git's line, and its names may still come.
    git: bool,
    lines: Peekable<Lines<'p>>,
}

impl<'p> Reader<'p> {
    /// A line between hunks. What says nothing of a change is passed over, as people put words around patches.
    fn header(&mut self, line: &'p str) -> Result<(), String> {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let (from, to) = git_names(names);
            self.files.push(FilePatch { from, to, ..FilePatch::default() });
            self.git = true;
        } else if let Some(old) = line.strip_prefix("--- ")
            && let Some(new) = self.lines.peek().and_then(|next| next.strip_prefix("+++ "))
        {
            self.lines.next();
            let (from, to) = names(old, new);
            match self.files.last_mut().filter(|_| self.git) {
                Some(file) if file.renames => {}
                Some(file) => (file.from, file.to) = (from, to),
                None => self.files.push(FilePatch { from, to, ..FilePatch::default() }),
            }
            self.git = false;
        } else if line.starts_with("@@") {
            let Some(file) = self.files.last_mut() else {
                return Err(format!("{} comes before any `---` and `+++` line.", text::quoted(line)));
            };
            self.git = false;
            let hunk = hunk(line, &mut self.lines)?;
            file.hunks.push(hunk);
        } else if let Some(file) = self.files.last_mut().filter(|_| self.git) {
            match line.split_once(' ') {
                Some(("new", rest)) if rest.starts_with("file mode") => file.from = None,
                Some(("deleted", rest)) if rest.starts_with("file mode") => file.to = None,
                Some(("rename", rest)) => {
                    file.renames = true;
                    match rest.split_once(' ') {
                        Some(("from", name)) => file.from = Some(unquoted(name)),
                        Some(("to", name)) => file.to = Some(unquoted(name)),
                        _ => {}
                    }
                }
                Some(("copy", _)) => return Err("Copies cannot be patched: give the copy as a new file.".to_owned()),
                Some(("GIT" | "Binary", _)) => return Err("Binary files cannot be patched.".to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads the lines of a hunk. It ends where another hunk, another file or the patch does.
fn hunk(header: &str, lines: &mut Peekable<Lines<'_>>) -> Result<Hunk, String> {
    let (line, counts) = position(header);
    let mut hunk = Hunk { header: header.to_owned(), line, ..Hunk::default() };
    // Lines with nothing in them, not even a space: mostly context of which the space was lost, or what comes after.
    let mut bare = 0_usize;
    let (mut old, mut new) = (0_usize, 0_usize);
    while let Some(line) = lines.peek() {
        let full = counts.is_some_and(|counts| old >= counts.0 && new >= counts.1);
        let is_signature = full && matches!(*line, "-- " | "--");
        if line.starts_with("@@") || line.starts_with("diff --git ") || is_signature || is_next_file(lines) {
            break;
        }
        let Some(line) = lines.next() else { break };
        let (side, rest) = match line.chars().next() {
            Some(' ') => (Side::Both, line.get(1..)),
            Some('-') => (Side::Old, line.get(1..)),
            Some('+') => (Side::New, line.get(1..)),
            None => (Side::Both, Some("")),
            Some('\\') => {
                no_newline(&mut hunk);
                continue;
            }
            Some(_) if full => break,
            Some(_) => {
                return Err(format!(
                    "{} is in the hunk {} and begins with none of a space, `-` and `+`.",
                    text::quoted(line),
                    text::quoted(header)
                ));
            }
        };
        old = old.saturating_add(usize::from(side != Side::New));
        new = new.saturating_add(usize::from(side != Side::Old));
        bare = if line.is_empty() { bare.saturating_add(1) } else { 0 };
        hunk.lines.push((side, rest.unwrap_or_default().to_owned()));
    }
    while bare > 0 && counts.is_none_or(|(announced, _)| old > announced) {
        hunk.lines.pop();
        (bare, old) = (bare.saturating_sub(1), old.saturating_sub(1));
    }
    Ok(hunk)
}

/// Whether the names of another file come next, and not the change of a line that looks like one.
fn is_next_file(lines: &Peekable<Lines<'_>>) -> bool {
    let mut ahead = lines.clone();
    ["--- ", "+++ ", "@@"].into_iter().all(|start| ahead.next().is_some_and(|line| line.starts_with(start)))
}

/// The last line that was read has no newline at its end.
fn no_newline(hunk: &mut Hunk) {
    match hunk.lines.last() {
        Some((Side::Old, _)) => hunk.newline.0 = Some(false),
        Some((Side::New, _)) => hunk.newline.1 = Some(false),
        Some((Side::Both, _)) => hunk.newline = (Some(false), Some(false)),
        None => {}
    }
}

/// The old line and how many lines there are on both sides, of `@@ -1,3 +1,4 @@`.
fn position(header: &str) -> (Option<usize>, Option<(usize, usize)>) {
    let mut words = header.split_whitespace().skip(1);
    let mut range = |sign| -> Option<(usize, usize)> {
        let range = words.next()?.strip_prefix(sign)?;
        let (line, count) = range.split_once(',').unwrap_or((range, "1"));
        Some((line.parse().ok()?, count.parse().ok()?))
    };
    let (old, new) = (range('-'), range('+'));
    (old.map(|(line, _)| line), old.zip(new).map(|((_, old), (_, new))| (old, new)))
}

/// The names of `--- a/x` and `+++ b/x`, without git's prefixes where both have them.
fn names(old: &str, new: &str) -> (Option<String>, Option<String>) {
    // After a tab comes a time.
    let name = |text: &str| unquoted(text.split('\t').next().unwrap_or_default().trim_end());
    let (old, new) = (name(old), name(new));
    let prefixed = |name: &str, prefix: &str| name == NOTHING || name.starts_with(prefix);
    let strip = prefixed(&old, "a/") && prefixed(&new, "b/");
    let finish = |name: String| match name.as_str() {
        NOTHING => None,
        name => Some(if strip { name.get(2..).unwrap_or_default().to_owned() } else { name.to_owned() }),
    };
    (finish(old), finish(new))
}

/// The names of `diff --git a/x b/x`, which has no sign between them: the same one twice, or they come later.
fn git_names(names: &str) -> (Option<String>, Option<String>) {
    let halves = names.split_at_checked(names.len() / 2).and_then(|(old, new)| {
        let (old, new) = (old.strip_prefix("a/")?, new.strip_prefix(' ')?.strip_prefix("b/")?);
        (old == new).then(|| (Some(old.to_owned()), Some(new.to_owned())))
    });
    halves.unwrap_or_default()
}

fn unquoted(name: &str) -> String {
    match name.starts_with('"') {
        true => serde_json::from_str(name).unwrap_or_else(|_| name.to_owned()),
        false => name.to_owned(),
    }
}
