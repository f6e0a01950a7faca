"""Columns that come as the bytes of a C array give what the same columns give as lists."""

from __future__ import annotations

import json
import marshal
import struct
import unittest
from typing import Any, List

from cloister._harness import Harness

SOURCE = """
def f(x, y=0):
    return 10 // (x - 5) + y
def g(x, d):
    return x
def h(x):
    return -x
"""
INT, DATE, FLOAT = {"type": "int64"}, {"type": "date32"}, {"type": "float64"}


class Packed(unittest.TestCase):
    def setUp(self) -> None:
        self.harness = Harness(owns_output=False)
        self.assertEqual(self.ask(1, SOURCE, "udf.py", "{}")[0], 0)

    def ask(self, *request: Any) -> Any:
        return marshal.loads(self.harness.handle(marshal.dumps(request, 2)))

    def both(self, function: str, types: List[Any], columns: List[Any], **binding: Any) -> Any:
        rows = max(len(column) for column in columns)
        request = {"function": function, "arguments": types, "constants": [False] * len(types), "on_error": "fail"}
        request.update({"result": types[0]}, **binding)
        handle = self.ask(2, json.dumps(request))[1]
        codes = {"int64": "q", "float64": "d"}
        packed = [
            struct.pack(f"<{rows}{codes[t['type']]}", *c) if t["type"] in codes and len(c) == rows else c
            for t, c in zip(types, columns)
        ]
        self.assertIn(bytes, map(type, packed))
        lists, arrays = self.ask(0, handle, rows, tuple(columns)), self.ask(0, handle, rows, tuple(packed))
        self.assertEqual(lists, arrays)
        return arrays

    def test_results(self) -> None:
        ends = [-(2**63), 2**63 - 1, 0]
        self.assertEqual(self.both("g", [INT, INT], [ends, [1, 2, 3]]), (0, ends))
        self.assertEqual(self.both("h", [FLOAT], [[0.5, -0.0, 1e300]])[1], [-0.5, 0.0, -1e300])

    def test_the_row_of_an_exception(self) -> None:
        for types, columns in (([INT], [[1, 5, 2]]), ([INT, INT], [[1, 5, 2], [1, 1, 1]])):
            self.assertEqual(json.loads(self.both("f", types, columns)[1])["row"], 1)

    def test_rows_that_fail_become_null(self) -> None:
        reply = self.both("f", [INT], [[4, 5, 6]], on_error="null")
        self.assertEqual(reply[:3], (2, [-10, None, 10], 1))

    def test_beside_a_column_that_is_converted(self) -> None:
        self.assertEqual(self.both("g", [INT, DATE], [[1, 2], [0, 1]]), (0, [1, 2]))
        self.assertEqual(json.loads(self.both("g", [INT, DATE], [[1, 2], [0, 10**9]])[1])["row"], 1)

    def test_beside_a_constant(self) -> None:
        self.assertEqual(self.both("f", [INT, INT], [[4, 6], [1]], constants=[False, True]), (0, [-9, 11]))
