//! Decimals as text, exactly: plain notation out, whatever `str(Decimal)` gives in. Must never round.

use arrow::datatypes::i256;

/// The most digits that an i256 has.
const MOST_DIGITS: usize = 77;

/// The largest shift of the point that a scale (an i8) can cause.
const MOST_ZEROS: usize = 128;

/// The longest text that [`Text::format`] gives: digits, zeros, a point and a sign.
const TEXT_CAP: usize = MOST_DIGITS + MOST_ZEROS + 2;

/// The integers that decimals are stored in.
pub(super) trait Unscaled: Copy {
    fn is_negative(self) -> bool;

    /// Writes the digits of the magnitude so that they end before `end`, and gives their start.
    fn digits(self, text: &mut Text, end: usize) -> usize;

    /// The value whose magnitude is `high` times ten to the power of 38 and `low`, both below that power.
    fn from_parts(negative: bool, high: u128, low: u128) -> Option<Self>;
}

impl Unscaled for i128 {
    fn is_negative(self) -> bool {
        self < 0
    }

    fn digits(self, text: &mut Text, end: usize) -> usize {
        text.digits(end, self.unsigned_abs())
    }

    fn from_parts(negative: bool, high: u128, low: u128) -> Option<Self> {
        let magnitude = i128::try_from(low).ok().filter(|_| high == 0)?;
        Some(if negative { -magnitude } else { magnitude })
    }
}

impl Unscaled for i256 {
    fn is_negative(self) -> bool {
        i256::is_negative(self)
    }

    fn digits(self, text: &mut Text, end: usize) -> usize {
        if let Some(small) = self.to_i128() {
            return small.digits(text, end);
        }
        let digits = self.to_string();
        let digits = digits.trim_start_matches('-').as_bytes();
        let start = end - digits.len();
        text.bytes[start..end].copy_from_slice(digits);
        start
    }

    fn from_parts(negative: bool, high: u128, low: u128) -> Option<Self> {
        let (high, low) = (i128::try_from(high).ok()?, i128::try_from(low).ok()?);
        let ten_to_38 = i256::from_i128(10_i128.pow(38));
        let magnitude = i256::from_i128(high).checked_mul(ten_to_38)?.checked_add(i256::from_i128(low))?;
        Some(if negative { magnitude.wrapping_neg() } else { magnitude })
    }
}

/// A buffer for the text of one decimal.
pub(super) struct Text {
    bytes: [u8; TEXT_CAP],
}

impl Text {
    pub(super) fn new() -> Self {
        Text { bytes: [b'0'; TEXT_CAP] }
    }

    /// `unscaled` times ten to the power of `-scale` in plain notation, for example `-1.50`.
    pub(super) fn format(&mut self, unscaled: impl Unscaled, scale: i8) -> &[u8] {
        // Written from the end to the start.
        let zeros = if scale < 0 { usize::from(scale.unsigned_abs()) } else { 0 };
        let end = TEXT_CAP - zeros;
        let mut at = unscaled.digits(self, end);
        if zeros > 0 {
            if self.bytes[at..end] == *b"0" {
                return b"0";
            }
            self.bytes[end..].fill(b'0');
        }
        if scale > 0 {
            let fraction = usize::from(scale.unsigned_abs());
            // At least one digit stands before the point.
            let start = at.min(end - fraction - 1);
            self.bytes[start..at].fill(b'0');
            let point = end - fraction;
            self.bytes.copy_within(start..point, start - 1);
            self.bytes[point - 1] = b'.';
            at = start - 1;
        }
        if unscaled.is_negative() {
            at -= 1;
            self.bytes[at] = b'-';
        }
        &self.bytes[at..]
    }

    fn digits(&mut self, mut end: usize, mut value: u128) -> usize {
        const TEN_TO_19: u128 = 10_u128.pow(19);
        // Division of 64 bits is one instruction, of 128 a function.
        while value >= TEN_TO_19 {
            let start = self.digits_of_64(end, (value % TEN_TO_19) as u64);
            self.bytes[end - 19..start].fill(b'0');
            end -= 19;
            value /= TEN_TO_19;
        }
        self.digits_of_64(end, value as u64)
    }

    fn digits_of_64(&mut self, end: usize, mut value: u64) -> usize {
        let mut at = end;
        while value >= 100 {
            let pair = (value % 100) as u8;
            value /= 100;
            at -= 2;
            self.bytes[at..at + 2].copy_from_slice(&[b'0' + pair / 10, b'0' + pair % 10]);
        }
        if value >= 10 {
            at -= 1;
            self.bytes[at] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        self.bytes[at - 1] = b'0' + value as u8;
        at - 1
    }
}

/// Why a text is not a value of a decimal type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// NaN or an infinity.
    NotFinite,
    /// No number at all.
    NotDecimal,
    /// More digits before the point than the type has.
    TooLarge,
    /// Digits after the point that the type has not.
    Inexact,
}

/// The unscaled value of `text` in a type of `precision` digits, `scale` of which stand after the point.
pub(super) fn parse<T: Unscaled>(text: &[u8], precision: u8, scale: i8) -> Result<T, Refusal> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if let Some(magnitude) = plain(unsigned, precision, scale) {
        return T::from_parts(negative, 0, magnitude.into()).ok_or(Refusal::TooLarge);
    }
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..]).ok_or(Refusal::NotDecimal)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(not_a_number(unsigned));
    }
    let digits = || whole.iter().chain(fraction).copied();
    let Some(first) = digits().position(|digit| digit != b'0') else {
        return T::from_parts(false, 0, 0).ok_or(Refusal::TooLarge);
    };
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    let significant = whole.len() + fraction.len() - first - trailing;
    // Lengths are below 2^31 and the exponent is capped, so that nothing here overflows.
    let zeros = exponent + trailing as i64 - fraction.len() as i64 + i64::from(scale);
    if zeros < 0 {
        return Err(Refusal::Inexact);
    }
    if significant as i64 + zeros > i64::from(precision) {
        return Err(Refusal::TooLarge);
    }
    let total = significant + zeros as usize;
    let (mut high, mut low) = (0_u128, 0_u128);
    let all = digits().skip(first).take(significant).chain(std::iter::repeat_n(b'0', zeros as usize));
    for (position, digit) in all.enumerate() {
        let part = if total - position > 38 { &mut high } else { &mut low };
        *part = *part * 10 + u128::from(digit - b'0');
    }
    T::from_parts(negative, high, low).ok_or(Refusal::TooLarge)
}

/// The fast way for what nearly all decimals are: few digits, of which exactly as many stand after the point as the
/// type has. `None` for everything else.
#[inline]
fn plain(unsigned: &[u8], precision: u8, scale: i8) -> Option<u64> {
    let fraction = usize::from(u8::try_from(scale).ok()?);
    // 19 digits are below 2^64; one of the bytes is the point.
    let digits = if fraction > 0 { unsigned.len().checked_sub(1)? } else { unsigned.len() };
    if digits > usize::from(precision.min(19)) || digits <= fraction {
        return None;
    }
    let add = |value: u64, digit: &u8| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'));
    let (whole, rest) = unsigned.split_at(digits - fraction);
    let value = whole.iter().try_fold(0, add)?;
    match rest {
        [] => Some(value),
        [b'.', fraction @ ..] => fraction.iter().try_fold(value, add),
        _ => None,
    }
}

/// The exponent, held to a range in which sums do not overflow and beyond which no type reaches.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    const CAP: i64 = 1 << 40;
    let exponent = digits.iter().fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(CAP));
    Some(if negative { -exponent } else { exponent })
}

fn not_a_number(unsigned: &[u8]) -> Refusal {
    let starts =
        |name: &str| unsigned.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    if starts("nan") || starts("snan") || starts("inf") { Refusal::NotFinite } else { Refusal::NotDecimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(unscaled: impl Unscaled, scale: i8) -> String {
        String::from_utf8(Text::new().format(unscaled, scale).to_vec()).unwrap()
    }

    #[test]
    fn formats_plainly() {
        for (unscaled, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (0, -2, "0"),
            (5, 0, "5"),
            (-150, 2, "-1.50"),
            (5, 3, "0.005"),
            (-5, 1, "-0.5"),
            (12, -3, "12000"),
            (i128::from(u64::MAX), 4, "1844674407370955.1615"),
            (10_i128.pow(38) - 1, 0, "99999999999999999999999999999999999999"),
            (-(10_i128.pow(38) - 1), 38, "-0.99999999999999999999999999999999999999"),
            (10_i128.pow(19), 0, "10000000000000000000"),
            (10_i128.pow(37), 37, "1.0000000000000000000000000000000000000"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(format(unscaled, scale), text);
            assert_eq!(format(i256::from_i128(unscaled), scale), text);
        }
        let most = i256::from_string(&"9".repeat(76)).unwrap();
        assert_eq!(format(most, 0), "9".repeat(76));
        assert_eq!(format(most.wrapping_neg(), 76), format!("-0.{}", "9".repeat(76)));
        assert_eq!(format(most, -128), format!("{}{}", "9".repeat(76), "0".repeat(128)));
        // Not a valid decimal of any precision, but a value that an unchecked array can hold.
        assert_eq!(format(i256::MIN, 127).len(), 129 + 1);
        assert_eq!(format(1_i128, 127), format!("0.{}1", "0".repeat(126)));
    }

    #[test]
    fn parses_what_decimal_prints() {
        for (text, precision, scale, unscaled) in [
            ("0", 1, 0, 0),
            ("-0.00", 5, 2, 0),
            ("0E-1000000", 5, 2, 0),
            ("0E+1000000000000000000000", 5, 2, 0),
            ("1.5", 5, 2, 150),
            ("-1.5000000000", 5, 2, -150),
            ("+00001.50", 5, 2, 150),
            ("1E+3", 6, 2, 100_000),
            ("1e3", 6, 2, 100_000),
            ("1.5E-1", 6, 2, 15),
            (".5", 6, 2, 50),
            ("5.", 6, 2, 500),
            ("12000", 2, -3, 12),
            ("1.2E4", 2, -3, 12),
            ("999.99", 5, 2, 99_999),
            ("0.0000000001E10", 5, 2, 100),
            ("99999999999999999999999999999999999999", 38, 0, 10_i128.pow(38) - 1),
        ] {
            assert_eq!(parse(text.as_bytes(), precision, scale), Ok(unscaled), "{text}");
            assert_eq!(parse(text.as_bytes(), precision, scale), Ok(i256::from_i128(unscaled)), "{text}");
        }
        let most = "9".repeat(76);
        assert_eq!(parse(most.as_bytes(), 76, 0), Ok(i256::from_string(&most).unwrap()));
        let negative = format!("-0.{most}");
        assert_eq!(parse(negative.as_bytes(), 76, 76), Ok(i256::from_string(&most).unwrap().wrapping_neg()));
    }

    #[test]
    fn refuses_with_the_reason() {
        for (text, refusal) in [
            ("", Refusal::NotDecimal),
            ("-", Refusal::NotDecimal),
            (".", Refusal::NotDecimal),
            ("abc", Refusal::NotDecimal),
            ("1.2.3", Refusal::NotDecimal),
            ("1e", Refusal::NotDecimal),
            ("1e+-3", Refusal::NotDecimal),
            ("e3", Refusal::NotDecimal),
            ("１", Refusal::NotDecimal),
            ("NaN", Refusal::NotFinite),
            ("-sNaN123", Refusal::NotFinite),
            ("-Infinity", Refusal::NotFinite),
            ("1000", Refusal::TooLarge),
            ("999.995", Refusal::Inexact),
            ("0.001", Refusal::Inexact),
            ("1E+999999999999999999999999", Refusal::TooLarge),
            ("1E-999999999999999999999999", Refusal::Inexact),
        ] {
            assert_eq!(parse::<i128>(text.as_bytes(), 5, 2), Err(refusal), "{text}");
        }
    }
}
