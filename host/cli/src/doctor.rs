//! `cloister doctor`: what each mode needs, whether it is there, and what mends it. Changes nothing.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Result, bail};
use cloister::{Error, ExecutionMode, Layer, ModeReport, cache};
use serde_json::{Map, Value, json};

use crate::args::DoctorArgs;

/// The mode that `run` takes when none is named.
const DEFAULT: ExecutionMode = ExecutionMode::Wasm;

/// Runs the command.
///
/// # Errors
/// When the default mode cannot run.
pub fn doctor(args: &DoctorArgs) -> Result<()> {
    let mut reports = ExecutionMode::ALL.map(ExecutionMode::report);
    if let Some(wasm) = reports.iter_mut().find(|report| report.mode == ExecutionMode::Wasm) {
        wasm.facts.push(("in workers".into(), in_workers()));
    }
    let text = if args.json { as_json(&reports)? } else { as_text(&reports) };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    if !reports.iter().any(|report| report.mode == DEFAULT && report.is_available()) {
        bail!("{DEFAULT} mode, which is the default, cannot run on this machine");
    }
    Ok(())
}

/// Whether `--in-worker` works here, in a phrase.
fn in_workers() -> String {
    match cloister::worker::check() {
        Ok(()) => "available, with the hardening of process mode around each".into(),
        Err(error) => format!("NOT available: {}", error.to_string().replace('\n', "; ")),
    }
}

fn as_text(reports: &[ModeReport]) -> String {
    let mut out = String::new();
    let (version, cache) = (env!("CARGO_PKG_VERSION"), cache_place());
    let _ = writeln!(out, "cloister {version}\ncache: {cache} (moved by {})", cache::CACHE_VARIABLE);
    for report in reports {
        let state = if report.is_available() { "available" } else { "NOT available" };
        let default = if report.mode == DEFAULT { " (default)" } else { "" };
        let _ = writeln!(out, "\n{}{default}: {state}", report.mode);
        let width = report.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &report.facts {
            let _ = writeln!(out, "  {name:width$}  {value}");
        }
        layers_as_text(&mut out, &report.hardening);
        for problem in &report.problems {
            let (what, mend) = parts(problem);
            let _ = writeln!(out, "  missing: {what}");
            if let Some(mend) = mend {
                let _ = writeln!(out, "  to mend: {mend}");
            }
        }
    }
    out
}

/// What confines the mode's workers, a line for each layer.
fn layers_as_text(out: &mut String, layers: &[Layer]) {
    if layers.is_empty() {
        return;
    }
    let there = layers.iter().filter(|layer| layer.is_in_force()).count();
    let _ = writeln!(out, "  hardening: {there} of {} layers around each worker", layers.len());
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
    for Layer { name, keeps, missing, optional, .. } in layers {
        let _ = match missing {
            None => writeln!(out, "    {name:width$}  in force: {keeps}"),
            Some(needs) if *optional => writeln!(out, "    {name:width$}  not here: {needs}; it would give {keeps}"),
            Some(needs) => writeln!(out, "    {name:width$}  MISSING: {needs}; it gives {keeps}"),
        };
    }
}

fn as_json(reports: &[ModeReport]) -> Result<String> {
    let modes: Map<String, Value> = reports
        .iter()
        .map(|report| {
            let facts: Map<String, Value> =
                report.facts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let problems: Vec<Value> = report
                .problems
                .iter()
                .map(|problem| {
                    let (what, mend) = parts(problem);
                    json!({ "what": what, "mend": mend })
                })
                .collect();
            let hardening: Vec<Value> = report
                .hardening
                .iter()
                .map(|layer| {
                    let Layer { name, keeps, missing, optional, .. } = layer;
                    json!({ "layer": name, "keeps": keeps, "missing": missing, "optional": optional })
                })
                .collect();
            let state = json!({
                "available": report.is_available(),
                "facts": facts,
                "hardening": hardening,
                "problems": problems,
            });
            (report.mode.to_string(), state)
        })
        .collect();
    Ok(serde_json::to_string_pretty(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "default_mode": DEFAULT,
        "cache": cache_place(),
        "modes": modes,
    }))?)
}

fn parts(problem: &Error) -> (String, Option<String>) {
    match problem {
        Error::Missing { what, mend } => (what.clone(), Some(mend.clone())),
        other => (other.to_string(), None),
    }
}

fn cache_place() -> String {
    cache::directory().map_or_else(|error| error.to_string(), |place| place.display().to_string())
}
