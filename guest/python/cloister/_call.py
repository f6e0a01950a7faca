"""A function bound to types: arguments in, the loop, results out, and what to say when any of it fails."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from ._load import Function
from ._loops import PACKED, Kept, Reply, Run, loop, loop_with_nulls, unpacked
from .convert import Codec
from .errors import Mismatch, Sources, encode, from_exception, problem, show, type_name

__all__ = ["Bound"]

_len, _type, _enumerate = len, type, enumerate


class Bound:
    """One function for one list of argument types and one result type. `run` is the way through it."""

    def __init__(
        self,
        function: Function,
        arguments: Sequence[Codec],
        constants: Sequence[bool],
        result: Codec,
        null_on_error: bool,
        sources: Sources,
        kept: Kept,
        handle: int,
    ) -> None:
        self.name = function.name
        self.call = function.call
        self.arguments = arguments
        self.names = [p.name for p in function.parameters]
        self.result = result
        self.null_on_error = null_on_error
        self.sources = sources
        self.kept = kept
        self.kinds = ["c" if c else PACKED.get(a.kind, "v") for a, c in zip(arguments, constants)]
        shape = "".join(self.kinds)
        make = loop_with_nulls if null_on_error else loop
        self.run: Run = make(shape, function.call, self.failed, kept, handle)
        if any(codec.to_python is not None for codec in arguments):
            self.run = self._with_arguments(self.run, constants)
        if result.from_python is not None:
            self.run = self._with_results(self.run, result.from_python)

    def failed(self, error: BaseException, row: int) -> Reply:
        """The reply for an exception of the user's code at a row."""
        at = row if row >= 0 else None
        return 1, encode(from_exception(error, self.sources, row=at, function=self.name))

    # Results.

    def _with_results(self, inner: Run, convert: Callable[[List[Any]], List[Any]]) -> Run:
        def run(columns: Any, rows: int) -> Reply:
            reply = inner(columns, rows)
            if reply[0] == 1:
                return reply
            try:
                return reply[:1] + (convert(reply[1]),) + reply[2:]
            except MemoryError:
                raise
            except Exception:
                return self.strictly(reply)

        return run

    def strictly(self, reply: Reply) -> Reply:
        """The reply that `reply`, whose values are as the function gave them, becomes if each one is checked."""
        strict, null_on_error = self.result.strict, self.null_on_error
        nulled, first = (reply[2], reply[3]) if reply[0] == 2 else (0, None)
        out = []
        for row, value in _enumerate(reply[1]):
            try:
                out.append(strict(value))
            except BaseException as error:  # also what a `__index__` of the user's raises
                ends = issubclass(_type(error), MemoryError) or not isinstance(error, Exception)
                if ends or not null_on_error:
                    return self.unfit(error, row)
                first = first or self.unfit(error, row)[1]
                nulled += 1
                out.append(None)
        return (2, out, nulled, first) if nulled else (0, out)

    def unfit(self, error: BaseException, row: int) -> Reply:
        """The reply for a result that does not fit."""
        if not isinstance(error, Mismatch):
            return self.failed(error, row)
        return 1, encode(
            problem(
                "type",
                f"function '{self.name}', row {row}: {error.text()}",
                row=row,
                function=self.name,
                expected=error.expected,
                actual=type_name(_type(error.value), self.sources.module),
            )
        )

    # Arguments.

    def _with_arguments(self, inner: Run, constants: Sequence[bool]) -> Run:
        converts = [codec.to_python for codec in self.arguments]

        def run(columns: Any, rows: int) -> Reply:
            columns = [unpacked(c, kind) for c, kind in zip(columns, self.kinds)]
            try:
                converted = [c if f is None else f(c) for f, c in zip(converts, columns)]
            except MemoryError:
                raise
            except Exception:
                return self._without_bad_rows(inner, columns, rows, constants)
            return inner(converted, rows)

        return run

    def _without_bad_rows(self, inner: Run, columns: Any, rows: int, constants: Sequence[bool]) -> Reply:
        """Some argument cannot be a Python value: the error, or the call with the other rows."""
        converted: List[List[Any]] = []
        bad: Dict[int, Reply] = {}
        for index, (codec, column) in _enumerate(zip(self.arguments, columns)):
            values: List[Any] = []
            for row, value in _enumerate(column):
                try:
                    values.append(value if codec.to_python is None else codec.to_python([value])[0])
                except Exception as error:
                    if issubclass(_type(error), MemoryError):
                        raise
                    values.append(None)
                    reply = self._bad_argument(index, None if constants[index] else row, value)
                    if not self.null_on_error:
                        return reply
                    for hit in range(rows) if constants[index] else (row,):
                        bad.setdefault(hit, reply)
            converted.append(values)
        good = [row for row in range(rows) if row not in bad]
        kept = [c if constant else [c[row] for row in good] for c, constant in zip(converted, constants)]
        reply = inner(kept, _len(good))
        if reply[0] == 1 or not bad:
            return reply
        results = iter(reply[1])
        out = [None if row in bad else next(results) for row in range(rows)]
        nulled, first = (reply[2], reply[3]) if reply[0] == 2 else (0, None)
        self.kept.reply = 2, out, nulled + _len(bad), first or bad[min(bad)][1]
        return self.kept.reply

    def _bad_argument(self, index: int, row: Optional[int], value: Any) -> Reply:
        codec = self.arguments[index]
        name = self.names[index] if index < _len(self.names) else f"{index + 1}"
        where = "" if row is None else f", row {row}"
        return 1, encode(
            problem(
                "type",
                f"function '{self.name}'{where}: argument '{name}': the {codec.expected} value {show(value)} "
                f"is outside what Python's {codec.python} can hold",
                row=row,
                function=self.name,
                argument=name,
                expected=codec.python,
                actual=codec.expected,
            )
        )
