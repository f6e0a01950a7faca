"""Whole columns between wire values and the values users see.

A `Codec` belongs to one type. Its column functions are None where wire and Python value are the same
object, so that such columns cost nothing; they compose, so that a list's items are a column again.
They trust the host's columns, and on the way back check just enough to be exact: whatever is not plainly
right goes to the strict check of `_strict`, and what still slips through fails the host's own check.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ._strict import EPOCH, EPOCH_DAY, EPOCH_UTC, MICROSECOND, Strict, strict_of
from .row import Interval, Row, row_class
from .types import display, python_name

__all__ = ["Codec", "codec"]

Column = List[Any]
Convert = Optional[Callable[[Column], Column]]


class Codec:
    """How one type's columns are read and written."""

    __slots__ = ("expected", "from_python", "hashable", "kind", "python", "strict", "to_python")

    def __init__(
        self, json: Dict[str, Any], to_python: Convert, from_python: Convert, strict: Strict, hashable: bool = True
    ) -> None:
        self.kind: str = json["type"]
        self.expected = display(json)
        self.python = python_name(json)
        self.to_python = to_python
        self.from_python = from_python
        self.strict = strict
        self.hashable = hashable


def codec(json: Dict[str, Any]) -> Codec:
    """The codec of a type. Raises `TypeError` for types that Python values cannot have, with the reason."""
    kind = json["type"]
    if kind == "dictionary":
        return codec(json["value"])
    if kind in ("list", "large_list", "fixed_size_list"):
        return _list(json)
    if kind == "struct":
        return _struct(json)
    if kind == "map":
        return _map(json)
    strict = strict_of(json)
    if kind == "timestamp":
        zone = json.get("timezone")
        if zone:
            return Codec(json, _to_instant(zone_of(zone)), _from_aware(strict), strict)
        return Codec(json, _to_datetime, _from_naive(strict), strict)
    make = _SPECIAL.get(kind)
    if make is not None:
        return Codec(json, make[0], make[1](strict), strict)
    if json["type"] in ("binary", "large_binary", "binary_view", "fixed_size_binary"):
        return Codec(json, None, _from_binary(strict), strict)
    return Codec(json, None, None, strict)


def zone_of(name: str) -> tzinfo:
    """A time zone from its IANA name or a fixed offset such as `+02:00`."""
    if name in ("UTC", "Z", "+00:00", "Etc/UTC"):
        return timezone.utc
    if name[:1] in ("+", "-"):
        digits = name[1:].replace(":", "")
        if digits.isdigit() and len(digits) in (2, 4):
            offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
            return timezone(-offset if name[0] == "-" else offset)
        raise TypeError(f"{name!r} is not a time zone")
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except Exception:
        raise TypeError(f"the time zone {name!r} is not known here") from None


# Simple types. The comprehensions hold no Python-level call for values of the exact type.


_BUFFERS = frozenset((bytes, bytearray, memoryview, type(None)))


def _from_binary(strict: Strict) -> Convert:
    # marshal writes whatever has a buffer as bytes, a numpy number too: only here can its class be seen.
    return lambda column: column if _BUFFERS.issuperset(map(type, column)) else list(map(strict, column))


def _to_decimal(column: Column) -> Column:
    try:
        return list(map(Decimal, column))
    except TypeError:  # a NULL
        return [None if v is None else Decimal(v) for v in column]


# The text of a decimal without a look for the thread's context. One of our own: what is raised or rounded under the
# user's does not matter here.
_decimal_text = Context(traps=[]).to_sci_string
_DECIMALS = frozenset((Decimal,))


def _from_decimal(strict: Strict) -> Convert:
    def write(column: Column) -> Column:
        if _DECIMALS.issuperset(map(type, column)):
            return list(map(_decimal_text, column))
        return [_decimal_text(v) if type(v) is Decimal else None if v is None else strict(v) for v in column]

    return write


def _to_date(column: Column) -> Column:
    day, days = date.fromordinal, set(column)
    if len(days) * 3 < len(column):
        # Few days, as bundles often have them: each is made once.
        made = {v: None if v is None else day(v + EPOCH_DAY) for v in days}
        return list(map(made.__getitem__, column))
    if None in days:
        return [None if v is None else day(v + EPOCH_DAY) for v in column]
    return list(map(day, [v + EPOCH_DAY for v in column]))


def _from_date(strict: Strict) -> Convert:
    return lambda column: [
        v.toordinal() - EPOCH_DAY if type(v) is date else None if v is None else strict(v) for v in column
    ]


def _to_time(column: Column) -> Column:
    return [
        None if v is None else time(v // 3_600_000_000, v // 60_000_000 % 60, v // 1_000_000 % 60, v % 1_000_000)
        for v in column
    ]


def _from_time(strict: Strict) -> Convert:
    return lambda column: [
        (v.hour * 3600 + v.minute * 60 + v.second) * 1_000_000 + v.microsecond
        if type(v) is time and v.tzinfo is None
        else None
        if v is None
        else strict(v)
        for v in column
    ]


def _to_datetime(column: Column) -> Column:
    return [None if v is None else EPOCH + timedelta(0, 0, v) for v in column]


def _from_naive(strict: Strict) -> Convert:
    return lambda column: [
        (v - EPOCH) // MICROSECOND if type(v) is datetime and v.tzinfo is None else None if v is None else strict(v)
        for v in column
    ]


def _to_instant(zone: tzinfo) -> Convert:
    if zone is timezone.utc:
        return lambda column: [None if v is None else EPOCH_UTC + timedelta(0, 0, v) for v in column]
    return lambda column: [None if v is None else (EPOCH_UTC + timedelta(0, 0, v)).astimezone(zone) for v in column]


def _from_aware(strict: Strict) -> Convert:
    # The difference of datetimes of unlike zones is that of their instants, and honours `fold`.
    return lambda column: [
        (v - EPOCH_UTC) // MICROSECOND
        if type(v) is datetime and v.tzinfo is not None
        else None
        if v is None
        else strict(v)
        for v in column
    ]


def _to_timedelta(column: Column) -> Column:
    return [None if v is None else timedelta(0, 0, v) for v in column]


def _from_timedelta(strict: Strict) -> Convert:
    return lambda column: [
        v // MICROSECOND if type(v) is timedelta else None if v is None else strict(v) for v in column
    ]


def _to_interval(column: Column) -> Column:
    make = Interval._make
    return [None if v is None else make(v) for v in column]


def _from_interval(strict: Strict) -> Convert:
    return lambda column: [tuple(v) if type(v) is Interval else None if v is None else strict(v) for v in column]


_DECIMAL = (_to_decimal, _from_decimal)
_DATE = (_to_date, _from_date)
_TIME = (_to_time, _from_time)
_SPECIAL: Dict[str, Any] = {
    "decimal128": _DECIMAL,
    "decimal256": _DECIMAL,
    "date32": _DATE,
    "date64": _DATE,
    "time32": _TIME,
    "time64": _TIME,
    "duration": (_to_timedelta, _from_timedelta),
    "interval": (_to_interval, _from_interval),
}


# Types of types.


def _list(json: Dict[str, Any]) -> Codec:
    item = codec(json["item"])
    strict = strict_of(json)
    to_python, from_python = item.to_python, item.from_python
    if to_python is None and from_python is None:
        return Codec(json, None, None, strict, False)
    to_items, from_items = to_python or list, from_python or list

    # The items of all lists are converted as one column.
    def read(column: Column) -> Column:
        items = iter(to_items(_joined(column)))
        return [None if v is None else list(islice(items, len(v))) for v in column]

    def write(column: Column) -> Column:
        if not all(type(v) is list or v is None for v in column):
            return [None if v is None else strict(v) for v in column]
        items = iter(from_items(_joined(column)))
        return [None if v is None else list(islice(items, len(v))) for v in column]

    return Codec(json, read, write, strict, False)


def _joined(column: Column) -> Column:
    return list(chain.from_iterable([v for v in column if v]))


def _map(json: Dict[str, Any]) -> Codec:
    key, value = codec(json["key"]), codec(json["value"])
    if not key.hashable:
        raise TypeError(f"Python cannot hash a {key.python}, so {key.expected} cannot be the key of a map")
    strict = strict_of(json)
    if not any((key.to_python, key.from_python, value.to_python, value.from_python)):
        return Codec(json, None, None, strict, False)
    to_keys, to_values = key.to_python or list, value.to_python or list
    from_keys, from_values = key.from_python or list, value.from_python or list

    def through(column: Column, keys_of: Callable[[Column], Column], values_of: Callable[[Column], Column]) -> Column:
        present = [v for v in column if v]
        keys = iter(keys_of(list(chain.from_iterable(present))))
        values = iter(values_of(list(chain.from_iterable([v.values() for v in present]))))
        return [None if v is None else dict(zip(islice(keys, len(v)), islice(values, len(v)))) for v in column]

    def write(column: Column) -> Column:
        if not all(type(v) is dict or v is None for v in column):
            return [None if v is None else strict(v) for v in column]
        found = through(column, from_keys, from_values)
        if any(v is not None and len(v) != len(w) for v, w in zip(column, found)):
            return [None if v is None else strict(v) for v in column]  # keys that became equal
        return found

    return Codec(json, lambda column: through(column, to_keys, to_values), write, strict, False)


def _struct(json: Dict[str, Any]) -> Codec:
    codecs = [codec(field["type"]) for field in json["fields"]]
    strict = strict_of(json)
    names = tuple(field["name"] for field in json["fields"])
    cls = row_class(names)
    new = tuple.__new__
    readers = [(i, c.to_python) for i, c in enumerate(codecs) if c.to_python is not None]
    writers = [(i, c.from_python) for i, c in enumerate(codecs) if c.from_python is not None]
    as_tuples = _as_tuples(names)

    def to_python(column: Column) -> Column:
        present = [v for v in column if v is not None]
        return _among_nulls(column, list(map(new, repeat(cls), _through_fields(present, readers))))

    def from_python(column: Column) -> Column:
        present = as_tuples([v for v in column if v is not None])
        if present is None:
            return [None if v is None else strict(v) for v in column]
        return _among_nulls(column, list(_through_fields(present, writers)))

    return Codec(json, to_python, from_python, strict, all(c.hashable for c in codecs))


def _as_tuples(names: Tuple[str, ...]) -> Callable[[Column], Optional[Column]]:
    """What makes exact tuples of structs, which alone marshal writes. Gives None if one is not plainly of these names:
    rows with other names, or in another order, are for the strict check.
    """
    size = len(names)
    tuples, dicts = frozenset((row_class(names), Row, tuple)), frozenset((dict,))
    sizes = frozenset((size,))
    pick = itemgetter(*names) if size > 1 and len(set(names)) == size else None

    def as_tuples(structs: Column) -> Optional[Column]:
        if tuples.issuperset(map(type, structs)):
            # Of all ways to copy a row into a tuple the fastest; a tuple stays itself.
            return [v + () for v in structs] if sizes.issuperset(map(len, structs)) else None
        if pick is not None and dicts.issuperset(map(type, structs)) and sizes.issuperset(map(len, structs)):
            try:
                return list(map(pick, structs))
            except KeyError:
                return None
        return None

    return as_tuples


def _through_fields(structs: Column, convert: List[Any]) -> Iterable[Any]:
    """The structs with some fields converted, a field's values at a time."""
    if not convert or not structs:
        return structs
    fields: List[Any] = list(zip(*structs))
    for index, function in convert:
        fields[index] = function(list(fields[index]))
    return zip(*fields)


def _among_nulls(column: Column, present: Column) -> Column:
    """The values of `present`, and None where `column` has it."""
    if len(present) == len(column):
        return present
    values = iter(present)
    return [None if v is None else next(values) for v in column]
