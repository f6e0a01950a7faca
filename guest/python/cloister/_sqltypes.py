"""SQL type strings (`DECIMAL(10, 2)`, `ROW<a INT, b ARRAY<STRING>>`) to `DataType`.

Flink's spelling, its synonyms, and the names of Arrow's simple types (`uint8`), which have no SQL name.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Optional, Tuple

from .types import DataType, DataTypes

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<quoted>`(?:[^`]|``)+`)"
    r"|(?P<text>'(?:[^']|'')*')|(?P<mark>[<>(),]))"
)
_DEPTH = 100

_SIMPLE: Dict[str, Callable[[], DataType]] = {
    "NULL": DataTypes.NULL,
    "BOOLEAN": DataTypes.BOOLEAN,
    "BOOL": DataTypes.BOOLEAN,
    "TINYINT": DataTypes.TINYINT,
    "SMALLINT": DataTypes.SMALLINT,
    "INT": DataTypes.INT,
    "INTEGER": DataTypes.INT,
    "BIGINT": DataTypes.BIGINT,
    "FLOAT": DataTypes.FLOAT,
    "REAL": DataTypes.FLOAT,
    "STRING": DataTypes.STRING,
    "BYTES": DataTypes.BYTES,
    "DATE": DataTypes.DATE,
}
# Name -> factory of one length or precision, which may be left out.
_SIZED: Dict[str, Callable[..., DataType]] = {
    "CHAR": DataTypes.CHAR,
    "VARCHAR": DataTypes.VARCHAR,
    "BINARY": DataTypes.BINARY,
    "VARBINARY": DataTypes.VARBINARY,
    "TIME": DataTypes.TIME,
    "TIMESTAMP": DataTypes.TIMESTAMP,
    "TIMESTAMP_LTZ": DataTypes.TIMESTAMP_LTZ,
}
_ARROW = frozenset(
    "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
    "utf8 large_utf8 utf8_view large_binary binary_view date32 date64".split()
)
_RESOLUTIONS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def _decimal(precision: int = 10, scale: int = 0) -> DataType:
    return DataTypes.DECIMAL(precision, scale)


def parse(text: str) -> DataType:
    """The type that `text` names; `ValueError` says what is wrong and where."""
    parser = _Parser(text)
    data_type = parser.type(0)
    if parser.token is not None:
        raise parser.error("expected the end")
    return data_type


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 0
        self.token: Optional[str] = None
        self.kind: Optional[str] = None
        self.start = 0
        self.advance()

    def error(self, what: str) -> ValueError:
        found = "the end" if self.token is None else repr(self.token)
        return ValueError(f"not a SQL type: {what}, found {found} at position {self.start} of {self.text!r}")

    def advance(self) -> None:
        rest = self.text[self.end :]
        self.start = self.end + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.token = self.kind = None
            return
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            self.token, self.kind = self.text[self.start], None
            raise self.error("expected a name, a number or one of < > ( ) ,")
        self.kind, self.end = match.lastgroup, match.end()
        self.token = match.group(match.lastgroup or 0)

    def accept(self, *words: str) -> bool:
        """Takes these words or marks if they all follow."""
        saved = (self.token, self.kind, self.start, self.end)
        for word in words:
            if self.token is None or self.kind not in ("word", "mark") or self.token.upper() != word:
                self.token, self.kind, self.start, self.end = saved
                return False
            self.advance()
        return True

    def expect(self, mark: str) -> None:
        if not self.accept(mark):
            raise self.error(f"expected {mark!r}")

    def number(self) -> int:
        if self.kind != "number" or self.token is None:
            raise self.error("expected a number")
        value = int(self.token)
        self.advance()
        return value

    def numbers(self, most: int) -> List[int]:
        """`(n)` or `(n, m)`, or nothing."""
        found: List[int] = []
        if self.accept("("):
            found.append(self.number())
            while len(found) < most and self.accept(","):
                found.append(self.number())
            self.expect(")")
        return found

    def type(self, depth: int) -> DataType:
        if depth > _DEPTH:
            raise self.error(f"nested deeper than {_DEPTH}")
        found = self.base(depth)
        while True:
            if self.accept("NOT", "NULL"):
                found = found.not_null()
            elif self.accept("NULL"):
                found = found.nullable()
            elif self.accept("ARRAY"):
                found = DataTypes.ARRAY(found)
            else:
                return found

    def base(self, depth: int) -> DataType:
        if self.kind != "word" or self.token is None:
            raise self.error("expected the name of a type")
        spelled, name = self.token, self.token.upper()
        for words, factory in (("DOUBLE", DataTypes.DOUBLE), *_SIMPLE.items()):
            if name == words:
                self.advance()
                if name == "DOUBLE":
                    self.accept("PRECISION")
                return factory()
        if name in _SIZED:
            return self.sized(name)
        if name in ("DECIMAL", "DEC", "NUMERIC"):
            self.advance()
            return _decimal(*self.numbers(2))
        if name in ("ARRAY", "MAP", "ROW"):
            self.advance()
            return self.nested(name, depth)
        if name == "INTERVAL":
            self.advance()
            return self.interval()
        if spelled in _ARROW:
            self.advance()
            return DataType({"type": spelled})
        raise self.error("expected the name of a type")

    def sized(self, name: str) -> DataType:
        self.advance()
        arguments = self.numbers(1)
        if name == "TIMESTAMP" and self.accept("WITH", "LOCAL", "TIME", "ZONE"):
            name = "TIMESTAMP_LTZ"
        elif name in ("TIME", "TIMESTAMP"):
            self.accept("WITHOUT", "TIME", "ZONE")
        return _SIZED[name](*arguments)

    def nested(self, name: str, depth: int) -> DataType:
        close = ")" if name == "ROW" and self.accept("(") else ">"
        if close == ">":
            self.expect("<")
        if name == "ROW":
            fields: List[Tuple[str, DataType]] = []
            while not (not fields and self.accept(close)):
                fields.append(self.field(depth))
                if not self.accept(","):
                    self.expect(close)
                    break
            return DataTypes.ROW(fields)
        first = self.type(depth + 1)
        if name == "ARRAY":
            self.expect(close)
            return DataTypes.ARRAY(first)
        self.expect(",")
        value = self.type(depth + 1)
        self.expect(close)
        return DataTypes.MAP(first, value)

    def field(self, depth: int) -> Tuple[str, DataType]:
        if self.token is None or self.kind not in ("word", "quoted"):
            raise self.error("expected the name of a field")
        name = self.token
        if self.kind == "quoted":
            name = name[1:-1].replace("``", "`")
        self.advance()
        data_type = self.type(depth + 1)
        if self.kind == "text":  # a comment
            self.advance()
        return name, data_type

    def interval(self) -> DataType:
        ends = []
        while True:
            if self.token is None or self.token.upper() not in _RESOLUTIONS:
                raise self.error("expected one of " + ", ".join(_RESOLUTIONS))
            ends.append(getattr(DataTypes, self.token.upper())())
            self.advance()
            self.numbers(1)
            if len(ends) == 2 or not self.accept("TO"):
                return DataTypes.INTERVAL(*ends)
