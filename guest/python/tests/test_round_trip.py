"""Every type there and back: what a function sees for a wire value, and what its result becomes."""

from __future__ import annotations

import unittest
from datetime import date

from .support import BINARY, BOOL, EVAL, FLOAT64, INT64, UTF8, Job, error_of, lists, maps, structs, t

US = {"unit": "us"}
DECIMAL = t("decimal128", precision=10, scale=2)
DATE = t("date32")
STAMP = t("timestamp", timezone=None, **US)
ROME = t("timestamp", timezone="Europe/Rome", **US)
PERSON = structs(name=UTF8, born=DATE)
NESTED = lists(structs(a=INT64, b=maps(UTF8, lists(DECIMAL))))

# Type, wire value, what `repr` shows the function.
CASES = [
    (t("null"), None, "None"),
    (BOOL, True, "True"),
    *[(t(f"int{bits}"), -(1 << bits - 1), str(-(1 << bits - 1))) for bits in (8, 16, 32, 64)],
    *[(t(f"uint{bits}"), (1 << bits) - 1, str((1 << bits) - 1)) for bits in (8, 16, 32, 64)],
    *[(t(f"float{bits}"), 1.5, "1.5") for bits in (16, 32, 64)],
    (FLOAT64, float("inf"), "inf"),
    (FLOAT64, -0.0, "-0.0"),
    *[(t(name), "aé\U0001f600", "'aé\U0001f600'") for name in ("utf8", "large_utf8", "utf8_view")],
    *[(t(name), b"\0\xff", "b'\\x00\\xff'") for name in ("binary", "large_binary", "binary_view")],
    (t("fixed_size_binary", size=2), b"ab", "b'ab'"),
    (DECIMAL, "-1.50", "Decimal('-1.50')"),
    (t("decimal256", precision=76, scale=0), "9" * 76, f"Decimal('{'9' * 76}')"),
    (DATE, -719162, "datetime.date(1, 1, 1)"),
    (t("date64"), 19723, "datetime.date(2024, 1, 1)"),
    (t("time32", unit="s"), 3_600_000_000, "datetime.time(1, 0)"),
    (t("time32", unit="ms"), 1_000, "datetime.time(0, 0, 0, 1000)"),
    (t("time64", **US), 86_399_999_999, "datetime.time(23, 59, 59, 999999)"),
    (t("time64", unit="ns"), 0, "datetime.time(0, 0)"),
    (STAMP, -1, "datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)"),
    (STAMP, -62135596800000000, "datetime.datetime(1, 1, 1, 0, 0)"),
    (STAMP, 253402300799999999, "datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)"),
    (
        t("timestamp", unit="ns", timezone="UTC"),
        1,
        "datetime.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=datetime.timezone.utc)",
    ),
    (
        t("timestamp", unit="s", timezone="+02:00"),
        0,
        "datetime.datetime(1970, 1, 1, 2, 0, tzinfo=datetime.timezone(datetime.timedelta(seconds=7200)))",
    ),
    # The hour that comes twice, both times.
    (
        ROME,
        1729989000000000,
        "datetime.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo(key='Europe/Rome'))",
    ),
    (
        ROME,
        1729992600000000,
        "datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo(key='Europe/Rome'))",
    ),
    (t("duration", **US), -1, "datetime.timedelta(days=-1, seconds=86399, microseconds=999999)"),
    (t("interval", unit="month_day_nano"), (14, -3, 1), "Interval(months=14, days=-3, nanoseconds=1)"),
    (t("interval", unit="year_month"), (14, 0, 0), "Interval(months=14, days=0, nanoseconds=0)"),
    (lists(INT64), [1, None], "[1, None]"),
    (lists(DATE), [0, None], "[datetime.date(1970, 1, 1), None]"),
    (lists(lists(DECIMAL)), [["1.0"], None, []], "[[Decimal('1.0')], None, []]"),
    (t("large_list", item=UTF8, nullable=True), ["a"], "['a']"),
    (t("fixed_size_list", item=INT64, size=2, nullable=True), [1, 2], "[1, 2]"),
    (maps(UTF8, INT64), {"a": 1, "b": None}, "{'a': 1, 'b': None}"),
    (
        maps(DATE, DECIMAL),
        {0: "1", 1: None},
        "{datetime.date(1970, 1, 1): Decimal('1'), datetime.date(1970, 1, 2): None}",
    ),
    (maps(structs(a=INT64), BINARY), {(1,): b""}, "{Row(a=1): b''}"),
    (structs(a=INT64, b=UTF8), (1, None), "Row(a=1, b=None)"),
    (structs(), (), "Row()"),
    (PERSON, ("Ada", 0), "Row(name='Ada', born=datetime.date(1970, 1, 1))"),
    (
        NESTED,
        [(1, {"k": ["1.5", None]}), None, (None, None)],
        "[Row(a=1, b={'k': [Decimal('1.5'), None]}), None, Row(a=None, b=None)]",
    ),
    (t("dictionary", index=t("int32"), value=DATE), 0, "datetime.date(1970, 1, 1)"),
]

SOURCE = """
def same(x): return x
def show(x): return repr(x)
"""


class RoundTrip(unittest.TestCase):
    def test_every_type(self) -> None:
        job = Job(SOURCE)
        for json_type, wire, shown in CASES:
            with self.subTest(type=json_type, wire=wire):
                column = [wire, None, wire]
                self.assertEqual(job.call("show", [json_type], UTF8, column), (0, [shown, "None", shown]))
                reply = job.call("same", [json_type], json_type, column)
                self.assertEqual(repr(reply), repr((0, column)))
                # The strict way gives the same.
                status, values = job.ask(5, len(job.harness._runs) - 1)
                self.assertEqual(repr((status, values)), repr((0, column)))

    def test_no_rows(self) -> None:
        job = Job(SOURCE)
        for json_type, _, _ in CASES:
            self.assertEqual(job.call("same", [json_type], json_type, []), (0, []))

    def test_only_nulls(self) -> None:
        job = Job(SOURCE)
        for json_type, _, _ in CASES:
            self.assertEqual(job.call("same", [json_type], json_type, [None, None]), (0, [None, None]))

    def test_days_that_repeat(self) -> None:
        job = Job(SOURCE)
        column = [0, 19723, None, 0, -1] * 20
        shown = {v: None if v is None else repr(date.fromordinal(719163 + v)) for v in column}
        self.assertEqual(job.call("show", [DATE], UTF8, column), (0, [str(shown[v]) for v in column]))
        self.assertEqual(job.call("same", [DATE], DATE, column), (0, column))

    def test_every_shape_of_call(self) -> None:
        job = Job("def f(*args): return repr(args)")
        for shape in ("", "v", "c", "vv", "vc", "cv", "cc", "vvv", "cvc", "vvvv", "cvcv", "vvvvvv", "ccccc"):
            for on_error in ("fail", "null"):
                for json_type, first, second in ((INT64, 1, 2), (DECIMAL, "1", "2")):
                    with self.subTest(shape=shape, on_error=on_error, type=json_type):
                        constants = [kind == "c" for kind in shape]
                        handle = job.bound("f", [json_type] * len(shape), UTF8, constants, on_error)
                        columns = tuple([first] if constant else [first, second] for constant in constants)
                        plain = (1, 2) if json_type is INT64 else ("Decimal('1')", "Decimal('2')")
                        expected = []
                        for row in (0, 1):
                            values = [plain[0] if constant else plain[row] for constant in constants]
                            expected.append("(" + ", ".join(map(str, values)) + ("," if len(values) == 1 else "") + ")")
                        self.assertEqual(job.ask(EVAL, handle, 2, columns), (0, expected))

    def test_arguments_that_python_cannot_hold(self) -> None:
        job = Job("def f(a, x): return 1")
        for json_type, wire in (
            (DATE, 10**7),
            (STAMP, 10**18),
            (ROME, -62135596800000000 - 1),
            (t("time64", **US), -1),
        ):
            for constant in (False, True):
                with self.subTest(type=json_type, constant=constant):
                    handle = job.bound("f", [INT64, json_type], INT64, [False, constant])
                    column = [wire] if constant else [0, None, wire]
                    reply = job.ask(EVAL, handle, 3, ([1, 2, 3], column))
                    error = error_of(reply)
                    self.assertEqual((error["kind"], error["argument"]), ("type", "x"))
                    self.assertEqual(error["row"], None if constant else 2)
                    self.assertIn(str(wire), error["message"])


if __name__ == "__main__":
    unittest.main()
