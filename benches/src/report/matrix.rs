//! The outcome of the abuse suite: what each mode contains. Of the suite run by the report itself, or read from what
//! `cloister isolation --output FILE.json` writes.

use std::path::Path;

use anyhow::{Context as _, Result};
use cloister_isolation::{Outcome, Verdict};
use serde::{Deserialize, Serialize};

use super::variant::Deadline;

/// The verdicts of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// One for each case and mode.
    pub cases: Vec<Case>,
}

/// What came of an abuse case in a mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The kind of abuse.
    pub group: String,
    /// The case.
    pub name: String,
    /// The mode.
    pub mode: String,
    /// `contained`, `refused`, `not_contained` or `unclear`.
    pub outcome: String,
    /// What the suite's data say must come of it: `limit deadline` where only the deadline ends it.
    pub expected: String,
    /// Whether it did.
    pub as_expected: bool,
}

impl Matrix {
    /// Reads what the suite wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Matrix> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not what `cloister isolation --output FILE.json` writes", path.display()))
    }

    /// What the suite's runner says.
    pub fn of(verdicts: Vec<Verdict>) -> Matrix {
        let case = |verdict: Verdict| Case {
            mode: verdict.mode.to_string(),
            outcome: match verdict.outcome {
                Outcome::Contained => "contained",
                Outcome::Refused => "refused",
                Outcome::NotContained => "not_contained",
                Outcome::Unclear => "unclear",
            }
            .into(),
            group: verdict.group,
            name: verdict.name,
            expected: verdict.expected,
            as_expected: verdict.as_expected,
        };
        Matrix { cases: verdicts.into_iter().map(case).collect() }
    }

    /// The cases that came out otherwise than the suite's data say, a line each.
    pub fn deviating(&self) -> Vec<String> {
        let line = |case: &Case| {
            let Case { group, name, mode, outcome, expected, .. } = case;
            format!("{group}: {name} ({mode}): {}, expected {expected}", outcome.replace('_', " "))
        };
        self.cases.iter().filter(|case| !case.as_expected).map(line).collect()
    }

    /// The groups, in the order of the suite.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !groups.contains(&case.group.as_str()) {
                groups.push(&case.group);
            }
        }
        groups
    }

    /// The modes that ran.
    pub fn modes(&self) -> Vec<&str> {
        let mut modes: Vec<&str> = self.cases.iter().map(|case| case.mode.as_str()).collect();
        modes.sort_unstable();
        modes.dedup();
        modes
    }

    /// How many cases of a group (`None`: of all) a mode holds, and how many there are. Without deadlines, those do not
    /// count that only a deadline ends: it is what they are written to need.
    pub fn held(&self, mode: &str, group: Option<&str>, deadline: Deadline) -> (usize, usize) {
        let of = self.cases.iter().filter(|case| case.mode == mode && group.is_none_or(|group| case.group == group));
        let held = |case: &&Case| {
            matches!(case.outcome.as_str(), "contained" | "refused")
                && (deadline == Deadline::On || case.expected != "limit deadline")
        };
        (of.clone().filter(held).count(), of.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_deadline_ends_is_not_held_without_one() {
        let case = |mode: &str, group: &str, outcome: &str, expected: &str| Case {
            group: group.into(),
            name: "a case".into(),
            mode: mode.into(),
            outcome: outcome.into(),
            expected: expected.into(),
            as_expected: mode != "thread",
        };
        let matrix = Matrix {
            cases: vec![
                case("wasm", "cpu", "contained", "limit deadline"),
                case("wasm", "memory", "refused", "limit memory"),
                case("thread", "cpu", "not_contained", "not contained: hangs"),
            ],
        };
        assert_eq!(matrix.held("wasm", None, Deadline::On), (2, 2));
        assert_eq!(matrix.held("wasm", None, Deadline::Off), (1, 2));
        assert_eq!(matrix.held("wasm", Some("cpu"), Deadline::Off), (0, 1));
        assert_eq!(matrix.held("thread", None, Deadline::On), (0, 1));
        assert_eq!(matrix.deviating(), ["cpu: a case (thread): not contained, expected not contained: hangs"]);
        assert_eq!((matrix.groups(), matrix.modes()), (vec!["cpu", "memory"], vec!["thread", "wasm"]));
    }
}
