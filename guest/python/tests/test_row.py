"""Row and Interval."""

from __future__ import annotations

import copy
import pickle
import unittest

from cloister import Interval, Row
from cloister import row as module


class Rows(unittest.TestCase):
    def test_access(self) -> None:
        row = Row(a=1, b="x")
        self.assertEqual((row.a, row["b"], row[0], row[-1], row[:1], len(row)), (1, "x", 1, "x", (1,), 2))
        a, b = row
        self.assertEqual((a, b), (1, "x"))
        self.assertEqual(repr(row), "Row(a=1, b='x')")
        self.assertTrue("a" in row and 1 not in row)
        self.assertTrue(1 in Row(1, 2))

    def test_missing_fields(self) -> None:
        with self.assertRaisesRegex(AttributeError, "no field 'c' .it has a"):
            Row(a=1).c  # noqa: B018
        with self.assertRaises(KeyError):
            Row(a=1)["c"]
        with self.assertRaises(IndexError):
            Row(a=1)[1]
        with self.assertRaises(TypeError):
            Row(1, a=1)

    def test_immutable(self) -> None:
        with self.assertRaises((AttributeError, TypeError)):
            Row(a=1).a = 2  # type: ignore[misc]
        with self.assertRaises(AttributeError):
            Row(a=1).new = 2  # type: ignore[attr-defined]

    def test_tuples(self) -> None:
        self.assertEqual(Row(a=1), (1,))
        self.assertEqual(hash(Row(a=1)), hash((1,)))
        self.assertEqual(sorted([Row(a=2), Row(a=1)]), [(1,), (2,)])

    def test_copies(self) -> None:
        for row in (Row(a=1, b=[2]), Row(1, 2), Row()):
            for other in (pickle.loads(pickle.dumps(row)), copy.copy(row), copy.deepcopy(row)):
                self.assertEqual((other, repr(other), type(other)), (row, repr(row), type(row)))

    def test_as_dict(self) -> None:
        row = Row(a=1, b=Row(c=2), d=[Row(e=3)], f={"g": Row(h=4)}, i=Row(5))
        self.assertEqual(row.as_dict()["b"], Row(c=2))
        self.assertEqual(row.as_dict(True), {"a": 1, "b": {"c": 2}, "d": [{"e": 3}], "f": {"g": {"h": 4}}, "i": [5]})
        with self.assertRaises(TypeError):
            Row(1).as_dict()
        self.assertEqual(row.get_fields_by_names(["a"]), [1])

    def test_a_row_of_names_makes_rows(self) -> None:
        person = Row("name", "age")
        self.assertEqual(person("Ada", 36), Row(name="Ada", age=36))
        with self.assertRaises(TypeError):
            person("Ada")

    def test_odd_names(self) -> None:
        for name in ("class", "two words", "", "__class__", "__new__", "count", "as_dict", "self", "values", "é"):
            row = Row(**{name: 5})
            self.assertEqual(row[name], 5)
            self.assertIs(type(row).__mro__[1], Row)
        self.assertEqual(Row(count=5).count, 5)
        twice = tuple.__new__(module.row_class(("a", "a")), (1, 2))
        self.assertEqual((twice.a, twice["a"]), (1, 1))

    def test_classes_do_not_pile_up(self) -> None:
        for i in range(1000):
            Row(**{f"f{i}": 1})
        self.assertLessEqual(len(module._classes), 256)

    def test_interval(self) -> None:
        self.assertEqual(Interval(1, 2, 3), (1, 2, 3))
        self.assertEqual(Interval(days=2), Interval(0, 2, 0))
