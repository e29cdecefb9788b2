//! Lists and quotes: what every line in them begins with.

use super::{Gap, MAX_NESTED, Writer};

pub enum Container {
    Quote,
    List {
        /// Number of the next item, where they have numbers.
        next: Option<u32>,
        /// How far the lines of the item at hand are indented.
        width: usize,
    },
}

impl Writer {
    pub fn quote(&mut self) {
        self.end_pre();
        self.block();
        if self.containers.len() < MAX_NESTED {
            self.containers.push(Container::Quote);
        }
    }

    pub fn end_quote(&mut self) {
        self.end_pre();
        self.gap(Gap::Blank);
        self.leave(|container| matches!(container, Container::Quote));
    }

    /// A list, with the number of its first item if it has numbers.
    pub fn list(&mut self, first: Option<u32>) {
        self.end_pre();
        let is_inner = self.containers.iter().any(|container| matches!(container, Container::List { .. }));
        self.in_heading = false;
        self.gap(if is_inner { Gap::Line } else { Gap::Blank });
        if self.containers.len() < MAX_NESTED {
            self.containers.push(Container::List { next: first, width: 0 });
        }
    }

    pub fn end_list(&mut self) {
        self.end_pre();
        self.lead = None;
        self.leave(|container| matches!(container, Container::List { .. }));
        let is_inner = self.containers.iter().any(|container| matches!(container, Container::List { .. }));
        self.gap(if is_inner { Gap::Line } else { Gap::Blank });
    }

    pub fn item(&mut self) {
        self.end_pre();
        self.lead = None;
        self.gap(Gap::Line);
        if self.is_one_line() {
            return;
        }
        let floor = self.tables.last().map_or(0, |table| table.containers);
        let list = self.containers.iter().rposition(|container| matches!(container, Container::List { .. }));
        match list.filter(|list| *list >= floor) {
            Some(list) => self.leave_to(list.saturating_add(1)),
            None => self.containers.push(Container::List { next: None, width: 0 }),
        }
        let Some(Container::List { next, width }) = self.containers.last_mut() else { return };
        let sign = match next {
            Some(number) => format!("{number}. "),
            None => "- ".to_owned(),
        };
        *next = next.map(|number| number.saturating_add(1));
        if *width > 0 {
            self.gap = self.gap.min(Gap::Line);
        }
        *width = 0;
        self.lead = Some((sign.clone(), sign.len()));
    }

    /// What a new line begins with.
    pub(super) fn prefix(&self) -> String {
        prefix(&self.containers)
    }

    /// Leaves all but the outermost of them.
    pub(super) fn leave_to(&mut self, depth: usize) {
        self.containers.truncate(depth);
        self.shared = self.shared.min(depth);
    }

    /// Ends the innermost container of a kind, and what was left open in it.
    fn leave(&mut self, is_it: impl Fn(&Container) -> bool) {
        let floor = self.tables.last().map_or(0, |table| table.containers);
        let found = self.containers.iter().rposition(is_it);
        if let Some(index) = found.filter(|index| *index >= floor) {
            self.leave_to(index);
        }
    }
}

pub fn prefix(containers: &[Container]) -> String {
    let mut prefix = String::new();
    for container in containers {
        match container {
            Container::Quote => prefix.push_str("> "),
            Container::List { width, .. } => prefix.extend(std::iter::repeat_n(' ', *width)),
        }
    }
    prefix
}
