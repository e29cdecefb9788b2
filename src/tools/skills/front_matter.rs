//! What a `SKILL.md` says of itself: YAML between two lines of `---`, as in the Agent Skills format.

use crate::tools::text;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes in which it must have ended.
const MAX_BYTES: u64 = 64 << 10;

/// Characters, as the format has them.
const MAX_NAME: usize = 64;
const MAX_DESCRIPTION: usize = 1024;

/// Keys that we do not know are somebody else's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    name: Option<String>,
    description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontMatter {
    pub name: String,
    /// One line.
    pub description: String,
}

/// Reads the start of the file. The error goes on after the file's name.
pub fn read(file: &Path) -> Result<FrontMatter, String> {
    let start = || -> io::Result<Vec<u8>> {
        // To open a pipe would wait for someone who writes.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        File::open(file)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = start().map_err(|error| format!("cannot be read: {error}"))?;
    parse(&String::from_utf8_lossy(&bytes))
}

/// A file's front matter and what comes after it.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches('\u{FEFF}');
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == "---")?;
    let mut end = first.len();
    for line in lines {
        let next = end.saturating_add(line.len());
        if line.trim_end() == "---" {
            return Some((text.get(first.len()..end)?, text.get(next..)?));
        }
        end = next;
    }
    None
}

fn parse(text: &str) -> Result<FrontMatter, String> {
    let Some((front, _)) = split(text) else {
        return Err("does not begin with `---`, `name:` and `description:` lines, and `---` again".to_owned());
    };
    let Written { name, description } = match serde_saphyr::from_str(front) {
        Ok(written) => written,
        Err(error) => by_line(front).ok_or_else(|| format!("has front matter that is no YAML: {}", brief(&error)))?,
    };
    let name = name.ok_or("has no `name`")?;
    let fits = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(format!("has a `name` that is not 1 to {MAX_NAME} of a-z 0-9 -: {}", text::quoted(&name)));
    }
    let words: Vec<&str> = description.as_deref().unwrap_or_default().split_whitespace().collect();
    match words.is_empty() {
        true => Err("has no `description`, by which a model would choose it".to_owned()),
        false => Ok(FrontMatter { name, description: text::ellipsis(&words.join(" "), MAX_DESCRIPTION) }),
    }
}

/// Many write `description: Use it when: …`, which is no YAML, and other programs take it.
fn by_line(front: &str) -> Option<Written> {
    let value = |key: &str| {
        let value = front.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
        (!value.starts_with(['|', '>', '"', '\'', '[', '{', '&', '*'])).then(|| value.to_owned())
    };
    Some(Written { name: Some(value("name")?), description: Some(value("description")?) })
}

fn brief(error: &impl ToString) -> String {
    text::summary(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_taken_as_people_write_it() {
        let ok = |text: &str| parse(text).map(|front| [front.name, front.description]);
        let pair = |name: &str, description: &str| Ok([name.to_owned(), description.to_owned()]);
        let cases = [
            ("---\nname: pdf\ndescription: Fills forms.\n---\n# Body", pair("pdf", "Fills forms.")),
            (
                "\u{FEFF}---\r\nname: pdf\r\ndescription: >\r\n  Fills\r\n  forms.\r\nlicense: MIT\r\n---\r\n",
                pair("pdf", "Fills forms."),
            ),
            (
                "---\nname: pdf\ndescription: Use when: asked, or \"told\"\nmetadata: {a: [1]}\n---",
                pair("pdf", "Use when: asked, or \"told\""),
            ),
            ("---\nname: pdf\ndescription: \"a: b\"\n---", pair("pdf", "a: b")),
        ];
        for (text, expected) in cases {
            assert_eq!(ok(text), expected, "{text}");
        }
        let wrong = [
            ("# Body", "does not begin with `---`"),
            ("---\nname: pdf\n", "does not begin with `---`"),
            ("---\ndescription: d\n---", "has no `name`"),
            ("---\nname: a b\ndescription: d\n---", "has a `name` that is not"),
            ("---\nname: pdf\ndescription: ''\n---", "has no `description`"),
            ("---\nname: [\n---", "has front matter that is no YAML"),
        ];
        for (text, expected) in wrong {
            assert!(parse(text).unwrap_err().starts_with(expected), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn what_follows_the_front_matter_is_the_body() {
        assert_eq!(split("---\na: b\n---\n\n# Body\n---\n"), Some(("a: b\n", "\n# Body\n---\n")));
    }
}
