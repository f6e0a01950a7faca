//! The columns and types of JSON objects, in the order in which they first appear. (Arrow's own inference gives the
//! columns in an order that differs from run to run.)

use std::collections::HashMap;
use std::fmt;

use anyhow::{Result, anyhow};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Inference {
    rows: Seen,
}

impl Inference {
    /// Adds the objects of a line; there may be more than one.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let mut documents = serde_json::Deserializer::from_slice(line);
        while documents.end().is_err() {
            let row = Merge { seen: &mut self.rows, name: "row" };
            row.deserialize(&mut documents).map_err(|error| error.to_string())?;
            if !matches!(self.rows, Seen::Object(_)) {
                return Err("not a JSON object; --lines reads each line as a string".into());
            }
        }
        Ok(())
    }

    /// The columns. Every one can be NULL; one that always was is of type null.
    pub fn schema(self) -> Result<Schema> {
        match self.rows {
            Seen::Object(object) => Ok(Schema::new(object.into_fields())),
            Seen::Nothing => Ok(Schema::empty()),
            _ => Err(anyhow!("not JSON objects")),
        }
    }
}

/// The values of one place.
#[derive(Debug, Default)]
enum Seen {
    /// Nothing but NULL.
    #[default]
    Nothing,
    Bool,
    Number(Numbers),
    /// Strings, or different scalars, which can be written as strings.
    Text,
    List(Box<Seen>),
    Object(Object),
}

#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    negative: bool,
    /// Beyond a signed 64 bit integer.
    large: bool,
    fraction: bool,
}

#[derive(Debug, Default)]
struct Object {
    fields: Vec<(String, Seen)>,
    places: HashMap<String, usize>,
}

impl Object {
    fn field(&mut self, name: String) -> (&str, &mut Seen) {
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.clone(), self.fields.len());
                self.fields.push((name, Seen::Nothing));
                self.fields.len() - 1
            }
        };
        let (name, seen) = &mut self.fields[place];
        (name, seen)
    }

    fn into_fields(self) -> Fields {
        self.fields.into_iter().map(|(name, seen)| Field::new(name, seen.into_type(), true)).collect()
    }
}

impl Seen {
    fn into_type(self) -> DataType {
        match self {
            Seen::Nothing => DataType::Null,
            Seen::Bool => DataType::Boolean,
            Seen::Number(Numbers { fraction: false, large: false, .. }) => DataType::Int64,
            Seen::Number(Numbers { fraction: false, large: true, negative: false }) => DataType::UInt64,
            Seen::Number(_) => DataType::Float64,
            Seen::Text => DataType::Utf8,
            Seen::List(item) => DataType::new_list(item.into_type(), true),
            Seen::Object(object) => DataType::Struct(object.into_fields()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Seen::Nothing => "null",
            Seen::Bool => "a bool",
            Seen::Number(_) => "a number",
            Seen::Text => "a string",
            Seen::List(_) => "an array",
            Seen::Object(_) => "an object",
        }
    }
}

/// Reads one value into what was seen at its place, without keeping the value.
struct Merge<'a> {
    seen: &'a mut Seen,
    name: &'a str,
}

impl Merge<'_> {
    fn conflict<E: Error>(&self, here: &str) -> E {
        E::custom(format!(
            "field '{}' is {here} here and {} before, so that it is no column; --lines reads each line as a string",
            self.name,
            self.seen.name()
        ))
    }

    fn scalar<E: Error>(self, value: Seen) -> Result<(), E> {
        *self.seen = match (&*self.seen, value) {
            (Seen::List(_) | Seen::Object(_), value) => return Err(self.conflict(value.name())),
            (Seen::Nothing, value) => value,
            (Seen::Bool, Seen::Bool) => Seen::Bool,
            (Seen::Number(a), Seen::Number(b)) => Seen::Number(Numbers {
                negative: a.negative | b.negative,
                large: a.large | b.large,
                fraction: a.fraction | b.fraction,
            }),
            _ => Seen::Text,
        };
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Merge<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Merge<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar(Seen::Bool)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Seen::Number(Numbers { negative: value < 0, ..Numbers::default() }))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Seen::Number(Numbers { large: i64::try_from(value).is_err(), ..Numbers::default() }))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar(Seen::Number(Numbers { fraction: true, ..Numbers::default() }))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar(Seen::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if matches!(self.seen, Seen::Nothing) {
            *self.seen = Seen::List(Box::default());
        }
        let Seen::List(seen) = self.seen else { return Err(self.conflict("an array")) };
        while items.next_element_seed(Merge { seen, name: self.name })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if matches!(self.seen, Seen::Nothing) {
            *self.seen = Seen::Object(Object::default());
        }
        let Seen::Object(object) = self.seen else { return Err(self.conflict("an object")) };
        while let Some(name) = entries.next_key::<String>()? {
            let (name, seen) = object.field(name);
            entries.next_value_seed(Merge { seen, name })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(lines: &[&str]) -> Result<String, String> {
        let mut inference = Inference::default();
        for line in lines {
            inference.add(line.as_bytes())?;
        }
        let schema = inference.schema().map_err(|error| error.to_string())?;
        Ok(schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn columns_come_in_the_order_of_their_appearance() {
        assert_eq!(
            schema(&[r#"{"z": 1, "a": null}"#, r#"{"m": "x", "a": true}"#]).unwrap(),
            "z: Int64, a: Boolean, m: Utf8"
        );
    }

    #[test]
    fn types_widen_and_mixed_scalars_become_strings() {
        for (lines, expected) in [
            (vec![r#"{"a": 1}"#, r#"{"a": 1.5}"#], "a: Float64"),
            (vec![r#"{"a": 1}"#, r#"{"a": "x"}"#], "a: Utf8"),
            (vec![r#"{"a": 18446744073709551615}"#], "a: UInt64"),
            (vec![r#"{"a": 18446744073709551615}"#, r#"{"a": -1}"#], "a: Float64"),
            (vec![r#"{"a": null}"#], "a: Null"),
            (vec![r#"{"a": 1} {"a": 2.5}"#], "a: Float64"),
        ] {
            assert_eq!(schema(&lines).unwrap(), expected);
        }
        assert!(schema(&[r#"{"a": [1]}"#, r#"{"a": [null, 2.5]}"#]).unwrap().contains("Float64"));
        assert!(schema(&[r#"{"a": {"b": 1}}"#]).unwrap().contains("Struct"));
    }

    #[test]
    fn what_is_no_column_is_an_error() {
        for lines in [
            vec![r#"{"a": 1}"#, r#"{"a": [1]}"#],
            vec![r#"{"a": {}}"#, r#"{"a": 1}"#],
            vec!["1"],
            vec![r#"[{"a": 1}]"#],
            vec!["null"],
            vec!["{\"a\": "],
            vec!["text"],
        ] {
            assert!(schema(&lines).is_err(), "{lines:?}");
        }
    }
}
