//! Code blocks, whose text stays as it is.

use super::{Gap, Writer};

#[derive(Default)]
pub struct Pre {
    /// Where its text begins; it has none yet if there is no such place.
    pub start: Option<usize>,
    pub language: String,
}

impl Writer {
    pub fn pre(&mut self) {
        self.block();
        if !self.is_one_line() && self.pre.is_none() {
            self.close_marks(0);
            self.waiting.clear();
            self.pre = Some(Pre::default());
        }
    }

    /// The language of the code block at hand.
    pub fn language(&mut self, language: &str) {
        if let Some(pre) = self.pre.as_mut().filter(|pre| pre.language.is_empty()) {
            pre.language = language.to_owned();
        }
    }

    pub fn is_pre(&self) -> bool {
        self.pre.is_some()
    }

    /// What cannot be in a code block ends it, too.
    pub fn end_pre(&mut self) {
        let Some(Pre { start, language }) = self.pre.take() else { return };
        if let Some(start) = start {
            let prefix = self.prefix();
            self.out.truncate(self.out.trim_end().len().max(start));
            let longest = longest_run(self.out.get(start..).unwrap_or_default(), '`');
            let fence = "`".repeat(longest.saturating_add(1).max(3));
            self.out.insert_str(start, &format!("{fence}{language}\n{prefix}"));
            self.out.extend(["\n", &prefix, &fence]);
            self.is_fresh = false;
        }
        self.gap(Gap::Blank);
    }

    pub(super) fn raw(&mut self, text: &str) {
        let begun = self.pre.as_ref().is_none_or(|pre| pre.start.is_some());
        let text = if begun { text } else { text.trim_start_matches(['\n', '\r']) };
        if text.is_empty() || self.is_full() {
            return;
        }
        if !begun {
            self.begin();
            let here = self.out.len();
            if let Some(pre) = &mut self.pre {
                pre.start = Some(here);
            }
        }
        let prefix = self.prefix();
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.out.extend(["\n", &prefix]);
            }
            self.out.push_str(line);
        }
        self.is_fresh = text.ends_with('\n');
    }
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0_usize;
    let mut run = 0_usize;
    for c in text.chars() {
        run = if c == wanted { run.saturating_add(1) } else { 0 };
        longest = longest.max(run);
    }
    longest
}
