"""Uses the harness before the snapshot, so that a sandbox's first call finds caches filled and memory touched.

The interpreter adapts bytecode to the types that it meets, in place: each function that is still adapting costs a sandbox
a private page. So the small job runs until little changes any more.
"""

from __future__ import annotations

import json
import linecache
import marshal
import sys
from typing import Any, Callable

#: How often the job runs. Bytecode settles after a few runs and retries what did not adapt after some dozens.
ROUNDS = 40

#: A job with the common shapes: a call, an exception, JSON, a regular expression, decimals, dates.
SOURCE = """
import datetime
import decimal
import json
import re


def numbers(x: int) -> int:
    return x + 1


def texts(s: str) -> str:
    if s == "raise":
        raise ValueError(s)
    found = re.search(r"(\\w+)@(\\w+)", s)
    json.loads(json.dumps({"a": [1, 2.5, None, s]}))
    decimal.Decimal("1.10") * 3
    datetime.datetime(2024, 1, 2, 3, 4, 5).isoformat()
    return found.group(1) if found else f"{len(s)} {s!r}"
"""


Handle = Callable[[bytes], bytes]


def _ask(handle: Handle, *request: Any) -> Any:
    return marshal.loads(handle(marshal.dumps(request, 2)))


def warm_up(handle: Handle) -> None:
    """Load and call a small job, and let it fail in the usual ways. The harness is thrown away afterwards.

    Raises:
        RuntimeError: when the harness does not answer as it should, which fails the build of the image.
    """
    for _ in range(ROUNDS):
        _run(handle)
    # The job's modules go; what the standard library imported or cached on the way stays.
    for name in [name for name in sys.modules if name.startswith("cloister_job_")]:
        del sys.modules[name]
    linecache.clearcache()


def _run(handle: Handle) -> None:
    status, *rest = _ask(handle, 1, SOURCE, "warm_up.py", json.dumps({"name": "warm-up", "paths": []}))
    if status != 0:
        raise RuntimeError(f"the harness does not load a job: {rest}")
    for function, column, result in (
        ("numbers", list(range(100)), "int64"),
        ("texts", ["user@host", "", "\u00fc\u4e2d"] * 5, "utf8"),
        ("texts", ["raise"], "utf8"),
    ):
        binding = {
            "function": function,
            "arguments": [{"type": result}],
            "constants": [False],
            "result": {"type": result},
            "on_error": "fail",
        }
        status, *rest = _ask(handle, 2, json.dumps(binding))
        if status != 0:
            raise RuntimeError(f"the harness does not bind {function}: {rest}")
        status, *rest = _ask(handle, 0, rest[0], len(column), (column,))
        if (status == 0) != (column != ["raise"]):
            raise RuntimeError(f"the harness does not call {function}: {rest}")
    _ask(handle, 1, "def broken(:\n", "warm_up.py", "{}")
    _ask(handle, 7)
    _ask(handle, 4)
