//! The JSON workload in Rust, with serde_json, written as Python's `json.dumps` writes it.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use serde::Serialize as _;
use serde_json::{Serializer, Value, ser::Formatter};

/// Field `a` of each document in lower case.
pub fn lower(columns: &[ArrayRef]) -> ArrayRef {
    let documents = columns[0].as_string::<i32>();
    Arc::new(documents.iter().map(|document| Some(lower_one(document?))).collect::<StringArray>())
}

fn lower_one(document: &str) -> String {
    let mut value: Value = serde_json::from_str(document).expect("the documents are JSON");
    if let Some(Value::String(text)) = value.get_mut("a") {
        *text = text.to_lowercase();
    }
    let mut out = Vec::with_capacity(document.len());
    value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)).expect("a vector takes everything");
    String::from_utf8(out).expect("JSON is text")
}

/// A space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_python_writes_it() {
        assert_eq!(lower_one(r#"{"a":"AbC","b":[1,2,{"c":null}]}"#), r#"{"a": "abc", "b": [1, 2, {"c": null}]}"#);
    }
}
