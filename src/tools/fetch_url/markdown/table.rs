//! Tables: those with a header become Markdown tables, all others are layout, and their cells are text beside text.

use super::{Gap, MAX_NESTED, Writer};

/// Columns that get a rule under the header.
const MAX_COLUMNS: usize = 64;

#[derive(Default)]
pub struct Table {
    /// It has a header, so each of its rows is a line.
    is_data: bool,
    in_cell: bool,
    rows: usize,
    /// Cells of the row at hand.
    cells: usize,
    /// A cell of a layout ends here, if something follows it in the line.
    pub divider: bool,
    /// How many containers it is in: what is opened in a cell ends with it.
    pub containers: usize,
}

impl Writer {
    pub fn table(&mut self) {
        self.end_pre();
        self.block();
        self.waiting.clear();
        if self.tables.len() < MAX_NESTED {
            self.tables.push(Table { containers: self.containers.len(), ..Table::default() });
        }
    }

    pub fn row(&mut self) {
        self.end_row();
        self.gap(Gap::Line);
    }

    pub fn cell(&mut self, is_header: bool) {
        self.end_cell();
        let is_inner = self.in_cell();
        let Some(table) = self.tables.last_mut() else { return };
        if table.rows == 0 && table.cells == 0 {
            table.is_data = is_header && !is_inner;
        }
        let is_first = table.cells == 0;
        table.cells = table.cells.saturating_add(1);
        if !table.is_data {
            table.divider = !is_first && !is_inner;
            return self.gap(Gap::Space);
        }
        table.in_cell = true;
        if is_first {
            self.begin();
            self.out.push('|');
        }
        self.gap = Gap::Space;
    }

    pub fn end_cell(&mut self) {
        self.end_pre();
        let Some(table) = self.tables.last_mut() else { return };
        let was_in_cell = std::mem::take(&mut table.in_cell);
        let depth = table.containers;
        self.leave_to(depth);
        if was_in_cell {
            self.lead = None;
            self.waiting.clear();
            self.close_marks(0);
            self.out.push_str(" |");
            self.gap = Gap::None;
        }
    }

    pub fn end_row(&mut self) {
        self.end_cell();
        let Some(table) = self.tables.last_mut() else { return };
        let cells = std::mem::take(&mut table.cells);
        let is_header = table.is_data && table.rows == 0 && cells > 0;
        table.divider = false;
        if cells > 0 {
            table.rows = table.rows.saturating_add(1);
        }
        if is_header {
            let prefix = self.prefix();
            self.out.extend(["\n", &prefix, "|", &" --- |".repeat(cells.min(MAX_COLUMNS))]);
        }
        self.gap(Gap::Line);
    }

    pub fn end_table(&mut self) {
        self.end_row();
        self.tables.pop();
        self.gap(Gap::Blank);
    }

    pub(super) fn in_cell(&self) -> bool {
        self.tables.iter().any(|table| table.in_cell)
    }
}
