"""The row loops: one column of results from columns of arguments.

A comprehension is the fastest loop Python has (faster than `list(map(...))`), and it is faster still when it is
written for the number of arguments and for which of them are constants. So each shape of call is compiled
once, from the same few lines. A shape has one letter an argument: `v` varies by row, `c` is constant, and a type code
of `array` varies by row and may come as the bytes of a C array (see `PACKED`). Numbers are then made one at a time,
right before the call that uses them: their memory is still warm, and comes from the interpreter's free list.

When a row raises, its number is read off the iterator of the first column, so that counting costs nothing.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import repeat, starmap
from typing import Any, Callable, Dict, List, Optional, Tuple

__all__ = ["PACKED", "Failed", "Kept", "Run", "loop", "loop_with_nulls", "unpacked"]

Reply = Tuple[Any, ...]
Run = Callable[[Any, int], Reply]
# Makes the reply for an exception at a row.
Failed = Callable[[BaseException, int], Reply]


# Types whose columns may come packed, as the bytes of a C array of this type code, when no value is NULL.
PACKED = {"int32": "i", "int64": "q", "float64": "d"}


def unpacked(column: Any, kind: str) -> Any:
    """A column that can be iterated."""
    return array(kind, column) if type(column) is bytes else column


def _row(first: Any, rows: int) -> int:
    """The row whose value was the last that the iterator gave."""
    hint = getattr(first, "__length_hint__", None)
    if hint is not None:
        return rows - hint() - 1
    # The iterator of an array tells where it is only this way.
    return first.__reduce__()[-1] - 1


class Kept:
    """The last call's reply, with the results as the function gave them, for when they turn out not to fit."""

    __slots__ = ("handle", "reply")

    def __init__(self) -> None:
        self.handle = -1
        self.reply: Optional[Reply] = None


# The name begins as that of Python's own frozen code, so that it never counts as the user's.
_FILENAME = "<frozen cloister._loops>"
# What is kept of the call before goes first: its memory serves this one.
_TEMPLATE = """
def make(call, failed, kept, handle):
    def run(columns, rows):
        kept.reply = None
        {unpack}
        {arrays}
        first = iter({first})
        try:
            reply = 0, [call({arguments}) for {targets} in {source}]
        except BaseException as error:
            return failed(error, row(first, rows))
        kept.handle = handle
        kept.reply = reply
        return reply
    return run
"""


@lru_cache(maxsize=256)
def _maker(shape: str) -> Callable[[Callable[..., Any], Failed, Kept, int], Run]:
    names = [f"a{i}" for i in range(len(shape))]
    columns = [f"(a{i},)" if kind == "c" else f"c{i}" for i, kind in enumerate(shape)]
    varying = [i for i, kind in enumerate(shape) if kind != "c"]
    targets, source = "_", "first"
    if varying:
        targets = ", ".join(f"a{i}" for i in varying)
        if len(varying) > 1:
            source = "zip(first, " + ", ".join(f"c{i}" for i in varying[1:]) + ")"
    text = _TEMPLATE.format(
        unpack=f"({', '.join(columns)},) = columns" if shape else "pass",
        arrays="; ".join(
            f"c{i} = array({kind!r}, c{i}) if type(c{i}) is bytes else c{i}"
            for i, kind in enumerate(shape)
            if kind not in "vc"
        )
        or "pass",
        first=f"c{varying[0]}" if varying else "range(rows)",
        arguments=", ".join(names),
        targets=targets,
        source=source,
    )
    namespace: Dict[str, Any] = {"iter": iter, "range": range, "zip": zip, "BaseException": BaseException}
    namespace.update({"array": array, "bytes": bytes, "type": type, "row": _row})
    exec(compile(text, _FILENAME, "exec"), namespace)
    return namespace["make"]


def loop(shape: str, call: Callable[..., Any], failed: Failed, kept: Kept, handle: int) -> Run:
    """The loop that stops at the first row that raises: `(0, results)`, or what `failed` makes."""
    return _maker(shape)(call, failed, kept, handle)


def loop_with_nulls(shape: str, call: Callable[..., Any], failed: Failed, kept: Kept, handle: int) -> Run:
    """The loop that puts None where a row raises: `(0, results)`, or `(2, results, count, first error)`.

    Running out of memory, and exceptions that are no `Exception`, still end the call.
    """

    def run(columns: Any, rows: int) -> Reply:
        kept.reply = None
        arguments: List[Any] = [
            repeat(c[0], rows) if kind == "c" else unpacked(c, kind) for c, kind in zip(columns, shape)
        ]
        pending = map(call, *arguments) if arguments else starmap(call, repeat((), rows))
        out: List[Any] = []
        nulled, first = 0, None
        while len(out) < rows:
            try:
                # `extend` keeps what came before an exception, and `map` goes on after it.
                out.extend(pending)
                if len(out) == rows:
                    break
                raise StopIteration  # a row raised it, and `extend` took it for the end
            except BaseException as error:
                fatal = not isinstance(error, Exception) or isinstance(error, MemoryError)
                if fatal or first is None:
                    reply = failed(error, len(out))
                    if fatal:
                        return reply
                    first = reply[1]
            nulled += 1
            out.append(None)
        kept.handle = handle
        kept.reply = (2, out, nulled, first) if nulled else (0, out)
        return kept.reply

    return run


for _shape in ("", "v", "vv", "vvv", "vvvv", "vc", "cv", "vcc", "q", "d", "i", "qq", "dd", "qv", "vq", "qc", "dc"):
    _maker(_shape)  # so that they are compiled before a sandbox's image is taken
