//! Writes Markdown piece by piece, as the tags of a page come. It looks back at nothing but the link, code block or table
//! row at hand, and what it nests is bounded, so that no page can make it slow or large.

mod container;
mod pre;
mod table;

use container::Container;
use pre::Pre;
use table::Table;

/// What is nested deeper is not indented further, and what is marked deeper is not marked.
const MAX_NESTED: usize = 16;

/// A link whose text gets longer was most likely never closed.
const MAX_LINK_TEXT: usize = 2000;

/// What has to come between what was written and what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    None,
    Space,
    Line,
    Blank,
}

/// Something that is put around a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Strong,
    Emphasis,
    Code,
    Link(String),
}

impl Mark {
    fn start(&self) -> &'static str {
        match self {
            Self::Strong => "**",
            Self::Emphasis => "*",
            Self::Code => "`",
            Self::Link(_) => "[",
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

pub struct Writer {
    out: String,
    limit: usize,
    gap: Gap,
    /// What has to come after the link at hand, which had to stay in its line.
    owed: Gap,
    /// Nothing is in the line but what every line begins with.
    is_fresh: bool,
    /// Where the line begins; right only while it is fresh.
    line: usize,
    /// Written before the next text: the sign of a list item or a heading, and how far that indents what follows.
    lead: Option<(String, usize)>,
    containers: Vec<Container>,
    /// How many of them the last text was in and the next one is: a blank line between the two belongs to these.
    shared: usize,
    /// Marks whose text has not begun yet, and those that are open with the place of their text.
    waiting: Vec<Mark>,
    open: Vec<(Mark, usize)>,
    in_heading: bool,
    pre: Option<Pre>,
    tables: Vec<Table>,
}

impl Writer {
    /// It stops writing at about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            out: String::new(),
            limit,
            gap: Gap::None,
            owed: Gap::None,
            is_fresh: true,
            line: 0,
            lead: None,
            containers: Vec::new(),
            shared: 0,
            waiting: Vec::new(),
            open: Vec::new(),
            in_heading: false,
            pre: None,
            tables: Vec::new(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.out.len() >= self.limit
    }

    pub fn finish(mut self) -> String {
        self.end_pre();
        while !self.tables.is_empty() {
            self.end_table();
        }
        self.close_marks(0);
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    pub fn text(&mut self, text: &str) {
        if self.pre.is_some() {
            return self.raw(text);
        }
        // A no-break space is a character like others in HTML, and one that looks wrong to all others here.
        let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{a0}';
        for (index, word) in text.split(is_space).enumerate() {
            if index > 0 {
                self.gap(Gap::Space);
            }
            if !word.is_empty() && !self.is_full() {
                self.begin();
                match self.in_cell() && word.contains('|') {
                    true => self.out.push_str(&word.replace('|', "\\|")),
                    false => self.out.push_str(word),
                }
            }
        }
    }

    /// Ends a word, a line or a paragraph.
    pub fn gap(&mut self, gap: Gap) {
        if let Some(pre) = &self.pre {
            if gap >= Gap::Line && pre.start.is_some() && !self.is_fresh {
                self.raw("\n");
            }
            return;
        }
        let runaway = self.open.iter().any(|(mark, start)| {
            matches!(mark, Mark::Link(_)) && self.out.len().saturating_sub(*start) > MAX_LINK_TEXT
        });
        if gap >= Gap::Line && (!self.is_one_line() || runaway) {
            self.close_marks(0);
        }
        if self.is_one_line() && !self.in_heading && !self.in_cell() {
            self.owed = self.owed.max(gap);
        }
        let gap = if self.is_one_line() { gap.min(Gap::Space) } else { gap };
        // What an item begins with stays beside its sign.
        if self.lead.is_none() || self.is_one_line() {
            self.gap = self.gap.max(gap);
        }
    }

    pub fn open(&mut self, mark: Mark) {
        let marks = self.waiting.len().saturating_add(self.open.len());
        if self.pre.is_none() && marks < MAX_NESTED {
            self.waiting.push(mark);
        }
    }

    /// Ends the innermost mark of a kind, and those within it.
    pub fn close(&mut self, mark: &Mark) {
        if let Some(index) = self.waiting.iter().rposition(|waiting| waiting.is_like(mark)) {
            self.waiting.remove(index);
        } else if let Some(index) = self.open.iter().rposition(|(open, _)| open.is_like(mark)) {
            self.close_marks(index);
        }
        if !self.is_one_line() {
            self.gap = self.gap.max(std::mem::replace(&mut self.owed, Gap::None));
        }
    }

    pub fn heading(&mut self, level: usize) {
        self.end_pre();
        self.block();
        if !self.is_one_line() {
            self.lead = Some((format!("{} ", "#".repeat(level)), 0));
            self.in_heading = true;
        }
    }

    pub fn end_heading(&mut self) {
        self.block();
    }

    /// Begins something that cannot be in a heading: a paragraph, a list, a table.
    pub fn block(&mut self) {
        if std::mem::take(&mut self.in_heading) {
            self.close_marks(0);
            self.lead = None;
        }
        self.gap(Gap::Blank);
    }

    /// A line that begins with a sign, such as the `: ` of an explanation.
    pub fn line(&mut self, sign: &str) {
        self.end_pre();
        self.lead = None;
        self.gap(Gap::Line);
        if !self.is_one_line() {
            self.lead = Some((sign.to_owned(), 0));
        }
    }

    pub fn rule(&mut self) {
        self.end_pre();
        self.block();
        if !self.is_one_line() {
            self.text("---");
        }
        self.gap(Gap::Blank);
    }

    pub fn image(&mut self, text: &str, address: &str) {
        if self.pre.is_none() && !self.is_full() {
            self.begin();
            self.out.push_str("![");
            self.out.push_str(&text.split_whitespace().collect::<Vec<_>>().join(" "));
            self.out.extend(["](", address, ")"]);
        }
    }

    /// Writes what has to come before a text.
    fn begin(&mut self) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        self.owed = Gap::None;
        match gap {
            // What it is in may have changed since the line was begun.
            _ if self.is_fresh => {
                self.out.truncate(self.line);
                self.out.push_str(&self.prefix());
            }
            Gap::None => {}
            Gap::Space => self.out.push(' '),
            Gap::Line | Gap::Blank => {
                let prefix = self.prefix();
                if gap == Gap::Blank {
                    let between = container::prefix(self.containers.get(..self.shared).unwrap_or_default());
                    self.out.extend(["\n", between.trim_end()]);
                }
                self.out.push('\n');
                self.line = self.out.len();
                self.out.push_str(&prefix);
                self.is_fresh = true;
            }
        }
        if let Some(table) = self.tables.last_mut() {
            let is_between = std::mem::take(&mut table.divider) && !self.is_fresh;
            self.out.push_str(if is_between { "| " } else { "" });
        }
        if let Some((sign, indent)) = self.lead.take() {
            self.out.push_str(&sign);
            if let Some(Container::List { width, .. }) = self.containers.last_mut().filter(|_| indent > 0) {
                *width = indent;
            }
        }
        self.is_fresh = false;
        self.shared = self.containers.len();
        for mark in std::mem::take(&mut self.waiting) {
            self.out.push_str(mark.start());
            self.open.push((mark, self.out.len()));
        }
    }

    fn close_marks(&mut self, from: usize) {
        while self.open.len() > from {
            let Some((mark, _)) = self.open.pop() else { return };
            match mark {
                Mark::Link(address) => self.out.extend(["](", &address, ")"]),
                mark => self.out.push_str(mark.start()),
            }
        }
    }

    /// Whether all that comes must stay in the line at hand.
    fn is_one_line(&self) -> bool {
        let mut marks = self.open.iter().map(|(mark, _)| mark).chain(&self.waiting);
        self.in_heading || self.in_cell() || marks.any(|mark| matches!(mark, Mark::Link(_)))
    }
}
