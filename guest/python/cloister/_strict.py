"""One result value against its type, exactly: the slow path that accepts what is right and names what is not.

Accepts more than plain objects where nothing is lost (numpy scalars, subclasses, `Enum`s of ints and strings) and
nothing else: no rounding, no truncation, no parsing.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Dict, List, NoReturn, Optional

from .errors import Mismatch
from .row import Interval, Row
from .types import display, python_name

Strict = Callable[[Any], Any]

EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=timezone.utc)
EPOCH_DAY = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)

_FLOATS = {"float16": "<e", "float32": "<f", "float64": "<d"}
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_INT64 = 1 << 63
# Decimal.as_tuple and the like may be overridden in subclasses; the base's methods are what is called.
_decimal_tuple = Decimal.as_tuple


def strict_of(json: Dict[str, Any]) -> Strict:
    """The check of a type: value -> wire value, or `Mismatch`. None passes at the top; a field's own rule is inside."""
    kind = json["type"]
    if kind == "dictionary":
        return strict_of(json["value"])
    make = _MAKERS.get(kind)
    if make is None:
        raise TypeError(f"the type {kind!r} is not known")
    check = make(json, _Refuse(json))
    return lambda value: None if value is None else check(value)


class _Refuse:
    """Raises the mismatch of one type."""

    __slots__ = ("expected", "python")

    def __init__(self, json: Dict[str, Any]) -> None:
        self.expected = display(json)
        self.python = python_name(json)

    def __call__(self, value: Any, reason: Optional[str] = None) -> NoReturn:
        raise Mismatch(self.expected, self.python, value, reason)


def _hook(value: Any, name: str) -> Any:
    """What a special method of the value's class gives; None if there is none or it fails."""
    method = getattr(type(value), name, None)
    if method is None:
        return None
    try:
        return method(value)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:
        return None


def _null(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    return lambda value: refuse(value)


def _bool(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    def check(value: Any) -> bool:
        if type(value) is not bool:
            value_of = None if isinstance(value, (int, float, str, bytes)) else _hook(value, "item")
            if type(value_of) is not bool:
                refuse(value)
            return value_of
        return value

    return check


def _int(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    kind: str = json["type"]
    bits = int(kind.lstrip("uint"))
    low, high = (0, (1 << bits) - 1) if kind[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)

    def check(value: Any) -> int:
        if isinstance(value, bool):
            refuse(value)
        if isinstance(value, int):
            number = int.__index__(value)
        else:
            number = _hook(value, "__index__")
            if number is None or type(number) is not int or type(_hook(value, "item")) is bool:
                refuse(value)
        if not low <= number <= high:
            refuse(value, f"outside {low} to {high}")
        return number

    return check


def _float(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    layout = _FLOATS[json["type"]]

    def check(value: Any) -> float:
        if isinstance(value, bool):
            refuse(value)
        given = value if isinstance(value, (float, int)) else _hook(value, "item")
        if type(given) is bool:
            refuse(value)
        if isinstance(given, float):
            number = float.__float__(given)
        elif isinstance(given, int):
            try:
                number = int.__float__(given)
                exact = struct.unpack(layout, struct.pack(layout, number))[0] == int.__index__(given)
            except OverflowError:
                exact = False
            if not exact:
                refuse(value, "this integer has no exact float")
        else:
            refuse(value)
        try:
            struct.pack(layout, number)
        except OverflowError:
            refuse(value, "too large")
        return number

    return check


def _decimal(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    precision, scale = json["precision"], json["scale"]

    def check(value: Any) -> str:
        if not isinstance(value, Decimal):
            refuse(value)
        sign, digits, exponent = _decimal_tuple(value)
        if not isinstance(exponent, int):
            refuse(value, "it is not a finite number")
        count = len(digits)
        while count > 1 and digits[count - 1] == 0 and exponent < -scale:
            count, exponent = count - 1, exponent + 1
        zero = count == 1 and digits[0] == 0
        if exponent < -scale and not zero:
            refuse(value, f"it has more than {scale} digits after the point; round it with quantize()")
        if not zero and count + exponent + scale > precision:
            refuse(value, f"it has more than {precision} digits at {scale} after the point")
        return "0" if zero else str(Decimal((sign, digits[:count], exponent)))

    return check


def _str(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            refuse(value)
        text = str.__str__(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            refuse(value, "it cannot be encoded as UTF-8")
        return text

    return check


def _bytes(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    size = json.get("size")

    def check(value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            refuse(value)
        data = memoryview(value).tobytes()
        if size is not None and len(data) != size:
            refuse(value, f"it has {len(data)} bytes")
        return data

    return check


def _date(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    def check(value: Any) -> int:
        if not isinstance(value, date) or isinstance(value, datetime):
            refuse(value)
        return date.toordinal(value) - EPOCH_DAY

    return check


def _units(json: Dict[str, Any]) -> int:
    return _UNITS.get(json["unit"], 1)


def _whole(micros: int, json: Dict[str, Any], value: Any, refuse: _Refuse) -> int:
    """`micros`, if the type's unit can hold it."""
    if micros % _units(json):
        refuse(value, f"it is not a whole number of {json['unit']}")
    if json["unit"] == "ns" and not -_INT64 <= micros * 1_000 < _INT64:
        refuse(value, "outside what 64 bits of nanoseconds can hold")
    return micros


def _time(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    def check(value: Any) -> int:
        if not isinstance(value, time):
            refuse(value)
        if value.tzinfo is not None:
            refuse(value, "it has a time zone")
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return _whole(seconds * 1_000_000 + value.microsecond, json, value, refuse)

    return check


def _timestamp(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    aware = bool(json.get("timezone"))

    def check(value: Any) -> int:
        if not isinstance(value, datetime):
            refuse(value)
        try:
            offset = value.utcoffset()
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception:
            refuse(value, "its time zone fails")
        if aware and offset is None:
            refuse(value, "it has no time zone")
        if not aware and value.tzinfo is not None:
            refuse(value, "it has a time zone")
        wall = datetime.replace(value, tzinfo=None) - EPOCH
        if not isinstance(wall, timedelta):
            refuse(value)
        micros = (wall - offset if offset is not None else wall) // MICROSECOND
        return _whole(micros, json, value, refuse)

    return check


def _duration(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    def check(value: Any) -> int:
        if not isinstance(value, timedelta):
            refuse(value)
        micros = timedelta.__floordiv__(value, MICROSECOND)
        if not -_INT64 <= micros // _units(json) < _INT64:
            refuse(value, "outside what 64 bits can hold")
        return _whole(micros, json, value, refuse)

    return check


def _interval(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    unit = json["unit"]
    limits = (1 << 31, 1 << 31, 1 << 63)

    def check(value: Any) -> Any:
        if not isinstance(value, tuple) or isinstance(value, Row) or tuple.__len__(value) != 3:
            refuse(value)
        parts = tuple(tuple.__iter__(value))
        for part, limit, name in zip(parts, limits, Interval._fields):
            if type(part) is not int:
                refuse(value, f"its {name} are not an int")
            if not -limit <= part < limit:
                refuse(value, f"its {name} are out of range")
        if unit == "year_month" and (parts[1] or parts[2]):
            refuse(value, "an interval of years and months has no days and nanoseconds")
        if unit == "day_time" and (parts[0] or parts[2] % 1_000_000):
            refuse(value, "an interval of days and times has days and whole milliseconds only")
        return parts

    return check


def _inside(check: Strict, nullable: bool, refuse: _Refuse, value: Any, path: str) -> Any:
    """A value inside another one; a mismatch there is told with the way to it."""
    try:
        if value is None and not nullable:
            refuse(value, "NULL is not allowed here")
        return check(value)
    except Mismatch as mismatch:
        mismatch.path.append(path)
        raise


def _list(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    item, nullable, inner = strict_of(json["item"]), json.get("nullable", True), _Refuse(json["item"])
    size = json.get("size")

    def check(value: Any) -> List[Any]:
        if not isinstance(value, (list, tuple)) or isinstance(value, Row):
            array = _hook(value, "tolist")  # numpy
            if type(array) is not list:
                refuse(value)
            items = array
        else:
            items = list(list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value))
        if size is not None and len(items) != size:
            refuse(value, f"it has {len(items)} items")
        return [_inside(item, nullable, inner, v, f"[{i}]") for i, v in enumerate(items)]

    return check


def _map(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    key, value_check = strict_of(json["key"]), strict_of(json["value"])
    nullable = json.get("nullable", True)
    key_refuse, value_refuse = _Refuse(json["key"]), _Refuse(json["value"])

    def check(value: Any) -> Dict[Any, Any]:
        if not isinstance(value, dict):
            refuse(value)
        found = {}
        for k, v in list(dict.items(value)):
            wire = _inside(key, False, key_refuse, k, ".keys()")
            if wire in found:
                refuse(value, "two of its keys are the same value")
            found[wire] = _inside(value_check, nullable, value_refuse, v, f"[{_short(wire)}]")
        return found

    return check


def _struct(json: Dict[str, Any], refuse: _Refuse) -> Strict:
    fields = [(f["name"], strict_of(f["type"]), f.get("nullable", True), _Refuse(f["type"])) for f in json["fields"]]
    names = tuple(f["name"] for f in json["fields"])

    def check(value: Any) -> Any:
        if isinstance(value, dict):
            items = dict(dict.items(value))
            if set(items) != set(names):
                refuse(value, "its keys are not exactly " + ", ".join(names))
            values = [items[name] for name in names]
        elif isinstance(value, (tuple, list)):
            values = list(tuple.__iter__(value) if isinstance(value, tuple) else list.__iter__(value))
            if len(values) != len(names):
                refuse(value, f"it has {len(values)} fields, not {len(names)}")
            own = type(value).__row_fields__ if isinstance(value, Row) else names
            if own and own != names:
                if sorted(own) != sorted(names) or len(set(own)) != len(own):
                    refuse(value, "its fields are not exactly " + ", ".join(names))
                values = [values[own.index(name)] for name in names]
        else:
            refuse(value)
        return tuple(
            _inside(check, nullable, inner, v, f".{name}") for (name, check, nullable, inner), v in zip(fields, values)
        )

    return check


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:39] + "…"


_MAKERS: Dict[str, Callable[[Dict[str, Any], _Refuse], Strict]] = {
    "null": _null,
    "bool": _bool,
    **{f"{sign}int{bits}": _int for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **dict.fromkeys(_FLOATS, _float),
    "decimal128": _decimal,
    "decimal256": _decimal,
    **dict.fromkeys(("utf8", "large_utf8", "utf8_view"), _str),
    **dict.fromkeys(("binary", "large_binary", "binary_view", "fixed_size_binary"), _bytes),
    "date32": _date,
    "date64": _date,
    "time32": _time,
    "time64": _time,
    "timestamp": _timestamp,
    "duration": _duration,
    "interval": _interval,
    **dict.fromkeys(("list", "large_list", "fixed_size_list"), _list),
    "map": _map,
    "struct": _struct,
}
