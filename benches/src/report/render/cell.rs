//! Numbers as people read them.

use crate::report::measure::stats::{Ratio, Summary, Verdict};

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// What is read.
    pub text: String,
    /// What is read by who wants to know: the spread.
    pub detail: String,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell { text: text.into(), detail: String::new() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, detail: String::new() }
    }
}

/// What is not there.
pub fn none() -> Cell {
    "–".into()
}

/// Seconds each, with the quartiles.
pub fn time(summary: &Summary) -> Cell {
    let Summary { median, low, high } = *summary;
    Cell { text: seconds(median), detail: format!("{} to {}", seconds(low), seconds(high)) }
}

/// A rate of so many a second, with the quartiles, from seconds each.
pub fn rate(summary: &Summary) -> Cell {
    let Summary { median, low, high } = *summary;
    Cell { text: count(1.0 / median), detail: format!("{} to {}", count(1.0 / high), count(1.0 / low)) }
}

/// How many times as much, and whether that can be said.
pub fn ratio(ratio: &Ratio) -> Cell {
    let (mark, remark) = match ratio.verdict {
        Verdict::Less | Verdict::More => ("", ""),
        Verdict::Unclear => ("≈ ", ": within the spread"),
        Verdict::TooFew => ("≈ ", ": few rounds"),
    };
    Cell {
        text: format!("{mark}{}×", three(ratio.median)),
        detail: format!("{} to {}{remark}", three(ratio.low), three(ratio.high)),
    }
}

/// Two durations: a median and what few exceed.
pub fn pair(first: f64, second: f64) -> Cell {
    format!("{} / {}", seconds(first), seconds(second)).into()
}

/// `10,000`.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A duration in the unit that fits: `4.13 µs`.
pub fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        _ if seconds < 0.9995e-6 => (seconds * 1e9, "ns"),
        _ if seconds < 0.9995e-3 => (seconds * 1e6, "µs"),
        _ if seconds < 0.9995 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{} {unit}", three(value))
}

/// A large number: `1.25 M`, `62.3 k`, `225`.
pub fn count(value: f64) -> String {
    match value {
        _ if value >= 0.9995e9 => format!("{} G", three(value / 1e9)),
        _ if value >= 0.9995e6 => format!("{} M", three(value / 1e6)),
        _ if value >= 0.9995e3 => format!("{} k", three(value / 1e3)),
        _ => three(value),
    }
}

/// KiB in the unit that fits.
pub fn memory(kib: f64) -> String {
    match kib {
        _ if kib.abs() >= 1_048_576.0 => format!("{} GiB", three(kib / 1_048_576.0)),
        _ if kib.abs() >= 1_024.0 => format!("{} MiB", three(kib / 1_024.0)),
        _ => format!("{} KiB", three(kib)),
    }
}

/// Three digits that count.
pub fn three(value: f64) -> String {
    let decimals = match value.abs() {
        // 0.00342: the first digit that counts, and two more.
        size if size > 0.0 && size < 0.0995 => (2 - size.log10().floor() as i32).min(9) as usize,
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        for (value, text) in [(4.126e-6, "4.13 µs"), (9.996e-4, "1.00 ms"), (61e-9, "61.0 ns"), (12.0, "12.0 s")] {
            assert_eq!(seconds(value), text);
        }
        for (value, text) in
            [(1_250_000.0, "1.25 M"), (62_310.0, "62.3 k"), (225.0, "225"), (999.9, "1.00 k"), (8.4e9, "8.40 G")]
        {
            assert_eq!(count(value), text);
        }
        assert_eq!((three(0.003_42).as_str(), three(0.0).as_str(), three(0.5).as_str()), ("0.00342", "0.00", "0.50"));
        assert_eq!((thousands(100).as_str(), thousands(1_234_567).as_str()), ("100", "1,234,567"));
        assert_eq!((memory(740.0).as_str(), memory(768_000.0).as_str()), ("740 KiB", "750 MiB"));
    }

    #[test]
    fn a_rate_turns_the_quartiles_round() {
        let cell = rate(&Summary { median: 1e-3, low: 0.5e-3, high: 2e-3 });
        assert_eq!((cell.text.as_str(), cell.detail.as_str()), ("1.00 k", "500 to 2.00 k"));
    }

    #[test]
    fn what_cannot_be_said_is_marked() {
        let unclear = Ratio { median: 1.02, low: 0.97, high: 1.1, verdict: Verdict::Unclear };
        assert!(ratio(&unclear).text.starts_with('≈') && ratio(&unclear).detail.contains("within the spread"));
        let clear = Ratio { median: 1.7, low: 1.6, high: 1.8, verdict: Verdict::More };
        assert_eq!(ratio(&clear).text, "1.70×");
    }
}
