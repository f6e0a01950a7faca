//! The outcome of the abuse suite: which case each mode contains. Read from what `cloister isolation` writes.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Which abuse case is contained where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// The columns.
    pub variants: Vec<String>,
    /// The rows.
    pub cases: Vec<Case>,
}

/// One abuse case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The kind of abuse.
    pub kind: String,
    /// For each column, whether the case was contained; `None`: not run there.
    pub contained: Vec<Option<bool>>,
}

impl Matrix {
    /// Reads what the suite wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Matrix> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{}: no outcome of the abuse suite", path.display()))
    }
}
