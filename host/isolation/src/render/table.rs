//! The matrix as plain text and as Markdown.

use std::fmt::Write as _;

use super::words;
use crate::judge::Verdict;
use crate::matrix::Matrix;

fn rows(matrix: &Matrix) -> Vec<Vec<String>> {
    let line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    };
    let mut rows = vec![line("group", &mut matrix.modes.iter().map(ToString::to_string))];
    rows.extend(matrix.groups.iter().map(|(name, cells)| line(name, &mut cells.iter().map(words))));
    rows.push(line("all", &mut matrix.total.iter().map(words)));
    rows
}

/// The matrix for a terminal.
pub fn table(matrix: &Matrix) -> String {
    let rows = rows(matrix);
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1));
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        if at == 1 || at + 1 == rows.len() {
            let _ = writeln!(out, "{rule}");
        }
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

/// The matrix and every verdict as Markdown.
pub fn markdown(matrix: &Matrix, verdicts: &[Verdict]) -> String {
    let mut out = String::from("# Isolation\n\n");
    for (at, row) in rows(matrix).iter().enumerate() {
        let _ = writeln!(out, "| {} |", row.join(" | "));
        if at == 0 {
            let _ = writeln!(out, "|{}", "---|".repeat(row.len()));
        }
    }
    for (group, _) in &matrix.groups {
        let _ = writeln!(out, "\n## {}\n\n| case | mode | outcome | seen |\n|---|---|---|---|", cell(group));
        for verdict in verdicts.iter().filter(|verdict| verdict.group == *group) {
            let (name, mode, outcome, seen) = (cell(&verdict.name), verdict.mode, verdict.outcome, cell(&verdict.seen));
            let mark = if verdict.as_expected { "" } else { " (deviates)" };
            let _ = writeln!(out, "| {name} | {mode} | {outcome}{mark} | {seen} |");
        }
    }
    out
}

/// Text that cannot end its cell or begin anything.
fn cell(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        match character {
            '\n' | '\r' => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '&' => out.extend(['\\', character]),
            _ => out.push(character),
        }
        out
    })
}

/// The verdicts that differ from their data, with what was expected and what was seen.
pub fn deviations(verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.as_expected) {
        let Verdict { group, name, mode, expected, outcome, seen, .. } = verdict;
        let _ = writeln!(out, "{group}: {name} ({mode} mode)\n  expected: {expected}\n  got: {outcome}: {seen}");
    }
    out
}
