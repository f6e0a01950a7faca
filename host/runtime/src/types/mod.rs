//! Arrow types as the JSON that the harness understands, back, and as text for people. Must never accept a type that
//! [`frame`](crate::frame) cannot carry: whoever holds a type that went through here may rely on that.

mod name;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use serde_json::{Map, Value, json};

pub use name::python_name;
use name::{NAME_CAP, arrow_name, cap};

/// How deep a type may nest. Whatever walks a type or a value of it may recurse, because this is the bound.
pub const MAX_DEPTH: usize = 64;

/// A type that has no Python form here, or JSON that is no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnsupportedType(pub String);

/// The JSON of a type.
///
/// # Errors
/// [`UnsupportedType`] for unions, run-end encoded arrays, list views, 32 and 64 bit decimals, and types that nest
/// deeper than [`MAX_DEPTH`].
pub fn to_json(data_type: &DataType) -> Result<Value, UnsupportedType> {
    to_json_at(data_type, 0)
}

fn to_json_at(data_type: &DataType, depth: usize) -> Result<Value, UnsupportedType> {
    let inner = |field: &Field| to_json_at(field.data_type(), depth + 1);
    let list =
        |kind: &str, item: &Field| Ok(json!({"type": kind, "item": inner(item)?, "nullable": item.is_nullable()}));
    check_depth(depth)?;
    if let Some(name) = simple_name(data_type) {
        return Ok(json!({ "type": name }));
    }
    let timed = |kind: &str, unit: &TimeUnit| json!({"type": kind, "unit": unit_name(unit)});
    Ok(match data_type {
        DataType::FixedSizeBinary(size) => json!({"type": "fixed_size_binary", "size": size}),
        DataType::Decimal128(precision, scale) => json!({"type": "decimal128", "precision": precision, "scale": scale}),
        DataType::Decimal256(precision, scale) => json!({"type": "decimal256", "precision": precision, "scale": scale}),
        DataType::Time32(unit) => timed("time32", unit),
        DataType::Time64(unit) => timed("time64", unit),
        DataType::Duration(unit) => timed("duration", unit),
        DataType::Timestamp(unit, zone) => {
            json!({"type": "timestamp", "unit": unit_name(unit), "timezone": zone.as_deref()})
        }
        DataType::Interval(unit) => json!({"type": "interval", "unit": interval_name(unit)}),
        DataType::List(item) => list("list", item)?,
        DataType::LargeList(item) => list("large_list", item)?,
        DataType::FixedSizeList(item, size) => {
            json!({"type": "fixed_size_list", "item": inner(item)?, "size": size, "nullable": item.is_nullable()})
        }
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| Ok(json!({"name": field.name(), "type": inner(field)?, "nullable": field.is_nullable()})));
            json!({"type": "struct", "fields": fields.collect::<Result<Vec<_>, _>>()?})
        }
        DataType::Map(entries, sorted) => {
            let (key, value) = map_fields(entries).ok_or_else(|| unsupported(data_type))?;
            json!({
                "type": "map", "key": inner(key)?, "value": inner(value)?,
                "nullable": value.is_nullable(), "sorted": sorted,
            })
        }
        DataType::Dictionary(index, value) => json!({
            "type": "dictionary",
            "index": to_json_at(index, depth + 1)?,
            "value": to_json_at(value, depth + 1)?,
        }),
        other => return Err(unsupported(other)),
    })
}

/// The type that a JSON describes.
///
/// # Errors
/// [`UnsupportedType`] for anything that [`to_json`] does not write, sizes out of range, and deep nesting.
pub fn from_json(json: &Value) -> Result<DataType, UnsupportedType> {
    from_json_at(json, 0)
}

fn from_json_at(json: &Value, depth: usize) -> Result<DataType, UnsupportedType> {
    check_depth(depth)?;
    let object = json.as_object().ok_or_else(|| UnsupportedType("a type is a JSON object".into()))?;
    let kind = text(object, "type")?;
    if let Some(simple) = SIMPLE.iter().find(|(name, _)| *name == kind) {
        return Ok(simple.1.clone());
    }
    let inner = |key: &str| from_json_at(member(object, key)?, depth + 1);
    let item = || Ok(Arc::new(Field::new_list_field(inner("item")?, flag(object, "nullable", true)?)));
    Ok(match kind {
        "fixed_size_binary" => DataType::FixedSizeBinary(size(object)?),
        "decimal128" => decimal(object, 38, DataType::Decimal128)?,
        "decimal256" => decimal(object, 76, DataType::Decimal256)?,
        "time32" => match unit(object)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            _ => return Err(UnsupportedType("time32 has unit s or ms".into())),
        },
        "time64" => match unit(object)? {
            unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
            _ => return Err(UnsupportedType("time64 has unit us or ns".into())),
        },
        "duration" => DataType::Duration(unit(object)?),
        "timestamp" => DataType::Timestamp(unit(object)?, zone(object)?),
        "interval" => DataType::Interval(match text(object, "unit")? {
            "year_month" => IntervalUnit::YearMonth,
            "day_time" => IntervalUnit::DayTime,
            "month_day_nano" => IntervalUnit::MonthDayNano,
            other => return Err(UnsupportedType(format!("unknown interval unit {other:?}"))),
        }),
        "list" => DataType::List(item()?),
        "large_list" => DataType::LargeList(item()?),
        "fixed_size_list" => DataType::FixedSizeList(item()?, size(object)?),
        "struct" => DataType::Struct(fields(object, depth)?),
        "map" => {
            let key = Field::new("key", inner("key")?, false);
            let value = Field::new("value", inner("value")?, flag(object, "nullable", true)?);
            let entries = Field::new("entries", DataType::Struct(vec![key, value].into()), false);
            DataType::Map(Arc::new(entries), flag(object, "sorted", false)?)
        }
        "dictionary" => match inner("index")? {
            index if index.is_dictionary_key_type() => DataType::Dictionary(Box::new(index), Box::new(inner("value")?)),
            index => return Err(UnsupportedType(format!("a dictionary's index is an integer, not {index}"))),
        },
        other => return Err(UnsupportedType(format!("unknown type {:?}", cap(other, NAME_CAP)))),
    })
}

fn fields(object: &Map<String, Value>, depth: usize) -> Result<Fields, UnsupportedType> {
    let fields = member(object, "fields")?.as_array().ok_or_else(|| wrong("fields", "a list"))?;
    fields
        .iter()
        .map(|field| {
            let field = field.as_object().ok_or_else(|| wrong("fields", "a list of objects"))?;
            let data_type = from_json_at(member(field, "type")?, depth + 1)?;
            Ok(Field::new(text(field, "name")?, data_type, flag(field, "nullable", true)?))
        })
        .collect()
}

/// The key and the value of a map's entries; `None` for a map that breaks Arrow's rules.
pub(crate) fn map_fields(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) => match &fields[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

/// The types without parameters.
static SIMPLE: [(&str, DataType); 21] = [
    ("null", DataType::Null),
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("utf8", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("utf8_view", DataType::Utf8View),
    ("binary", DataType::Binary),
    ("large_binary", DataType::LargeBinary),
    ("binary_view", DataType::BinaryView),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
];

fn simple_name(data_type: &DataType) -> Option<&'static str> {
    SIMPLE.iter().find(|(_, simple)| simple == data_type).map(|(name, _)| *name)
}

fn unit_name(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn interval_name(unit: &IntervalUnit) -> &'static str {
    match unit {
        IntervalUnit::YearMonth => "year_month",
        IntervalUnit::DayTime => "day_time",
        IntervalUnit::MonthDayNano => "month_day_nano",
    }
}

fn unsupported(data_type: &DataType) -> UnsupportedType {
    let mut name = String::new();
    arrow_name(&mut name, data_type, 0);
    UnsupportedType(format!("type {} is not supported", cap(&name, NAME_CAP)))
}

fn check_depth(depth: usize) -> Result<(), UnsupportedType> {
    if depth > MAX_DEPTH {
        return Err(UnsupportedType(format!("a type nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

fn wrong(key: &str, what: &str) -> UnsupportedType {
    UnsupportedType(format!("a type's {key:?} is {what}"))
}

fn member<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Value, UnsupportedType> {
    object.get(key).ok_or_else(|| UnsupportedType(format!("a type lacks {key:?}")))
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, UnsupportedType> {
    member(object, key)?.as_str().ok_or_else(|| wrong(key, "a string"))
}

fn flag(object: &Map<String, Value>, key: &str, default: bool) -> Result<bool, UnsupportedType> {
    object.get(key).map_or(Ok(default), |value| value.as_bool().ok_or_else(|| wrong(key, "a boolean")))
}

fn size(object: &Map<String, Value>) -> Result<i32, UnsupportedType> {
    let size = member(object, "size")?.as_i64().and_then(|size| i32::try_from(size).ok()).filter(|size| *size >= 0);
    size.ok_or_else(|| wrong("size", "an integer from 0 to 2147483647"))
}

fn unit(object: &Map<String, Value>) -> Result<TimeUnit, UnsupportedType> {
    Ok(match text(object, "unit")? {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        other => return Err(UnsupportedType(format!("unknown time unit {:?}", cap(other, NAME_CAP)))),
    })
}

fn zone(object: &Map<String, Value>) -> Result<Option<Arc<str>>, UnsupportedType> {
    match object.get("timezone") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(zone)) => Ok(Some(zone.as_str().into())),
        Some(_) => Err(wrong("timezone", "a string or null")),
    }
}

fn decimal(object: &Map<String, Value>, most: u8, make: fn(u8, i8) -> DataType) -> Result<DataType, UnsupportedType> {
    let number = |key: &str| member(object, key)?.as_i64().ok_or_else(|| wrong(key, "an integer"));
    let precision = u8::try_from(number("precision")?).ok().filter(|precision| (1..=most).contains(precision));
    let precision = precision.ok_or_else(|| wrong("precision", &format!("an integer from 1 to {most}")))?;
    // Arrow's rule: a scale is not above the precision; below 0 it counts zeros before the point.
    let scale = i8::try_from(number("scale")?).ok().filter(|scale| i16::from(*scale) <= i16::from(precision));
    let scale = scale.ok_or_else(|| wrong("scale", "an integer from -128 to the precision"))?;
    Ok(make(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways(data_type: &DataType, expected: Value) {
        let json = to_json(data_type).unwrap();
        assert_eq!(json, expected);
        assert_eq!(&from_json(&json).unwrap(), data_type);
    }

    #[test]
    fn every_simple_type_goes_both_ways() {
        for (name, data_type) in &SIMPLE {
            both_ways(data_type, json!({ "type": name }));
        }
    }

    #[test]
    fn types_with_parameters_go_both_ways() {
        let item = |nullable| Arc::new(Field::new_list_field(DataType::Int8, nullable));
        both_ways(&DataType::FixedSizeBinary(16), json!({"type": "fixed_size_binary", "size": 16}));
        both_ways(&DataType::Decimal128(10, -2), json!({"type": "decimal128", "precision": 10, "scale": -2}));
        both_ways(&DataType::Decimal256(76, 38), json!({"type": "decimal256", "precision": 76, "scale": 38}));
        both_ways(&DataType::Time32(TimeUnit::Second), json!({"type": "time32", "unit": "s"}));
        both_ways(&DataType::Time64(TimeUnit::Nanosecond), json!({"type": "time64", "unit": "ns"}));
        both_ways(&DataType::Duration(TimeUnit::Millisecond), json!({"type": "duration", "unit": "ms"}));
        both_ways(
            &DataType::Timestamp(TimeUnit::Microsecond, None),
            json!({"type": "timestamp", "unit": "us", "timezone": null}),
        );
        both_ways(
            &DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Riga".into())),
            json!({"type": "timestamp", "unit": "us", "timezone": "Europe/Riga"}),
        );
        both_ways(&DataType::Interval(IntervalUnit::DayTime), json!({"type": "interval", "unit": "day_time"}));
        both_ways(&DataType::List(item(true)), json!({"type": "list", "item": {"type": "int8"}, "nullable": true}));
        both_ways(
            &DataType::FixedSizeList(item(false), 3),
            json!({"type": "fixed_size_list", "item": {"type": "int8"}, "size": 3, "nullable": false}),
        );
        both_ways(
            &DataType::Struct(vec![Field::new("a", DataType::Utf8, false)].into()),
            json!({"type": "struct", "fields": [{"name": "a", "type": {"type": "utf8"}, "nullable": false}]}),
        );
        both_ways(
            &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            json!({"type": "dictionary", "index": {"type": "int32"}, "value": {"type": "utf8"}}),
        );
        let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
        both_ways(
            &DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false),
            json!({
                "type": "map", "key": {"type": "utf8"}, "value": {"type": "int64"}, "nullable": true, "sorted": false,
            }),
        );
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for json in [
            json!(null),
            json!({}),
            json!({"type": "string"}),
            json!({"type": "decimal128", "precision": 39, "scale": 0}),
            json!({"type": "decimal128", "precision": 5, "scale": 6}),
            json!({"type": "fixed_size_binary", "size": -1}),
            json!({"type": "fixed_size_list", "item": {"type": "int8"}, "size": 4_294_967_296_u64}),
            json!({"type": "time32", "unit": "ns"}),
            json!({"type": "timestamp", "unit": "us", "timezone": 1}),
            json!({"type": "dictionary", "index": {"type": "utf8"}, "value": {"type": "utf8"}}),
            json!({"type": "struct", "fields": [1]}),
        ] {
            assert!(from_json(&json).is_err(), "{json}");
        }
        assert!(to_json(&DataType::Decimal32(5, 2)).is_err());
    }

    #[test]
    fn depth_is_capped_both_ways() {
        let nest = |levels| {
            (0..levels).fold(DataType::Int8, |inner, _| DataType::List(Arc::new(Field::new_list_field(inner, true))))
        };
        let json = to_json(&nest(MAX_DEPTH)).unwrap();
        assert!(from_json(&json).is_ok());
        assert!(from_json(&json!({"type": "list", "item": json})).is_err());
        assert!(to_json(&nest(MAX_DEPTH + 1)).is_err());
    }
}
