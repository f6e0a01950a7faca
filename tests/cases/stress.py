"""Runs through much of the interpreter. The component and the flattened image must give the same bytes for it.

Nothing here may depend on the time or on randomness. The order of sets may show: both have one hash seed.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import functools
import gc
import json
import math
import re
import traceback
from typing import Any


class Node:
    """Part of a reference cycle."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.me = self
        self.children: list[Node] = []


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def depth(n: int) -> int:
    return 0 if n == 0 else 1 + depth(n - 1)


def endless(n: int) -> int:
    return endless(n + 1)


def numbers(x: int) -> list[Any]:
    return [
        fibonacci(12 + x % 5),
        pow(3, 200 + x, 10**30 + 7),
        (x + 1) ** 97 % 1000003,
        2**200 // (x + 3),
        int.from_bytes(str(x * 1234567).encode(), "big") >> 3,
        complex(x, 1) ** 2,
        repr(x / 7) + " %.3e %g %a" % (x * 1e10, x / 3, "\u00fc"),  # noqa: UP031 the operator is part of the test
        [round(math.sin(x + i) * math.exp(-i / 5), 12) for i in range(10)],
        decimal.Decimal(x + 1).sqrt(),
        hash((x, "a", 2.5)) & 0xFFFF,
    ]


def texts(x: int) -> list[Any]:
    document = {f"k{i}": [i, str(i), None, True, i / 3, {"n": "\u00e9\u4e2d\U0001f600" * (i % 4)}] for i in range(20)}
    day = datetime.datetime(2024, 1, 1) + datetime.timedelta(days=x, seconds=x * 37)
    return [
        json.dumps(json.loads(json.dumps(document)), sort_keys=True)[-80:],
        re.sub(r"(\w)(\d+)", lambda m: m.group(2) + m.group(1), f"a1 b22 c333 d{x}"),
        [m.span() for m in re.finditer(r"(?:ab|a)*b", "abaabbab" * (x % 7))],
        day.strftime("%Y-%m-%d %H:%M:%S %j %a"),
        "".join(chr(65 + (i * x) % 26) for i in range(40)).lower().title().encode().hex()[:20],
    ]


def containers(x: int) -> list[Any]:
    nodes = [Node(i) for i in range(50)]
    for i, node in enumerate(nodes):
        node.children = nodes[i::7]
    del nodes
    data = bytearray(x % 300)
    data.extend(range(200))
    data *= 3
    items = list(range(x % 100))
    items[3:5] = [9] * 20
    return [
        gc.collect() >= 0 if x % 10 == 0 else None,
        sorted(((i * 7919 + x) % 1009 for i in range(300)), key=lambda v: (v % 17, -v))[:5],
        sorted({str(i * x) for i in range(30)})[:4],
        list({("s", i * x % 13) for i in range(20)})[:3],
        collections.Counter("mississippi" * (x % 3 + 1)).most_common(),
        bytes(data[::37]),
        memoryview(data)[2:5].tolist(),
        sum(items),
        functools.reduce(lambda a, c: a * 31 + c & 0xFFFFFFFF, data, 7),
    ]


def failures(x: int) -> list[Any]:
    found: list[Any] = []
    try:
        {}["missing" + str(x)]
    except KeyError as error:
        found.append(repr(error))
    try:
        1 // (x % 3)
    except ZeroDivisionError:
        found.append(traceback.format_exc()[-60:])
    try:
        int("9" * 5000)
    except ValueError as error:
        found.append(str(error)[:40])
    try:
        found.append(depth(50 + x % 100))
    except RecursionError:
        found.append("deep")
    if x % 50 == 0:
        try:
            endless(0)
        except RecursionError:
            found.append("endless")
    return found


def control(x: int) -> list[Any]:
    found: list[Any] = []

    def steps(n: int) -> Any:
        try:
            for i in range(n):
                got = yield i * x
                if got:
                    found.append(got)
        finally:
            found.append("closed")

    generator = steps(5)
    next(generator)
    generator.send(f"s{x}")
    generator.close()
    names: dict[str, Any] = {}
    exec(  # noqa: S102 compiling is part of the test
        "def q(a, *b, c=3, **d):\n"
        "    match a:\n"
        "        case [p, *z]: return (p, z, b, c, d)\n"
        "        case {'k': v}: return v\n"
        "        case _: return a",
        names,
    )
    found.append([str(names["q"]([x, 1, 2], 4, e=5)), names["q"]({"k": x}), names["q"](x)])
    return found


def stress(x: int) -> str:
    return repr([numbers(x), texts(x), containers(x), failures(x), control(x)])


def failing(x: int) -> str:
    if x % 10 == 7:
        raise ValueError(f"row {x}")
    return str(x)


def leaving(x: int) -> str:
    raise SystemExit(x)


def mistyped(x: int) -> int:
    return x if x % 10 != 3 else "three"  # type: ignore[return-value]
