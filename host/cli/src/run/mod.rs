//! `cloister run`: a function over every row of a table.

mod arguments;
mod pipeline;
mod plan;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::datatypes::SchemaRef;
use cloister::{ExecutionMode, Function, FunctionOptions, Job};

use crate::args::{OnError, RunArgs};
use crate::failure::usage;
use crate::job::{self, LogPrinter};
use crate::progress::{Progress, Scale};
use crate::table::{self, Batches, Output, Position, Preview, ReadOptions};
use crate::{suggest, system};
use arguments::Available;
use pipeline::{Bundle, Clock, Consumer};
use plan::Plan;
use report::{Counts, Report};

/// Runs the command. `started` is when the program started.
pub fn run(args: &RunArgs, started: Instant) -> Result<()> {
    let progress = Progress::new(args.quiet);
    let result = prepare(args, &progress).and_then(|prepared| prepared.run(args, started, &progress));
    progress.clear();
    result
}

/// Everything that is checked before the first row is read.
struct Prepared {
    source: table::Source,
    job: Job,
    function: Function,
    plan: Plan,
    parallelism: usize,
    results: Results,
}

/// Where the rows go.
enum Results {
    File(Box<Output>),
    Table(Preview),
}

fn prepare(args: &RunArgs, progress: &Progress) -> Result<Prepared> {
    let (path, name) = job::split_target(&args.target);
    let python = job::Source::read(&path)?;
    let options = ReadOptions {
        lines: args.lines,
        infer_rows: Some(args.infer_rows).filter(|rows| *rows > 0),
        batch_size: args.batch_size,
    };
    let source = table::Source::open(&args.input, &options)?;
    let parallelism = args.parallelism.unwrap_or_else(|| default_parallelism(args.job.mode));
    let job = job::start(&args.job, &python, parallelism, progress)?;
    let function = choose(&job, name, &python, args)?;
    let available = Available { input: &source.name, schema: &source.schema, lines: args.lines };
    let chosen = arguments::resolve(function.signature(), &args.args, &available)?;
    let name = args.result_name.as_deref();
    let plan = Plan::new(function.clone(), chosen, &source.schema, name, args.only_result)?;
    let results = Results::new(args, &plan)?;
    Ok(Prepared { source, job, function, plan, parallelism, results })
}

/// A call for each CPU; in thread mode the interpreter runs one at a time anyway.
fn default_parallelism(mode: ExecutionMode) -> usize {
    match mode {
        ExecutionMode::Thread => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn choose(job: &Job, name: Option<&str>, python: &job::Source, args: &RunArgs) -> Result<Function> {
    let options = FunctionOptions::default().on_error(match args.on_error {
        OnError::Fail => cloister::OnError::Fail,
        OnError::Null => cloister::OnError::Null,
    });
    if let Some(name) = name {
        return Ok(job.function_with(name, options)?);
    }
    let mut functions = job.functions();
    match (functions.next(), functions.len()) {
        (Some(only), 0) => Ok(job.function_with(&only.name, options)?),
        (None, _) => {
            Err(usage(format!("{} defines no function (names that start with '_' are private)", python.filename())))
        }
        _ => {
            let names = suggest::list(job.functions().map(|signature| signature.name.as_str()));
            Err(usage(format!(
                "{} has more than one function: choose one with {}::NAME\nfunctions: {names}",
                python.filename(),
                args.target
            )))
        }
    }
}

impl Results {
    fn new(args: &RunArgs, plan: &Plan) -> Result<Results> {
        Ok(match &args.output {
            Some(path) => Results::File(Box::new(Output::create(path, &plan.output)?)),
            None => Results::Table(Preview::new(plan.output.clone(), args.show, shown_first(plan, &plan.output))),
        })
    }

    fn write(&mut self, bundle: &Bundle) -> Result<()> {
        match self {
            Results::File(output) => output.write(&bundle.0),
            Results::Table(preview) => preview.push(&bundle.0),
        }
    }
}

/// The columns that a narrow terminal still shows: what goes in and what comes out.
fn shown_first(plan: &Plan, output: &SchemaRef) -> Vec<String> {
    let result = output.fields().last().map(|field| field.name().clone());
    plan.argument_names.iter().cloned().chain(result).collect()
}

impl Prepared {
    fn run(self, args: &RunArgs, started: Instant, progress: &Progress) -> Result<()> {
        let Prepared { source, job, function, plan, parallelism, results } = self;
        let (scale, position) = (source.scale.up_to(args.limit), source.position.clone());
        let batches = limited(source.read(plan.projection.clone())?, args.limit);
        let clock = Arc::new(Clock::default());
        let log = LogPrinter::new(progress);
        let mut collector = Collector { results, counts: Counts::default(), job: &job, log, progress, scale, position };
        let began = Instant::now();
        progress.rows(scale);
        let result = pipeline::run(batches, plan, &job, parallelism, &clock, &mut collector);
        let Collector { results, mut counts, log, .. } = collector;
        let table = result.and_then(|()| Ok(job.close()?)).and_then(|()| finish(results, &mut counts.writing));
        let seconds = began.elapsed().as_secs_f64();
        log.finish(&job);
        progress.clear();

        let stats = job.stats();
        let dropped = job.log().dropped_bytes();
        let signature = function.signature().clone();
        // Workers end with the last handle of the job, and their CPU time counts once they have ended.
        drop((job, function));
        let usage = system::usage();
        let report = Report {
            completed: table.is_ok(),
            error: table.as_ref().err().map(|error| format!("{error:#}")),
            mode: stats.mode,
            in_worker: stats.in_worker,
            function: signature.name.clone(),
            signature: signature.to_string(),
            parallelism,
            batch_size: args.batch_size,
            rows: counts.rows,
            seconds,
            rows_per_second: counts.rows as f64 / seconds.max(1e-9),
            total_seconds: started.elapsed().as_secs_f64(),
            reading_seconds: clock.reading().as_secs_f64(),
            calling_seconds: clock.calling().as_secs_f64(),
            writing_seconds: counts.writing.as_secs_f64(),
            cpu_seconds: usage.cpu_seconds,
            bundles: counts.bundles,
            errors: stats.errors,
            nulled_rows: counts.nulled,
            first_row_error: counts.first_error.as_ref().map(ToString::to_string),
            executors: stats.executors,
            peak_memory_bytes: stats.peak_memory_bytes,
            host_peak_memory_bytes: usage.peak_resident_bytes,
            log_dropped_bytes: dropped,
        };
        if let Some(path) = &args.stats {
            report.save(path)?;
        }
        if let Some(text) = table? {
            print(&text)?;
        }
        report.summarise(args.output.as_deref(), &stats, progress);
        Ok(())
    }
}

/// What becomes of evaluated bundles.
struct Collector<'a> {
    results: Results,
    counts: Counts,
    job: &'a Job,
    log: LogPrinter,
    progress: &'a Progress,
    scale: Scale,
    position: Position,
}

impl Consumer for Collector<'_> {
    fn bundle(&mut self, bundle: Bundle) -> Result<()> {
        let writing = Instant::now();
        self.results.write(&bundle)?;
        self.counts.writing += writing.elapsed();
        self.counts.add(&bundle);
        self.idle();
        Ok(())
    }

    fn idle(&mut self) {
        self.progress.moved(self.scale, self.counts.rows, self.position.bytes());
        self.log.print(self.job);
    }
}

/// Completes the output; the text to print if there is no file.
fn finish(results: Results, writing: &mut Duration) -> Result<Option<String>> {
    match results {
        Results::File(output) => {
            let start = Instant::now();
            output.finish()?;
            *writing += start.elapsed();
            Ok(None)
        }
        Results::Table(preview) => preview.table(system::terminal_width()).map(Some),
    }
}

impl Counts {
    fn add(&mut self, (batch, evaluation): &Bundle) {
        self.rows += batch.num_rows() as u64;
        self.bundles += 1;
        self.nulled += evaluation.nulled;
        if self.first_error.is_none() {
            self.first_error.clone_from(&evaluation.first_error);
        }
    }
}

/// At most `limit` rows.
fn limited(batches: Batches, limit: Option<u64>) -> Batches {
    let Some(mut left) = limit else { return batches };
    if left == 0 {
        return Box::new(std::iter::empty());
    }
    let mut batches = batches;
    Box::new(std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let batch = batches.next()?;
        Some(batch.map(|batch| {
            let rows = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
            left -= rows as u64;
            batch.slice(0, rows)
        }))
    }))
}

fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    if !text.is_empty() {
        writeln!(std::io::stdout().lock(), "{text}")?;
    }
    Ok(())
}
