//! The pictures: which numbers of a report are drawn, and how.

mod canvas;
mod chart;
mod scale;

use super::cell;
use super::page::Figure;
use crate::report::matrix::Matrix;
use crate::report::results::{Group, Report, Subject, bytes};
use crate::report::variant::{Deadline, Mode, Variant};
use crate::report::workloads;

use chart::{Dots, Plane, Point};
use scale::{Kind, Scale};

pub use canvas::{alone, css};

/// Everything but variants without a deadline, whose dots would lie on those with one.
fn shown() -> impl Iterator<Item = Variant> {
    Variant::ALL.into_iter().filter(|variant| !matches!(variant, Variant::Mode(_, Deadline::Off)))
}

fn groups(report: &Report, subject: Subject) -> impl Iterator<Item = &Group> {
    report.groups.iter().filter(move |group| group.subject == subject)
}

/// The main picture: CPU time of a row over that of bare CPython, a row for each workload.
pub fn price(report: &Report) -> Option<Figure> {
    let dots = |group: &Group| {
        let of = |variant| {
            let ratio = group.cpu_ratio(variant, Variant::Bare)?;
            Some((variant, [ratio.median, ratio.low, ratio.high]))
        };
        shown().filter(|variant| !matches!(variant, Variant::Bare | Variant::Native)).filter_map(of).collect::<Vec<_>>()
    };
    let rows: Vec<_> = groups(report, Subject::Workload).map(|group| (group.title(), dots(group))).collect();
    let values = rows.iter().flat_map(|(_, dots)| dots.iter().flat_map(|(_, ends)| *ends)).chain([1.0]);
    let x = Scale::over(Kind::Log, values, |value| format!("{value}×"))?;
    let x = (x, "CPU time of a row, as a multiple of bare CPython's".into());
    figure(
        "price",
        "What a row costs beside bare CPython (1×), with the interval of the median.",
        Dots { x, line: 1.0, rows }.svg(),
    )
}

/// The JSON function: CPU time of a row by its size.
pub fn sizes(report: &Report) -> Option<Figure> {
    let groups: Vec<&Group> = groups(report, Subject::Workload).filter(|group| group.name == workloads::JSON).collect();
    let of = |variant: Variant| {
        let point = |group: &&Group| Some(Point { x: group.parameter as f64, y: group.of(variant)?.cpu.median });
        (variant, groups.iter().filter_map(point).collect::<Vec<_>>())
    };
    let ticks = groups.iter().map(|group| (group.parameter as f64, bytes(group.parameter)));
    let x = (Scale::at(Kind::Log, ticks.collect())?, "bytes of a row".into());
    lines(
        "json",
        "The JSON function: CPU time of a row by its size.",
        x,
        (Kind::Log, "CPU time of a row", cell::seconds),
        shown().map(of),
    )
}

/// Latency of a row of 1 kB by the rows of a bundle, 99 of 100 rows.
pub fn latency(report: &Report) -> Option<Figure> {
    let size = report.latencies.iter().map(|latency| latency.bytes).filter(|bytes| *bytes <= 1_000).max()?;
    let all = || report.latencies.iter().filter(|latency| latency.bytes == size && latency.pace.is_none());
    let of = |variant: Variant| {
        let points = all().filter(|latency| latency.variant == variant);
        (variant, points.map(|latency| Point { x: latency.bundle as f64, y: latency.p99 * 1e-6 }).collect::<Vec<_>>())
    };
    let mut bundles: Vec<u64> = all().map(|latency| latency.bundle).collect();
    bundles.sort_unstable();
    bundles.dedup();
    let ticks = bundles.into_iter().map(|bundle| (bundle as f64, cell::thousands(bundle)));
    let x = (Scale::at(Kind::Log, ticks.collect())?, "rows of a bundle".into());
    let caption = format!("Unpaced, {} a row: 99 of 100 rows have their result within this time.", bytes(size));
    lines("latency", &caption, x, (Kind::Log, "p99 of a row's latency", cell::seconds), shown().map(of))
}

/// Memory of all live jobs by their number.
pub fn density(report: &Report) -> Option<Figure> {
    let of = |variant: Variant| {
        let points = report.density.iter().filter(|density| density.variant == variant);
        let point = |density: &crate::report::results::Density| Point {
            x: density.jobs as f64,
            y: density.memory.private as f64 * 1_024.0,
        };
        (variant, points.map(point).collect::<Vec<_>>())
    };
    let mut jobs: Vec<u64> = report.density.iter().map(|density| density.jobs).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let ticks = jobs.into_iter().map(|jobs| (jobs as f64, cell::thousands(jobs)));
    let x = (Scale::at(Kind::Log, ticks.collect())?, "live jobs".into());
    let caption = "Private memory of all live jobs together.";
    lines("density", caption, x, (Kind::Log, "private memory", |size| bytes(size as u64)), shown().map(of))
}

/// Rows a second by the number of calls side by side, over those of one.
pub fn scaling(report: &Report) -> Option<Figure> {
    let groups: Vec<&Group> = groups(report, Subject::Parallel).collect();
    let of = |mode: Mode| {
        let rate = |group: &Group| Some(1.0 / group.of(mode.variant())?.wall.median);
        let one = groups.iter().find(|group| group.parameter == 1).and_then(|group| rate(group));
        let point = |group: &&Group| Some(Point { x: group.parameter as f64, y: rate(group)? / one? });
        (mode.variant(), groups.iter().filter_map(point).collect::<Vec<_>>())
    };
    let ticks = groups.iter().map(|group| (group.parameter as f64, group.parameter.to_string()));
    let x = (Scale::at(Kind::Log, ticks.collect())?, "calls side by side".into());
    let caption = "Pure-Python work side by side: rows a second over those of one call at a time.";
    let write = |value: f64| format!("{}×", cell::three(value));
    lines("scaling", caption, x, (Kind::Linear, "speed-up", write), Mode::ALL.map(of).into_iter())
}

/// A picture for each workload: rows a second against the share of the abuse cases that are held, a point for each mode and variant.
pub fn isolation(report: &Report, matrix: &Matrix) -> Vec<Figure> {
    groups(report, Subject::Workload).filter_map(|group| beside(group, matrix)).collect()
}

fn beside(group: &Group, matrix: &Matrix) -> Option<Figure> {
    let point = |variant: Variant| {
        let Variant::Mode(mode, deadline) = variant else { return None };
        let (held, all) = matrix.held(mode.column(), None, deadline);
        let rate = 1.0 / group.of(variant)?.wall.median;
        (all > 0).then(|| (variant, vec![Point { x: rate, y: 100.0 * held as f64 / all as f64 }]))
    };
    let series: Vec<_> = Variant::ALL.into_iter().filter_map(point).collect();
    let rates = series.iter().flat_map(|(_, points)| points.iter().map(|point| point.x));
    let x = (Scale::over(Kind::Log, rates, cell::count)?, "rows a second".into());
    let percent = |share: f64| format!("{share} %");
    let y = (Scale::over(Kind::Linear, [100.0].into_iter(), percent)?, "abuse cases contained".into());
    let name = format!("isolation-{}", group.title().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
    figure(&name, &format!("{}: speed and containment.", group.title()), Plane { x, y, series, joined: false }.svg())
}

fn lines(
    name: &str,
    caption: &str,
    x: (Scale, String),
    (kind, y, write): (Kind, &str, impl Fn(f64) -> String),
    series: impl Iterator<Item = (Variant, Vec<Point>)>,
) -> Option<Figure> {
    let series: Vec<_> = series.filter(|(_, points)| !points.is_empty()).collect();
    let values = series.iter().flat_map(|(_, points)| points.iter().map(|point| point.y));
    let y = (Scale::over(kind, values, write)?, y.to_owned());
    figure(name, caption, Plane { x, y, series, joined: true }.svg())
}

/// A picture that cannot be drawn is none; it says so on stderr.
fn figure(name: &str, caption: &str, svg: anyhow::Result<String>) -> Option<Figure> {
    match svg {
        Ok(svg) => Some(Figure { name: name.into(), caption: caption.into(), svg }),
        Err(error) => {
            eprintln!("picture '{name}': {error:#}");
            None
        }
    }
}
