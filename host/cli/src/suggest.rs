//! "Did you mean": the nearest name to one that does not exist.

/// The candidate nearest to `wanted`, if it is near enough to be a slip.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted_lower = wanted.to_lowercase();
    // Two letters exchanged count as two.
    let most = match wanted.chars().count() {
        0..=3 => 1,
        length => (length / 3).max(2),
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted_lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= most || (wanted.len() > 2 && candidate.to_lowercase().starts_with(&wanted_lower))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names for a message: quoted where needed, and not more of them than a reader takes in.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 40;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(", … ({} in all)", names.len()));
    }
    text
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let columns = ["date", "delay", "distance", "origin", "destination"];
        for (wanted, expected) in [
            ("Delay", Some("delay")),
            ("dealy", Some("delay")),
            ("dely", Some("delay")),
            ("destinaton", Some("destination")),
            ("dest", Some("destination")),
            ("price", None),
        ] {
            assert_eq!(nearest(wanted, columns), expected, "{wanted}");
        }
    }
}
