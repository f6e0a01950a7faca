//! An axis: from values to places, and the values that are written beside it.

/// How values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In proportion, from 0.
    Linear,
    /// By their logarithm.
    Log,
}

/// An axis over a range of values.
#[derive(Debug, Clone)]
pub struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    /// What is written, and at which value.
    pub ticks: Vec<(f64, String)>,
}

impl Scale {
    /// An axis that holds all values; `write` is how they are written. Values that are not above 0 have no place on a
    /// logarithmic axis and are left out.
    pub fn over(kind: Kind, values: impl Iterator<Item = f64>, write: impl Fn(f64) -> String) -> Option<Scale> {
        let fits = |value: &f64| value.is_finite() && (kind == Kind::Linear || *value > 0.0);
        let (mut low, mut high) =
            values.filter(fits).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let ticks = match kind {
            Kind::Linear => {
                let step = nice(high / 4.0);
                (low, high) = (0.0, (high / step).ceil().max(1.0) * step);
                (0..=(high / step).round() as i32).map(|index| f64::from(index) * step).collect()
            }
            Kind::Log => {
                (low, high) = (low / 1.3, high * 1.3);
                let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
                let parts: &[f64] = match high / low {
                    ..5.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
                    ..50.0 => &[1.0, 2.0, 5.0],
                    _ => &[1.0],
                };
                decades.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade))).collect::<Vec<_>>()
            }
        };
        let ticks = ticks.into_iter().filter(|tick| (low..=high).contains(tick)).map(|tick| (tick, write(tick)));
        Some(Scale { kind, low, high, ticks: thin(ticks.collect(), 8) })
    }

    /// An axis with exactly these ticks.
    pub fn at(kind: Kind, ticks: Vec<(f64, String)>) -> Option<Scale> {
        let scale = Scale::over(kind, ticks.iter().map(|(value, _)| *value), |_| String::new())?;
        Some(Scale { ticks, ..scale })
    }

    /// The place of a value: 0 at the low end, 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        let at = |value: f64| if self.kind == Kind::Log { value.log10() } else { value };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    /// Whether 1 lies within the axis.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Every second tick, until there are few enough.
fn thin(mut ticks: Vec<(f64, String)>, most: usize) -> Vec<(f64, String)> {
    while ticks.len() > most {
        ticks = ticks.into_iter().step_by(2).collect();
    }
    ticks
}

/// The next step up that people count in: 1, 2 or 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|part| part * power)
        .find(|nice| *nice >= step * 0.999)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_counts_in_round_steps() {
        let scale = Scale::over(Kind::Linear, [3.0, 7.3].into_iter(), |value| value.to_string()).expect("a scale");
        assert_eq!(written(&scale), ["0", "2", "4", "6", "8"]);
        assert_eq!((scale.place(0.0), scale.place(4.0), scale.place(99.0)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn a_logarithmic_axis_counts_in_powers() {
        let scale = Scale::over(Kind::Log, [0.0, 0.2, 300.0].into_iter(), |value| value.to_string()).expect("a scale");
        assert_eq!(written(&scale), ["1", "10", "100"]);
        assert!((scale.place(10.0) - scale.place(1.0) - (scale.place(100.0) - scale.place(10.0))).abs() < 1e-9);
        // A narrow one has more than one value beside it.
        let narrow = Scale::over(Kind::Log, [1.8, 2.6].into_iter(), |value| value.to_string()).expect("a scale");
        assert_eq!(written(&narrow), ["1.5", "2", "3"]);
        assert!(Scale::over(Kind::Log, [0.0].into_iter(), |_| String::new()).is_none());
    }
}
