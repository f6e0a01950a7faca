//! Numbers as they are: Arrow's JSON reader would cut `1.5` down to 1 in an integer column, and read a string as a
//! number. Both are errors here.

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::reader::{ArrayDecoder, DecoderContext, DecoderFactory, Tape, TapeElement};

/// Makes decoders for number columns that check before they decode.
#[derive(Debug)]
pub struct Numbers;

impl DecoderFactory for Numbers {
    fn make_default_decoder(
        &self,
        context: &DecoderContext,
        field: &FieldRef,
        is_nullable: bool,
    ) -> Result<Option<Box<dyn ArrayDecoder>>, ArrowError> {
        let data_type = field.data_type();
        if !data_type.is_integer() && !data_type.is_floating() {
            return Ok(None);
        }
        let inner = context.make_builtin_decoder(field, is_nullable)?;
        Ok(Some(Box::new(Checked { inner, field: field.clone() })))
    }
}

struct Checked {
    inner: Box<dyn ArrayDecoder>,
    field: FieldRef,
}

impl ArrayDecoder for Checked {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let refuse = |value: &str| {
            let (name, data_type) = (self.field.name(), self.field.data_type());
            Err(ArrowError::JsonError(format!("field '{name}': {value} is no {data_type}")))
        };
        let integer = self.field.data_type().is_integer();
        for position in positions {
            match tape.get(*position) {
                TapeElement::String(index) => return refuse(&format!("{:?}", tape.get_string(index))),
                TapeElement::Number(index) if integer => {
                    let number = tape.get_string(index);
                    if !is_whole(number) {
                        return refuse(number);
                    }
                }
                _ => {}
            }
        }
        self.inner.decode(tape, positions)
    }
}

/// Whether reading `number` as an integer keeps its value. A number out of range is left to the decoder.
fn is_whole(number: &str) -> bool {
    if !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return true;
    }
    // Beyond 2^53 a float has no fraction, and may not be what was written.
    const EXACT: f64 = (1_u64 << 53) as f64;
    number.parse::<f64>().is_ok_and(|value| value.fract() == 0.0 && value.abs() <= EXACT)
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn whole_numbers_are_told_from_others() {
        for (number, whole) in
            [("1", true), ("-9223372036854775808", true), ("1.0", true), ("1e3", true), ("1.5", false), ("1e17", false)]
        {
            assert_eq!(is_whole(number), whole, "{number}");
        }
    }
}
