"""What a result may be and what not, value by value: the strict check behind EXPLAIN."""

from __future__ import annotations

import unittest
from typing import Any

from .support import BINARY, BOOL, EVAL, EXPLAIN, FLOAT64, INT64, UTF8, Job, error_of, lists, maps, structs, t

DECIMAL = t("decimal128", precision=5, scale=2)
STAMP = t("timestamp", unit="us", timezone=None)
UTC = t("timestamp", unit="us", timezone="UTC")
POINT = structs(x=INT64, y=INT64)
HEAD = """
from __future__ import annotations
import collections, datetime as dt, enum, decimal, zoneinfo
from decimal import Decimal
from cloister import Row, Interval
class Colour(enum.IntEnum):
    RED = 1
class Word(str, enum.Enum):
    A = "a"
class Indexed:
    def __index__(self): return 7
class Item:
    def __init__(self, value): self.value = value
    def item(self): return self.value
class Array:
    def tolist(self): return [1, 2]
class Liar:
    __class__ = property(lambda self: int)
self_containing = []
self_containing.append(self_containing)
def f(): return """

ACCEPTED: list[Any] = [
    (INT64, "Colour.RED", 1),
    (INT64, "Indexed()", 7),
    (BOOL, "Item(True)", True),
    (FLOAT64, "Item(1.5)", 1.5),
    (FLOAT64, "Item(2)", 2.0),
    (FLOAT64, "3", 3.0),
    (t("float16"), "2048", 2048.0),
    (UTF8, "Word.A", "a"),
    (BINARY, "bytearray(b'x')", b"x"),
    (BINARY, "memoryview(b'xyz')[::2]", b"xz"),
    (lists(INT64), "(1, 2)", [1, 2]),
    (lists(INT64), "Array()", [1, 2]),
    (lists(t("date32")), "(dt.date(1970, 1, 2),)", [1]),
    (maps(UTF8, INT64), "collections.OrderedDict(a=1)", {"a": 1}),
    (POINT, "Row(x=1, y=2)", (1, 2)),
    (POINT, "Row(y=2, x=1)", (1, 2)),
    (POINT, "Row(1, 2)", (1, 2)),
    (POINT, "(1, 2)", (1, 2)),
    (POINT, "[1, 2]", (1, 2)),
    (POINT, "{'y': 2, 'x': 1}", (1, 2)),
    (structs(at=UTC), "[dt.datetime(1970, 1, 1, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Rome'))]", (0,)),
    (UTC, "dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo('Europe/Rome'))", 1729992600000000),
    (UTC, "dt.datetime(1970, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-1)))", 3600000000),
    (DECIMAL, "Decimal('1E+2')", "1E+2"),
    (DECIMAL, "Decimal('1.500')", "1.50"),
    (DECIMAL, "Decimal('0E-9')", "0"),
    (DECIMAL, "Decimal('-999.99')", "-999.99"),
    (t("interval", unit="month_day_nano"), "(1, 2, 3)", (1, 2, 3)),
    (t("time32", unit="s"), "dt.time(1)", 3600000000),
]

# Type, result, expected, actual, and what else the message says.
REFUSED: list[Any] = [
    (INT64, "'abc'", "int64", "str", "expected int64 (int), got str 'abc'"),
    (INT64, "True", "int64", "bool", ""),
    (INT64, "1.0", "int64", "float", ""),
    (INT64, "Item(1)", "int64", "Item", ""),
    (INT64, "1 << 63", "int64", "int", "outside -9223372036854775808 to 9223372036854775807"),
    (t("uint8"), "-1", "uint8", "int", "outside 0 to 255"),
    (t("int8"), "128", "int8", "int", "outside -128 to 127"),
    (INT64, "10 ** 5000", "int64", "int", "of 16610 bits"),
    (BOOL, "1", "bool", "int", ""),
    (FLOAT64, "True", "float64", "bool", ""),
    (FLOAT64, "2 ** 53 + 1", "float64", "int", "no exact float"),
    (FLOAT64, "10 ** 400", "float64", "int", "no exact float"),
    (t("float32"), "16777217", "float32", "int", "no exact float"),
    (t("float32"), "1e39", "float32", "float", "too large"),
    (t("float16"), "65520.0", "float16", "float", "too large"),
    (UTF8, "b'a'", "utf8", "bytes", ""),
    (UTF8, "'\\ud800'", "utf8", "str", "it cannot be encoded as UTF-8"),
    (BINARY, "'a'", "binary", "str", ""),
    (t("fixed_size_binary", size=3), "b'ab'", "fixed_size_binary(3)", "bytes", "it has 2 bytes"),
    (DECIMAL, "1.5", "decimal128(5, 2)", "float", ""),
    (DECIMAL, "Decimal('1.234')", "decimal128(5, 2)", "decimal.Decimal", "quantize()"),
    (DECIMAL, "Decimal(1000)", "decimal128(5, 2)", "decimal.Decimal", "more than 5 digits"),
    (DECIMAL, "Decimal('NaN')", "decimal128(5, 2)", "decimal.Decimal", "not a finite number"),
    (t("date32"), "dt.datetime(2024, 1, 1)", "date32", "datetime.datetime", ""),
    (STAMP, "dt.date(2024, 1, 1)", "timestamp(us)", "datetime.date", ""),
    (STAMP, "dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)", "timestamp(us)", "datetime.datetime", "has a time zone"),
    (UTC, "dt.datetime(1970, 1, 1)", "timestamp(us, UTC)", "datetime.datetime", "it has no time zone"),
    (t("timestamp", unit="ns"), "dt.datetime(3000, 1, 1)", "timestamp(ns)", "datetime.datetime", "64 bits"),
    (t("timestamp", unit="s"), "dt.datetime(1970, 1, 1, 0, 0, 0, 1)", "timestamp(s)", "datetime.datetime", "whole"),
    (t("time64", unit="us"), "dt.time(1, tzinfo=dt.timezone.utc)", "time64(us)", "datetime.time", "time zone"),
    (t("duration", unit="ms"), "dt.timedelta(0, 0, 1)", "duration(ms)", "datetime.timedelta", "whole"),
    (t("interval", unit="year_month"), "Interval(1, 1)", "interval(year_month)", "cloister.Interval", "no days"),
    (t("interval", unit="month_day_nano"), "(1, 2)", "interval(month_day_nano)", "tuple", ""),
    (lists(INT64), "{1, 2}", "list<int64>", "set", ""),
    (lists(INT64), "[1, [2]]", "int64", "list", "[1]: expected int64 (int), got list [2]"),
    (lists(INT64), "self_containing", "int64", "list", "[0]: expected"),
    (lists(INT64, nullable=False), "[1, None]", "int64", "NoneType", "[1]: expected int64 (int), got None: NULL"),
    (lists(t("date32")), "[None, 5]", "date32", "int", "[1]: expected date32 (date), got int 5"),
    (t("fixed_size_list", item=INT64, size=2, nullable=True), "[1]", "fixed_size_list<int64, 2>", "list", "1 items"),
    (maps(UTF8, INT64), "[('a', 1)]", "map<utf8, int64>", "list", ""),
    (maps(UTF8, INT64), "{None: 1}", "utf8", "NoneType", "NULL is not allowed"),
    (maps(UTF8, INT64), "{'a': 'b'}", "int64", "str", "['a']: expected int64"),
    (maps(UTF8, INT64), "{'a': 1, Word.A: 2, 1: 3}", "utf8", "int", ""),
    (POINT, "(1,)", "struct<x: int64, y: int64>", "tuple", "it has 1 fields, not 2"),
    (POINT, "Row(x=1, z=2)", "struct<x: int64, y: int64>", "cloister.Row", "its fields are not exactly x, y"),
    (POINT, "{'x': 1}", "struct<x: int64, y: int64>", "dict", "its keys are not exactly x, y"),
    (POINT, "(1, 'b')", "int64", "str", ".y: expected int64 (int), got str 'b'"),
    (structs(False, x=INT64), "(None,)", "int64", "NoneType", ".x: expected int64 (int), got None"),
    (structs(p=lists(POINT)), "Row(p=[(1, 2), (3, 'x')])", "int64", "str", ".p[1].y: expected"),
    (t("null"), "1", "null", "int", "expected null (None), got int 1"),
]


class Results(unittest.TestCase):
    def test_accepted(self) -> None:
        for json_type, result, wire in ACCEPTED:
            with self.subTest(type=json_type, result=result):
                status, values = Job(HEAD + result).explained("f", json_type)
                self.assertEqual((status, repr(values)), (0, repr([wire])))

    def test_refused(self) -> None:
        for json_type, result, expected, actual, says in REFUSED:
            with self.subTest(type=json_type, result=result):
                error = error_of(Job(HEAD + result).explained("f", json_type, rows=2))
                self.assertEqual(error["kind"], "type", error)
                self.assertEqual((error["expected"], error["actual"]), (expected, actual))
                self.assertEqual((error["row"], error["function"]), (0, "f"))
                self.assertTrue(error["message"].startswith("function 'f', row 0: "), error)
                self.assertIn(says, error["message"])

    def test_what_marshal_cannot_write_is_explained_at_once(self) -> None:
        for result, status in (("Colour.RED", 0), ("Indexed()", 0), ("object()", 1), ("lambda: 0", 1)):
            job = Job(HEAD + result)
            reply = job.ask(EVAL, job.bound("f", [], INT64), 1, ())
            self.assertEqual(reply[0], status, reply)

    def test_whole_columns_of_structs_come_out_as_the_strict_check_has_them(self) -> None:
        day = structs(x=INT64, on=t("date32"))
        forms = {
            "named": "Row(x=x, on=on(x))",
            "turned": "Row(on=on(x), x=x)",
            "plain": "Row(x, on(x))",
            "tuple": "(x, on(x))",
            "dict": "{'x': x, 'on': on(x)}",
            "turned_dict": "{'on': on(x), 'x': x}",
            "mixed": "Row(x, on(x)) if x == 1 else {'on': on(x), 'x': x} if x else (x, on(x))",
            "some": "None if x == 1 else Row(x, on(x))",
            "short": "Row(x) if x == 1 else Row(x, on(x))",
            "odd_dict": "{'x': x, 'in': on(x)} if x == 1 else {'x': x, 'on': on(x)}",
            "long_dict": "{'x': x, 'on': on(x), 'in': 1}",
            "odd": "7 if x == 1 else (x, on(x))",
        }
        source = HEAD + "0\ndef on(x): return dt.date.fromordinal(719163 + x)\n"
        job = Job(source + "".join(f"def {name}(x): return {form}\n" for name, form in forms.items()))
        for name in forms:
            with self.subTest(form=name):
                handle = job.bound(name, [INT64], day)
                reply = job.ask(EVAL, handle, 3, ([0, 1, 2],))
                self.assertEqual(repr(reply), repr(job.ask(EXPLAIN, handle)))
                expected = [(0, 0), None if name == "some" else (1, 1), (2, 2)]
                if name in ("short", "odd_dict", "long_dict", "odd"):
                    error = error_of(reply)
                    self.assertEqual((error["kind"], error["row"]), ("type", 0 if name == "long_dict" else 1))
                else:
                    self.assertEqual(reply, (0, expected))

    def test_the_row_of_a_result(self) -> None:
        for json_type, good, bad in ((t("date32"), "dt.date(2024, 1, 1)", "'x'"), (POINT, "(1, 2)", "5")):
            job = Job(HEAD + f"0\ndef g(x): return {bad} if x == 2 else {good}")
            error = error_of(job.call("g", [INT64], json_type, [0, 1, 2, 3]))
            self.assertEqual((error["kind"], error["row"]), ("type", 2))

    def test_lies_and_failing_hooks_are_errors_of_the_contract(self) -> None:
        for json_type in (INT64, FLOAT64, UTF8, BINARY, POINT, lists(INT64), maps(UTF8, INT64), DECIMAL, STAMP, UTC):
            job = Job(HEAD + "Liar()\ndef g(): return Item(1/0 if False else (lambda: 1))")
            for function in ("f", "g"):
                self.assertEqual(error_of(job.explained(function, json_type))["kind"] in ("type", "user"), True)

    def test_explain_needs_results(self) -> None:
        job = Job("def f(): return 1\ndef g(): return 1 / 0")
        f, g = job.bound("f", [], INT64), job.bound("g", [], INT64)
        self.assertEqual(error_of(job.ask(5, f))["kind"], "call")
        job.ask(EVAL, f, 1, ())
        self.assertEqual(error_of(job.ask(5, g))["kind"], "call")
        self.assertEqual(job.ask(5, f), (0, [1]))
        job.ask(EVAL, g, 1, ())
        self.assertEqual(error_of(job.ask(5, f))["kind"], "call")

    def test_values_are_shown_in_short(self) -> None:
        for value in ("'x' * 10 ** 6", "list(range(10 ** 5))", "{i: i for i in range(1000)}", "10 ** 10 ** 5"):
            error = error_of(Job(HEAD + value).explained("f", t("date32")))
            self.assertLess(len(error["message"]), 200)


class Numpy(unittest.TestCase):
    def test_scalars_and_arrays(self) -> None:
        try:
            import numpy  # noqa: F401
        except ImportError:
            self.skipTest("numpy is not here")
        cases = [
            (INT64, "np.int64(5)", 5),
            (t("uint8"), "np.uint8(255)", 255),
            (FLOAT64, "np.float64(1.5)", 1.5),
            (t("float32"), "np.float32(1.5)", 1.5),
            (BOOL, "np.bool_(True)", True),
            (UTF8, "np.str_('a')", "a"),
            (lists(FLOAT64), "np.array([1.5, 2])", [1.5, 2.0]),
        ]
        for json_type, result, wire in cases:
            status, values = Job("import numpy as np\ndef f(): return " + result).explained("f", json_type)
            self.assertEqual((status, repr(values)), (0, repr([wire])))
        for json_type, result in ((INT64, "np.bool_(True)"), (INT64, "np.float64(1)"), (BOOL, "np.int8(1)")):
            reply = Job("import numpy as np\ndef f(): return " + result).explained("f", json_type)
            self.assertEqual(error_of(reply)["kind"], "type")


class OneByOne(unittest.TestCase):
    """What thread mode asks a harness for when it converts a column itself."""

    def test_coerce_and_describe(self) -> None:
        job = Job("def f(x): return 1 // x")
        handle = job.bound("f", [INT64], t("date32"))
        harness = job.harness
        self.assertEqual(harness.callable(handle)(1), 1)
        self.assertEqual(harness.coerce(handle, None, 0), (0, None))
        error = error_of(harness.coerce(handle, 5, 3))
        self.assertEqual((error["kind"], error["row"], error["actual"]), ("type", 3, "int"))
        try:
            harness.callable(handle)(0)
        except ZeroDivisionError as raised:
            error = error_of((1, harness.describe(handle, 7, raised)))
        self.assertEqual((error["kind"], error["row"]), ("user", 7))
        self.assertIn('File "job.py", line 1, in f', error["traceback"])
