//! The tables: which numbers stand where.

use super::cell::{self, Cell};
use super::page::Table;
use crate::report::matrix::Matrix;
use crate::report::results::{Group, Latency, Report, Subject, bytes};
use crate::report::variant::{Deadline, Mode, Variant};
use crate::report::workloads;

/// What a table says of one variant in one group.
pub type Say = fn(&Group, Variant) -> Option<Cell>;

/// Rows a second.
pub fn rate(group: &Group, variant: Variant) -> Option<Cell> {
    Some(cell::rate(&group.of(variant)?.wall))
}

/// CPU time of one.
pub fn cpu(group: &Group, variant: Variant) -> Option<Cell> {
    Some(cell::time(&group.of(variant)?.cpu))
}

/// Wall time of one.
pub fn wall(group: &Group, variant: Variant) -> Option<Cell> {
    Some(cell::time(&group.of(variant)?.wall))
}

/// CPU time of one over that of bare CPython.
pub fn cpu_ratio(group: &Group, variant: Variant) -> Option<Cell> {
    if variant == Variant::Bare {
        return Some("1".into());
    }
    Some(cell::ratio(&group.cpu_ratio(variant, Variant::Bare)?))
}

/// A table of groups: a row for each variant that any of them has, a column for each group.
fn of_groups(caption: &str, first: &str, groups: &[(String, &Group)], say: Say) -> Table {
    let shown = |variant: &Variant| {
        !matches!(variant, Variant::Mode(_, Deadline::Off))
            && groups.iter().any(|(_, group)| group.of(*variant).is_some())
    };
    let cells =
        |variant: Variant| groups.iter().map(|(_, group)| say(group, variant).unwrap_or_else(cell::none)).collect();
    let rows = Variant::ALL.into_iter().filter(shown).map(|variant| (variant.to_string(), cells(variant)));
    Table {
        caption: caption.into(),
        head: std::iter::once(first.to_owned()).chain(groups.iter().map(|(name, _)| name.clone())).collect(),
        rows: rows.collect(),
    }
}

fn groups(report: &Report, subject: Subject) -> impl Iterator<Item = &Group> {
    report.groups.iter().filter(move |group| group.subject == subject)
}

/// The JSON function, a column for each size.
pub fn sizes(caption: &str, report: &Report, say: Say) -> Table {
    let groups: Vec<_> = groups(report, Subject::Workload)
        .filter(|group| group.name == workloads::JSON)
        .map(|group| (bytes(group.parameter), group))
        .collect();
    of_groups(caption, "", &groups, say)
}

/// The workloads of one size, a column each.
pub fn functions(caption: &str, report: &Report, say: Say) -> Table {
    let groups: Vec<_> = groups(report, Subject::Workload)
        .filter(|group| group.name != workloads::JSON)
        .map(|group| (group.name.clone(), group))
        .collect();
    of_groups(caption, "", &groups, say)
}

/// What each of these workloads is.
pub fn about() -> Vec<String> {
    workloads::single_sized(1).iter().map(|workload| format!("{}: {}", workload.name, workload.about)).collect()
}

/// For each workload and mode, CPU time with a deadline over that without.
pub fn deadlines(report: &Report) -> Table {
    let ratio = |group: &Group, mode: Mode| {
        let variant = |deadline| Variant::Mode(mode, deadline);
        group.cpu_ratio(variant(Deadline::On), variant(Deadline::Off)).as_ref().map_or_else(cell::none, cell::ratio)
    };
    let row = |group: &Group| (group.title(), Mode::ALL.map(|mode| ratio(group, mode)).to_vec());
    Table {
        caption: "With a deadline over without".into(),
        head: head("", Mode::ALL.map(|mode| mode.variant().to_string())),
        rows: groups(report, Subject::Workload).map(row).collect(),
    }
}

/// What is started, a column for each variant.
pub fn starts(report: &Report) -> Table {
    by_variant("Wall time of one", groups(report, Subject::Start).map(|group| (group.title(), group)), wall)
}

/// Checkpoints and what starts from them, a column for each.
pub fn checkpoints(report: &Report) -> Table {
    let groups: Vec<&Group> = groups(report, Subject::Checkpoint).collect();
    let row = |mode: Mode| {
        let cell = |group: &&Group| wall(group, mode.variant()).unwrap_or_else(|| "no checkpoints".into());
        (mode.variant().to_string(), groups.iter().map(cell).collect())
    };
    Table {
        caption: "Wall time of one".into(),
        head: head("", groups.iter().map(|group| group.title())),
        rows: if groups.is_empty() { Vec::new() } else { Mode::ALL.map(row).to_vec() },
    }
}

/// Rows a second at each parallelism.
pub fn parallel(report: &Report) -> Table {
    let groups: Vec<_> = groups(report, Subject::Parallel).map(|group| (group.parameter.to_string(), group)).collect();
    of_groups("Rows a second, by the number of calls side by side", "", &groups, rate)
}

/// Calls of many tenants.
pub fn tenants(report: &Report) -> Table {
    let mut table = by_variant(
        "",
        groups(report, Subject::Tenants).map(|group| (format!("{}: calls a second", group.title()), group)),
        rate,
    );
    let cpu = by_variant("", groups(report, Subject::Tenants).map(|group| ("CPU time of a call".into(), group)), cpu);
    table.caption = "Many tenants".into();
    table.rows.extend(cpu.rows);
    table
}

/// A row for each group, a column for each variant that any of them has.
fn by_variant<'a>(caption: &str, groups: impl Iterator<Item = (String, &'a Group)>, say: Say) -> Table {
    let groups: Vec<(String, &Group)> = groups.collect();
    let shown = |variant: &Variant| groups.iter().any(|(_, group)| group.of(*variant).is_some());
    let shown: Vec<Variant> = Variant::ALL.into_iter().filter(shown).collect();
    let cells =
        |group: &Group| shown.iter().map(|variant| say(group, *variant).unwrap_or_else(cell::none)).collect::<Vec<_>>();
    Table {
        caption: caption.into(),
        head: head("", shown.iter().map(ToString::to_string)),
        rows: groups.iter().map(|(name, group)| (name.clone(), cells(group))).collect(),
    }
}

fn head(first: &str, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(rest).collect()
}

/// A table for each pace and size: a row for each variant, a column for each bundle.
pub fn latencies(report: &Report) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<(Option<u32>, u64)> =
        report.latencies.iter().map(|latency| (latency.pace, latency.bytes)).collect();
    keys.sort_unstable();
    keys.dedup();
    for (pace, size) in keys {
        let of: Vec<&Latency> =
            report.latencies.iter().filter(|latency| (latency.pace, latency.bytes) == (pace, size)).collect();
        let mut bundles: Vec<u64> = of.iter().map(|latency| latency.bundle).collect();
        bundles.sort_unstable();
        bundles.dedup();
        let say = |variant: Variant, bundle: u64| {
            let latency = of.iter().find(|latency| latency.variant == variant && latency.bundle == bundle);
            latency.map_or_else(cell::none, |latency| Cell {
                detail: format!("{} samples", latency.micros.len()),
                ..cell::pair(latency.p50 * 1e-6, latency.p99 * 1e-6)
            })
        };
        let shown = Variant::ALL.into_iter().filter(|variant| of.iter().any(|latency| latency.variant == *variant));
        let how = pace.map_or("unpaced".into(), |pace| format!("{} rows a second", cell::thousands(pace.into())));
        tables.push(Table {
            caption: format!("{} a row, {how}: p50 / p99, by rows of a bundle", bytes(size)),
            head: head("", bundles.iter().map(|bundle| cell::thousands(*bundle))),
            rows: shown
                .map(|variant| (variant.to_string(), bundles.iter().map(|bundle| say(variant, *bundle)).collect()))
                .collect(),
        });
    }
    tables
}

/// Memory of a live job, by mode and number of jobs.
pub fn density(report: &Report) -> Table {
    let rows = report.density.iter().map(|density| {
        let each = |kib: i64| Cell::from(cell::memory(kib as f64 / density.jobs.max(1) as f64));
        let cells = vec![
            cell::thousands(density.jobs).into(),
            each(density.memory.private),
            each(density.memory.proportional),
            cell::memory(density.memory.private as f64).into(),
            cell::memory(density.before.private as f64).into(),
            cell::seconds(density.seconds_each).into(),
        ];
        (density.variant.to_string(), cells)
    });
    let columns =
        ["jobs", "private, a job", "proportional, a job", "private, all", "before the first", "time to make one"];
    Table { caption: "Memory of live jobs".into(), head: head("", columns.map(str::to_owned)), rows: rows.collect() }
}

/// The main table: what a user asks first, a column for each way to run.
pub fn summary(report: &Report) -> Table {
    let has = |variant: &Variant| report.groups.iter().any(|group| group.of(*variant).is_some());
    let peers = Variant::ALL.into_iter().filter(|variant| variant.is_peer() && has(variant));
    let shown: Vec<Variant> = std::iter::once(Variant::Bare).chain(Mode::ALL.map(Mode::variant)).chain(peers).collect();
    let mut rows = Vec::new();
    let mut add = |name: String, say: &dyn Fn(Variant) -> Option<Cell>| {
        rows.push((name, shown.iter().map(|variant| say(*variant).unwrap_or_else(cell::none)).collect()));
    };
    for group in groups(report, Subject::Workload) {
        add(format!("{}, time of a row", group.title()), &|variant| wall(group, variant));
    }
    for size in [100, 10_000] {
        let of = |pace: Option<u32>| {
            move |latency: &&Latency| latency.bytes == size && latency.bundle == 1 && latency.pace == pace
        };
        let say = |variant| {
            let latency = report.latencies.iter().filter(of(None)).find(|latency| latency.variant == variant)?;
            Some(cell::pair(latency.p50 * 1e-6, latency.p99 * 1e-6))
        };
        if report.latencies.iter().any(|latency| of(None)(&latency)) {
            add(format!("json, {}, one row a call, p50 / p99", bytes(size)), &say);
        }
    }
    for group in groups(report, Subject::Start).filter(|group| group.parameter == 0) {
        add(group.title(), &|variant| wall(group, variant));
    }
    for group in groups(report, Subject::Checkpoint) {
        add(group.title(), &|variant| wall(group, variant));
    }
    let most =
        |variant| report.density.iter().filter(|density| density.variant == variant).max_by_key(|density| density.jobs);
    if !report.density.is_empty() {
        add("private memory of a live job".into(), &|variant| {
            let density = most(variant)?;
            let text = cell::memory(density.memory.private as f64 / density.jobs.max(1) as f64);
            Some(Cell { text, detail: format!("of {} jobs", cell::thousands(density.jobs)) })
        });
    }
    if let Some(matrix) = &report.isolation {
        add("abuse cases contained".into(), &|variant| {
            let Variant::Mode(mode, deadline) = variant else { return None };
            let (held, all) = matrix.held(mode.column(), None, deadline);
            (all > 0).then(|| format!("{held} of {all}").into())
        });
    }
    Table {
        caption: "Medians; the spread is in the tables below".into(),
        head: head("", shown.iter().map(ToString::to_string)),
        rows,
    }
}

/// The matrix of the abuse suite: cases of each group that a mode contains or refuses up front, of how many.
pub fn isolation(matrix: &Matrix) -> Table {
    let modes = Mode::ALL.map(|mode| matrix.modes().contains(&mode.column()).then_some(mode));
    let modes: Vec<Mode> = modes.into_iter().flatten().collect();
    let row = |name: &str, group: Option<&str>| {
        let cell = |mode: &Mode| {
            let (held, all) = matrix.held(mode.column(), group, Deadline::On);
            if all == 0 { cell::none() } else { format!("{held} of {all}").into() }
        };
        (name.to_owned(), modes.iter().map(cell).collect())
    };
    let mut rows: Vec<_> = matrix.groups().into_iter().map(|group| row(group, Some(group))).collect();
    rows.push(row("all", None));
    Table {
        caption: "Abuse cases contained or refused up front, of those run in the mode".into(),
        head: head("", modes.iter().map(|mode| mode.variant().to_string())),
        rows,
    }
}
