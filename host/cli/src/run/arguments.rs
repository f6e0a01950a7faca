//! Which columns and constants are the function's arguments. Never guesses: what cannot be told by name is refused, with
//! the columns that there are and the option to add.

use anyhow::Result;
use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Schema};
use cloister::types::python_name;
use cloister::{Parameter, Signature};

use crate::failure::usage;
use crate::suggest::{list, nearest};
use crate::table::literal;

/// One argument.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// The column with this index.
    Column(usize),
    /// One value for all rows.
    Constant(ArrayRef),
}

/// What there is to choose from.
pub struct Available<'a> {
    /// What the input is called in messages.
    pub input: &'a str,
    /// Its columns.
    pub schema: &'a Schema,
    /// It is text, of which the only column is the default argument.
    pub lines: bool,
}

/// The arguments for `signature`: those that were `given`, or else the columns with the parameters' names.
///
/// # Errors
/// [`Usage`](crate::failure::Usage) for columns that are not there and constants that do not fit.
pub fn resolve(signature: &Signature, given: &[String], available: &Available<'_>) -> Result<Vec<Chosen>> {
    if !given.is_empty() {
        return given
            .iter()
            .enumerate()
            .map(|(position, argument)| match argument.strip_prefix('=') {
                Some(text) => constant(text, signature.parameters.get(position)),
                None => available.column(argument),
            })
            .collect();
    }
    if available.lines {
        return Ok(if signature.parameters.is_empty() && !signature.varargs {
            vec![]
        } else {
            vec![Chosen::Column(0)]
        });
    }
    by_name(signature, available)
}

fn by_name(signature: &Signature, available: &Available<'_>) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for parameter in &signature.parameters {
        match available.find(&parameter.name) {
            Some(column) => chosen.push(column),
            // Arguments are passed by position: from the first default on there is nothing to pass.
            None if parameter.has_default => break,
            None => {
                let options: Vec<String> =
                    signature.parameters.iter().filter(|p| !p.has_default).map(|_| "--arg COLUMN".into()).collect();
                return Err(usage(format!(
                    "{}: no column has the name of parameter '{}' of {signature}\ncolumns: {}\n\
                     name the arguments in order: {}",
                    available.input,
                    parameter.name,
                    available.columns(),
                    options.join(" "),
                )));
            }
        }
    }
    Ok(chosen)
}

impl Available<'_> {
    fn find(&self, name: &str) -> Option<Chosen> {
        if self.schema.fields().is_empty() {
            // JSON without a single field: each field of each row is absent, which is NULL.
            return Some(Chosen::Constant(new_null_array(&DataType::Null, 1)));
        }
        self.schema.index_of(name).ok().map(Chosen::Column)
    }

    fn column(&self, name: &str) -> Result<Chosen> {
        self.find(name).ok_or_else(|| {
            let names = self.schema.fields().iter().map(|field| field.name().as_str());
            let near = nearest(name, names).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            usage(format!("{}: no column '{name}'{near}\ncolumns: {}", self.input, self.columns()))
        })
    }

    fn columns(&self) -> String {
        list(self.schema.fields().iter().map(|field| field.name().as_str()))
    }
}

fn constant(text: &str, parameter: Option<&Parameter>) -> Result<Chosen> {
    let data_type = parameter.and_then(|parameter| parameter.data_type.as_ref());
    literal(text, data_type).map(Chosen::Constant).map_err(|error| {
        let wanted =
            data_type.map(|declared| format!(" for a parameter of type {}", python_name(declared))).unwrap_or_default();
        let quotes = if serde_json::from_str::<serde_json::Value>(text).is_err() {
            format!("; a constant is JSON, and a string has quotes: --arg '=\"{text}\"'")
        } else {
            String::new()
        };
        usage(format!("--arg ={text}{wanted}: {error:#}{quotes}"))
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use cloister::FunctionKind;

    use super::*;

    fn signature(parameters: &[(&str, bool)]) -> Signature {
        let parameter = |(name, has_default): &(&str, bool)| Parameter {
            name: (*name).into(),
            data_type: Some(DataType::Int64),
            has_default: *has_default,
        };
        Signature {
            name: "f".into(),
            kind: FunctionKind::Scalar,
            parameters: parameters.iter().map(parameter).collect(),
            varargs: false,
            result: None,
            deterministic: true,
            doc: None,
        }
    }

    fn chosen(parameters: &[(&str, bool)], given: &[&str], columns: &[&str], lines: bool) -> Result<String, String> {
        let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        let schema = Schema::new(fields);
        let given: Vec<String> = given.iter().map(|text| (*text).into()).collect();
        let available = Available { input: "t.csv", schema: &schema, lines };
        let chosen = resolve(&signature(parameters), &given, &available).map_err(|error| format!("{error:#}"))?;
        let shown = chosen.iter().map(|chosen| match chosen {
            Chosen::Column(index) => index.to_string(),
            Chosen::Constant(value) => format!("={}", value.data_type()),
        });
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn parameters_find_their_columns() {
        let columns = ["date", "delay", "distance"];
        assert_eq!(chosen(&[("distance", false), ("delay", false)], &[], &columns, false).unwrap(), "2 1");
        assert_eq!(chosen(&[("delay", false), ("unit", true)], &[], &columns, false).unwrap(), "1");
        assert_eq!(chosen(&[("x", false), ("y", false)], &["date", "=5"], &columns, false).unwrap(), "0 =Int64");
        assert_eq!(chosen(&[("anything", false)], &[], &["line"], true).unwrap(), "0");
        assert_eq!(chosen(&[], &[], &["line"], true).unwrap(), "");
        assert_eq!(chosen(&[("x", false)], &[], &[], false).unwrap(), "=Null");
    }

    #[test]
    fn refusals_say_what_there_is_and_what_to_add() {
        let columns = ["date", "delay"];
        let error = chosen(&[("x", false), ("y", false)], &[], &columns, false).unwrap_err();
        assert!(error.contains("columns: date, delay") && error.contains("--arg COLUMN --arg COLUMN"), "{error}");
        let error = chosen(&[("x", false)], &["dely"], &columns, false).unwrap_err();
        assert!(error.contains("did you mean 'delay'?"), "{error}");
        let error = chosen(&[("x", false)], &["=abc"], &columns, false).unwrap_err();
        assert!(error.contains("--arg '=\"abc\"'"), "{error}");
        assert!(chosen(&[("x", false)], &["=1.5"], &columns, false).is_err());
    }
}
