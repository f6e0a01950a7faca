//! Sizes and durations as people write them: `256MiB`, `10s`. Knows nothing of what they limit.

use std::time::Duration;

/// Bytes: a number and an optional unit. `KiB`, `MiB`, `GiB` and the letters `K`, `M`, `G` count by 1,024; `kB`,
/// `MB`, `GB` by 1,000.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size: write for example 256MiB, 1GiB or 1000000");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let bytes = number * factor as f64;
    if bytes < 1.0 || bytes >= u64::MAX as f64 {
        return Err(wrong());
    }
    Ok(bytes as u64)
}

/// A duration: a number and `ms`, `s`, `m` or `h`; `none` is no limit.
pub fn deadline(text: &str) -> Result<Deadline, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Deadline(None));
    }
    match parsed(text) {
        Some(duration) => Ok(Deadline(Some(duration))),
        None => Err(format!("'{text}' is no duration: write for example 500ms, 10s, 2m, or none for no deadline")),
    }
}

/// A duration: a number and `ms`, `s`, `m` or `h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    parsed(text).ok_or_else(|| format!("'{text}' is no duration: write for example 500ms, 10s or 2m"))
}

fn parsed(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit.to_ascii_lowercase().as_str() {
        "ms" => number / 1000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

/// A deadline, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deadline(pub Option<Duration>);

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let number = text[..end].replace('_', "").parse().ok()?;
    Some((number, text[end..].trim()))
}

/// Bytes for people: `27.3 MiB`.
pub fn human_size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}

/// A time for people: `2.1 ms`, `1.25 s`.
pub fn human_time(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A count with thousands separated: `3,000,000`.
pub fn human_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("256MiB", 256 << 20),
            ("1GiB", 1 << 30),
            ("64M", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("10kB", 10_000),
            ("1_000", 1_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "12 apples", "-1", "0", "1e99999", "1.2.3"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1.5h", 5_400_000)] {
            assert_eq!(deadline(text), Ok(Deadline(Some(Duration::from_millis(milliseconds)))), "{text}");
        }
        assert_eq!(deadline("none"), Ok(Deadline(None)));
        for text in ["", "10", "s", "-1s", "0s", "99999999999999999999h"] {
            assert!(deadline(text).is_err(), "{text}");
        }
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("none").is_err());
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(human_count(0), "0");
        assert_eq!(human_count(999), "999");
        assert_eq!(human_count(3_000_000), "3,000,000");
    }
}
