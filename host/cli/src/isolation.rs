//! `cloister isolation`: the abuse suite, its matrix, and what came out otherwise than expected. The suite and its
//! runner are the crate `cloister-isolation`; here are the choice of cases and modes, progress and output.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cloister_isolation::{Case, Launch, Matrix, Place, Verdict, render, suite};

use crate::args::IsolationArgs;
use crate::failure::{Interrupted, usage};
use crate::interrupt;
use crate::progress::Progress;
use crate::table;

/// The command of the host processes in which the cases run.
const STAGE: &str = "isolation-stage";

/// How the outcomes are written.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Html,
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// When a case came out otherwise than its data say; those are listed.
pub fn isolation(args: &IsolationArgs) -> Result<()> {
    let output = args.output.as_deref().map(|path| Ok::<_, anyhow::Error>((path, format_of(path)?))).transpose()?;
    let cases = cases(args)?;
    if args.list {
        writeln!(std::io::stdout().lock(), "{}", list(&cases).trim_end())?;
        return Ok(());
    }
    let progress = Progress::new(false);
    let launch = Launch::this_program(&[STAGE])?;
    let modes = modes(args, &launch, &progress)?;
    let total: usize =
        cases.iter().map(|case| modes.iter().filter(|mode| case.expected(**mode).is_some()).count()).sum();
    progress.cases(total);
    let stopped = interrupt::while_stoppable(|| {});
    let seen = |verdict: &Verdict| progress.case_done(&format!("{} ({})", verdict.group, verdict.mode));
    let verdicts = cloister_isolation::run(&cases, &modes, &launch, interrupt::flag(), &seen);
    progress.clear();
    drop(stopped);
    if interrupt::signalled() {
        return Err(Interrupted.into());
    }
    let verdicts = verdicts?;
    let matrix = Matrix::new(&verdicts);
    if let Some((path, format)) = output {
        let text = match format {
            Format::Json => render::json(&matrix, &verdicts)?,
            Format::Html => render::html(&matrix, &verdicts),
            Format::Markdown => render::markdown(&matrix, &verdicts),
        };
        table::write_whole(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    writeln!(std::io::stdout().lock(), "{}", render::table(&matrix).trim_end())?;
    let deviating = verdicts.iter().filter(|verdict| !verdict.as_expected).count();
    if deviating > 0 {
        let deviations = render::deviations(&verdicts);
        bail!("{deviating} of {} outcomes are not as expected:\n{}", verdicts.len(), deviations.trim_end());
    }
    Ok(())
}

/// Runs a host process for cases.
///
/// # Errors
/// When nobody watches it.
pub fn stage() -> Result<()> {
    if cloister_isolation::serve()? { Ok(()) } else { Err(usage("this command is for `cloister isolation` itself")) }
}

fn cases(args: &IsolationArgs) -> Result<Vec<Case>> {
    let all = match &args.cases {
        Some(folder) => suite::folder(folder)?,
        None => suite::built_in()?,
    };
    let mut groups: Vec<&str> = all.iter().map(|case| case.group.as_str()).collect();
    groups.dedup();
    if let Some(unknown) = args.group.iter().find(|group| !groups.contains(&group.as_str())) {
        return Err(usage(format!("there is no group '{unknown}': choose from {}", groups.join(", "))));
    }
    let chosen = |case: &Case| args.group.is_empty() || args.group.contains(&case.group);
    Ok(all.into_iter().filter(chosen).collect())
}

/// The modes to run in, made ready. One that does not work here is left out, and that is said; one that was asked for
/// must work.
fn modes(args: &IsolationArgs, launch: &Launch, progress: &Progress) -> Result<Vec<Place>> {
    let mut modes = Vec::new();
    for mode in Place::ALL {
        if !args.mode.is_empty() && !args.mode.contains(&mode) {
            continue;
        }
        match cloister_isolation::prepare(mode, launch, &|message| progress.preparing(message)) {
            Ok(()) => modes.push(mode),
            Err(problem) if args.mode.is_empty() => progress.line(&format!("{mode} mode is left out: {problem}")),
            Err(problem) => return Err(problem.into()),
        }
    }
    if modes.is_empty() {
        bail!("no mode works on this machine: see `cloister doctor`");
    }
    Ok(modes)
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Format::Json),
        Some("html" | "htm") => Ok(Format::Html),
        Some("md") => Ok(Format::Markdown),
        _ => Err(usage(format!("--output {}: the name must end in .json, .html or .md", path.display()))),
    }
}

fn list(cases: &[Case]) -> String {
    let mut out = String::new();
    let mut group = "";
    for case in cases {
        if case.group != group {
            group = &case.group;
            out += &format!("{}{group}\n", if out.is_empty() { "" } else { "\n" });
        }
        out += &format!("  {}\n", case.name);
        for mode in Place::ALL {
            if let Some(expected) = case.expected(mode) {
                let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
                out += &format!("      {:11} {}\n", mode.name(), expected.join(", or "));
            }
        }
    }
    out
}
