//! Pages of a report: `page` builds one of blocks (text, tables, pictures), `html` and `markdown` write it.

mod cell;
mod html;
mod markdown;
mod page;
mod plots;
pub mod readme;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::results::Report;

/// Writes all forms of the report into a directory and says which files there are.
///
/// # Errors
/// When something cannot be written.
pub fn write(report: &Report, directory: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let page = page::build(report);
    for figure in page.figures() {
        write_whole(&directory.join(file_of(figure)), &plots::alone(&figure.svg))?;
    }
    let files = [
        ("report.json", serde_json::to_string(report)?),
        ("report.md", markdown::render(&page)),
        ("report.html", html::render(&page)),
    ];
    files.into_iter().map(|(name, text)| write_whole(&directory.join(name), &text)).collect()
}

/// The file of a picture, beside report.md.
fn file_of(figure: &page::Figure) -> String {
    format!("report-{}.svg", figure.name)
}

/// Writes a file that is complete or not there.
fn write_whole(path: &Path, text: &str) -> Result<PathBuf> {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| path.display().to_string())?;
    Ok(path.to_owned())
}
