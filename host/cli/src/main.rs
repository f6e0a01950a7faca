//! The `cloister` program: runs Python functions over tables from the command line.
//!
//! Layers: `args` (the command line as data), the commands (`run`, `functions`, `modes`, `doctor`, `isolation`), and what
//! they stand on:
//! `job` (from the command line to a running job), `table` (tables in files), `progress`. The library does the work;
//! nothing here knows how a mode runs. This file only dispatches, and turns the outcome into an exit code.

mod args;
mod doctor;
mod failure;
mod functions;
mod interrupt;
mod isolation;
mod job;
mod modes;
mod progress;
mod run;
mod suggest;
mod system;
mod table;
mod units;

use std::io;
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser as _;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Cli, Command};

fn main() -> ExitCode {
    // This program is also that of the workers of `--in-worker`.
    cloister::worker::run_if_asked();
    let started = Instant::now();
    let cli = Cli::parse();
    show_events(cli.verbose);
    failure::tame_panics();
    interrupt::install();
    let outcome = panic::catch_unwind(|| dispatch(&cli.command, started));
    let code = match outcome {
        Ok(Ok(())) => failure::OK,
        Ok(Err(error)) => failure::report(&error),
        Err(_) => {
            failure::eprint_line("error: internal fault of cloister; run again with -vv and report what it says");
            failure::FAILED
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: &Command, started: Instant) -> Result<()> {
    match command {
        Command::Run(args) => run::run(args, started),
        Command::Functions(args) => functions::functions(args),
        Command::Modes(args) => modes::modes(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Isolation(args) => isolation::isolation(args),
        Command::IsolationStage => isolation::stage(),
    }
}

/// Events of the library and the program go to stderr from this level on; from the third `-v` on, those of what they
/// are built with too.
fn show_events(verbose: u8) {
    let level = match verbose {
        0 => Level::ERROR,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let others = if verbose > 2 { Some(level) } else { None };
    let targets = Targets::new().with_target("cloister", level).with_default(LevelFilter::from(others));
    let format = tracing_subscriber::fmt::layer().with_writer(io::stderr).without_time();
    tracing_subscriber::registry().with(format.with_filter(targets)).init();
}
