//! The page as markdown, as GitHub reads it.

use std::fmt::Write as _;

use super::cell::Cell;
use super::page::{Block, Page, Table};

/// The whole page.
pub fn render(page: &Page) -> String {
    let mut out = format!("# {}\n", page.title);
    for line in &page.lead {
        let _ = write!(out, "\n{line}\n");
    }
    for line in &page.warnings {
        let _ = write!(out, "\n**{line}**\n");
    }
    for section in &page.sections {
        let _ = write!(out, "\n## {}\n", section.title);
        for block in &section.blocks {
            out.push('\n');
            match block {
                Block::Text(text) => out.extend([text, "\n"]),
                Block::List(points) => out.extend(points.iter().map(|point| format!("- {point}\n"))),
                Block::Table(table) => out.push_str(&self::table(table, true)),
                Block::Figure(figure) => {
                    let _ = writeln!(out, "![{}]({})", figure.caption, super::file_of(figure));
                }
            }
        }
    }
    out
}

/// A table under its caption; the spread only where it is wanted.
pub fn table(table: &Table, spread: bool) -> String {
    let mut out = format!("**{}**\n\n", table.caption);
    row(&mut out, table.head.iter().map(|text| escape(text)));
    row(&mut out, table.head.iter().enumerate().map(|(at, _)| if at == 0 { "---".into() } else { "---:".into() }));
    for (name, cells) in &table.rows {
        let text = |cell: &Cell| match cell.detail.as_str() {
            detail if spread && !detail.is_empty() => format!("{} ({})", escape(&cell.text), escape(detail)),
            _ => escape(&cell.text),
        };
        row(&mut out, std::iter::once(escape(name)).chain(cells.iter().map(text)));
    }
    out
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_one_that_github_reads() {
        let cell = Cell { text: "1 | 2".into(), detail: "0 to 3".into() };
        let of = Table { caption: "C".into(), head: vec!["".into(), "a".into()], rows: vec![("x".into(), vec![cell])] };
        assert_eq!(table(&of, true), "**C**\n\n|  | a |\n| --- | ---: |\n| x | 1 \\| 2 (0 to 3) |\n");
        assert!(table(&of, false).ends_with("| x | 1 \\| 2 |\n"));
    }
}
