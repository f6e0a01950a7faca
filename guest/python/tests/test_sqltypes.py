"""SQL type strings."""

from __future__ import annotations

import unittest

from cloister import DataType, DataTypes
from cloister._sqltypes import parse

D = DataTypes
GOOD = [
    ("BIGINT", D.BIGINT()),
    (" bigint ", D.BIGINT()),
    ("INT NOT NULL", D.INT(False)),
    ("INTEGER NULL", D.INT()),
    ("DOUBLE PRECISION", D.DOUBLE()),
    ("REAL", D.FLOAT()),
    ("DECIMAL", D.DECIMAL(10, 0)),
    ("DECIMAL(10)", D.DECIMAL(10, 0)),
    ("DEC( 10 , 2 )", D.DECIMAL(10, 2)),
    ("NUMERIC(76, 0)", D.DECIMAL(76, 0)),
    ("VARCHAR(20)", D.STRING()),
    ("BINARY(4)", D.BINARY(4)),
    ("TIME", D.TIME(0)),
    ("TIME(3) WITHOUT TIME ZONE", D.TIME(3)),
    ("TIMESTAMP", D.TIMESTAMP(6)),
    ("TIMESTAMP(9) WITHOUT TIME ZONE", D.TIMESTAMP(9)),
    ("TIMESTAMP(3) WITH LOCAL TIME ZONE NOT NULL", D.TIMESTAMP_LTZ(3, False)),
    ("TIMESTAMP_LTZ(0)", D.TIMESTAMP_LTZ(0)),
    ("ARRAY<INT>", D.ARRAY(D.INT())),
    ("INT NOT NULL ARRAY", D.ARRAY(D.INT(False))),
    ("ARRAY<ARRAY<INT NOT NULL>>", D.ARRAY(D.ARRAY(D.INT(False)))),
    ("MAP<STRING, ARRAY<DATE>>", D.MAP(D.STRING(), D.ARRAY(D.DATE()))),
    ("ROW<a INT, `b c` STRING NOT NULL>", D.ROW([D.FIELD("a", D.INT()), D.FIELD("b c", D.STRING(False))])),
    ("ROW(a INT 'a comment', row ROW<>)", D.ROW([("a", "INT"), ("row", D.ROW())])),
    ("ROW<>", D.ROW()),
    ("INTERVAL YEAR TO MONTH", D.INTERVAL(D.YEAR(), D.MONTH())),
    ("INTERVAL DAY(3) TO SECOND(3)", D.INTERVAL(D.DAY(), D.SECOND())),
    ("INTERVAL MONTH", D.INTERVAL(D.MONTH())),
    ("uint8", DataType({"type": "uint8"})),
    ("ARRAY<float16>", D.ARRAY(DataType({"type": "float16"}))),
    ("NULL", D.NULL()),
]
BAD = [
    "",
    "  ",
    "NOPE",
    "INT INT",
    "INT NOT",
    "DECIMAL(",
    "DECIMAL(0)",
    "DECIMAL(10, 11)",
    "DECIMAL(99)",
    "DECIMAL(1,2,3)",
    "DECIMAL(-1)",
    "ARRAY",
    "ARRAY<INT",
    "ARRAY<>",
    "MAP<INT>",
    "ROW<a>",
    "ROW<a INT,>",
    "ROW<a INT)",
    "INT;",
    "TIME(10)",
    "INTERVAL",
    "INTERVAL YEAR TO DAY",
    "`INT`",
    "ARRAY<" * 1000,
]


class SqlTypes(unittest.TestCase):
    def test_good(self) -> None:
        for text, expected in GOOD:
            with self.subTest(text=text):
                self.assertEqual(parse(text), expected)

    def test_bad(self) -> None:
        for text in BAD:
            with self.subTest(text=text):
                with self.assertRaises(ValueError):
                    parse(text)

    def test_messages_say_where(self) -> None:
        with self.assertRaises(ValueError) as caught:
            parse("ARRAY<INT, STRING>")
        self.assertEqual(
            str(caught.exception),
            "not a SQL type: expected '>', found ',' at position 9 of 'ARRAY<INT, STRING>'",
        )


class Types(unittest.TestCase):
    def test_json(self) -> None:
        for data_type, json_type in (
            (D.DECIMAL(10, 2), {"type": "decimal128", "precision": 10, "scale": 2}),
            (D.DECIMAL(39, 2), {"type": "decimal256", "precision": 39, "scale": 2}),
            (D.TIME(), {"type": "time32", "unit": "s"}),
            (D.TIME(6), {"type": "time64", "unit": "us"}),
            (D.TIMESTAMP(3), {"type": "timestamp", "unit": "ms", "timezone": None}),
            (D.TIMESTAMP_LTZ(9), {"type": "timestamp", "unit": "ns", "timezone": "UTC"}),
            (D.BINARY(3), {"type": "fixed_size_binary", "size": 3}),
            (D.ARRAY(D.INT(False)), {"type": "list", "item": {"type": "int32"}, "nullable": False}),
            (D.INTERVAL(D.YEAR()), {"type": "interval", "unit": "year_month"}),
            (
                D.ROW([D.FIELD("a", "INT NOT NULL")]),
                {"type": "struct", "fields": [{"name": "a", "type": {"type": "int32"}, "nullable": False}]},
            ),
        ):
            self.assertEqual(data_type.to_json(), json_type)

    def test_names_and_equality(self) -> None:
        self.assertEqual(str(D.MAP("STRING", D.ROW([("a", D.TIME(3))]))), "map<utf8, struct<a: time32(ms)>>")
        self.assertEqual(repr(D.INT(False)), "DataType('int32 not null')")
        self.assertEqual(len({D.INT(), D.INT(), D.INT(False), D.BIGINT()}), 3)
        self.assertEqual(D.INT().not_null().nullable(), D.INT())

    def test_wrong_arguments(self) -> None:
        for call in (
            lambda: D.DECIMAL(77, 0),
            lambda: D.DECIMAL(5, 6),
            lambda: D.TIMESTAMP(10),
            lambda: D.BINARY(-1),
            lambda: D.INTERVAL(D.YEAR(), D.DAY()),
        ):
            with self.assertRaises(ValueError):
                call()
        for call in (lambda: D.ARRAY(int), lambda: D.FIELD(1, D.INT())):  # type: ignore[arg-type]
            with self.assertRaises(TypeError):
                call()
