//! Variants of one workload, measured in turns: what the machine does to one it does to the others.

use std::time::Duration;

/// One variant: its name, and one pass of the workload.
pub type Variant<'v> = (&'v str, Box<dyn FnMut() + 'v>);

/// CPU time of one pass, in nanoseconds, of each variant in each round: `[variant][round]`.
///
/// Each round runs every variant for at least `slice` of CPU time, in an order that alternates.
pub fn rounds(variants: &mut [Variant<'_>], rounds: usize, slice: Duration) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::with_capacity(rounds); variants.len()];
    for (_, run) in variants.iter_mut() {
        run();
    }
    for round in 0..rounds {
        for turn in 0..variants.len() {
            let index = if round % 2 == 0 { turn } else { variants.len() - 1 - turn };
            let run = &mut variants[index].1;
            let start = thread_time();
            let mut passes = 0_u32;
            loop {
                run();
                passes += 1;
                let spent = thread_time() - start;
                if spent >= slice {
                    samples[index].push(spent.as_nanos() as f64 / f64::from(passes));
                    break;
                }
            }
        }
    }
    samples
}

/// The quartiles of `values`: lower, median, upper.
///
/// # Panics
/// When there is no value.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// CPU time that this thread has used.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_an_odd_count_are_values() {
        assert_eq!(quartiles([5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 3.0, 4.0]);
    }

    #[test]
    fn each_variant_gets_a_sample_a_round() {
        let (mut first, mut second) = (0, 0);
        let mut variants: Vec<Variant<'_>> =
            vec![("first", Box::new(|| first += 1)), ("second", Box::new(|| second += 1))];
        let samples = rounds(&mut variants, 3, Duration::ZERO);
        assert!(samples.iter().all(|rounds| rounds.len() == 3));
        drop(variants);
        // One pass to warm up, one a round.
        assert_eq!((first, second), (4, 4));
    }
}
