//! What a call hands to the model, kept within the budget of its tool: whatever a tool does, and whosever it is, no answer
//! is longer.

use crate::core::item::Part;
use crate::core::ports::tool::ToolError;
use crate::core::text;

/// What a tool that keeps to its budget by itself may say besides, such as how to get the rest.
const NOTES: usize = 1024;

/// The same with its text cut down to `limit`. It is cut in the middle, as the end often says how it ended.
pub fn within(limit: usize, result: Result<Vec<Part>, ToolError>) -> Result<Vec<Part>, ToolError> {
    match result {
        Ok(parts) => Ok(cut(limit, parts)),
        Err(ToolError::TellModel(text)) if text.len() > limit.saturating_add(NOTES) => {
            let parts = cut(limit, vec![Part::text(text)]);
            Err(ToolError::TellModel(parts.iter().filter_map(Part::as_text).collect()))
        }
        Err(error) => Err(error),
    }
}

fn cut(limit: usize, parts: Vec<Part>) -> Vec<Part> {
    let length = |part: &Part| part.as_text().map_or(0, str::len);
    let total: usize = parts.iter().map(length).fold(0, usize::saturating_add);
    if total <= limit.saturating_add(NOTES) {
        return parts;
    }
    let head = limit / 2;
    // From here on the texts are kept.
    let tail = total.saturating_sub(limit.saturating_sub(head));
    let (mut at, mut told, mut kept) = (0, false, Vec::new());
    for part in parts {
        let Some(said) = part.as_text() else {
            kept.push(part);
            continue;
        };
        let end = at + said.len();
        let first = text::head(said, head.saturating_sub(at));
        let rest = text::tail(said, tail.saturating_sub(at));
        let is_whole = end <= head || at >= tail;
        let note = if is_whole || told { String::new() } else { note(total.saturating_sub(limit)) };
        told |= !note.is_empty();
        at = end;
        match is_whole {
            true => kept.push(part),
            false if first.is_empty() && note.is_empty() && rest.is_empty() => {}
            false => kept.push(Part::text(format!("{first}{note}{rest}"))),
        }
    }
    kept
}

fn note(bytes: usize) -> String {
    format!("\n[… {bytes} bytes were cut here: the answer was longer than one may be …]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(parts: &[Part]) -> Vec<&str> {
        parts.iter().filter_map(Part::as_text).collect()
    }

    #[test]
    fn an_answer_keeps_its_beginning_and_its_end() {
        let note = note(3990);
        let long = format!("{}{}", "ü".repeat(1990), "0123456789".repeat(2));
        let cut = within(10, Ok(vec![Part::text(long)])).unwrap();
        assert_eq!(texts(&cut), [format!("üü{note}56789")]);

        let image = Part::Image { url: "data:".into(), detail: None };
        let parts = [Part::text("abc"), image.clone(), Part::text("d".repeat(3000)), Part::text("e".repeat(993))];
        let parts: Vec<Part> = parts.into_iter().chain(["f", "ghi"].map(Part::text)).collect();
        let expected = [Part::text("abc"), image, Part::text(format!("dd{note}")), Part::text("e"), Part::text("f")];
        let expected: Vec<Part> = expected.into_iter().chain([Part::text("ghi")]).collect();
        assert_eq!(within(10, Ok(parts)), Ok(expected));
    }

    #[test]
    fn notes_beside_a_full_answer_and_what_fails_are_within_it_too() {
        let whole = vec![Part::text("a".repeat(10 + NOTES))];
        assert_eq!(within(10, Ok(whole.clone())), Ok(whole));
        let Err(ToolError::TellModel(told)) = within(10, Err(ToolError::TellModel("b".repeat(4000)))) else { panic!() };
        assert_eq!(told, format!("bbbbb{}bbbbb", note(3990)));
    }
}
