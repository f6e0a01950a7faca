//! The first rows of a table as text for a terminal. Values are shortened and control characters escaped: what a file
//! or a function contains cannot drive the terminal.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;

/// The longest value that is shown in whole, in characters: of most columns, and of the last, which is the result.
const CELL: usize = 40;
const RESULT_CELL: usize = 72;

/// Collects the first rows.
pub struct Preview {
    schema: SchemaRef,
    most: usize,
    /// Columns that are shown however narrow the terminal is.
    kept: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Preview {
    /// Of at most `most` rows.
    pub fn new(schema: SchemaRef, most: usize, kept: Vec<String>) -> Self {
        Preview { schema, most, kept, rows: Vec::new() }
    }

    /// Looks at further rows.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows().min(self.most - self.rows.len());
        if rows == 0 {
            return Ok(());
        }
        let options = FormatOptions::new().with_null("NULL").with_display_error(true);
        let first = batch.slice(0, rows);
        let formatters = first
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows {
            let value = |(index, column): (usize, &ArrayFormatter<'_>)| {
                let most = if index + 1 == formatters.len() { RESULT_CELL } else { CELL };
                cell(&column.value(row).to_string(), most)
            };
            self.rows.push(formatters.iter().enumerate().map(value).collect());
        }
        Ok(())
    }

    /// The rows as a table, at most `width` characters wide if that can be had by leaving columns out.
    pub fn table(&self, width: Option<usize>) -> Result<String> {
        let names: Vec<String> = self.schema.fields().iter().map(|field| cell(field.name(), CELL)).collect();
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for place in self.places(&names, width.unwrap_or(usize::MAX)) {
            let (name, values): (_, StringArray) = match place {
                Some(index) => (names[index].clone(), self.rows.iter().map(|row| Some(row[index].as_str())).collect()),
                None => ("…".into(), self.rows.iter().map(|_| Some("…")).collect()),
            };
            columns.push((name, Arc::new(values)));
        }
        if columns.is_empty() {
            return Ok(String::new());
        }
        Ok(pretty_format_batches(&[RecordBatch::try_from_iter(columns)?])?.to_string())
    }

    /// The columns to show, in order; `None` stands for some that are left out.
    fn places(&self, names: &[String], width: usize) -> Vec<Option<usize>> {
        // A cell has a bar and a space on its left and a space on its right.
        let widths: Vec<usize> = (0..names.len())
            .map(|index| {
                let cells = self.rows.iter().map(|row| row[index].chars().count());
                cells.chain([names[index].chars().count()]).max().unwrap_or(0) + 3
            })
            .collect();
        let mut shown: Vec<Option<usize>> = (0..names.len()).map(Some).collect();
        let total = |shown: &[Option<usize>]| {
            1 + shown.iter().map(|place| place.map_or(4, |index| widths[index])).sum::<usize>()
        };
        while total(&shown) > width {
            let dispensable = |place: &Option<usize>| place.is_some_and(|index| !self.kept.contains(&names[index]));
            let Some(last) = shown.iter().rposition(dispensable) else { break };
            shown[last] = None;
            shown.dedup_by(|a, b| a.is_none() && b.is_none());
        }
        shown
    }
}

fn cell(value: &str, most: usize) -> String {
    let mut out = String::new();
    for (position, character) in value.chars().enumerate() {
        if position == most {
            out.push('…');
            break;
        }
        if character.is_control() || is_direction(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Characters that reverse or isolate the direction of text.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(most: usize) -> Preview {
        let text = |values: &[&str]| Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            ("first", text(&["a\u{1b}[2J", &"x".repeat(100)])),
            ("second", text(&["b", "c"])),
            ("result", text(&["d", "e"])),
        ])
        .unwrap();
        let mut preview = Preview::new(batch.schema(), most, vec!["result".into()]);
        preview.push(&batch).unwrap();
        preview.push(&batch).unwrap();
        preview
    }

    #[test]
    fn values_are_escaped_and_shortened() {
        let table = preview(10).table(None).unwrap();
        assert!(table.contains("a\\u{1b}[2J"), "{table}");
        assert!(table.contains(&format!("{}…", "x".repeat(CELL))) && !table.contains(&"x".repeat(CELL + 1)));
        assert_eq!(preview(3).rows.len(), 3);
    }

    #[test]
    fn a_narrow_terminal_still_shows_the_result() {
        let table = preview(2).table(Some(20)).unwrap();
        assert!(table.contains("result") && !table.contains("second"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 20), "{table}");
    }
}
