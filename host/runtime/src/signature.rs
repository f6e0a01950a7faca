//! What a function declares: name, kind, parameters, result. Read from the harness's load reply, which is guest data.

use std::fmt;

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::{Error, types};

/// The kinds of user functions (PyFlink's). Scalar functions can be called today; the others are recognised and
/// listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FunctionKind {
    /// One value for each row.
    Scalar,
    /// Any number of rows for each row.
    Table,
    /// One value for a group of rows.
    Aggregate,
    /// Any number of rows for a group of rows.
    TableAggregate,
    /// A whole column at a time (pandas, Arrow).
    Vectorized,
    /// A scalar function that is a coroutine.
    AsyncScalar,
}

impl fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FunctionKind::Scalar => "scalar",
            FunctionKind::Table => "table",
            FunctionKind::Aggregate => "aggregate",
            FunctionKind::TableAggregate => "table aggregate",
            FunctionKind::Vectorized => "vectorized",
            FunctionKind::AsyncScalar => "async scalar",
        })
    }
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name in the source.
    pub name: String,
    /// Its declared type; `None` takes any.
    pub data_type: Option<DataType>,
    /// Whether it has a default value and may be left out.
    pub has_default: bool,
}

/// What a function declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The name by which it is called.
    pub name: String,
    /// Its kind.
    pub kind: FunctionKind,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// Whether it takes any number of further arguments (`*args`).
    pub varargs: bool,
    /// Its declared result type; `None` if it declares none.
    pub result: Option<DataType>,
    /// Whether equal arguments give equal results.
    pub deterministic: bool,
    /// The first line of its docstring.
    pub doc: Option<String>,
}

#[derive(Deserialize)]
struct LoadReply {
    functions: Vec<RawFunction>,
}

#[derive(Deserialize)]
struct RawFunction {
    name: String,
    kind: FunctionKind,
    parameters: Vec<RawParameter>,
    #[serde(default)]
    varargs: bool,
    result: Option<serde_json::Value>,
    deterministic: bool,
    doc: Option<String>,
}

#[derive(Deserialize)]
struct RawParameter {
    name: String,
    #[serde(rename = "type")]
    data_type: Option<serde_json::Value>,
    #[serde(default)]
    has_default: bool,
}

/// The longest name or doc line that is taken from a guest, in bytes.
const NAME_CAP: usize = 256;

/// The words of a parser quote what they stumble over, which is the guest's.
fn malformed(error: impl fmt::Display) -> Error {
    let error = crate::error::clean(&error.to_string(), NAME_CAP);
    Error::Internal(format!("the harness's load reply is malformed: {error}"))
}

impl Signature {
    /// Reads the load reply.
    pub(crate) fn parse_all(reply: &str) -> Result<Vec<Signature>, Error> {
        let reply: LoadReply = serde_json::from_str(reply).map_err(malformed)?;
        reply.functions.into_iter().map(Signature::from_raw).collect()
    }

    fn from_raw(raw: RawFunction) -> Result<Signature, Error> {
        let data_type = |value: Option<serde_json::Value>| {
            value.map(|value| types::from_json(&value)).transpose().map_err(malformed)
        };
        Ok(Signature {
            name: crate::error::clean(&raw.name, NAME_CAP),
            kind: raw.kind,
            parameters: raw
                .parameters
                .into_iter()
                .map(|parameter| {
                    Ok(Parameter {
                        name: crate::error::clean(&parameter.name, NAME_CAP),
                        data_type: data_type(parameter.data_type)?,
                        has_default: parameter.has_default,
                    })
                })
                .collect::<Result<_, Error>>()?,
            varargs: raw.varargs,
            result: data_type(raw.result)?,
            deterministic: raw.deterministic,
            doc: raw.doc.map(|doc| crate::error::clean(&doc, NAME_CAP)),
        })
    }

    /// Checks the number and types of the arguments of a call.
    pub(crate) fn check(&self, arguments: &[&DataType]) -> Result<(), Error> {
        let required = self.parameters.iter().filter(|parameter| !parameter.has_default).count();
        let most = self.parameters.len();
        if arguments.len() < required || (arguments.len() > most && !self.varargs) {
            let wants = match (required, most, self.varargs) {
                (required, _, true) => format!("at least {required}"),
                (required, most, false) if required == most => required.to_string(),
                (required, most, false) => format!("{required} to {most}"),
            };
            return Err(Error::Call(format!(
                "function '{}' takes {wants} argument(s), {} given: {self}",
                self.name,
                arguments.len()
            )));
        }
        for (position, (parameter, actual)) in self.parameters.iter().zip(arguments).enumerate() {
            let Some(declared) = &parameter.data_type else { continue };
            if !accepts(declared, actual) {
                return Err(Error::Call(format!(
                    "function '{}', argument {} '{}': declared {}, given {}",
                    self.name,
                    position + 1,
                    parameter.name,
                    types::python_name(declared),
                    types::python_name(actual),
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Signature {
    /// `name(x: int64 (int), s: utf8 (str)) -> float64 (float)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (position, parameter) in self.parameters.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&parameter.name)?;
            if let Some(declared) = &parameter.data_type {
                write!(f, ": {}", types::python_name(declared))?;
            }
            if parameter.has_default {
                f.write_str(" = …")?;
            }
        }
        if self.varargs {
            f.write_str(if self.parameters.is_empty() { "*args" } else { ", *args" })?;
        }
        f.write_str(")")?;
        match &self.result {
            Some(result) => write!(f, " -> {}", types::python_name(result)),
            None => Ok(()),
        }
    }
}

/// Whether Python code written for `declared` can take a column of `actual`: the Python classes are the same. Integers
/// are taken for floats, as Python's own type rules (PEP 484) have it; NULLs are taken everywhere.
fn accepts(declared: &DataType, actual: &DataType) -> bool {
    use DataType::*;
    match (declared, actual) {
        (_, Null) => true,
        (declared, Dictionary(_, value)) => accepts(declared, value),
        (Dictionary(_, value), actual) => accepts(value, actual),
        (declared, actual) if declared.is_integer() => actual.is_integer(),
        (declared, actual) if declared.is_floating() => actual.is_floating() || actual.is_integer(),
        (Utf8 | LargeUtf8 | Utf8View, actual) => matches!(actual, Utf8 | LargeUtf8 | Utf8View),
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), actual) => {
            matches!(actual, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
        }
        (Decimal128(..) | Decimal256(..), actual) => matches!(actual, Decimal128(..) | Decimal256(..)),
        (Date32 | Date64, actual) => matches!(actual, Date32 | Date64),
        (Time32(_) | Time64(_), actual) => matches!(actual, Time32(_) | Time64(_)),
        (Timestamp(..), actual) => matches!(actual, Timestamp(..)),
        (Duration(_), actual) => matches!(actual, Duration(_)),
        (Interval(_), actual) => matches!(actual, Interval(_)),
        (
            List(item) | LargeList(item) | FixedSizeList(item, _),
            List(other) | LargeList(other) | FixedSizeList(other, _),
        ) => accepts(item.data_type(), other.data_type()),
        (Struct(fields), Struct(others)) => {
            fields.len() == others.len()
                && fields.iter().zip(others).all(|(field, other)| accepts(field.data_type(), other.data_type()))
        }
        (Map(entries, _), Map(others, _)) => accepts(entries.data_type(), others.data_type()),
        (declared, actual) => declared == actual,
    }
}
