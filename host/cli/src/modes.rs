//! `cloister modes`: what each mode promises on this machine.

use std::io::Write as _;

use anyhow::Result;
use cloister::{ExecutionMode, Keeping, Promise};
use serde_json::{Map, Value, json};

use crate::args::ModesArgs;

/// Runs the command.
pub fn modes(args: &ModesArgs) -> Result<()> {
    let text = if args.json { as_json()? } else { as_text() };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    Ok(())
}

fn as_text() -> String {
    let mut rows = vec![["promise".to_owned(), String::new()].into_iter().chain(names()).collect::<Vec<_>>()];
    for promise in Promise::ALL {
        let cells = ExecutionMode::ALL.map(|mode| cell(promise, mode));
        rows.push([promise.to_string(), promise.description().to_owned()].into_iter().chain(cells).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn names() -> impl Iterator<Item = String> {
    ExecutionMode::ALL.into_iter().map(|mode| mode.to_string())
}

/// What holds here, where it depends on the machine.
fn cell(promise: Promise, mode: ExecutionMode) -> String {
    let text = promise.cell(mode).replace('`', "");
    match promise.kept_by(mode).0 {
        Keeping::Hardened if mode.keeps(promise) => "yes (hardened)".into(),
        Keeping::Hardened => "no (not hardened: see doctor)".into(),
        _ => text,
    }
}

fn as_json() -> Result<String> {
    let promises: Vec<Value> = Promise::ALL
        .into_iter()
        .map(|promise| {
            let modes: Map<String, Value> = ExecutionMode::ALL
                .into_iter()
                .map(|mode| {
                    let (keeping, note) = promise.kept_by(mode);
                    let state = json!({ "kept": mode.keeps(promise), "keeping": keeping, "note": note });
                    (mode.to_string(), state)
                })
                .collect();
            json!({ "name": promise, "description": promise.description(), "modes": modes })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&json!({ "promises": promises }))?)
}
