//! Compares what was seen of a case with what its data say must come of it. Knows nothing of how it was run.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::attack::{Observation, Seen};
use crate::case::{Breach, Case, Expected};
use crate::place::Place;
use crate::stage::Ending;

/// What came of a case in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A typed error, or a value that shows that there was nothing to reach.
    Contained,
    /// The mode says up front that it cannot do what the job asks for.
    Refused,
    /// The host or another tenant was reached.
    NotContained,
    /// The case could not be judged: something else went wrong.
    Unclear,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Contained => "contained",
            Outcome::Refused => "refused",
            Outcome::NotContained => "not contained",
            Outcome::Unclear => "unclear",
        })
    }
}

/// A case in a mode, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The case's group.
    pub group: String,
    /// The case's name.
    pub name: String,
    /// The mode, or the other place.
    pub mode: Place,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen, in a line.
    pub seen: String,
    /// What the case's data say.
    pub expected: String,
    /// Whether it is what the data say.
    pub as_expected: bool,
    /// How long it took, honest work and waiting included, in milliseconds.
    pub milliseconds: u64,
}

/// The verdict on a case that took `time`; `None` if it was cancelled.
pub fn judge(case: &Case, mode: Place, ending: &Ending, time: Duration) -> Option<Verdict> {
    let expected = case.expected(mode).unwrap_or_default();
    let (outcome, seen, as_expected) = match ending {
        Ending::Cancelled => return None,
        Ending::Died(how) => breached(&[(Breach::Dies, format!("the host {how}"))], expected),
        Ending::Hung => breached(&[(Breach::Hangs, "the call did not end".into())], expected),
        Ending::Observed(observation) => observed(observation, expected),
    };
    let wanted = expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", or ");
    let (group, name) = (case.group.clone(), case.name.clone());
    let milliseconds = time.as_millis() as u64;
    Some(Verdict { group, name, mode, outcome, seen: one_line(&seen), expected: wanted, as_expected, milliseconds })
}

fn observed(observation: &Observation, expected: &[Expected]) -> (Outcome, String, bool) {
    if !observation.breaches.is_empty() {
        return breached(&observation.breaches, expected);
    }
    if let Some(problem) = &observation.problem {
        return (Outcome::Unclear, problem.clone(), false);
    }
    let Some(first) = observation.seen.first() else { return (Outcome::Unclear, "nothing was seen".into(), false) };
    // With several calls, what is shown is the one that differs.
    let seen = &observation.seen;
    let again = |at: usize| seen[..at].contains(&seen[at]);
    let holds = |at: usize| expected.iter().any(|one| fits(&seen[at], one, again(at)));
    let odd = (0..seen.len()).find(|at| !holds(*at)).map(|at| &seen[at]);
    let outcome = match odd.unwrap_or(first) {
        Seen::Error { kind, .. } if kind == "refused" => Outcome::Refused,
        _ => Outcome::Contained,
    };
    (outcome, tell(odd.unwrap_or(first)), odd.is_none())
}

fn breached(breaches: &[(Breach, String)], expected: &[Expected]) -> (Outcome, String, bool) {
    let known = |breach: Breach| expected.contains(&Expected::NotContained(breach));
    let as_expected = breaches.iter().any(|(breach, _)| known(*breach));
    let (breach, what) = breaches.iter().find(|(breach, _)| known(*breach)).unwrap_or(&breaches[0]);
    (Outcome::NotContained, format!("{breach}: {what}"), as_expected)
}

/// `again`: another call came to the same.
fn fits(seen: &Seen, expected: &Expected, again: bool) -> bool {
    let (kind, name, text) = match (seen, expected) {
        (Seen::Value(value), Expected::Value(wanted)) => return value == wanted,
        (Seen::Value(_), Expected::Distinct(_)) => return !again,
        (Seen::Error { kind, name, text }, _) => (kind.as_str(), name, text),
        _ => return false,
    };
    let (wanted, part) = match expected {
        Expected::User(part) => ("user", part),
        Expected::Type(part) => ("type", part),
        Expected::Limit(limit) => return kind == "limit" && (limit.is_empty() || limit == name),
        Expected::Call(part) => ("call", part),
        Expected::Refused(part) => ("refused", part),
        Expected::Died(part) => ("died", part),
        Expected::Missing(part) => ("missing", part),
        Expected::Cancelled(part) => ("cancelled", part),
        Expected::Internal(part) => ("internal", part),
        Expected::Value(_) | Expected::Distinct(_) | Expected::NotContained(_) => return false,
    };
    kind == wanted && (name == part || text.contains(part.as_str()))
}

fn tell(seen: &Seen) -> String {
    match seen {
        Seen::Value(value) => format!("value {value}"),
        Seen::Error { kind, name, text } if name.is_empty() => format!("{kind}: {text}"),
        Seen::Error { kind, name, text } => format!("{kind} {name}: {text}"),
    }
}

fn one_line(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
