//! The requests that the harness understands and the replies that it gives: see `guest/python/cloister/_harness.py`,
//! which is the other side. Knows no mode. Every byte of a reply is hostile.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use serde::Deserialize;

use crate::error::{Scope, clean};
use crate::frame::{self, FrameError, Reader, Writer};
use crate::function::{Argument, Binding, OnError};
use crate::{Error, Limit, TypeError, UserError, types};

const EVAL: i64 = 0;
const LOAD: i64 = 1;
const BIND: i64 = 2;
const FILES: i64 = 3;
const CLOSE: i64 = 4;
const EXPLAIN: i64 = 5;
#[cfg(feature = "wasm")]
const NATIVE: i64 = 6;
const COPYING: i64 = 7;
const RENEW: i64 = 8;
#[cfg(feature = "wasm")]
const BAKE: i64 = 40;

/// Caps on guest text in errors, in bytes.
const MESSAGE_CAP: usize = 8 << 10;
const TRACEBACK_CAP: usize = 32 << 10;

pub(crate) fn load(source: &str, filename: &str, options: &serde_json::Value) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(4);
    out.int(LOAD);
    out.str(source);
    out.str(filename);
    out.str(&options.to_string());
    out.into_bytes()
}

pub(crate) fn files(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(2);
    out.int(FILES);
    out.dict_start();
    for (path, content) in files {
        out.str(path);
        out.bytes(content);
    }
    out.dict_end();
    out.into_bytes()
}

pub(crate) fn bind(binding: &Binding) -> Result<Vec<u8>, Error> {
    let to_json = |data_type: &DataType| types::to_json(data_type).map_err(|error| Error::Call(error.to_string()));
    let request = serde_json::json!({
        "function": binding.function,
        "arguments": binding.arguments.iter().map(to_json).collect::<Result<Vec<_>, _>>()?,
        "constants": binding.constants,
        "result": to_json(&binding.result)?,
        "on_error": match binding.on_error { OnError::Fail => "fail", OnError::Null => "null" },
    });
    let mut out = Writer::new();
    out.tuple(2);
    out.int(BIND);
    out.str(&request.to_string());
    Ok(out.into_bytes())
}

pub(crate) fn close() -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(1);
    out.int(CLOSE);
    out.into_bytes()
}

pub(crate) fn explain(binding: &Binding) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(2);
    out.int(EXPLAIN);
    out.int(binding.handle);
    out.into_bytes()
}

/// Asks for the addresses that a sandbox's column loop needs of a binding: they mean something in that sandbox only.
#[cfg(feature = "wasm")]
pub(crate) fn native(binding: &Binding) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(2);
    out.int(NATIVE);
    out.int(binding.handle);
    out.into_bytes()
}

/// Reads the reply to [`native`]: as many words as `N`.
#[cfg(feature = "wasm")]
pub(crate) fn read_native<const N: usize>(bytes: &[u8]) -> Result<[u32; N], Error> {
    let mut reader = payload(bytes)?;
    let mut words = [0; N];
    if reader.tuple().map_err(malformed)? != N {
        return Err(malformed("another number of addresses"));
    }
    for word in &mut words {
        *word = u32::try_from(reader.int().map_err(malformed)?).map_err(malformed)?;
    }
    Ok(words)
}

/// Asks a harness that is about to be copied whether its copies have anything to renew. The reply is an int.
pub(crate) fn copying() -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(1);
    out.int(COPYING);
    out.into_bytes()
}

/// Tells a copy to renew what must not be equal in two harnesses. `fork`: the copy leads a life of its own, so even
/// what the code seeded on purpose is renewed.
pub(crate) fn renew(fork: bool) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(2);
    out.int(RENEW);
    out.int(i64::from(fork));
    out.into_bytes()
}

/// Asks a harness that is to become the image of all others for a phase of that.
#[cfg(feature = "wasm")]
pub(crate) fn bake(phase: i64) -> Vec<u8> {
    let mut out = Writer::new();
    out.tuple(2);
    out.int(BAKE);
    out.int(phase);
    out.into_bytes()
}

/// Reads the reply to [`bake`]: bytes, or nothing.
#[cfg(feature = "wasm")]
pub(crate) fn read_baked(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = payload(bytes)?;
    if reader.none() { Ok(Vec::new()) } else { reader.bytes().map(<[u8]>::to_vec).map_err(malformed) }
}

/// Writes an EVAL request into `buffer`, which is cleared first and keeps its capacity.
pub(crate) fn eval(buffer: &mut Vec<u8>, binding: &Binding, arguments: &[Argument], rows: usize) -> Result<(), Error> {
    buffer.clear();
    let mut out = Writer::reusing(std::mem::take(buffer));
    out.tuple(4);
    out.int(EVAL);
    out.int(binding.handle);
    out.int(rows as i64);
    out.tuple(arguments.len());
    *buffer = out.into_bytes();
    for (position, argument) in arguments.iter().enumerate() {
        frame::encode_column(buffer, argument.array().as_ref()).map_err(|error| {
            Error::Call(format!("function '{}', argument {}: {error}", binding.function, position + 1))
        })?;
    }
    Ok(())
}

/// Where the reply lies that the return area at `area` of a guest's memory points to. Pointer and length are the guest's
/// word: the place is checked to be within its memory.
pub(crate) fn reply_place(memory: &[u8], area: u32) -> Option<Range<usize>> {
    let area: [u8; 8] = memory.get(area as usize..)?.get(..8)?.try_into().ok()?;
    let [pointer, length] = [0, 4].map(|at| u32::from_le_bytes([area[at], area[at + 1], area[at + 2], area[at + 3]]));
    let start = pointer as usize;
    let end = start.checked_add(length as usize)?;
    (end <= memory.len()).then_some(start..end)
}

/// What an EVAL reply holds.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub column: ArrayRef,
    /// Rows that raised and were made NULL, and the first error.
    pub nulled: Option<(u64, Error)>,
}

/// Why an EVAL reply gave no column.
#[derive(Debug)]
pub(crate) enum EvalFailure {
    /// Some value does not fit. The harness can say it better, and may find that it does fit: ask it to explain.
    Ambiguous(Error),
    /// Final.
    Error(Error),
}

/// Reads the reply to EVAL or EXPLAIN.
pub(crate) fn read_eval(bytes: &[u8], binding: &Binding, rows: usize) -> Result<Evaluated, EvalFailure> {
    let mut reader = Reader::new(bytes);
    let (status, items) = head(&mut reader).map_err(EvalFailure::Error)?;
    if status == 1 && items == 2 {
        return Err(EvalFailure::Error(read_error(&mut reader)));
    }
    if !matches!((status, items), (0, 2) | (2, 4)) {
        return Err(EvalFailure::Error(malformed("an unknown status")));
    }
    let column =
        frame::decode_column(&mut reader, &binding.result, rows).map_err(|error| frame_error(error, binding))?;
    let nulled = if status == 2 {
        let count = reader.int().map_err(|error| EvalFailure::Error(malformed(error)))?;
        let count = u64::try_from(count).unwrap_or(0).min(rows as u64);
        Some((count, read_error(&mut reader)))
    } else {
        None
    };
    if !reader.is_empty() {
        return Err(EvalFailure::Error(malformed("bytes after its end")));
    }
    Ok(Evaluated { column, nulled })
}

/// Reads a reply whose payload is a string (LOAD).
pub(crate) fn read_text(bytes: &[u8]) -> Result<String, Error> {
    let mut reader = payload(bytes)?;
    reader.str().map(str::to_owned).map_err(malformed)
}

/// Reads a reply whose payload is an int (BIND, COPYING).
pub(crate) fn read_int(bytes: &[u8]) -> Result<i64, Error> {
    payload(bytes)?.int().map_err(malformed)
}

/// Reads a reply whose payload does not matter (FILES, CLOSE, RENEW).
pub(crate) fn read_done(bytes: &[u8]) -> Result<(), Error> {
    payload(bytes).map(drop)
}

fn payload(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    let mut reader = Reader::new(bytes);
    match head(&mut reader)? {
        (0, 2) => Ok(reader),
        (1, 2) => Err(read_error(&mut reader)),
        _ => Err(malformed("an unknown status")),
    }
}

fn head(reader: &mut Reader<'_>) -> Result<(i64, usize), Error> {
    let items = reader.tuple().map_err(malformed)?;
    Ok((reader.int().map_err(malformed)?, items))
}

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the guest's reply is malformed: {what}"))
}

fn frame_error(error: FrameError, binding: &Binding) -> EvalFailure {
    let (row, expected, actual) = match &error {
        FrameError::Mismatch { row, expected, actual, .. } => (*row as u64, expected.clone(), actual.clone()),
        FrameError::OutOfRange { row, expected, value } => (*row as u64, expected.clone(), value.clone()),
        // Both come from what the call asked for, not from what the guest did.
        FrameError::Unsupported(_) | FrameError::TooLarge(_) => {
            return EvalFailure::Error(Error::Call(format!("function '{}': {error}", binding.function)));
        }
        other => return EvalFailure::Error(malformed(other)),
    };
    let text = clean(&error.to_string(), MESSAGE_CAP);
    let error = Error::Type(Box::new(TypeError {
        message: format!("function '{}', {text}", binding.function),
        function: Some(binding.function.clone()),
        row: Some(row),
        expected: Some(expected),
        actual: Some(clean(&actual, MESSAGE_CAP)),
    }));
    // The harness still has the value: it can show it, and it alone knows what came as bytes.
    EvalFailure::Ambiguous(error)
}

#[derive(Deserialize)]
struct RawError {
    kind: String,
    message: String,
    exception: Option<String>,
    traceback: Option<String>,
    row: Option<u64>,
    function: Option<String>,
    expected: Option<String>,
    actual: Option<String>,
}

fn read_error(reader: &mut Reader<'_>) -> Error {
    match reader.str() {
        Ok(text) => parse_error(text),
        Err(error) => malformed(error),
    }
}

/// Turns the harness's error JSON into the typed error. The guest may say anything here: a "limit" of kind memory is
/// only its own MemoryError, the limit's figure is filled in by the caller.
pub(crate) fn parse_error(text: &str) -> Error {
    let raw: RawError = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(error) => return malformed(error),
    };
    let message = clean(&raw.message, MESSAGE_CAP);
    let name = |text: Option<String>| text.map(|text| clean(&text, MESSAGE_CAP));
    match raw.kind.as_str() {
        "user" => Error::User(Box::new(UserError {
            function: name(raw.function),
            row: raw.row,
            exception: name(raw.exception).unwrap_or_else(|| "Exception".into()),
            message,
            traceback: raw.traceback.map(|text| clean(&text, TRACEBACK_CAP)),
        })),
        "type" => Error::Type(Box::new(TypeError {
            function: name(raw.function),
            row: raw.row,
            expected: name(raw.expected),
            actual: name(raw.actual),
            message,
        })),
        "call" => Error::Call(message),
        "limit" => Error::Limit(Limit::Memory { limit: 0, used: None, scope: Scope::Executor }),
        "missing" => {
            let (what, mend) = message.split_once('\n').unwrap_or((message.as_str(), ""));
            Error::missing(what, mend)
        }
        _ => Error::Internal(message),
    }
}
