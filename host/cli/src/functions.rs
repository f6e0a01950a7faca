//! `cloister functions`: what a Python file defines.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use cloister::types::python_name;
use cloister::{Job, Signature};
use serde_json::json;

use crate::args::FunctionsArgs;
use crate::job::{self, LogPrinter};
use crate::progress::Progress;
use crate::system;

/// Runs the command.
pub fn functions(args: &FunctionsArgs) -> Result<()> {
    let progress = Progress::new(false);
    let source = job::Source::read(&args.file)?;
    let job = job::start(&args.job, &source, 1, &progress);
    progress.clear();
    let job = job?;
    LogPrinter::new(&progress).finish(&job);
    let text = if args.json { as_json(&job)? } else { as_table(&job, &source)? };
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

fn as_table(job: &Job, source: &job::Source) -> Result<String> {
    if job.functions().len() == 0 {
        return Ok(format!("{} defines no functions (names that start with '_' are private)", source.filename()));
    }
    let column = |text: &dyn Fn(&Signature) -> String| {
        Arc::new(job.functions().map(|signature| Some(text(signature))).collect::<StringArray>()) as _
    };
    let table = RecordBatch::try_from_iter([
        ("function", column(&|signature| signature.name.clone())),
        ("kind", column(&|signature| signature.kind.to_string())),
        ("signature", column(&types)),
        ("about", column(&|signature| signature.doc.clone().unwrap_or_default())),
    ])?;
    let table = pretty_format_batches(&[table])?.to_string();
    let width = table.lines().next().map_or(0, |line| line.chars().count());
    if system::terminal_width().is_some_and(|terminal| terminal < width) {
        return Ok(as_blocks(job));
    }
    Ok(table)
}

/// For a terminal that is too narrow for the table.
fn as_blocks(job: &Job) -> String {
    let blocks = job.functions().map(|signature| {
        let about = signature.doc.as_ref().map(|doc| format!("\n    {doc}")).unwrap_or_default();
        format!("{} ({})\n    {}{about}", signature.name, signature.kind, types(signature))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// `(x: int64, s: utf8 = …) -> float64`: the signature without what the table says already.
fn types(signature: &Signature) -> String {
    let short = |data_type: &DataType| {
        let name = python_name(data_type);
        name.rsplit_once(" (").map_or(name.clone(), |(arrow, _)| arrow.to_owned())
    };
    let mut parameters: Vec<String> = signature
        .parameters
        .iter()
        .map(|parameter| {
            let data_type = parameter.data_type.as_ref().map(|t| format!(": {}", short(t))).unwrap_or_default();
            let default = if parameter.has_default { " = …" } else { "" };
            format!("{}{data_type}{default}", parameter.name)
        })
        .collect();
    if signature.varargs {
        parameters.push("*args".into());
    }
    let result = signature.result.as_ref().map(|t| format!(" -> {}", short(t))).unwrap_or_default();
    format!("({}){result}", parameters.join(", "))
}

fn as_json(job: &Job) -> Result<String> {
    let functions: Vec<_> = job
        .functions()
        .map(|signature| {
            let parameters: Vec<_> = signature
                .parameters
                .iter()
                .map(|parameter| {
                    json!({
                        "name": parameter.name,
                        "type": parameter.data_type.as_ref().map(ToString::to_string),
                        "has_default": parameter.has_default,
                    })
                })
                .collect();
            json!({
                "name": signature.name,
                "kind": signature.kind,
                "parameters": parameters,
                "varargs": signature.varargs,
                "result": signature.result.as_ref().map(ToString::to_string),
                "deterministic": signature.deterministic,
                "doc": signature.doc,
                "signature": signature.to_string(),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&functions)?)
}
