//! What to tell a model whose text is not in the file: what it most likely meant, so that the next try hits.

use super::Edit;
use crate::tools::text;

/// Files larger than this, in bytes, are not searched for what comes near.
const MAX_FILE: usize = 1024 * 1024;

/// Lines and characters of the file that are quoted back.
const MAX_QUOTED_LINES: usize = 40;
const MAX_QUOTED: usize = 2000;

/// Characters that make a line or text worth finding; a lone brace is in every file.
const TELLING: usize = 4;

/// Why `edit.old` is not in `content`, as well as can be told.
pub(super) fn explain(content: &str, edit: &Edit, name: &str) -> String {
    let guess = if content.len() > MAX_FILE { None } else { guess(content, edit) };
    let reason = guess.unwrap_or_else(|| "Read the file again: it may have changed.".to_owned());
    format!("old_string is not in {name}. {reason}")
}

fn guess(content: &str, edit: &Edit) -> Option<String> {
    let wanted: Vec<&str> = edit.old.trim_matches(['\r', '\n']).lines().collect();
    let bare: Option<Vec<&str>> = wanted.iter().map(|line| without_number(line)).collect();
    let lines: Vec<String> = content.lines().map(squash).collect();
    let quote = |start| quote(content, start, wanted.len());

    if bare.is_some_and(|bare| position(&lines, &bare).is_some()) {
        return Some("It begins with the line numbers that read_file shows: leave them and their tabs out.".to_owned());
    }
    if let Some(start) = position(&lines, &wanted) {
        return Some(format!("But this is, which differs in whitespace only:\n{}", quote(start)));
    }
    if squash(&edit.new).len() >= TELLING && content.contains(&edit.new) {
        return Some("But new_string is: the edit may have been made already.".to_owned());
    }
    let first: Vec<&str> = wanted.iter().copied().filter(|line| squash(line).len() >= TELLING).take(1).collect();
    let start = position(&lines, &first)?;
    Some(format!("One line of it is, but what is around it differs:\n{}", quote(start)))
}

/// The text of a line as read_file shows it, `12<tab>text`.
fn without_number(line: &str) -> Option<&str> {
    let (number, text) = line.split_once('\t')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// Where lines are found one after another, whitespace apart. The first may begin and the last end inside a line.
fn position(lines: &[String], wanted: &[&str]) -> Option<usize> {
    let wanted: Vec<String> = wanted.iter().map(|line| squash(line)).collect();
    let fits = |window: &[String]| match (window, &*wanted) {
        ([line], [only]) => line.contains(only),
        ([first, middle @ .., last], [start, between @ .., end]) => {
            first.ends_with(start) && last.starts_with(end) && middle == between
        }
        _ => false,
    };
    match wanted.iter().all(String::is_empty) {
        true => None,
        false => lines.windows(wanted.len()).position(fits),
    }
}

fn squash(line: &str) -> String {
    line.split_whitespace().collect()
}

/// Lines of the file, exactly as they are: they are meant to be copied.
fn quote(content: &str, start: usize, count: usize) -> String {
    let lines: Vec<&str> = content.lines().skip(start).take(count.min(MAX_QUOTED_LINES)).collect();
    text::ellipsis(&lines.join("\n"), MAX_QUOTED)
}
