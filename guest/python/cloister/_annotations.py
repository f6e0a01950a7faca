"""Annotations to types: what `def f(x: int) -> Optional[str]` says about arguments and result.

An annotation that says nothing about a type (`Any`, a class of the user's) is not an error: it is unknown.
"""

from __future__ import annotations

import ast
import collections.abc as abc
import datetime
import decimal
import types
import typing
from typing import Any, Dict, Optional, Tuple

from .types import DataType, DataTypes

# Unknown type, NULL allowed.
UNKNOWN: Tuple[Optional[DataType], bool] = (None, True)

_SCALARS: Dict[Any, DataType] = {
    None: DataTypes.NULL(),
    type(None): DataTypes.NULL(),
    bool: DataTypes.BOOLEAN(),
    int: DataTypes.BIGINT(),
    float: DataTypes.DOUBLE(),
    str: DataTypes.STRING(),
    bytes: DataTypes.BYTES(),
    decimal.Decimal: DataTypes.DECIMAL(38, 18),
    datetime.date: DataTypes.DATE(),
    datetime.time: DataTypes.TIME(6),
    datetime.datetime: DataTypes.TIMESTAMP(6),
    datetime.timedelta: DataType({"type": "duration", "unit": "us"}),
}
_LISTS = (list, abc.Sequence, abc.MutableSequence)
_MAPS = (dict, abc.Mapping, abc.MutableMapping)
_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))  # `int | str` is of 3.10


def raw_annotations(function: Any) -> Dict[str, Any]:
    """The annotations as they are written; names that do not resolve never raise."""
    try:
        found = function.__annotations__
    except Exception:  # 3.14 evaluates them now, and they may name what is not there
        try:
            import annotationlib  # type: ignore[import-not-found,unused-ignore]

            found = annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
        except Exception:
            return {}
    return found if isinstance(found, dict) else {}


def resolve(annotation: Any, names: Dict[str, Any]) -> Tuple[Optional[DataType], bool]:
    """The type of an annotation (None if unknown) and whether it allows NULL.

    An annotation allows NULL only where it says so; a type from `DataTypes` says it itself. Inside lists and
    maps NULL is always allowed, as it is in nearly all columns: `list[int]` takes every list of ints.
    """
    try:
        return _resolve(annotation, names, 0)
    except Exception:  # hostile or odd objects
        return UNKNOWN


def _resolve(annotation: Any, names: Dict[str, Any], depth: int) -> Tuple[Optional[DataType], bool]:
    if depth > 50:
        return UNKNOWN
    if isinstance(annotation, DataType):
        return annotation, annotation.is_nullable
    if isinstance(annotation, str):
        return _resolve(_evaluate(annotation, names), names, depth + 1)
    try:
        scalar = _SCALARS.get(annotation)
    except TypeError:  # not hashable
        return UNKNOWN
    if scalar is not None:
        return scalar, annotation is None or annotation is type(None)
    if isinstance(annotation, typing.ForwardRef):
        return _resolve(annotation.__forward_arg__, names, depth + 1)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is not None and hasattr(annotation, "__metadata__"):  # Annotated[T, ...]
        return _resolve(arguments[0], names, depth + 1)
    if origin in _UNIONS:
        members = [a for a in arguments if a is not None and a is not type(None)]
        if len(members) != 1:
            return UNKNOWN
        return _resolve(members[0], names, depth + 1)[0], len(members) < len(arguments)
    if origin in _LISTS and len(arguments) == 1:
        item = _resolve(arguments[0], names, depth + 1)[0]
        return None if item is None else DataTypes.ARRAY(item), False
    if origin in _MAPS and len(arguments) == 2:
        key, value = (_resolve(argument, names, depth + 1)[0] for argument in arguments)
        return None if key is None or value is None else DataTypes.MAP(key.not_null(), value), False
    supertype = getattr(annotation, "__supertype__", None)  # NewType
    return _resolve(supertype, names, depth + 1) if supertype is not None else UNKNOWN


def _evaluate(text: str, names: Dict[str, Any]) -> Any:
    """The value of an annotation that `from __future__ import annotations` left as text."""
    try:
        return eval(text, names)  # the user's own code, in the user's own namespace
    except TypeError:
        # `int | None` before 3.10.
        tree = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr)):
            raise
        sides = (_evaluate(ast.unparse(side), names) for side in (tree.left, tree.right))
        return typing.Union[tuple(sides)]
