//! The command line as data. Parses and explains; never opens a file or starts anything.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cloister::{ExecutionMode, Hardening, Promise};

use cloister_isolation::Place;

use crate::units::{self, Deadline};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "cloister", version, about = ABOUT, after_help = HINT, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Tell more on stderr: -v for information, -vv for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

const ABOUT: &str = "Runs Python functions over tables: in a WebAssembly sandbox, in a process of their own, \
    or inside this process";
const HINT: &str = "Start with `cloister run --help`, which has examples, or `cloister doctor`.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a function over every row of a file.
    #[command(long_about = RUN_ABOUT, after_long_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// List the functions of a Python file with their signatures.
    ///
    /// The file is inspected in a sandbox (wasm mode) unless --mode says otherwise: nothing of it runs on this machine.
    Functions(FunctionsArgs),
    /// Say what each mode promises on this machine: the names for `run --require`.
    Modes(ModesArgs),
    /// Say which modes work on this machine, what is missing, and the command that mends it.
    Doctor(DoctorArgs),
    /// Run the abuse suite on this machine: show, case by case, what each mode contains.
    #[command(long_about = ISOLATION_ABOUT, after_long_help = ISOLATION_EXAMPLES)]
    Isolation(IsolationArgs),
    /// A host process in which cases run; started by `isolation`.
    #[command(hide = true)]
    IsolationStage,
}

const RUN_ABOUT: &str = "Run a function over every row of a file.

The result is a column, added to the columns of the input. Without --output the first rows are printed as a table.";

const RUN_EXAMPLES: &str = "\x1b[1mExamples\x1b[0m
  A file with one function, whose parameters have the names of columns:
    cloister run delays.py --input flights.parquet --output out.parquet

  Choose the function and its arguments, in order; `=` gives a constant (JSON):
    cloister run delays.py::bucket --input flights.csv --arg delay --arg =15

  Each line of a text file as one string:
    cloister run parse.py --input app.log --lines --output parsed.jsonl

  In a pipe, JSON lines in and out:
    cat movies.jsonl | cloister run title.py --input - --arg Title --output - | head

  Pure-Python packages in the sandbox; C extensions (numpy) in a process:
    cloister run slug.py --input movies.jsonl --arg Title --requirements slug.txt
    cloister run wave.py --input x.parquet --mode process --requirements numpy.txt

\x1b[1mModes\x1b[0m
  wasm     CPython in a WebAssembly sandbox: no files, network or subprocesses; memory limit and
           deadline hold against hostile code; pure-Python packages only. The default.
  process  a Python worker process: any interpreter (--python), C extensions.
  thread   CPython inside this process: the lowest latency, for trusted code only.

\x1b[1mFormats\x1b[0m, by extension
  .parquet  .csv  .tsv  .jsonl/.ndjson (JSON lines)  .json (an array or lines)  .arrow/.feather/.ipc
  `-` is JSON lines on stdin or stdout.

\x1b[1mExit codes\x1b[0m
  0 done, 1 failed, 2 wrong usage, 130 interrupted. An output file is complete or not there.";

const ISOLATION_ABOUT: &str = "Run the abuse suite on this machine: show, case by case, what each mode contains.

Each case is hostile or careless code: it spins, hoards memory, recurses, reaches for files and sockets, floods its
output, lies in its replies, tampers with what jobs share. It runs in a host process of its own, between honest work of
the same job and beside another tenant's job whose answers must stay right, and is judged from outside: what a mode does
not contain is shown, not assumed.

  contained      a typed error, or a value that shows that there was nothing to reach
  refused        the mode says up front that it cannot keep the limit that the job asks for
  NOT contained  the host or another tenant was reached, disturbed or ended";

const ISOLATION_EXAMPLES: &str = "\x1b[1mExamples\x1b[0m
  All cases in all modes (a minute or two):
    cloister isolation

  One group in one mode, as a page for the browser:
    cloister isolation --group memory --mode wasm --output memory.html

  Cases of your own, from a folder of TOML files:
    cloister isolation --cases folder/

\x1b[1mA file of cases\x1b[0m
    group = \"mine\"

    [[case]]
    name = \"reads the password file\"
    source = '''
    def attack(x: int) -> str:
        try: return \"reached \" + open(\"/etc/passwd\").readline()
        except OSError: return \"refused\"
    '''
    wasm = { value = \"refused\" }
    process = [{ value = \"refused\" }, { not_contained = \"reaches\" }]
    thread = { not_contained = \"reaches\" }

  What must come of it, by mode (`expect` is for those not named, and of `wasm-worker` the same is
  expected as of `wasm`; \"skip\" leaves one out, a list gives alternatives):
    value = …          the function's result; one that begins with `reached` is a breach
    user = \"…\"         an exception: its class or a part of its message
    limit = \"…\"        deadline, memory, cpu, result, source, stack, executors
    died, cancelled, refused, missing, type, call, internal = \"…\"     a part of the error's message
    not_contained = \"…\"  dies, hangs, reaches, disturbs, leaks, breaks, keeps, floods
  Limits: deadline_ms, cpu_ms, memory_mib, job_memory_mib, result_kib, log_kib, source_kib,
    tenant = { memory_mib, executors, cpu_ms }.
  Other keys: rows, arguments, result_type, null_on_error, files, calls, jobs,
    parallelism, cancel = \"call|job\" (once it has printed `started`), when = \"load\", after = \"new-job\".

\x1b[1mExit codes\x1b[0m
  0 everything came out as its data say, 1 something did not (it is listed), 2 wrong usage,
  130 interrupted.";

/// `cloister run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The Python file, and the function if it has more than one.
    #[arg(value_name = "FILE.py[::FUNCTION]")]
    pub target: String,

    /// The table to read; `-` is JSON lines on stdin.
    #[arg(short, long, value_name = "PATH", help_heading = "Input")]
    pub input: PathBuf,

    /// An argument of the function, in order: a column, or `=LITERAL` for a constant in JSON.
    /// Default: the columns that have the names of the parameters.
    #[arg(short, long = "arg", value_name = "COLUMN", help_heading = "Input")]
    pub args: Vec<String>,

    /// Read a text file: each line is one string in a column named `line`, which is the default argument.
    #[arg(long, help_heading = "Input")]
    pub lines: bool,

    /// Read at most this many rows.
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub limit: Option<u64>,

    /// Rows of CSV and JSON that the columns' types are inferred from; 0 is all of them (stdin is then held in memory).
    #[arg(long, value_name = "N", default_value_t = 100_000, help_heading = "Input")]
    pub infer_rows: usize,

    /// The table to write; `-` is JSON lines on stdout. Written beside its place and renamed when it is complete.
    #[arg(short, long, value_name = "PATH", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// The name of the result column. Default: the function's name.
    #[arg(long = "as", value_name = "NAME", help_heading = "Output")]
    pub result_name: Option<String>,

    /// Write the result column only.
    #[arg(long, help_heading = "Output")]
    pub only_result: bool,

    /// How many rows to print when there is no --output.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Output")]
    pub show: usize,

    /// Write what the run did and used as JSON.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub stats: Option<PathBuf>,

    /// No progress bar, no summary, nothing of what the function prints.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,

    /// Where and within which limits.
    #[command(flatten)]
    pub job: JobArgs,

    /// What happens when a row fails: `fail` ends the run, `null` makes the row's result NULL and counts it.
    #[arg(long, value_name = "fail|null", value_enum, default_value_t = OnError::Fail, hide_default_value = true, hide_possible_values = true, help_heading = "Execution")]
    pub on_error: OnError,

    /// Rows of one call (a bundle).
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = positive, help_heading = "Execution")]
    pub batch_size: usize,

    /// Calls side by side, each in a sandbox or worker of its own. Default: the number of CPUs; 1 in thread mode.
    #[arg(short = 'j', long, value_name = "N", value_parser = positive, help_heading = "Execution")]
    pub parallelism: Option<usize>,
}

/// `cloister functions`.
#[derive(Debug, Args)]
pub struct FunctionsArgs {
    /// The Python file.
    #[arg(value_name = "FILE.py")]
    pub file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Where and within which limits.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `cloister modes`.
#[derive(Debug, Args)]
pub struct ModesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cloister doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cloister isolation`.
#[derive(Debug, Args)]
pub struct IsolationArgs {
    /// The modes to show; `wasm-worker` is wasm mode with its sandboxes in worker processes. Default: all that work on
    /// this machine.
    #[arg(short, long, value_name = "process|thread|wasm|wasm-worker", num_args = 1.., value_delimiter = ',')]
    pub mode: Vec<Place>,

    /// The groups of cases to run. Default: all; --list names them.
    #[arg(short, long, value_name = "GROUP", num_args = 1.., value_delimiter = ',')]
    pub group: Vec<String>,

    /// Run the cases of the .toml files in this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub cases: Option<PathBuf>,

    /// Write the matrix and every case's outcome: .json, .html or .md.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// List the cases with what is expected of each mode, and run nothing.
    #[arg(long)]
    pub list: bool,
}

/// What a job is made of: shared by the commands that load a Python file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub struct JobArgs {
    /// Where the function runs.
    #[arg(short, long, value_name = "process|thread|wasm", default_value_t = ExecutionMode::Wasm)]
    pub mode: ExecutionMode,

    /// What the mode must promise, or the run is refused: see `cloister modes`. Can be given more than once.
    #[arg(long, value_name = "PROMISE")]
    pub require: Vec<Promise>,

    /// A mode to run in when --mode refuses or is not there. Can be given more than once. Default: none; a mode never
    /// changes unasked.
    #[arg(long, value_name = "MODE", conflicts_with = "requirements")]
    pub fallback: Vec<ExecutionMode>,

    /// Memory of one sandbox or worker. Default: 256MiB in wasm mode, no limit in process mode.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub memory: Option<u64>,

    /// Wall time of one call (one bundle): `10s`, `500ms`, `none`. Default: 60s.
    #[arg(long, value_name = "TIME", value_parser = units::deadline)]
    pub deadline: Option<Deadline>,

    /// CPU time of all calls together: `30s`, `5m`. Default: no limit. Not in thread mode.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub cpu: Option<Duration>,

    /// Size of one result (the result column of one bundle). Default: 1GiB.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub max_result: Option<u64>,

    /// How much of what the function prints is kept. Default: 64KiB.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub max_log: Option<u64>,

    /// Size of a sandbox's copy, from which further sandboxes start; beyond it they load the source again.
    /// Default: 256MiB.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub max_checkpoint: Option<u64>,

    /// Stack of a worker's threads. Default: the system's. Process mode only; a sandbox has 32MiB.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub stack: Option<u64>,

    /// The interpreter of process mode, with grpcio installed. Default: a managed virtual environment.
    #[arg(long, value_name = "PATH", conflicts_with = "requirements")]
    pub python: Option<PathBuf>,

    /// Wasm mode: run each sandbox in a worker process of its own, which the kernel confines as it does those of process
    /// mode. A bug of the WebAssembly engine then meets a second wall. The same results, limits and errors; small bundles
    /// take longer. `cloister doctor` says whether it works here.
    #[arg(long)]
    pub in_worker: bool,

    /// What confines a worker of process mode, or of --in-worker: `available` (all that this kernel has), `required` (refuse to run if the
    /// kernel lacks a layer; `cloister doctor` lists them), `off` (trusted code that needs files, network or programs).
    #[arg(long, value_name = "available|required|off", default_value_t)]
    pub hardening: Hardening,

    /// Packages to install for the function, as a pip requirements file. Installed once per content and cached.
    #[arg(long, value_name = "FILE")]
    pub requirements: Option<PathBuf>,

    /// Modules (.py), package directories and data files that the function can import or read.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub files: Vec<PathBuf>,
}

/// `--on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// End the run.
    Fail,
    /// Make the row's result NULL.
    Null,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.replace('_', "").parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("'{text}' is no number above 0")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_keep_their_order_and_constants_their_sign() {
        let cli = Cli::try_parse_from([
            "cloister",
            "run",
            "f.py::g",
            "--input",
            "x.csv",
            "--arg",
            "a",
            "--arg",
            "=-1",
            "--arg=b",
            "--arg==\"x\"",
        ]);
        let Ok(Cli { command: Command::Run(run), .. }) = cli else { panic!("{cli:?}") };
        assert_eq!(run.args, ["a", "=-1", "b", "=\"x\""]);
    }
}
