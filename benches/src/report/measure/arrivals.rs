//! Rows that arrive at a pace and are gathered into bundles. The pace does not wait for the function: a row counts from
//! when it should have arrived, so that a slow call shows in all rows that wait behind it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How rows arrive and when they are called.
#[derive(Debug, Clone, Copy)]
pub struct Arrivals {
    /// Rows a second.
    pub pace: u32,
    /// A bundle is called when it has so many rows …
    pub bundle: usize,
    /// … or so long after its first row.
    pub time: Duration,
}

impl Arrivals {
    /// When row `row` arrives, from the beginning.
    fn arrival(&self, row: usize) -> Duration {
        Duration::from_secs_f64(row as f64 / f64::from(self.pace))
    }

    /// When the bundle that begins with row `first` is called if nothing is late.
    fn close(&self, first: usize) -> Duration {
        self.arrival(first + self.bundle - 1).min(self.arrival(first) + self.time)
    }

    /// How many rows, from `first`, a call at `now` takes.
    fn waiting(&self, first: usize, now: Duration) -> usize {
        // A row's arrival rounds to nanoseconds: half of one is added, so that a row is there at its own time.
        let arrived = (now.as_secs_f64() + 0.5e-9) * f64::from(self.pace);
        (arrived as usize + 1).saturating_sub(first).clamp(1, self.bundle)
    }

    /// Lets `total` rows arrive and gives each one's microseconds from its arrival to its result; `call` is called
    /// with a number of rows. Ends early, with the rows so far, when `stop` says so.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn run(
        &self,
        total: usize,
        stop: impl Fn() -> bool,
        call: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Vec<f64>> {
        call(1)?;
        let mut micros = Vec::with_capacity(total);
        let start = Instant::now();
        while micros.len() < total && !stop() {
            let first = micros.len();
            wait_until(start + self.close(first));
            let rows = self.waiting(first, start.elapsed()).min(total - first);
            call(rows)?;
            let end = start.elapsed();
            micros.extend((first..first + rows).map(|row| end.saturating_sub(self.arrival(row)).as_secs_f64() * 1e6));
        }
        Ok(micros)
    }
}

impl Arrivals {
    /// Lets `total` rows arrive, each sent by itself to something that gathers bundles of its own, and gives each one's
    /// microseconds from its arrival to its result. `send` is called with the number of a row, by another thread;
    /// `receive` returns with the next result.
    ///
    /// # Errors
    /// Those of `send` and `receive`.
    pub fn stream(
        &self,
        total: usize,
        mut send: impl FnMut(usize) -> Result<()> + Send,
        mut receive: impl FnMut() -> Result<()>,
    ) -> Result<Vec<f64>> {
        let start = Instant::now();
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                (0..total).try_for_each(|row| {
                    wait_until(start + self.arrival(row));
                    send(row)
                })
            });
            let mut result = |row| {
                receive()?;
                Ok(start.elapsed().saturating_sub(self.arrival(row)).as_secs_f64() * 1e6)
            };
            let micros: Result<Vec<f64>> = (0..total).map(&mut result).collect();
            let sent = sending.join().ok().context("the sender panicked")?;
            micros.and_then(|micros| sent.map(|()| micros))
        })
    }
}

/// Sleeps, and spins at the end: a sleeping thread is woken late by more than a fast mode takes for a row.
fn wait_until(moment: Instant) {
    const SPIN: Duration = Duration::from_micros(200);
    let left = moment.saturating_duration_since(Instant::now());
    thread::sleep(left.saturating_sub(SPIN));
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVALS: Arrivals = Arrivals { pace: 1_000, bundle: 100, time: Duration::from_secs(1) };

    #[test]
    fn bundles_close_when_full_or_when_their_time_is_over() {
        assert_eq!(ARRIVALS.close(0), Duration::from_millis(99));
        assert_eq!(ARRIVALS.close(100), Duration::from_millis(199));
        let large = Arrivals { bundle: 10_000, ..ARRIVALS };
        assert_eq!(large.close(500), Duration::from_millis(1_500));
        assert_eq!(large.waiting(500, large.close(500)), 1_001);
    }

    #[test]
    fn a_late_call_takes_what_has_arrived_and_no_more_than_a_bundle() {
        let single = Arrivals { bundle: 1, ..ARRIVALS };
        assert_eq!(single.waiting(7, Duration::from_millis(7)), 1);
        assert_eq!(single.waiting(7, Duration::from_millis(700)), 1);
        assert_eq!(ARRIVALS.waiting(100, Duration::from_millis(149)), 50);
        assert_eq!(ARRIVALS.waiting(100, Duration::from_millis(900)), 100);
    }

    #[test]
    fn rows_that_wait_for_a_bundle_of_the_receiver_show_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut gathered = 0;
        let receive = || {
            // Bundles of ten: the first of them waits for the tenth.
            if gathered == 0 {
                (0..10).try_for_each(|_| receiver.recv().map(drop))?;
                gathered = 10;
            }
            gathered -= 1;
            Ok(())
        };
        let micros = ARRIVALS.stream(20, move |row| Ok(sender.send(row)?), receive).expect("latencies");
        assert_eq!(micros.len(), 20);
        assert!(micros[0] >= 9_000.0 && micros[10] >= 9_000.0, "{micros:?}");
    }

    #[test]
    fn rows_behind_a_slow_call_wait_for_it() {
        let arrivals = Arrivals { bundle: 1, ..ARRIVALS };
        let mut calls = 0;
        let micros = arrivals
            .run(20, || false, &mut |_| {
                calls += 1;
                // The first is the warm-up.
                thread::sleep(Duration::from_millis(if calls == 2 { 50 } else { 0 }));
                Ok(())
            })
            .expect("latencies");
        assert_eq!((micros.len(), calls), (20, 21));
        assert!(micros[0] >= 50_000.0 && micros[10] >= 39_000.0, "{micros:?}");
        assert!(micros.is_sorted_by(|a, b| a >= b), "each waits a little less: {micros:?}");
    }
}
