//! The outcome matrix: groups down, modes across, counts in the cells.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::judge::{Outcome, Verdict};
use crate::place::Place;

/// Counts of one group in one mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Cases that came to a typed error or a harmless value.
    pub contained: usize,
    /// Cases that the mode refuses up front.
    pub refused: usize,
    /// Cases that the mode does not contain.
    pub not_contained: usize,
    /// Cases that could not be judged.
    pub unclear: usize,
    /// Cases, of any outcome, that came out otherwise than their data say.
    pub deviating: usize,
}

impl Cell {
    fn count(&mut self, verdict: &Verdict) {
        *match verdict.outcome {
            Outcome::Contained => &mut self.contained,
            Outcome::Refused => &mut self.refused,
            Outcome::NotContained => &mut self.not_contained,
            Outcome::Unclear => &mut self.unclear,
        } += 1;
        self.deviating += usize::from(!verdict.as_expected);
    }

    /// All cases.
    pub fn cases(&self) -> usize {
        self.contained + self.refused + self.not_contained + self.unclear
    }
}

/// Counts by group and mode.
#[derive(Debug, Clone, Serialize)]
pub struct Matrix {
    /// The places that ran.
    pub modes: Vec<Place>,
    /// A group's name and its cells, in the order of the suite.
    pub groups: Vec<(String, Vec<Cell>)>,
    /// All groups together.
    pub total: Vec<Cell>,
}

impl Matrix {
    /// The matrix of `verdicts`.
    pub fn new(verdicts: &[Verdict]) -> Matrix {
        let modes: Vec<_> =
            Place::ALL.into_iter().filter(|mode| verdicts.iter().any(|one| one.mode == *mode)).collect();
        let mut names: Vec<&str> = Vec::new();
        let mut cells: BTreeMap<&str, Vec<Cell>> = BTreeMap::new();
        let mut total = vec![Cell::default(); modes.len()];
        for verdict in verdicts {
            if !names.contains(&verdict.group.as_str()) {
                names.push(&verdict.group);
            }
            let row = cells.entry(&verdict.group).or_insert_with(|| total.iter().map(|_| Cell::default()).collect());
            for (at, mode) in modes.iter().enumerate() {
                if *mode == verdict.mode {
                    row[at].count(verdict);
                    total[at].count(verdict);
                }
            }
        }
        let groups = names.into_iter().map(|name| (name.to_owned(), cells.remove(name).unwrap_or_default())).collect();
        Matrix { modes, groups, total }
    }
}
