//! Arrow types as people read them, in errors and in signatures; the guest's `types.py` has the same names. Must never
//! put a guest's text into a message unescaped or at any length.

use std::fmt::Write as _;

use arrow::datatypes::DataType;

use super::{MAX_DEPTH, interval_name, map_fields, simple_name, unit_name};

/// The longest text that [`python_name`] gives before the Python type, in characters.
pub(super) const NAME_CAP: usize = 200;

/// A type as an error message names it: the Arrow type and what a Python author calls it, for example
/// `int64 (int)`, `list<utf8> (list)` or `timestamp(us, UTC) (datetime with a time zone)`. Long names are cut.
pub fn python_name(data_type: &DataType) -> String {
    let mut name = String::new();
    arrow_name(&mut name, data_type, 0);
    let mut name = cap(&name, NAME_CAP);
    // Writing to a String cannot fail.
    let _ = write!(name, " ({})", python_class(data_type));
    name
}

fn python_class(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "None",
        DataType::Boolean => "bool",
        data_type if data_type.is_integer() => "int",
        data_type if data_type.is_floating() => "float",
        data_type if data_type.is_decimal() => "Decimal",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "str",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, Some(_)) => "datetime with a time zone",
        DataType::Timestamp(_, None) => "datetime without a time zone",
        DataType::Duration(_) => "timedelta",
        DataType::Interval(_) => "Interval",
        data_type if data_type.is_list() => "list",
        DataType::Struct(_) => "Row",
        DataType::Map(..) => "dict",
        DataType::Dictionary(_, value) => python_class(value),
        _ => "no Python type",
    }
}

pub(super) fn arrow_name(out: &mut String, data_type: &DataType, depth: usize) {
    // The cut keeps a wide type from costing more than its text will show.
    if depth > MAX_DEPTH || out.len() > 4 * NAME_CAP {
        out.push('…');
        return;
    }
    if let Some(name) = simple_name(data_type) {
        out.push_str(name);
        return;
    }
    let mut wrap = |before: &str, inner: &[&DataType], after: &str| {
        out.push_str(before);
        for (position, inner) in inner.iter().enumerate() {
            out.push_str(if position == 0 { "" } else { ", " });
            arrow_name(out, inner, depth + 1);
        }
        out.push_str(after);
    };
    match data_type {
        DataType::FixedSizeBinary(size) => wrap(&format!("fixed_size_binary({size})"), &[], ""),
        DataType::Decimal128(precision, scale) => wrap(&format!("decimal128({precision}, {scale})"), &[], ""),
        DataType::Decimal256(precision, scale) => wrap(&format!("decimal256({precision}, {scale})"), &[], ""),
        DataType::Time32(unit) => wrap(&format!("time32({})", unit_name(unit)), &[], ""),
        DataType::Time64(unit) => wrap(&format!("time64({})", unit_name(unit)), &[], ""),
        DataType::Duration(unit) => wrap(&format!("duration({})", unit_name(unit)), &[], ""),
        DataType::Timestamp(unit, None) => wrap(&format!("timestamp({})", unit_name(unit)), &[], ""),
        DataType::Timestamp(unit, Some(zone)) => {
            let zone: String = zone.chars().take(NAME_CAP).flat_map(char::escape_debug).collect();
            wrap(&format!("timestamp({}, {zone})", unit_name(unit)), &[], "");
        }
        DataType::Interval(unit) => wrap(&format!("interval({})", interval_name(unit)), &[], ""),
        DataType::List(item) => wrap("list<", &[item.data_type()], ">"),
        DataType::LargeList(item) => wrap("large_list<", &[item.data_type()], ">"),
        DataType::FixedSizeList(item, size) => wrap("fixed_size_list<", &[item.data_type()], &format!(", {size}>")),
        DataType::Dictionary(_, value) => wrap("dictionary<", &[value], ">"),
        DataType::Map(entries, _) => match map_fields(entries) {
            Some((key, value)) => wrap("map<", &[key.data_type(), value.data_type()], ">"),
            None => wrap("map", &[], ""),
        },
        DataType::Struct(fields) => {
            out.push_str("struct<");
            for (position, field) in fields.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { ", " });
                // A name may come from a guest: nothing that moves a terminal's cursor goes into a message.
                out.extend(field.name().chars().take(NAME_CAP).flat_map(char::escape_debug));
                out.push_str(": ");
                arrow_name(out, field.data_type(), depth + 1);
                if out.len() > 4 * NAME_CAP {
                    break;
                }
            }
            out.push('>');
        }
        DataType::Decimal32(..) => out.push_str("decimal32"),
        DataType::Decimal64(..) => out.push_str("decimal64"),
        DataType::ListView(_) | DataType::LargeListView(_) => out.push_str("list_view"),
        DataType::RunEndEncoded(..) => out.push_str("run_end_encoded"),
        DataType::Union(..) => out.push_str("union"),
        _ => out.push_str("unknown"),
    }
}

/// The first `characters` characters of `text`.
pub(super) fn cap(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    #[test]
    fn names_are_for_python_authors() {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let row = DataType::Struct(vec![Field::new("a", list.clone(), true)].into());
        for (data_type, name) in [
            (DataType::Int64, "int64 (int)"),
            (DataType::Utf8View, "utf8_view (str)"),
            (DataType::Decimal128(10, 2), "decimal128(10, 2) (Decimal)"),
            (
                DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
                "timestamp(s, UTC) (datetime with a time zone)",
            ),
            (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), "dictionary<utf8> (str)"),
            (list, "list<utf8> (list)"),
            (row, "struct<a: list<utf8>> (Row)"),
        ] {
            assert_eq!(python_name(&data_type), name);
        }
    }

    #[test]
    fn names_are_cut() {
        let field = |inner, _| DataType::List(Arc::new(Field::new_list_field(inner, true)));
        let deep = (0..5000).fold(DataType::Int8, field);
        let wide =
            DataType::Struct((0..5000).map(|_| Field::new("\u{1b}[2J".repeat(100), DataType::Int8, true)).collect());
        for data_type in [deep, wide] {
            let name = python_name(&data_type);
            assert!(name.chars().count() < NAME_CAP + 20 && !name.contains('\u{1b}'), "{name}");
        }
    }
}
