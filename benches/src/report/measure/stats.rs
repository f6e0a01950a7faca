//! The statistics of the report. Medians and order statistics only: timings have long tails, and a mean or a standard
//! deviation says more about the tail than about the program.

use serde::{Deserialize, Serialize};

/// The middle and the spread of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The median.
    pub median: f64,
    /// The lower quartile: a quarter of the samples is below it.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Summary {
    /// The summary of `values`; `None` without any.
    pub fn of(values: &[f64]) -> Option<Summary> {
        let sorted = sorted(values);
        let at = |share| quantile(&sorted, share);
        Some(Summary { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// What a comparison of two variants allows to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first is smaller (less time), beyond what the spread explains.
    Less,
    /// The first is larger.
    More,
    /// The spread swallows the difference.
    Unclear,
    /// There were too few rounds to tell.
    TooFew,
}

/// How many times as much the first variant takes as the second, compared round by round: what disturbs the machine
/// for longer than a round disturbs both.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The interval that holds the true median with a confidence of 95 % ([`median_interval`]).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// What can be said.
    pub verdict: Verdict,
}

/// With fewer rounds the interval of the median holds it less often than 9 times of 10.
const FEWEST_ROUNDS: usize = 5;

impl Ratio {
    /// Compares samples of the same rounds; `None` when there is no round that has both.
    pub fn of(first: &[f64], second: &[f64]) -> Option<Ratio> {
        let ratios: Vec<f64> = first.iter().zip(second).map(|(a, b)| a / b).filter(|ratio| ratio.is_finite()).collect();
        let sorted = sorted(&ratios);
        let (low, high) = median_interval(&sorted)?;
        let verdict = match (low, high) {
            _ if sorted.len() < FEWEST_ROUNDS => Verdict::TooFew,
            (_, high) if high < 1.0 => Verdict::Less,
            (low, _) if low > 1.0 => Verdict::More,
            _ => Verdict::Unclear,
        };
        Some(Ratio { median: quantile(&sorted, 0.5)?, low, high, verdict })
    }
}

/// Ascending, without what is not a number.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which `share` (0 to 1) of the ascending `sorted` lies, between neighbours in proportion; `None`
/// without values.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// The smallest value that at least `share` of the ascending `sorted` does not exceed: for latencies, which must not
/// look better by what lies between two of them.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The narrowest pair of the ascending `sorted`, as far from one end as from the other, that holds the true median
/// with a confidence of at least 95 %, whatever the distribution; the whole range where there are too few values.
///
/// The number of samples below the true median is binomial with probability 1/2.
pub fn median_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = sorted.len();
    let last = count.checked_sub(1)?;
    // P(exactly 0 of them below), then the next by the ratio of neighbouring binomial coefficients.
    let mut exactly = 0.5_f64.powi(count as i32);
    let mut at_most = exactly;
    let mut skip = 0;
    while skip < last / 2 {
        exactly *= (count - skip) as f64 / (skip + 1) as f64;
        if at_most + exactly > 0.025 {
            break;
        }
        at_most += exactly;
        skip += 1;
    }
    // `skip` values may be left out at each end: P(at most `skip` below) is the chance to miss on that side.
    if at_most > 0.025 { Some((sorted[0], sorted[last])) } else { Some((sorted[skip], sorted[last - skip])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.5), Some(2.5));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(quantile(&values, 0.25), Some(1.75));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(100.0));
        assert_eq!(percentile(&values, 0.99), Some(198.0));
        assert_eq!(percentile(&values, 1.0), Some(200.0));
        assert_eq!(percentile(&values[..3], 0.99), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_summary_ignores_order_and_what_is_no_number() {
        let summary = Summary::of(&[5.0, 1.0, f64::NAN, 3.0, 2.0, 4.0]).expect("a summary");
        assert_eq!((summary.low, summary.median, summary.high), (2.0, 3.0, 4.0));
        assert_eq!(Summary::of(&[f64::NAN]), None);
    }

    /// Against the table of order statistics for the median (95 %): n = 6 takes the 1st and the 6th, n = 9 the 2nd and
    /// the 8th, n = 12 the 3rd and the 10th, n = 20 the 6th and the 15th.
    #[test]
    fn intervals_of_the_median_are_those_of_the_table() {
        for (count, low, high) in [(1, 1, 1), (5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10), (20, 6, 15)] {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            assert_eq!(median_interval(&values), Some((f64::from(low), f64::from(high))), "{count} values");
        }
        assert_eq!(median_interval(&[]), None);
    }

    #[test]
    fn rounds_are_compared_as_pairs() {
        // The machine is three times slower in half of the rounds: alone, the samples overlap; as pairs they do not.
        let slow = [2.0, 6.0, 2.1, 6.2, 2.0, 6.1];
        let fast = [1.0, 3.0, 1.0, 3.0, 1.0, 3.0];
        let ratio = Ratio::of(&slow, &fast).expect("a ratio");
        assert_eq!(ratio.verdict, Verdict::More);
        assert!((2.0..2.1).contains(&ratio.median), "{ratio:?}");
        assert_eq!(Ratio::of(&fast, &slow).expect("a ratio").verdict, Verdict::Less);
    }

    #[test]
    fn a_spread_that_swallows_the_difference_is_unclear() {
        let ratio = Ratio::of(&[1.0, 1.1, 0.9, 1.3, 0.8, 1.05], &[1.0; 6]).expect("a ratio");
        assert_eq!(ratio.verdict, Verdict::Unclear);
        let few = Ratio::of(&[2.0, 2.0, 2.0], &[1.0; 3]).expect("a ratio");
        assert_eq!((few.median, few.verdict), (2.0, Verdict::TooFew));
        assert_eq!(Ratio::of(&[], &[1.0]), None);
    }
}
