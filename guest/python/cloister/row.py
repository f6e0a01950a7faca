"""Values without a counterpart in the standard library: `Row` (a struct) and `Interval`.

Both are tuples, so they hash, compare, unpack and pickle as tuples do. A row's field names live in
a subclass made once for each list of names: a row costs no more memory than its tuple, and
attribute access runs in C.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import itemgetter
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Tuple, Type

try:  # what namedtuple reads its fields with
    from _collections import _tuplegetter  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    _tuplegetter = None

__all__ = ["Interval", "Row"]

# Kept small: a function that invents field names forever must not grow the process.
_CLASSES_KEPT = 256
_classes: OrderedDict[Tuple[str, ...], Type[Row]] = OrderedDict()


class Interval(NamedTuple):
    """A calendar interval; its three parts do not convert into each other."""

    months: int = 0
    days: int = 0
    nanoseconds: int = 0


class Row(tuple):
    """A row or struct value: `Row(a=1, b=2)` with field names, `Row(1, 2)` without.

    Fields are read by attribute (`row.a`), name (`row["a"]`) or index (`row[0]`). A field whose name
    is also a method's hides that method; a name that is no identifier, or begins with two
    underscores, is only read by name.
    """

    __slots__ = ()
    __row_fields__: Tuple[str, ...] = ()

    def __new__(cls, *values: Any, **fields: Any) -> Row:
        """A row of values, or of named fields."""
        if fields:
            if values:
                raise TypeError("Row takes values or named fields, not both")
            return tuple.__new__(row_class(tuple(fields)), fields.values())
        names = cls.__row_fields__
        if names and len(values) != len(names):
            raise TypeError(f"Row has {len(names)} fields, got {len(values)} values")
        return tuple.__new__(cls, values)

    def __call__(self, *values: Any) -> Row:
        """`Person = Row("name", "age"); Person("Ada", 36)`: the values of this row as field names."""
        return row_class(tuple(str(name) for name in tuple.__iter__(self)))(*values)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            try:
                return tuple.__getitem__(self, type(self).__row_fields__.index(key))
            except ValueError:
                raise KeyError(key) from None
        return tuple.__getitem__(self, key)

    def __getattr__(self, name: str) -> Any:
        fields = ", ".join(type(self).__row_fields__) or "no named fields"
        raise AttributeError(f"Row has no field {name!r} (it has {fields})")

    def __contains__(self, item: Any) -> bool:
        names = type(self).__row_fields__
        return item in names if names else tuple.__contains__(self, item)

    def __reduce__(self) -> Tuple[Callable[..., Row], Tuple[Any, ...]]:
        return _rebuild, (type(self).__row_fields__, tuple(self))

    def __repr__(self) -> str:
        names = type(self).__row_fields__
        if names:
            return "Row(" + ", ".join(f"{n}={v!r}" for n, v in zip(names, tuple.__iter__(self))) + ")"
        return "Row(" + ", ".join(repr(v) for v in tuple.__iter__(self)) + ")"

    def as_dict(self, recursive: bool = False) -> Dict[str, Any]:
        """The fields as a dict; with `recursive`, rows inside it (also in lists and dicts) too."""
        names = type(self).__row_fields__
        if not names:
            raise TypeError("cannot convert a Row without field names to a dict")
        values: Iterable[Any] = tuple.__iter__(self)
        return dict(zip(names, map(_plain, values) if recursive else values))

    def get_fields_by_names(self, names: Iterable[str]) -> list[Any]:
        """The values of the named fields, in the order of `names`."""
        return [Row.__getitem__(self, name) for name in names]


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return Row.as_dict(value, True) if type(value).__row_fields__ else [_plain(v) for v in tuple.__iter__(value)]
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _rebuild(names: Tuple[str, ...], values: Tuple[Any, ...]) -> Row:
    return tuple.__new__(row_class(names), values)


def row_class(names: Tuple[str, ...]) -> Type[Row]:
    """The subclass of `Row` whose fields are `names` (positions only, if there are none)."""
    if not names:
        return Row
    found: Optional[Type[Row]] = _classes.get(names)
    if found is None:
        body: Dict[str, Any] = {"__slots__": (), "__row_fields__": names, "__module__": Row.__module__}
        for index, name in enumerate(names):
            if name.isidentifier() and not name.startswith("__"):
                body.setdefault(name, _field(index))
        found = type("Row", (Row,), body)
        if len(_classes) >= _CLASSES_KEPT:
            _classes.popitem(last=False)
        _classes[names] = found
    return found


def _field(index: int) -> Any:
    return property(itemgetter(index)) if _tuplegetter is None else _tuplegetter(index, None)
