//! The main table and picture in README.md, between two markers.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{markdown, plots, tables, write_whole};
use crate::report::results::Report;

const BEGIN: &str = "<!-- report: begin -->";
const END: &str = "<!-- report: end -->";

/// Writes the fragment into the repository at `root`.
///
/// # Errors
/// When a file cannot be read or written, or README.md has no markers.
pub fn update(report: &Report, root: &Path) -> Result<()> {
    let path = root.join("README.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let picture = plots::price(report);
    let text = replaced(&text, &fragment(report, picture.as_ref().map(|figure| figure.caption.as_str())))
        .with_context(|| format!("{BEGIN} … {END} are not in README.md"))?;
    if let Some(figure) = picture {
        write_whole(&root.join(PICTURE), &plots::alone(&figure.svg))?;
    }
    write_whole(&path, &text).map(drop)
}

/// The picture's place in the repository.
const PICTURE: &str = "benches/report.svg";

fn fragment(report: &Report, picture: Option<&str>) -> String {
    let machine = &report.machine;
    let table = markdown::table(&tables::summary(report), false);
    let picture = picture.map(|caption| format!("![{caption}]({PICTURE})\n\n")).unwrap_or_default();
    let disturbance = report.disturbance().map(|text| format!("\n**{text}**\n")).unwrap_or_default();
    format!(
        "{picture}{table}\n{}, {} UTC, commit {}, `report --{}`.\n{disturbance}",
        machine.line(),
        machine.date,
        machine.commit,
        report.plan
    )
}

/// The text with what stands between the markers replaced; `None` without markers.
fn replaced(text: &str, fragment: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{fragment}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::machine::Machine;

    #[test]
    fn a_busy_machine_is_no_secret() {
        let machine = Machine { load: 0.0, ..Machine::look() };
        let mut report = Report::new(machine, "quick", None);
        assert!(!fragment(&report, None).contains("Other programs"));
        report.others = 0.5;
        assert!(fragment(&report, None).ends_with("not for publication.**\n"));
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("a\n{BEGIN}\nnew\n{END}\nb\n")));
        assert_eq!(replaced("no markers", "new"), None);
    }
}
