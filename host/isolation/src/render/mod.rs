//! Verdicts as text: for a terminal or a page of Markdown ([`table`]), for programs ([`json`]), for a browser
//! ([`html`]). Pure functions; what they are given came from hostile code and is escaped.

mod html;
mod table;

use serde_json::json;

use crate::judge::Verdict;
use crate::matrix::{Cell, Matrix};

pub use html::html;
pub use table::{deviations, markdown, table};

/// The matrix and every verdict as JSON.
///
/// # Errors
/// None that is known: all that is written are texts and numbers.
pub fn json(matrix: &Matrix, verdicts: &[Verdict]) -> serde_json::Result<String> {
    let groups: Vec<_> =
        matrix.groups.iter().map(|(name, cells)| json!({ "group": name, "modes": by_mode(matrix, cells) })).collect();
    let whole = json!({ "groups": groups, "total": by_mode(matrix, &matrix.total), "cases": verdicts });
    serde_json::to_string_pretty(&whole)
}

fn by_mode(matrix: &Matrix, cells: &[Cell]) -> serde_json::Map<String, serde_json::Value> {
    matrix.modes.iter().zip(cells).map(|(mode, cell)| (mode.to_string(), json!(cell))).collect()
}

/// A cell in words: `12 contained, 3 not contained`.
fn words(cell: &Cell) -> String {
    let counts = [
        (cell.contained, "contained"),
        (cell.refused, "refused"),
        (cell.not_contained, "NOT contained"),
        (cell.unclear, "unclear"),
    ];
    let parts: Vec<String> =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}
