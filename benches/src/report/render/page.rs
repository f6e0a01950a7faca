//! The page: what is said, in which order. Knows no HTML and no markdown.

use super::cell::{self, Cell};
use super::{plots, tables};
use crate::report::machine::Machine;
use crate::report::results::Report;

/// The whole page.
pub struct Page {
    /// Its title.
    pub title: String,
    /// What stands under the title, a line each.
    pub lead: Vec<String>,
    /// What a reader must know before all else, a line each.
    pub warnings: Vec<String>,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A part of the page with a title.
pub struct Section {
    /// The title.
    pub title: &'static str,
    /// What it shows.
    pub blocks: Vec<Block>,
}

/// A part of a section.
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Points, a line each.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A picture.
    Figure(Figure),
}

/// A picture with its caption.
pub struct Figure {
    /// The name of its file.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// SVG whose colours are the page's.
    pub svg: String,
}

/// A table whose first column names its rows.
pub struct Table {
    /// What it shows, and in which unit.
    pub caption: String,
    /// The names of the columns; the first is of the names.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// Whether no cell says anything.
    fn is_empty(&self) -> bool {
        let none = cell::none();
        self.rows.iter().all(|(_, cells)| cells.iter().all(|cell| *cell == none))
    }
}

/// The page of a report.
pub fn build(report: &Report) -> Page {
    let sections = [
        Section { title: "In short", blocks: vec![plots::price(report).into(), tables::summary(report).into()] },
        Section { title: "JSON, by size", blocks: json(report) },
        Section { title: "Functions of other kinds", blocks: functions(report) },
        Section { title: "What a deadline costs", blocks: deadlines(report) },
        Section { title: "Latency of a row", blocks: latency(report) },
        Section { title: "Start", blocks: vec![Block::Text(START.into()), tables::starts(report).into()] },
        Section { title: "Checkpoints", blocks: checkpoints(report) },
        Section { title: "Memory of live jobs", blocks: density(report) },
        Section { title: "Side by side", blocks: scaling(report) },
        Section { title: "Isolation beside speed", blocks: isolation(report) },
    ];
    let mut sections: Vec<Section> = sections.into_iter().filter_map(Section::without_empty_tables).collect();
    if !report.left_out.is_empty() {
        sections.push(Section { title: "What was left out", blocks: vec![Block::List(report.left_out.clone())] });
    }
    sections.push(Section { title: "How it was measured", blocks: method(report) });
    Page { title: "The price of isolation".into(), lead: lead(report), warnings: warnings(report), sections }
}

impl Page {
    /// All pictures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            _ => None,
        })
    }
}

impl Section {
    /// `None` if it shows nothing that was measured.
    fn without_empty_tables(mut self) -> Option<Section> {
        self.blocks.retain(|block| match block {
            Block::Table(table) => !table.is_empty(),
            Block::List(points) => !points.is_empty(),
            Block::Text(_) | Block::Figure(_) => true,
        });
        self.blocks.iter().any(|block| matches!(block, Block::Table(_) | Block::Figure(_))).then_some(self)
    }
}

impl From<Option<Figure>> for Block {
    fn from(figure: Option<Figure>) -> Block {
        figure.map_or_else(|| Block::List(Vec::new()), Block::Figure)
    }
}

impl From<Table> for Block {
    fn from(table: Table) -> Block {
        Block::Table(table)
    }
}

fn lead(report: &Report) -> Vec<String> {
    let Machine { date, commit, .. } = &report.machine;
    vec![
        "What the execution modes of Cloister cost in speed, and what they contain, on one machine in one run.".into(),
        format!("{} · {date} UTC · commit {} · plan {}", report.machine.line(), or_unknown(commit), report.plan),
    ]
}

fn warnings(report: &Report) -> Vec<String> {
    let interrupted = || "Interrupted: this holds what was measured until then.".to_owned();
    report.disturbance().into_iter().chain((!report.complete).then(interrupted)).collect()
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn json(report: &Report) -> Vec<Block> {
    vec![
        Block::Text(
            "The function of the Flink blog post on PyFlink's thread mode (examples/json_value_lower.py): one JSON \
             document in, field `a` in lower case, JSON out. Bare CPython is the function alone on strings that are \
             already there; native Rust is serde_json from Arrow to Arrow."
                .into(),
        ),
        plots::sizes(report).into(),
        tables::sizes("Rows a second", report, tables::rate).into(),
        tables::sizes("CPU time of a row, of all processes", report, tables::cpu).into(),
        tables::sizes("CPU time as a multiple of bare CPython's", report, tables::cpu_ratio).into(),
    ]
}

fn functions(report: &Report) -> Vec<Block> {
    vec![
        Block::List(tables::about()),
        tables::functions("Rows a second", report, tables::rate).into(),
        tables::functions("CPU time of a row, of all processes", report, tables::cpu).into(),
        tables::functions("CPU time as a multiple of bare CPython's", report, tables::cpu_ratio).into(),
    ]
}

fn deadlines(report: &Report) -> Vec<Block> {
    vec![
        Block::Text(
            "CPU time of a row with a deadline on each call (the default), as a multiple of that without.".into(),
        ),
        tables::deadlines(report).into(),
    ]
}

fn latency(report: &Report) -> Vec<Block> {
    let mut blocks = vec![Block::Text(
        "From a row's arrival to its result, the JSON function: half of the rows are at least as fast as the first \
         number, 99 of 100 as fast as the second. Unpaced, a whole bundle arrives as soon as the one before is done. At \
         1,000 rows a second rows arrive one by one, whether the function keeps up or not; a bundle is called when it \
         is full, or 1 s after its first row."
            .into(),
    )];
    if report.latencies.iter().any(|latency| latency.variant.is_peer()) {
        blocks.push(Block::Text(
            "PyFlink runs as a job between two sockets, a line of text a row; the sockets, its source and its sink are \
             in its numbers. Its process mode gathers bundles by itself: by one row, and by its default of 1,000 rows or \
             1 s; its thread mode has none. eryx takes a bundle as program text."
                .into(),
        ));
    }
    blocks.push(plots::latency(report).into());
    blocks.extend(tables::latencies(report).into_iter().map(Block::Table));
    blocks
}

const START: &str = "A job from its source text to the result of its first call; and bare sandboxes.";

fn checkpoints(report: &Report) -> Vec<Block> {
    vec![
        Block::Text(
            "A checkpoint is the whole state of a job between two calls, taken by `Job::fork` of a job that was called \
             since the last one; restoring is the first call of the fork. The sizes are what a checkpoint holds beyond \
             the interpreter that all sandboxes share. Only wasm mode can copy the state of a job. Those of Flink \
             cover the state that a function keeps through Flink's API, which these functions do not: they are off."
                .into(),
        ),
        tables::checkpoints(report).into(),
    ]
}

fn density(report: &Report) -> Vec<Block> {
    vec![
        Block::Text(
            "Jobs that have loaded a source and called a function once, all alive in one process that has nothing else. \
             Private: pages that no other process shares and that were written to, of the host and its workers. \
             Proportional: resident pages, shared ones divided among those that share them. Before the first: the private memory that the \
             process has with the engine, the interpreter or the JVM of the mode ready, after a first job has come and \
             gone; it is not in the other columns."
                .into(),
        ),
        plots::density(report).into(),
        tables::density(report).into(),
        Block::List(
            report
                .density
                .iter()
                .any(|density| density.variant.is_peer())
                .then(|| {
                    "PyFlink: each job in a local mini-cluster of its own inside one JVM, after a garbage collection; \
                     the program that submits the jobs, the JVM and the workers count. eryx: sessions in one process."
                        .to_owned()
                })
                .into_iter()
                .collect(),
        ),
    ]
}

fn scaling(report: &Report) -> Vec<Block> {
    vec![
        Block::Text(format!(
            "Rows a second of pure-Python work (fnv) in one job with so many calls side by side, on {} CPUs. In thread \
             mode the interpreter's lock lets one run at a time.",
            report.machine.cpus
        )),
        plots::scaling(report).into(),
        tables::parallel(report).into(),
        Block::Text(
            "Many tenants, a job each, called with one row in turns by as many threads as there are CPUs.".into(),
        ),
        tables::tenants(report).into(),
    ]
}

fn isolation(report: &Report) -> Vec<Block> {
    let Some(matrix) = &report.isolation else { return Vec::new() };
    let mut blocks = vec![Block::Text(
        "Rows a second, and the share of the cases of the abuse suite (`cloister isolation`) that a mode contains or refuses up \
         front, a point for each mode. Rings are the modes without a deadline: without one, the cases that only a deadline ends \
         are not contained; the suite does not run them so, as they would not end."
            .into(),
    )];
    blocks.extend(plots::isolation(report, matrix).into_iter().map(Block::Figure));
    blocks.push(tables::isolation(matrix).into());
    let deviating = matrix.deviating();
    if !deviating.is_empty() {
        blocks.push(Block::Text("These came out otherwise than the suite's data say:".into()));
        blocks.push(Block::List(deviating));
    }
    blocks
}

fn method(report: &Report) -> Vec<Block> {
    let versions = report.machine.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let versions: Vec<String> = versions.collect();
    let minutes = report.seconds / 60.0;
    vec![Block::List(vec![
        format!("{}. {}.", report.machine.line(), versions.join(", ")),
        format!(
            "Plan {}, {minutes:.1} minutes, load {} at the beginning; {:.1} % of the machine's CPU time was others'.",
            report.plan,
            report.machine.load,
            100.0 * report.others
        ),
        "All variants of a comparison run in the same rounds, each once a round, in an order that turns. A number is \
         the median of the rounds; the spread beside it is the middle half of them."
            .into(),
        "Multiples compare round by round. Their interval holds the true median with a confidence of 95 % (order \
         statistics). ≈ marks those whose interval holds 1: the spread swallows the difference."
            .into(),
        "CPU time is user and system time of this process and its workers, by the kernel's clock of each process."
            .into(),
        "Each variant's result is compared with that of Rust before it is measured.".into(),
        "report.json has all samples.".into(),
    ])]
}
