//! What to tell a model whose text is not in the file: what it most likely meant, so that the next try hits.

use super::Edit;
use crate::tools::text;

/// Files larger than this, in bytes, are not searched for what comes near.
const MAX_FILE: usize = 1024 * 1024;

/// Lines and characters of the file that are quoted back.
const MAX_QUOTED_LINES: usize = 40;
const MAX_QUOTED: usize = 2000;

/// Why `edit.old` is not in `content`, as well as can be told.
pub(super) fn explain(content: &str, edit: &Edit, name: &str) -> String {
    let missing = format!("old_string is not in {name}.");
    let wanted: Vec<&str> = edit.old.trim_matches(['\r', '\n']).lines().collect();
    if wanted.iter().all(|line| is_numbered(line)) {
        return format!("{missing} It begins with line numbers as read_file shows them; leave them and the tab out.");
    }
    if !edit.new.is_empty() && content.contains(&edit.new) {
        return format!("{missing} But new_string is: the edit may have been made already.");
    }
    if content.len() > MAX_FILE {
        return format!("{missing} Look at it with search_files and read_file.");
    }
    let lines: Vec<&str> = content.lines().collect();
    if let Some(start) = position(&lines, &wanted) {
        let quoted = quote(&lines, start, wanted.len());
        return format!("{missing} But it is when whitespace is ignored. This is how it is written there:\n{quoted}");
    }
    let first: Vec<&str> = wanted.iter().copied().filter(|line| squash(line).len() > 3).take(1).collect();
    match position(&lines, &first) {
        Some(start) => {
            let quoted = quote(&lines, start, wanted.len());
            format!("{missing} One line of it is, but what follows is different there:\n{quoted}")
        }
        None => format!("{missing} Read the file again: it may have changed."),
    }
}

/// `12<tab>text`, as read_file shows a line.
fn is_numbered(line: &str) -> bool {
    line.split_once('\t').is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Where lines are found one after another, whitespace apart.
fn position(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    let wanted: Vec<String> = wanted.iter().map(|line| squash(line)).collect();
    if wanted.iter().all(String::is_empty) {
        return None;
    }
    let lines: Vec<String> = lines.iter().map(|line| squash(line)).collect();
    lines.windows(wanted.len()).position(|window| window == wanted)
}

fn squash(line: &str) -> String {
    line.split_whitespace().collect()
}

/// Lines of the file, exactly; only they can be copied into the next try.
fn quote(lines: &[&str], start: usize, count: usize) -> String {
    let quoted: Vec<&str> = lines.iter().skip(start).take(count.min(MAX_QUOTED_LINES)).copied().collect();
    text::ellipsis(&quoted.join("\n"), MAX_QUOTED)
}
