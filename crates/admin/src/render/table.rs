//! Columns as wide as their widest cell, text to the left and numbers to the right.

use std::fmt;

/// A table with a head.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// The first so many columns are text, the others numbers.
    text_columns: usize,
}

impl Table {
    /// A table with these heads.
    pub(super) fn new(heads: &[&str], text_columns: usize) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()], text_columns }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| width(cell)).max();
        (0..columns).map(|column| widest(column).unwrap_or(0)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, wide)) in row.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let pad = " ".repeat(wide.saturating_sub(width(cell)));
                line.push_str(gap);
                if column < self.text_columns {
                    line.push_str(cell);
                    line.push_str(&pad);
                } else {
                    line.push_str(&pad);
                    line.push_str(cell);
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Columns that a cell takes: its characters, without the sequences that colour it.
pub(super) fn width(cell: &str) -> usize {
    let mut columns = 0;
    let mut in_sequence = false;
    for c in cell.chars() {
        match c {
            '\x1b' => in_sequence = true,
            'm' if in_sequence => in_sequence = false,
            _ if in_sequence => {}
            _ => columns += 1,
        }
    }
    columns
}
