//! The tag bytes of the marshal format that this protocol uses. Plain data: must never hold logic beyond names.

pub(super) const NONE: u8 = b'N';
pub(super) const TRUE: u8 = b'T';
pub(super) const FALSE: u8 = b'F';
pub(super) const INT: u8 = b'i';
pub(super) const INT64: u8 = b'I';
pub(super) const LONG: u8 = b'l';
pub(super) const FLOAT: u8 = b'g';
pub(super) const COMPLEX: u8 = b'y';
pub(super) const STR: u8 = b'u';
pub(super) const INTERNED: u8 = b't';
pub(super) const ASCII: u8 = b'a';
pub(super) const ASCII_INTERNED: u8 = b'A';
pub(super) const SHORT_ASCII: u8 = b'z';
pub(super) const SHORT_ASCII_INTERNED: u8 = b'Z';
pub(super) const BYTES: u8 = b's';
pub(super) const TUPLE: u8 = b'(';
pub(super) const SMALL_TUPLE: u8 = b')';
pub(super) const LIST: u8 = b'[';
pub(super) const DICT: u8 = b'{';
/// Ends a dict.
pub(super) const END: u8 = b'0';
pub(super) const SET: u8 = b'<';
pub(super) const FROZENSET: u8 = b'>';
pub(super) const ELLIPSIS: u8 = b'.';

/// What a Python author calls a value with this tag; `None` for a byte that begins no value of this protocol.
pub(super) fn python_class(tag: u8) -> Option<&'static str> {
    Some(match tag {
        NONE => "None",
        TRUE | FALSE => "bool",
        INT | INT64 | LONG => "int",
        FLOAT => "float",
        COMPLEX => "complex",
        STR | INTERNED | ASCII | ASCII_INTERNED | SHORT_ASCII | SHORT_ASCII_INTERNED => "str",
        BYTES => "bytes",
        TUPLE | SMALL_TUPLE => "tuple",
        LIST => "list",
        DICT => "dict",
        SET => "set",
        FROZENSET => "frozenset",
        ELLIPSIS => "ellipsis",
        _ => return None,
    })
}
