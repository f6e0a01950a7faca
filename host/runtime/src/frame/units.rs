//! Dates and times between Arrow's units and the wire's: days, and microseconds. Must never lose anything on the way
//! to Arrow; on the way to Python, finer units are cut down (floored), because its types end at microseconds.

use arrow::datatypes::TimeUnit;

/// Milliseconds of a day, the unit of date64.
pub(super) const DAY_IN_MS: i64 = 86_400_000;

/// Microseconds of a day.
pub(super) const DAY_IN_US: i64 = 86_400_000_000;

/// How an Arrow value becomes a wire value, and back. One of the two is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    /// Wire units in one Arrow unit.
    pub(crate) wire_per_arrow: i64,
    /// Arrow units in one wire unit.
    pub(super) arrow_per_wire: i64,
}

impl Ratio {
    /// Days on the wire, milliseconds in Arrow.
    pub(crate) const DATE64: Ratio = Ratio { wire_per_arrow: 1, arrow_per_wire: DAY_IN_MS };

    /// Microseconds on the wire, `unit` in Arrow.
    pub(crate) const fn of(unit: TimeUnit) -> Ratio {
        let (wire_per_arrow, arrow_per_wire) = match unit {
            TimeUnit::Second => (1_000_000, 1),
            TimeUnit::Millisecond => (1_000, 1),
            TimeUnit::Microsecond => (1, 1),
            TimeUnit::Nanosecond => (1, 1_000),
        };
        Ratio { wire_per_arrow, arrow_per_wire }
    }

    /// The wire value of an Arrow value; as an error if it needs more than 64 bits.
    #[inline]
    pub(crate) fn to_wire(self, value: i64) -> Result<i64, i128> {
        // Division by a constant is a multiplication.
        match self.arrow_per_wire {
            1 => {}
            1_000 => return Ok(value.div_euclid(1_000)),
            other => return Ok(value.div_euclid(other)),
        }
        value.checked_mul(self.wire_per_arrow).ok_or_else(|| i128::from(value) * i128::from(self.wire_per_arrow))
    }

    /// The Arrow value of a wire value, if there is one.
    #[inline]
    pub(crate) fn to_arrow(self, value: i64) -> Option<i64> {
        if self.wire_per_arrow != 1 {
            return (value % self.wire_per_arrow == 0).then(|| value / self.wire_per_arrow);
        }
        value.checked_mul(self.arrow_per_wire)
    }

    /// Why [`Self::to_arrow`] has no value.
    pub(super) fn advice(self, value: i64) -> &'static str {
        if value % self.wire_per_arrow == 0 {
            "out of range"
        } else if self.wire_per_arrow == 1_000 {
            "the microseconds would be lost: cut them to milliseconds first, or declare a finer unit"
        } else {
            "the part of a second would be lost: cut it first, or declare a finer unit"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_convert_exactly_or_not_at_all() {
        let second = Ratio::of(TimeUnit::Second);
        assert_eq!(second.to_wire(-3), Ok(-3_000_000));
        assert_eq!(second.to_wire(i64::MAX), Err(i128::from(i64::MAX) * 1_000_000));
        assert_eq!(second.to_arrow(-3_000_000), Some(-3));
        assert_eq!(second.to_arrow(1), None);
        assert!(second.advice(1).contains("second"));
        let nanosecond = Ratio::of(TimeUnit::Nanosecond);
        assert_eq!(nanosecond.to_wire(-1), Ok(-1));
        assert_eq!(nanosecond.to_wire(1_999), Ok(1));
        assert_eq!(nanosecond.to_arrow(7), Some(7_000));
        assert_eq!(nanosecond.to_arrow(i64::MAX), None);
        assert_eq!(nanosecond.advice(i64::MAX), "out of range");
        assert_eq!(Ratio::DATE64.to_wire(-1), Ok(-1));
        assert_eq!(Ratio::DATE64.to_arrow(2), Some(2 * DAY_IN_MS));
        assert!(Ratio::of(TimeUnit::Millisecond).advice(1).contains("milliseconds"));
    }
}
