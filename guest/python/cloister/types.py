"""`DataType` and the `DataTypes` factory, and their JSON form, which is what the host speaks.

A type is its JSON dict plus whether NULL is allowed. Nothing here converts values.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

__all__ = ["DataType", "DataTypes", "Json", "display", "python_name"]

Json = Dict[str, Any]


class DataType:
    """A logical type. Made by `DataTypes`, by a SQL string, or from an annotation; never changed."""

    __slots__ = ("_json", "_nullable")

    def __init__(self, json: Mapping[str, Any], nullable: bool = True) -> None:
        self._json = dict(json)
        self._nullable = nullable

    @staticmethod
    def of(spec: Union[DataType, str]) -> DataType:
        """A `DataType` itself, or the type a SQL string names. Raises `ValueError` or `TypeError`."""
        if isinstance(spec, DataType):
            return spec
        if isinstance(spec, str):
            from ._sqltypes import parse

            return parse(spec)
        raise TypeError(f"expected a DataType or a SQL type string, got {type(spec).__name__}")

    @property
    def is_nullable(self) -> bool:
        """Whether NULL is allowed."""
        return self._nullable

    def not_null(self) -> DataType:
        """The same type without NULL."""
        return DataType(self._json, False)

    def nullable(self) -> DataType:
        """The same type with NULL."""
        return DataType(self._json, True)

    def to_json(self) -> Json:
        """The JSON form, without the nullability (that belongs to the field that holds the type)."""
        return dict(self._json)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataType) and self._json == other._json and self._nullable == other._nullable

    def __hash__(self) -> int:
        return hash((display(self._json), self._nullable))

    def __str__(self) -> str:
        return display(self._json) + ("" if self._nullable else " not null")

    def __repr__(self) -> str:
        return f"DataType({str(self)!r})"


class _Field:
    """A field of `DataTypes.ROW`."""

    __slots__ = ("data_type", "name")

    def __init__(self, name: str, data_type: DataType) -> None:
        self.name = name
        self.data_type = data_type


class _Resolution:
    """One end of `DataTypes.INTERVAL`."""

    __slots__ = ("months", "name")

    def __init__(self, name: str, months: bool) -> None:
        self.name = name
        self.months = months


def _unit(precision: int) -> str:
    if not 0 <= precision <= 9:
        raise ValueError(f"the precision must be between 0 and 9, got {precision}")
    return "s" if precision == 0 else "ms" if precision <= 3 else "us" if precision <= 6 else "ns"


class DataTypes:
    """Makes types, with PyFlink's names. Every method takes `nullable` (True unless said)."""

    @staticmethod
    def NULL() -> DataType:
        """Only NULL."""
        return DataType({"type": "null"})

    @staticmethod
    def BOOLEAN(nullable: bool = True) -> DataType:
        """bool"""
        return DataType({"type": "bool"}, nullable)

    @staticmethod
    def TINYINT(nullable: bool = True) -> DataType:
        """int of 8 bits"""
        return DataType({"type": "int8"}, nullable)

    @staticmethod
    def SMALLINT(nullable: bool = True) -> DataType:
        """int of 16 bits"""
        return DataType({"type": "int16"}, nullable)

    @staticmethod
    def INT(nullable: bool = True) -> DataType:
        """int of 32 bits"""
        return DataType({"type": "int32"}, nullable)

    @staticmethod
    def BIGINT(nullable: bool = True) -> DataType:
        """int of 64 bits"""
        return DataType({"type": "int64"}, nullable)

    @staticmethod
    def FLOAT(nullable: bool = True) -> DataType:
        """float of 32 bits"""
        return DataType({"type": "float32"}, nullable)

    @staticmethod
    def DOUBLE(nullable: bool = True) -> DataType:
        """float of 64 bits"""
        return DataType({"type": "float64"}, nullable)

    @staticmethod
    def DECIMAL(precision: int = 10, scale: int = 0, nullable: bool = True) -> DataType:
        """`decimal.Decimal`, of 1 to 76 digits"""
        if not 1 <= precision <= 76:
            raise ValueError(f"a decimal's precision must be between 1 and 76, got {precision}")
        if not 0 <= scale <= precision:
            raise ValueError(f"a decimal's scale must be between 0 and its precision, got {scale}")
        kind = "decimal128" if precision <= 38 else "decimal256"
        return DataType({"type": kind, "precision": precision, "scale": scale}, nullable)

    @staticmethod
    def STRING(nullable: bool = True) -> DataType:
        """str"""
        return DataType({"type": "utf8"}, nullable)

    @staticmethod
    def CHAR(length: int = 1, nullable: bool = True) -> DataType:
        """str; the length documents, it is not enforced"""
        return DataType({"type": "utf8"}, nullable)

    @staticmethod
    def VARCHAR(length: int = 1, nullable: bool = True) -> DataType:
        """str; the length documents, it is not enforced"""
        return DataType({"type": "utf8"}, nullable)

    @staticmethod
    def BYTES(nullable: bool = True) -> DataType:
        """bytes"""
        return DataType({"type": "binary"}, nullable)

    @staticmethod
    def VARBINARY(length: int = 1, nullable: bool = True) -> DataType:
        """bytes; the length documents, it is not enforced"""
        return DataType({"type": "binary"}, nullable)

    @staticmethod
    def BINARY(length: int = 1, nullable: bool = True) -> DataType:
        """bytes of exactly `length`"""
        if length < 0:
            raise ValueError(f"a length must not be negative, got {length}")
        return DataType({"type": "fixed_size_binary", "size": length}, nullable)

    @staticmethod
    def DATE(nullable: bool = True) -> DataType:
        """`datetime.date`"""
        return DataType({"type": "date32"}, nullable)

    @staticmethod
    def TIME(precision: int = 0, nullable: bool = True) -> DataType:
        """`datetime.time`; `precision` is the number of digits after the second"""
        unit = _unit(precision)
        return DataType({"type": "time32" if unit in ("s", "ms") else "time64", "unit": unit}, nullable)

    @staticmethod
    def TIMESTAMP(precision: int = 6, nullable: bool = True) -> DataType:
        """`datetime.datetime` without a zone"""
        return DataType({"type": "timestamp", "unit": _unit(precision), "timezone": None}, nullable)

    @staticmethod
    def TIMESTAMP_LTZ(precision: int = 6, nullable: bool = True) -> DataType:
        """`datetime.datetime` that knows its zone (UTC)"""
        return DataType({"type": "timestamp", "unit": _unit(precision), "timezone": "UTC"}, nullable)

    TIMESTAMP_WITH_LOCAL_TIME_ZONE = TIMESTAMP_LTZ

    @staticmethod
    def ARRAY(element_type: Union[DataType, str], nullable: bool = True) -> DataType:
        """list"""
        item = DataType.of(element_type)
        return DataType({"type": "list", "item": item.to_json(), "nullable": item.is_nullable}, nullable)

    @staticmethod
    def MAP(key_type: Union[DataType, str], value_type: Union[DataType, str], nullable: bool = True) -> DataType:
        """dict"""
        key, value = DataType.of(key_type), DataType.of(value_type)
        return DataType(
            {
                "type": "map",
                "key": key.to_json(),
                "value": value.to_json(),
                "nullable": value.is_nullable,
                "sorted": False,
            },
            nullable,
        )

    @staticmethod
    def FIELD(name: str, data_type: Union[DataType, str], description: Optional[str] = None) -> _Field:
        """A field of a ROW"""
        if not isinstance(name, str):
            raise TypeError(f"a field's name must be a str, got {type(name).__name__}")
        return _Field(name, DataType.of(data_type))

    @staticmethod
    def ROW(
        row_fields: Sequence[Union[_Field, Tuple[str, Union[DataType, str]], DataType, str]] = (),
        nullable: bool = True,
    ) -> DataType:
        """`Row`; fields without a name are called f0, f1, ..."""
        fields: List[Json] = []
        for index, given in enumerate(row_fields):
            if isinstance(given, (DataType, str)):
                given = (f"f{index}", given)
            field = DataTypes.FIELD(*given) if isinstance(given, tuple) else given
            fields.append(
                {"name": field.name, "type": field.data_type.to_json(), "nullable": field.data_type.is_nullable}
            )
        return DataType({"type": "struct", "fields": fields}, nullable)

    @staticmethod
    def INTERVAL(
        upper_resolution: _Resolution, lower_resolution: Optional[_Resolution] = None, nullable: bool = True
    ) -> DataType:
        """`Interval`: of years and months, or of days and times"""
        lower = lower_resolution or upper_resolution
        if upper_resolution.months != lower.months:
            raise ValueError(f"no interval goes from {upper_resolution.name} to {lower.name}")
        return DataType({"type": "interval", "unit": "year_month" if lower.months else "day_time"}, nullable)

    @staticmethod
    def YEAR(precision: int = 2) -> _Resolution:
        """For INTERVAL"""
        return _Resolution("YEAR", True)

    @staticmethod
    def MONTH() -> _Resolution:
        """For INTERVAL"""
        return _Resolution("MONTH", True)

    @staticmethod
    def DAY(precision: int = 2) -> _Resolution:
        """For INTERVAL"""
        return _Resolution("DAY", False)

    @staticmethod
    def HOUR() -> _Resolution:
        """For INTERVAL"""
        return _Resolution("HOUR", False)

    @staticmethod
    def MINUTE() -> _Resolution:
        """For INTERVAL"""
        return _Resolution("MINUTE", False)

    @staticmethod
    def SECOND(precision: int = 6) -> _Resolution:
        """For INTERVAL"""
        return _Resolution("SECOND", False)


_PYTHON = {
    "null": "None",
    "bool": "bool",
    "date32": "date",
    "date64": "date",
    "time32": "time",
    "time64": "time",
    "duration": "timedelta",
    "interval": "Interval",
    "struct": "Row",
    "map": "dict",
}


def python_name(json: Mapping[str, Any]) -> str:
    """The Python type a value of this type has, as messages name it."""
    kind = json["type"]
    if kind in _PYTHON:
        return _PYTHON[kind]
    if kind == "dictionary":
        return python_name(json["value"])
    if kind == "timestamp":
        return "datetime with a time zone" if json.get("timezone") else "datetime without a time zone"
    for part, name in (("int", "int"), ("float", "float"), ("utf8", "str"), ("binary", "bytes")):
        if part in kind:
            return name
    return "Decimal" if kind.startswith("decimal") else "list"


def display(json: Mapping[str, Any]) -> str:
    """The type as messages name it: `int64`, `list<utf8>`, `decimal128(10, 2)`."""
    kind: str = json["type"]
    if kind == "fixed_size_binary":
        return f"{kind}({json['size']})"
    if kind.startswith("decimal"):
        return f"{kind}({json['precision']}, {json['scale']})"
    if kind == "timestamp" and json.get("timezone"):
        return f"timestamp({json['unit']}, {json['timezone']})"
    if "unit" in json:
        return f"{kind}({json['unit']})"
    if kind in ("list", "large_list"):
        return f"{kind}<{display(json['item'])}>"
    if kind == "fixed_size_list":
        return f"{kind}<{display(json['item'])}, {json['size']}>"
    if kind == "struct":
        return "struct<" + ", ".join(f"{f['name']}: {display(f['type'])}" for f in json["fields"]) + ">"
    if kind == "map":
        return f"map<{display(json['key'])}, {display(json['value'])}>"
    if kind == "dictionary":
        return f"dictionary<{display(json['value'])}>"
    return kind
