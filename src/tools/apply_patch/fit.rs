//! Finds the place of each hunk in a text, and puts its new lines there. Every line must be as the hunk has it; only
//! where that is may differ from what it says.

use super::{Hunk, Side};
use crate::tools::text;
use std::borrow::Cow;

/// Lines of the file shown around what does not fit, and characters of them.
const AROUND: usize = 3;
const MAX_SHOWN_LINES: usize = 30;
const MAX_SHOWN: usize = 2000;

/// Comparisons made to find what a hunk may have meant.
const MAX_GUESSES: usize = 5_000_000;

/// Places named of a hunk that fits at several.
const MAX_PLACES: usize = 5;

/// The text with all hunks applied, for as long as somebody waits for it. The error says which does not fit, and what is
/// there instead.
pub(super) fn apply(hunks: &[Hunk], content: &str, name: &str, go_on: impl Fn() -> bool) -> Result<String, String> {
    let crlf = has_crlf(content);
    let unified = if crlf { Cow::Owned(content.replace("\r\n", "\n")) } else { Cow::Borrowed(content) };
    let mut newline = unified.is_empty() || unified.ends_with('\n');
    let lines = split(&unified);
    let mut out: Vec<&str> = Vec::with_capacity(lines.len());
    // Lines of the file that are done with, and by how much the last hunk was off.
    let (mut done, mut drift) = (0_usize, 0_isize);
    for (number, hunk) in hunks.iter().enumerate() {
        if !go_on() {
            return Err("The call was cancelled.".to_owned());
        }
        let hunk_name = format!("Hunk {} of {name} ({})", number.saturating_add(1), text::quoted(&hunk.header));
        let old: Vec<&str> =
            hunk.old_lines().map(|line| if crlf { line.trim_end_matches('\r') } else { line }).collect();
        let place = Place { lines: &lines, done, drift, hunk, old: &old };
        let at = place.find().map_err(|reason| format!("{hunk_name} {reason}"))?;
        out.extend(lines.get(done..at).unwrap_or_default());
        out.extend(hunk.new_lines().map(|line| if crlf { line.trim_end_matches('\r') } else { line }));
        done = at.saturating_add(old.len());
        if let Some(line) = hunk.line {
            drift = at.cast_signed() - line.saturating_sub(1).cast_signed();
        }
        if done == lines.len() {
            newline = match hunk.newline {
                (_, Some(false)) => false,
                (Some(false), None) => true,
                _ => newline,
            };
        }
    }
    out.extend(lines.get(done..).unwrap_or_default());
    let mut patched = out.join("\n");
    if newline && !out.is_empty() {
        patched.push('\n');
    }
    Ok(if crlf { patched.replace('\n', "\r\n") } else { patched })
}

/// Every line ends as on Windows. Models do not see that, so their patches do not say it.
fn has_crlf(content: &str) -> bool {
    let lines = content.matches('\n').count();
    lines > 0 && lines == content.matches("\r\n").count()
}

/// The lines of a text with whatever they hold, a carriage return as well.
fn split(content: &str) -> Vec<&str> {
    content.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line)).collect()
}

/// Where the lines of `wanted`, of which there is at least one, are among others. No line is gone back to, as a file and
/// a hunk of nothing but the same line could hold up a thread for hours.
fn occurrences<'a>(lines: &'a [&str], wanted: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let borders = borders(wanted);
    let mut matched = 0_usize;
    lines.iter().enumerate().filter_map(move |(at, line)| {
        matched = longer(wanted, &borders, matched, line);
        let is_whole = matched == wanted.len() && matched > 0;
        is_whole.then(|| at.saturating_add(1).saturating_sub(matched))
    })
}

/// How many of its lines a text begins with that the start of so many lines ends with as well, short of all of them.
fn borders(wanted: &[&str]) -> Vec<usize> {
    let mut borders = Vec::with_capacity(wanted.len());
    let mut matched = 0_usize;
    for (at, line) in wanted.iter().enumerate() {
        matched = if at == 0 { 0 } else { longer(wanted, &borders, matched, line) };
        borders.push(matched);
    }
    borders
}

/// How many lines from the first on are matched with one more line, after `matched` were.
fn longer(wanted: &[&str], borders: &[usize], mut matched: usize, line: &str) -> usize {
    loop {
        if wanted.get(matched).is_some_and(|next| *next == line) {
            return matched.saturating_add(1);
        }
        let Some(last) = matched.checked_sub(1) else { return 0 };
        matched = borders.get(last).copied().unwrap_or_default();
    }
}

/// Where a hunk may be.
struct Place<'a> {
    lines: &'a [&'a str],
    done: usize,
    drift: isize,
    hunk: &'a Hunk,
    old: &'a [&'a str],
}

impl Place<'_> {
    /// The index of the line that it begins at.
    fn find(&self) -> Result<usize, String> {
        let from = self.after_anchors()?;
        if self.old.is_empty() {
            return Ok(self.insertion().clamp(from, self.lines.len()));
        }
        let found: Vec<usize> = occurrences(self.lines.get(from..).unwrap_or_default(), self.old)
            .map(|at| at.saturating_add(from))
            .collect();
        match (&*found, self.expected()) {
            ([], _) => Err(self.explain()),
            ([only], _) => Ok(*only),
            ([first, ..], _) if !self.hunk.anchors.is_empty() => Ok(*first),
            ([first, ..], Some(expected)) => Ok(found
                .iter()
                .copied()
                .fold(*first, |best, at| if at.abs_diff(expected) < best.abs_diff(expected) { at } else { best })),
            (several, None) => {
                let lines: Vec<String> =
                    several.iter().take(MAX_PLACES).map(|at| text::number(at.saturating_add(1) as u64)).collect();
                Err(format!("fits at several places, such as lines {}: give more context.", lines.join(", ")))
            }
        }
    }

    /// Where it should be by its own account and by how far the last one was off.
    fn expected(&self) -> Option<usize> {
        Some(self.hunk.line?.saturating_sub(1).saturating_add_signed(self.drift))
    }

    /// New lines alone go after the line that the hunk names, or to the end.
    fn insertion(&self) -> usize {
        self.hunk.line.map_or(self.lines.len(), |line| line.saturating_add_signed(self.drift))
    }

    fn after_anchors(&self) -> Result<usize, String> {
        let mut from = self.done;
        for anchor in &self.hunk.anchors {
            let rest = self.lines.get(from..).unwrap_or_default();
            let Some(at) = rest.iter().position(|line| line.trim() == anchor.trim()) else {
                return Err(format!(
                    "comes after the line {}, which is not in the rest of the file.",
                    text::quoted(anchor)
                ));
            };
            // The anchor itself may be the first line of the hunk.
            from = from.saturating_add(at).saturating_add(usize::from(self.old.first() != rest.get(at)));
        }
        Ok(from)
    }

    fn explain(&self) -> String {
        let new: Vec<&str> = self.hunk.new_lines().collect();
        let rest = self.lines.get(self.done..).unwrap_or_default();
        let changes = self.hunk.lines.iter().any(|(side, _)| *side == Side::New);
        if changes && occurrences(rest, &new).next().is_some() {
            return "does not fit, but its new lines are in the file: it may have been applied already.".to_owned();
        }
        if self.lines.is_empty() {
            return "does not fit: the file is empty.".to_owned();
        }
        let at = self.nearest();
        let differs = self.old.iter().zip(self.lines.get(at..).unwrap_or_default()).position(|(old, line)| old != line);
        let reason = match differs {
            Some(offset) => {
                let line = at.saturating_add(offset);
                let [has, wants] =
                    [self.lines.get(line), self.old.get(offset)].map(|line| text::quoted(line.unwrap_or(&"")));
                format!("line {} is {has}, and the hunk has {wants}", text::number(line.saturating_add(1) as u64))
            }
            None => "the file ends before the hunk does".to_owned(),
        };
        format!("does not fit: {reason}. The file has there:\n{}", self.around(at))
    }

    /// Where most of the lines are as the hunk has them, white space apart; else where it should be.
    fn nearest(&self) -> usize {
        let expected = self.expected().unwrap_or(self.done).min(self.lines.len().saturating_sub(1));
        if self.lines.len().saturating_mul(self.old.len()) > MAX_GUESSES {
            return expected;
        }
        let alike = |at: usize| {
            let lines = self.lines.get(at..).unwrap_or_default().iter();
            lines.zip(self.old).filter(|(line, old)| !old.trim().is_empty() && line.trim() == old.trim()).count()
        };
        let best = (self.done..self.lines.len()).map(|at| (alike(at), at));
        let best = best.max_by_key(|(alike, at)| (*alike, std::cmp::Reverse(at.abs_diff(expected))));
        best.filter(|(alike, _)| *alike > 0).map_or(expected, |(_, at)| at)
    }

    fn around(&self, at: usize) -> String {
        let first = at.saturating_sub(AROUND);
        let count = self.old.len().saturating_add(at.saturating_sub(first)).saturating_add(AROUND).min(MAX_SHOWN_LINES);
        let lines = self.lines.iter().enumerate().skip(first).take(count);
        let shown: Vec<String> = lines.map(|(at, line)| format!("{}\t{line}", at.saturating_add(1))).collect();
        text::ellipsis(&shown.join("\n"), MAX_SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts of so many lines, each of them one of two.
    fn texts(length: usize) -> impl Iterator<Item = Vec<&'static str>> {
        (0..1_usize << length).map(move |bits| (0..length).map(|at| ["a", "b"][bits >> at & 1]).collect())
    }

    #[test]
    fn lines_are_found_wherever_they_are() {
        for lines in texts(8) {
            for wanted in (1..5).flat_map(texts) {
                let windows = lines.windows(wanted.len()).enumerate();
                let expected: Vec<usize> = windows.filter(|(_, lines)| *lines == wanted).map(|(at, _)| at).collect();
                assert_eq!(occurrences(&lines, &wanted).collect::<Vec<_>>(), expected, "{wanted:?} in {lines:?}");
            }
        }
    }

    /// With every line compared with every other it would take hours.
    #[test]
    fn a_file_of_the_same_line_over_and_over_is_searched_once() {
        let mut lines = vec![(Side::Both, String::new()); 500_000];
        lines.extend([(Side::Old, "x".to_owned()), (Side::New, "y".to_owned())]);
        let told = apply(&[Hunk { lines, ..Hunk::default() }], &"\n".repeat(1_000_000), "`f`", || true).unwrap_err();
        assert!(told.starts_with("Hunk 1 of `f` (``) does not fit"), "{told}");
    }

    #[test]
    fn a_patch_that_nobody_waits_for_is_given_up() {
        assert_eq!(apply(&[Hunk::default()], "", "`f`", || false).unwrap_err(), "The call was cancelled.");
    }
}
