//! A case: one function, its arguments, and what must come out. Read from the TOML files under `tests/cases/`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use cloister_isolation::Place;
use cloister_isolation::case::CaseArgument;
use serde::Deserialize;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The Python source.
    pub source: String,
    /// The function to call.
    #[serde(default = "default_function")]
    pub function: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<CaseArgument>,
    /// Rows of the call; by default the length of the first column.
    pub rows: Option<usize>,
    /// The result type, where it is not the declared one.
    pub result_type: Option<String>,
    /// `null`: rows that fail become NULL.
    #[serde(default)]
    pub on_error: Option<String>,
    /// Modules and data that the source can import.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The deadline of a call, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// The memory limit, in MiB.
    pub memory_mib: Option<u64>,
    /// The CPU budget of the job, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The limit of a result, in bytes.
    pub result_bytes: Option<usize>,
    /// The limit of source and files, in bytes.
    pub source_bytes: Option<usize>,
    /// What must come out: see [`Expectation`].
    result: Option<String>,
    nulled: Option<u64>,
    log: Option<String>,
    error: Option<ExpectedError>,
    /// Where a mode differs: its own expectation.
    #[serde(default)]
    modes: BTreeMap<String, Expectation>,
}

impl Case {
    /// What must come out in `place`: what is said of it, else of its mode, else of all.
    pub fn expectation(&self, place: Place) -> Expectation {
        let own = self.modes.get(place.name()).or_else(|| self.modes.get(place.mode().name()));
        own.cloned().unwrap_or_else(|| Expectation {
            result: self.result.clone(),
            nulled: self.nulled,
            log: self.log.clone(),
            error: self.error.clone(),
            not_contained: None,
        })
    }
}

/// What must come out: a result or an error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The result column, a JSON list.
    pub result: Option<String>,
    /// How many rows were made NULL.
    pub nulled: Option<u64>,
    /// What the job's log must hold after the call.
    pub log: Option<String>,
    /// The error.
    pub error: Option<ExpectedError>,
    /// Why the mode does not run the case at all: only for what the mode cannot contain.
    pub not_contained: Option<String>,
}

/// An error that must come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedError {
    /// The variant of the library's error: user, type, limit, call, refused, missing, died, cancelled.
    pub kind: String,
    /// The row.
    pub row: Option<u64>,
    /// Texts that the message must hold.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Texts that it must not hold.
    #[serde(default)]
    pub lacks: Vec<String>,
}

fn default_function() -> String {
    "f".into()
}

/// The cases of `path`.
pub fn read(path: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(file.case)
}
